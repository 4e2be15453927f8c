// The page that shows the widget without a notebook: ?state=start|class|scored|velvet|kept|retraining|compared|error
// |described&theme=light|dark&width=900&many=1&pending=1&saved=reason&count=100000. `window.cwPhotos` may hold other images.

import widget from "../src/index";
import { type FakeData, FakeKernel, sprites } from "./fake";

declare global {
  interface Window {
    cwPhotos?: FakeData;
    cwKernel?: FakeKernel;
  }
}

const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

const query = new URLSearchParams(location.search);
const state = query.get("state") ?? "start";
const dark = query.get("theme") === "dark";
document.body.style.background = dark ? "#111111" : "#ffffff";

const data = window.cwPhotos ?? sprites(Number(query.get("count") ?? 240));
const kernel = new FakeKernel(data, {
  saved: query.has("saved")
    ? { folder: "/home/me/waterbirds/kept", at: 1.8e9, error: query.get("saved") ?? "" }
    : null,
  notes: query.has("notes") ? ["val/square/00013.png cannot be read: truncated file."] : [],
});
window.cwKernel = kernel;
if (query.has("many")) {
  const classes = Array.from({ length: 1000 }, (_, i) => ({
    name: `class ${String(i + 1).padStart(4, "0")} of ImageNet with a long name`,
    size: 50,
    wrong: Math.round(40 / (1 + i / 60)),
    error_rate: Math.round(40 / (1 + i / 60)) / 50,
    annotated: i % 97 === 3,
  }));
  kernel.update({ classes });
}

const el = document.createElement("div");
el.style.cssText = `width:${query.get("width") ?? "100%"}${query.has("width") ? "px" : ""};margin:16px`;
document.body.append(el);
const { initialize, render } = widget();
initialize({ model: kernel });
render({ model: kernel, el });

const ask = async (type: string, fields: object = {}) => {
  kernel.send({ id: `page-${type}`, type, ...fields });
  await wait(40);
};
const [first, second] = kernel.get("classes").map(({ name }) => name);
const trait = (name: string) => Object.keys(data.images[0]?.traits ?? {})[name === first ? 0 : 1] ?? "red";
const steps = ["start", "class", "scored", "kept", "retraining", "compared"];
const upTo = steps.indexOf(state);
const phrase = data.name === "Sprites" ? (first === "square" ? "red" : "blue") : trait(first ?? "");

if (query.has("many")) await ask("hello");
else if (state !== "start") {
  await ask("select_class", { class_name: first });
  if (upTo !== 1) {
    for (const tried of ["dark", "small", "water", phrase]) {
      await ask("score", { class_name: first, phrase: tried });
    }
    if (state === "velvet") await ask("score", { class_name: first, phrase: "velvet" });
    if (state === "error") await ask("error");
    if (state === "described") {
      await ask("mark", { phrase, indices: [0, 2, 4, 6], has: true });
      await ask("mark", { phrase, indices: [8, 10, 12], has: false });
      el.querySelector<HTMLElement>('[data-testid="compare"][data-phrase="small"]')?.click();
    }
  }
  if (upTo >= 3) {
    await ask("score", { class_name: second, phrase: trait(second ?? "") });
    await ask("keep", {
      class_name: second,
      phrase: trait(second ?? ""),
      threshold: kernel.get("threshold"),
    });
    await ask("score", { class_name: first, phrase });
    await ask("keep", { class_name: first, phrase, threshold: kernel.get("threshold") });
  }
  kernel.preview();
  if (query.has("pending")) await ask("score", { class_name: kernel.get("class_name"), phrase: "quack" });
  if (state === "retraining") kernel.holdAt = 6;
  if (upTo >= 4) await ask("retrain", { objective: "slice_balanced" });
  if (state === "compared") await wait(1600);
  if (state === "retraining") await wait(1000);
  if (state === "error") {
    kernel.update({
      error: {
        type: "EmptySliceError",
        message:
          "No training image of “square” has “velvet” above 0.412 (0 with, 3,498 without). Lower the threshold, or remove this correction.",
      },
    });
  }
}
await wait(150);
document.body.dataset.ready = "true";
