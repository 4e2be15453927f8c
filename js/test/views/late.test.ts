import { expect, it, vi } from "vitest";
import type { Panels, Shared } from "../../src/panel-loader";
import type { State } from "../../src/state";
import { lateLooking, lateView } from "../../src/views/late";

const state = (compared: string | null) => ({ compared }) as State;
const comparing = ({ compared }: State) => compared !== null;

const loader = (panels: Partial<Panels>) => vi.fn<() => Promise<Panels>>(async () => panels as Panels);

const settle = () => new Promise((done) => setTimeout(done));

function mounted(load: () => Promise<Panels>) {
  const made = { root: document.createElement("section"), update: vi.fn(), dispose: vi.fn() };
  const view = lateView(load, comparing, () => made);
  const place = document.createElement("div");
  place.append(view.root);
  return { made, view, place, message: place.querySelector("p") as HTMLElement };
}

it("a late view is asked for once, when a state first wants it, and gets the last one", async () => {
  const load = loader({});
  const { made, view, place, message } = mounted(load);
  view.update(state(null));
  expect(load).not.toHaveBeenCalled();
  expect(message.hidden).toBe(true);
  view.update(state("red"));
  view.update(state("small"));
  expect(message.hidden).toBe(false);
  await settle();
  expect(load).toHaveBeenCalledOnce();
  expect(place.firstElementChild).toBe(made.root);
  expect(made.update.mock.calls).toEqual([[state("small")]]);
  view.update(state(null));
  expect(made.update).toHaveBeenLastCalledWith(state(null));
});

it("a late view says why it did not come, until it is wanted no more, and is asked for again", async () => {
  const load = loader({});
  load.mockRejectedValueOnce(new Error("no answer"));
  const { made, view, place, message } = mounted(load);
  view.update(state("red"));
  await settle();
  expect(message.textContent).toBe("no answer");
  view.update(state(null));
  expect(message.hidden).toBe(true);
  view.update(state("red"));
  await settle();
  expect(place.firstElementChild).toBe(made.root);
});

it("a late view that was taken away is not made", async () => {
  const { made, view } = mounted(loader({}));
  view.update(state("red"));
  view.dispose?.();
  await settle();
  expect(made.update).not.toHaveBeenCalled();
});

it("the bar of maps comes with the first image that it has something for, and is about the last one", async () => {
  const bar = { root: document.createElement("p"), offer: vi.fn(), clear: vi.fn() };
  const load = loader({ lookingBar: () => bar });
  load.mockRejectedValueOnce(new Error("no answer"));
  const looking = lateLooking(load, {} as Shared, () => undefined);
  const [first, second] = [0, 1].map((index) => ({ split: "val", index }));
  looking.offer(first ?? null, []);
  expect(load).not.toHaveBeenCalled();
  looking.offer(first ?? null, ["square"]);
  await settle();
  expect(looking.root.textContent).toBe("no answer");
  looking.offer(first ?? null, ["square"]);
  looking.offer(second ?? null, ["oval"]);
  await settle();
  expect(looking.root.firstElementChild).toBe(bar.root);
  expect(bar.offer).toHaveBeenLastCalledWith(second, ["oval"]);
  looking.clear();
  expect(bar.clear).toHaveBeenCalledOnce();
});
