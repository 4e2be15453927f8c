"""A session over a million images: opening it, scoring a phrase, trying thousands of phrases on every class.

`python benchmarks/scale.py` writes 1,000,000 training rows and 50 validation rows for each of 1,000
classes, 768 wide in half precision (1.6 GB), to a temporary folder, and measures in a process that has made
none of it:

- opening: data set, Session and `fit` with predictions that are given, in seconds and resident memory;
- scoring: one new phrase for one class, the median of many;
- suggesting: 5,000 phrases for each of 1,000 classes of 50 images (`Session.triage`), two threads;
- growth: opening and suggesting at four sizes, with the exponent of the best power law; 1 is linear.

Last line: `scale_margin`, the least of all ratios of what each should be over what it is.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

CLASSES = 1_000
WIDTH = 768
OF_VALIDATION = 50
WRITTEN_AT_ONCE = 20_000
PHRASES = 5_000
SCORED = 50
SIZES = (1 / 8, 1 / 4, 1 / 2, 1)

SHOULD_OPEN_S = 2.0
SHOULD_RESIDE_MB = 1024.0
SHOULD_SCORE_MS = 50.0
SHOULD_SUGGEST_S = 60.0


def main() -> None:
    options = _options()
    if options.measure is not None:
        print(json.dumps(_measure(options.measure, options.classes, options.phrases)))
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        write(folder, options.images, options.classes)
        runs = {
            share: _in_a_process(folder, max(2, round(share * options.classes)), options.phrases)
            for share in SIZES
        }
    for share, run in runs.items():
        print(
            f"{round(share * options.images):>9,} images, {run['classes']:>5,} classes: "
            f"open {run['open_s']:.2f} s, {run['resident_mb']:.0f} MB resident; "
            f"score {run['score_ms']:.1f} ms; suggest {run['suggest_s']:.1f} s; "
            f"peak {run['peak_mb']:.0f} MB"
        )
    print(f"growth_open: {_exponent(runs, 'open_s'):.2f}")
    print(f"growth_suggest: {_exponent(runs, 'suggest_s'):.2f}")
    whole = runs[1]
    should = {
        "open_s": SHOULD_OPEN_S,
        "resident_mb": SHOULD_RESIDE_MB,
        "score_ms": SHOULD_SCORE_MS,
        "suggest_s": SHOULD_SUGGEST_S,
    }
    margins = {name: limit / whole[name] for name, limit in should.items()}
    for name, margin in margins.items():
        print(f"{name}: {whole[name]:.2f}, should be at most {should[name]:g} ({margin:.1f} times better)")
    print(f"scale_margin: {min(margins.values()):.2f}")


def write(folder: Path, images: int, classes: int) -> None:
    """Write random rows in half precision: train-embeddings.npy, val-embeddings.npy."""
    rng = np.random.default_rng(0)
    for split, count in (("train", images), ("val", classes * OF_VALIDATION)):
        rows = np.lib.format.open_memmap(folder / f"{split}-embeddings.npy", "w+", np.float16, (count, WIDTH))
        for start in range(0, count, WRITTEN_AT_ONCE):
            some = rng.standard_normal((min(WRITTEN_AT_ONCE, count - start), WIDTH), dtype=np.float32)
            rows[start : start + len(some)] = some / np.linalg.norm(some, axis=1, keepdims=True)
        rows.flush()


def _in_a_process(folder: Path, classes: int, phrases: int) -> dict[str, Any]:
    command = [sys.executable, __file__, "--measure", folder, "--classes", classes, "--phrases", phrases]
    done = subprocess.run([*map(str, command)], check=True, capture_output=True, text=True)
    run: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return run


def _measure(folder: Path, classes: int, phrases: int) -> dict[str, Any]:
    """Measure what a session over the first classes of the files costs."""
    from clarify_widget import Session
    from clarify_widget.datasets import from_arrays
    from clarify_widget.encoders import PrecomputedEncoder

    rng = np.random.default_rng(1)
    names = [f"phrase {number}" for number in range(phrases + SCORED)]
    encoder = PrecomputedEncoder(names, rng.standard_normal((len(names), WIDTH), dtype=np.float32))
    train = np.load(folder / "train-embeddings.npy", mmap_mode="r")
    val = np.load(folder / "val-embeddings.npy", mmap_mode="r")
    share = classes * OF_VALIDATION / len(val)
    train, val = train[: round(share * len(train))], val[: classes * OF_VALIDATION]
    labels = {"train": np.arange(len(train)) % classes, "val": np.arange(len(val)) % classes}
    wrong = rng.random(len(val)) < 0.5
    predictions = {"val": np.where(wrong, (labels["val"] + 1) % classes, labels["val"])}

    start = time.perf_counter()
    dataset = from_arrays(
        name="scale",
        class_names=[f"class {number}" for number in range(classes)],
        labels=labels,
        embeddings={"train": train, "val": val},
    )
    session = Session(dataset, encoder, predictions=predictions)
    session.fit()
    open_s = time.perf_counter() - start
    resident_mb = _memory("VmRSS")

    scoring = []
    for number in range(SCORED):
        start = time.perf_counter()
        session.score(session.class_names[number % classes], names[phrases + number])
        scoring.append(time.perf_counter() - start)

    start = time.perf_counter()
    triage = session.triage(names[:phrases], accuracies=(0, 1))
    suggest_s = time.perf_counter() - start
    return {
        "classes": triage.tried,
        "open_s": open_s,
        "resident_mb": resident_mb,
        "score_ms": 1000 * median(scoring),
        "suggest_s": suggest_s,
        "peak_mb": _memory("VmHWM"),
    }


def _memory(which: str) -> float:
    """Return MB of this process: VmRSS is resident now, mapped files included, VmHWM the most ever."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(which)) / 1024


def _exponent(runs: dict[float, dict[str, Any]], name: str) -> float:
    sizes = np.log([run["classes"] for run in runs.values()])
    return float(np.polyfit(sizes, np.log([run[name] for run in runs.values()]), 1)[0])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--images", type=int, default=1_000_000, help="training images")
    parser.add_argument("--classes", type=int, default=CLASSES)
    parser.add_argument("--phrases", type=int, default=PHRASES)
    parser.add_argument("--folder", type=Path, help="where the temporary folder is made; 1.7 GB")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
