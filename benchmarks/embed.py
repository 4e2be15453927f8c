"""Embedding JPEG files: the pipeline against the model's own ceiling and against a DataLoader.

For each of three models, the bundled demo encoder and vision transformers of the shapes ViT-B-32 and
ViT-B-16-plus-240 with random weights, four contenders see the same photographs, one after the other and
twice, the best counting:

- "bare": the image tower alone over tensors that are ready in memory, in the pipeline's batch size;
- "opening": the pipeline's way from files to the model's input on all cores, without the model;
- "loader": a torch DataLoader over a data set that opens and preprocesses each file with the model's own
  transform, as torch's tutorials and open_clip's documentation write it, with as many workers as there are
  cores or with none, whichever is quicker. Its options are torch's defaults, and so is the model's number of
  threads; like the pipeline's its model is channels last;
- "pipeline": `embed_to_cache` into a fresh folder, shards and digests included.

As bare and opening each have all cores, the pipeline can hardly take less time than the two in turn; what
share of bare they would reach so is printed beside the pipeline's. The photographs are those of Waterbirds
(CLARIFY_WATERBIRDS_DIR, or ../shared/waterbirds), else generated, in three sizes: as they are (160 pixels
high), enlarged to the 500 pixels of ImageNet's, and to the 12 megapixels of a camera, both with a sensor's
noise added, without which an enlarged file decodes too quickly. The peak memory of the pipeline is measured
with two numbers of images, each in a process of its own. JPEG files much larger than the model's input are
decoded at a part of their size; the least cosine between the rows of that and of decoding them whole is
printed. The last line is the least of all ratios over what each should be (`TARGETS`: a model that takes long
has to come close to bare, a quick one has to be ahead of the loader, and ViT-B-16-plus-240 with a camera's
files both at once): from 1 on, all is as it should be.
Run: `python benchmarks/embed.py`.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import PIL.Image

from clarify_widget.datasets import ImageList
from clarify_widget.encoders import OpenClipEncoder, embed_images, embed_to_cache, load

if TYPE_CHECKING:
    from collections.abc import Callable

WIDTHS = {"as they are": None, "500 pixels": 500, "12 megapixels": 4000}
IMAGES = {
    ("demo", "as they are"): 2048,
    ("demo", "500 pixels"): 512,
    ("demo", "12 megapixels"): 64,
    ("ViT-B-32", "as they are"): 192,
    ("ViT-B-32", "500 pixels"): 64,
    ("ViT-B-32", "12 megapixels"): 32,
    ("ViT-B-16-plus-240", "12 megapixels"): 32,
}
COMPARED = {"as they are": 256, "500 pixels": 256, "12 megapixels": 32}  # decoded both ways
SENSOR_NOISE = 4.0  # standard deviation, of 255
REPEATS = 2
BATCH = 64
BARE, LOADER = {"bare": 0.9}, {"loader": 1.3}
TARGETS = {
    ("demo", "as they are"): LOADER,
    ("demo", "500 pixels"): LOADER,
    ("demo", "12 megapixels"): LOADER,
    ("ViT-B-32", "as they are"): BARE,
    ("ViT-B-16-plus-240", "12 megapixels"): BARE | LOADER,
}
MEMORY_SIZES = (1024, 4096)


def waterbirds() -> Path:
    beside = Path(__file__).parents[2] / "shared" / "waterbirds"
    return Path(os.environ.get("CLARIFY_WATERBIRDS_DIR") or beside)


def photographs(count: int, scratch: Path, width: int | None = None) -> list[Path]:
    """Return as many JPEG files, each again where there are too few."""
    found = sorted(waterbirds().glob("images/**/*.jpg"))[:count] or generated(min(count, 256), scratch)
    if width is not None:
        found = [enlarged(path, width, scratch) for path in found]
    return [found[number % len(found)] for number in range(count)]


def enlarged(path: Path, width: int, scratch: Path) -> Path:
    """Write a photograph in another size, with a sensor's noise."""
    rng = np.random.default_rng(0)
    with PIL.Image.open(path) as image:
        height = width * image.height // image.width
        smooth = np.asarray(image.convert("RGB").resize((width, height), PIL.Image.Resampling.BICUBIC))
    noisy = smooth + SENSOR_NOISE * rng.standard_normal(smooth.shape, dtype=np.float32)
    target = scratch / f"{width}_{path.name}"
    PIL.Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(target, quality=90)
    return target


def generated(count: int, folder: Path) -> list[Path]:
    rng = np.random.default_rng(0)
    paths = [folder / f"{number:04}.jpg" for number in range(count)]
    for path in paths:
        noise = PIL.Image.fromarray(rng.integers(0, 256, (24, 32, 3), dtype=np.uint8))
        noise.resize((500, 375), PIL.Image.Resampling.BICUBIC).save(path, quality=90)
    return paths


def encoder_of(kind: str) -> OpenClipEncoder:
    if kind == "demo":
        demo: Any = load("demo")
        return demo  # type: ignore[no-any-return] # the bundled one is an OpenClipEncoder
    import open_clip
    import torch

    torch.manual_seed(0)
    model = open_clip.create_model(kind)
    preprocess = open_clip.transform.image_transform(model.visual.image_size, is_train=False)
    return OpenClipEncoder(model, preprocess, open_clip.get_tokenizer(kind), name=f"random {kind}")


