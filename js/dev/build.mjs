// Builds the page for looking at the widget without a notebook: dev/out/index.html, to be opened as a file.
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = fileURLToPath(new URL(".", import.meta.url));
const { outputFiles } = await build({
  absWorkingDir: here,
  entryPoints: ["page.ts"],
  bundle: true,
  format: "esm",
  target: "es2022",
  write: false,
});
const css = await readFile(`${here}../src/widget.css`, "utf8");
const script = outputFiles[0].text.replaceAll("</script", "<\\/script");
const photos = '<script src="photos.js" onerror="this.remove()"></script>';
await mkdir(`${here}out`, { recursive: true });
await writeFile(
  `${here}out/index.html`,
  `<!doctype html><meta charset="utf-8"><title>clarify_widget</title><style>body{margin:0;padding:.1px}${css}</style><body>${photos}<script type="module">${script}</script>`,
);
