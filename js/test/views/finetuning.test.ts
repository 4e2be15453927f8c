import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { FakeKernel, FINETUNING, sprites } from "../../dev/fake";
import { openPage, type Page, sent, settle } from "../page";

vi.mock("../../src/panel-loader", async () => {
  const panels = await import("../../src/panels");
  return { panelLoader: () => async () => panels };
});

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
  document.body.replaceChildren();
});

async function unfold(page: Page): Promise<void> {
  const details = page.get("panel-finetuning") as HTMLDetailsElement;
  details.open = true;
  details.dispatchEvent(new Event("toggle"));
  await settle();
}

async function openPanel(kernel?: FakeKernel): Promise<Page> {
  const page = await openPage({}, kernel);
  await page.ask("keep", { class_name: "square", phrase: "red", threshold: 0.2 });
  await unfold(page);
  return page;
}

const button = (page: Page, testid = "finetune") => page.get(testid) as HTMLButtonElement;

/** What screen readers add to the name of a button. */
function describing(page: Page, testid: string): string {
  const ids = page.get(testid).getAttribute("aria-describedby")?.split(" ") ?? [];
  return ids.map((id) => page.root.querySelector(`#${id}`)?.textContent ?? "missing").join(" ");
}

async function begin(page: Page): Promise<void> {
  button(page).click();
  await settle();
}

