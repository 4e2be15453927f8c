// Bundles src/ into the package's static folder: the widget with its styles, and what few need beside it, the
// panels and the report, which import nothing of the widget but their words. The output depends on nothing but src/
// and the locked versions, so that a rebuild gives the same bytes.
import { readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = fileURLToPath(new URL(".", import.meta.url));
const out = fileURLToPath(new URL("../clarify_widget/static/", import.meta.url));
const beside = { panels: "src/panels/index.ts", report: "src/report.ts" };
const budgets = {
  "widget.js": 80_000,
  "widget.css": 80_000,
  "panels.js": 40 * 1024,
  "report.js": 8 * 1024,
};

const module = {
  absWorkingDir: here,
  outdir: out,
  bundle: true,
  format: "esm",
  target: "es2022",
  minify: true,
  charset: "utf8",
  legalComments: "none",
  metafile: true,
};
await build({ ...module, entryPoints: { widget: "src/index.ts" } });
for (const [name, entry] of Object.entries(beside)) {
  const { metafile } = await build({ ...module, entryPoints: { [name]: entry } });
  const twice = Object.keys(metafile.inputs).filter(
    (path) => path !== entry && !path.startsWith("src/panels/") && path !== "src/strings.ts",
  );
  if (twice.length) throw new Error(`${name}.js is to be handed these, not to import them: ${twice}`);
}
await build({
  absWorkingDir: here,
  entryPoints: { widget: "src/widget.css" },
  outdir: out,
  bundle: true,
  minify: true,
  charset: "utf8",
});

for (const [name, budget] of Object.entries(budgets)) {
  const bytes = await readFile(out + name);
  if (bytes.includes("eval(") || bytes.includes("http://cdn") || bytes.includes("https://cdn")) {
    throw new Error(`${name} must not use eval or a CDN`);
  }
  if (bytes.length > budget) throw new Error(`${name} has ${bytes.length} bytes, the budget is ${budget}`);
  await writeFile(out + name, bytes);
  console.log(`${name}: ${bytes.length} bytes`);
}