class Files:
    """A data set as people write it."""

    def __init__(self, paths: list[Path], preprocess: Callable[[PIL.Image.Image], Any]) -> None:
        self.paths = paths
        self.preprocess = preprocess

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Any:
        return self.preprocess(PIL.Image.open(self.paths[index]).convert("RGB"))


def bare(encoder: OpenClipEncoder, batches: list[Any]) -> None:
    import torch

    with torch.inference_mode():
        for batch in batches:
            encoder.model.encode_image(batch)


def loader(encoder: OpenClipEncoder, paths: list[Path], workers: int) -> None:
    import torch

    files: Any = Files(paths, encoder.preprocess)
    with torch.no_grad():
        for batch in torch.utils.data.DataLoader(files, batch_size=BATCH, num_workers=workers):
            rows = encoder.model.encode_image(batch.to(encoder.device))
            (rows / rows.norm(dim=-1, keepdim=True)).cpu().numpy()


def opening(encoder: OpenClipEncoder, paths: list[Path]) -> None:
    images, least_side = ImageList(paths), encoder.least_side
    assert least_side is not None

    def input_of(index: int) -> None:
        encoder.input_of(images.reduced(index, least_side))

    with ThreadPoolExecutor(os.cpu_count()) as openers:
        list(openers.map(input_of, range(len(images))))


def pipeline(encoder: OpenClipEncoder, paths: list[Path]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        embed_to_cache(ImageList(paths), [encoder], folder, batch_size=BATCH, progress=False)


def seconds(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def rates(kind: str, paths: list[Path]) -> dict[str, float]:
    """Return images a second of each contender."""
    encoder = encoder_of(kind)
    chunks = [paths[start : start + BATCH] for start in range(0, len(paths), BATCH)]
    inputs = [[encoder.input_of(ImageList(chunk)[row]) for row in range(len(chunk))] for chunk in chunks]
    batches = [encoder._inputs.batch(chunk) for chunk in inputs]  # noqa: SLF001 - the tower's own input
    encoder.fingerprint, encoder.dim  # noqa: B018 - worked out once, before the clock starts
    bare(encoder, batches[:1])
    contenders: dict[str, Callable[[], None]] = {
        "bare": lambda: bare(encoder, batches),
        "opening": lambda: opening(encoder, paths),
        "loader, no workers": lambda: loader(encoder, paths, 0),
        "loader, a worker a core": lambda: loader(encoder, paths, os.cpu_count() or 1),
        "pipeline": lambda: pipeline(encoder, paths),
    }
    best = dict.fromkeys(contenders, float("inf"))
    for _ in range(REPEATS):
        for name, work in contenders.items():
            best[name] = min(best[name], seconds(work))
    return {name: len(paths) / taken for name, taken in best.items()}


def compared(kind: str, size: str, paths: list[Path]) -> dict[str, float]:
    """Print the rates of all contenders; return the pipeline's over the bare model's and the loader's."""
    rate = rates(kind, paths)
    quickest = max(value for name, value in rate.items() if name.startswith("loader"))
    to_bare, to_loader = rate["pipeline"] / rate["bare"], rate["pipeline"] / quickest
    in_turn = rate["opening"] / (rate["opening"] + rate["bare"])
    print(
        f"{kind}, {size}: "
        + "; ".join(f"{name} {value:,.0f} images/s" for name, value in rate.items())
        + f"; pipeline is {to_bare:.2f}x bare (opening and bare in turn {in_turn:.2f}x)"
        + f" and {to_loader:.2f}x the loader"
    )
    return {"bare": to_bare, "loader": to_loader}


def least_cosine(paths: list[Path]) -> float:
    """Return how alike the rows are of files decoded at a part of their size and of whole ones."""
    encoder = encoder_of("demo")
    images = ImageList(paths)
    reduced = embed_images(encoder, images).embeddings
    whole = encoder.encode_images([images[row] for row in range(len(images))])
    return float((reduced * whole).sum(axis=1).min())


def own_peak_megabytes() -> float:
    """Return the most memory that this process has had.

    Linux has `ru_maxrss` begin at what the process that started this one had, so it is asked elsewhere.
    """
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2  # macOS counts bytes
    peak = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
    return int(peak.split()[1]) / 1024


def peak_megabytes(count: int) -> float:
    """Return the peak memory of a process that embeds as many images."""
    command = [sys.executable, __file__, "--memory", str(count)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the embedding pipeline.")
    parser.add_argument("--memory", type=int, help="only embed as many images and print the peak memory")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        if arguments.memory:
            pipeline(encoder_of("demo"), photographs(arguments.memory, Path(scratch)))
            print(own_peak_megabytes())
            return
        ratios = {
            (kind, size): compared(kind, size, photographs(count, Path(scratch), WIDTHS[size]))
            for (kind, size), count in IMAGES.items()
        }
        for size, count in COMPARED.items():
            cosine = least_cosine(photographs(count, Path(scratch), WIDTHS[size]))
            print(
                f"least cosine of {count} rows to those of whole decoding, demo encoder, {size}: {cosine:.5f}"
            )
    small, large = map(peak_megabytes, MEMORY_SIZES)
    print(
        f"peak memory: {small:,.0f} MB for {MEMORY_SIZES[0]:,} images, {large:,.0f} for {MEMORY_SIZES[1]:,}"
    )
    margins = [
        ratios[measured][contender] / target
        for measured, targets in TARGETS.items()
        for contender, target in targets.items()
    ]
    print(f"embed {min(margins):.2f}")


if __name__ == "__main__":
    main()