describe("the panel of fine-tuning", () => {
  it("is not there in a notebook of before, which does not know of it", async () => {
    const page = await openPage({ finetuning: null });
    expect(page.get("panel-finetuning").hidden).toBe(true);
  });

  it("says which kept phrases it would use, and needs one", async () => {
    const page = await openPage();
    await unfold(page);
    expect(button(page).disabled).toBe(true);
    expect(page.get("panel-finetuning").textContent).toContain("Keep a phrase first");
    await page.ask("keep", { class_name: "square", phrase: "red", threshold: 0.2 });
    expect(button(page).disabled).toBe(false);
    expect(page.get("finetuning-kept").textContent).toBe("square: “red”");
    await page.ask("switch", { class_name: "square", phrase: "red", on: false });
    expect(page.get("finetuning-kept").hidden).toBe(true);
    expect(button(page).disabled).toBe(true);
  });

  it("shows the towers, then epochs, loss, time and the curve by its right name", async () => {
    const page = await openPanel();
    page.kernel.holdAt = 4;
    await begin(page);
    expect(page.get("finetuning-message").textContent).toBe("Fine-tuning the encoder");
    expect(page.get("finetuning-progress").textContent).toContain("Running the image tower over train");
    await settle(1000);
    const progress = page.get("finetuning-progress");
    expect(progress.textContent).toContain("Epoch 4 of 10, loss 0.155");
    expect(progress.textContent).toContain("6 s left");
    expect(progress.textContent).toContain("worst group");
    expect(progress.textContent).toContain("On validation before: average 81.0%, worst group 11.5%.");
    expect(progress.querySelector("[role=progressbar]")?.getAttribute("aria-valuenow")).toBe("40");
    expect(progress.querySelector("[data-testid=finetuning-curve]")?.hasAttribute("hidden")).toBe(false);
  });

  it("ends in a comparison of its own and says how to go on", async () => {
    const page = await openPanel();
    await begin(page);
    await settle(2000);
    const result = page.get("finetuning-result");
    expect(result.hidden).toBe(false);
    expect(page.get("finetuning-done").textContent).toBe(
      "Fine-tuned against “red”. Epoch 7 of 10 had the best worst group on validation.",
    );
    expect(result.querySelectorAll("tr[data-kind]").length).toBeGreaterThan(2);
    expect(result.textContent).toContain("cw.ClarifyWidget(widget.finetuned.session)");
    expect(page.get("finetuning-progress").hidden).toBe(true);
    expect(button(page).textContent).toBe("Fine-tune again");
    expect(page.kernel.get("comparison")).toBeNull();
  });

  it("cancels, and gives the focus to the button that comes", async () => {
    const page = await openPanel();
    page.kernel.holdAt = 3;
    button(page).focus();
    await begin(page);
    expect(document.activeElement).toBe(button(page, "finetuning-cancel"));
    page.kernel.holdAt = Number.POSITIVE_INFINITY;
    button(page, "finetuning-cancel").click();
    await settle(500);
    expect(sent(page.kernel, "cancel")).toHaveLength(1);
    expect(page.get("finetuning-message").textContent).toBe("Cancelled");
    expect(page.get("finetuning-result").hidden).toBe(true);
    expect(document.activeElement).toBe(button(page));
  });

  it("says why it came to nothing, until it is asked for again", async () => {
    const page = await openPanel();
    page.kernel.update({ finetuning: { ...FINETUNING, run_id: "1", error: "no image can be read" } });
    await settle();
    expect(page.get("finetuning-error").hidden).toBe(false);
    expect(page.get("finetuning-error").textContent).toBe("no image can be read");
    await begin(page);
    expect(page.get("finetuning-error").hidden).toBe(true);
  });

  it("tells screen readers once why it came to nothing", async () => {
    const page = await openPanel();
    const message = "no image can be read";
    page.kernel.update({
      error: { type: "DataError", message },
      finetuning: { ...FINETUNING, run_id: "1", error: message },
    });
    await settle();
    const alerts = [...page.root.querySelectorAll('[role="alert"]')];
    expect(alerts.filter(({ textContent }) => textContent?.includes(message))).toEqual([page.get("error")]);
  });

  it("says in the place of everything else why an encoder cannot be fine-tuned", async () => {
    const page = await openPanel();
    page.kernel.update({ finetuning: { ...FINETUNING, unavailable: "use Retrain" } });
    await settle();
    expect(page.get("finetuning-unavailable").textContent).toBe("use Retrain");
    for (const id of ["finetune", "finetuning-kept"])
      expect(page.get(id).closest("[hidden]"), id).not.toBeNull();
  });

  it("cannot begin while the last layer is retrained, and says so", async () => {
    const page = await openPanel();
    page.get("retrain").click();
    await settle(300);
    expect(button(page).disabled).toBe(true);
    expect(describing(page, "finetune")).toContain("The last layer is being retrained");
    page.get("cancel").click();
    await settle(500);
    expect(button(page).disabled).toBe(false);
    expect(describing(page, "finetune")).toBe("It will usesquare: “red” ");
  });

  it("keeps retraining from beginning while it runs, and says so", async () => {
    const page = await openPanel();
    const retrain = button(page, "retrain");
    expect(retrain.disabled).toBe(false);
    expect(describing(page, "retrain")).toBe("");
    page.kernel.holdAt = 3;
    await begin(page);
    expect(retrain.disabled).toBe(true);
    expect(page.get("retrain-waits").hidden).toBe(false);
    expect(describing(page, "retrain")).toContain("The encoder is being fine-tuned");
    page.kernel.update({ finetuning: FINETUNING });
    await settle();
    expect(retrain.disabled).toBe(false);
    expect(page.get("retrain-waits").hidden).toBe(true);
  });

  it("says what the kernel refuses", async () => {
    const page = await openPanel();
    page.kernel.delay = -1;
    button(page).click();
    const [request] = sent(page.kernel, "finetune");
    page.kernel.deliver({ id: request?.id, ok: false, error: { type: "E", message: "it retrains" } });
    await settle();
    expect(page.get("finetuning-error").textContent).toBe("it retrains");
    expect(page.get("finetuning-error").getAttribute("role")).toBe("alert");
    expect(button(page).disabled).toBe(false);
  });

  it("shows two views the same, and one that is opened while it runs", async () => {
    const kernel = new FakeKernel(sprites());
    kernel.holdAt = 4;
    const one = await openPanel(kernel);
    await begin(one);
    await settle(1000);
    const other = await openPage({}, kernel);
    await unfold(other);
    for (const id of ["finetuning-progress", "finetuning-message", "finetuning-kept"]) {
      expect(other.get(id).textContent).toBe(one.get(id).textContent);
    }
    expect(other.get("finetuning-progress").hidden).toBe(false);
    one.close();
    other.close();
    expect(kernel.listenerCount()).toBe(0);
  });
});
