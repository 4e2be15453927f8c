import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { openPage, sent, settle } from "../page";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => {
  vi.useRealTimers();
  document.body.replaceChildren();
});

it("the header names the step that each button takes, and sends it", async () => {
  const { kernel, get } = await openPage({ can_undo: "keep “red”", can_redo: "" });
  const [undo, redo] = [get("undo"), get("redo")] as HTMLButtonElement[];
  expect(undo?.title).toBe("Undo: keep “red”");
  expect(redo?.disabled).toBe(true);
  undo?.click();
  await settle();
  expect(sent(kernel, "undo")).toHaveLength(1);
});

it("the header takes no step while the head is trained", async () => {
  const { kernel, get } = await openPage({ can_undo: "keep “red”", can_redo: "keep “blue”" });
  const buttons = [get("undo"), get("redo")] as HTMLButtonElement[];
  expect(buttons.map(({ disabled }) => disabled)).toEqual([false, false]);
  kernel.update({ status: { ...kernel.get("status"), state: "retraining", message: "Retraining" } });
  await settle();
  expect(buttons.map(({ disabled }) => disabled)).toEqual([true, true]);
  expect(get("status").textContent).toBe("Retraining");
});
