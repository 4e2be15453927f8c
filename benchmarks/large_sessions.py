"""Sessions of any size for `echo.py`: random unit embeddings, a table of phrases, images opened on demand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from clarify_widget import Session
from clarify_widget.datasets import from_arrays
from clarify_widget.encoders import PrecomputedEncoder

if TYPE_CHECKING:
    from pathlib import Path

    from clarify_widget.arrays import FloatArray
    from clarify_widget.datasets import Dataset
    from clarify_widget.datasets.images import ImageSource

WIDTH = 512  # of CLIP's ViT-B/32
TRAINING = 2_000
OTHERS = 200
"""Validation images of the second class, the first rows; the first class, which is shown, has the rest."""

ERROR_RATE = 0.2
PHOTOGRAPH = (4000, 3000)
PHOTOGRAPHS = 8


def phrase(turn: int) -> str:
    """Return the phrase of one round; each is tried once, so that none is remembered."""
    return f"phrase {turn}"


def session_of(size: int, phrases: int, photographs: Path | None = None) -> tuple[Session, list[int]]:
    """Return a fitted session, and the list to which it adds the row of each image that it opens.

    Parameters
    ----------
    size
        How many validation images.
    phrases
        How many the encoder knows.
    photographs
        The folder that `take_photographs` filled; without it the images are small drawings.
    """
    rng = np.random.default_rng(0)
    opened: list[int] = []
    session = Session(_dataset(rng, size, photographs, opened), _encoder(rng, phrases))
    session.fit()
    return session, opened


def take_photographs(folder: Path) -> None:
    """Write a few 12-megapixel JPEGs with as much detail as a camera's: about 5 MB each."""
    rng = np.random.default_rng(0)
    width, height = PHOTOGRAPH
    for number in range(PHOTOGRAPHS):
        shapes = rng.integers(0, 256, (height // 200, width // 200, 3), dtype=np.uint8)
        scene = np.asarray(
            Image.fromarray(shapes).resize(PHOTOGRAPH, Image.Resampling.BICUBIC), dtype=np.int16
        )
        grain = rng.integers(-24, 25, (height, width, 1), dtype=np.int16)
        Image.fromarray(np.clip(scene + grain, 0, 255).astype(np.uint8)).save(
            folder / f"{number}.jpg", quality=90
        )


def _dataset(rng: np.random.Generator, size: int, photographs: Path | None, opened: list[int]) -> Dataset:
    labels = {"train": rng.integers(0, 2, TRAINING), "val": (np.arange(size) < OTHERS).astype(np.int64)}
    wrong = rng.random(size) < ERROR_RATE
    sources = _drawings() if photographs is None else sorted(photographs.glob("*.jpg"))

    def image(row: int) -> ImageSource:
        opened.append(row)
        return sources[row % len(sources)]

    return from_arrays(
        name=f"{size:,} images",
        class_names=["most", "others"],
        labels=labels,
        embeddings={split: _unit_rows(rng, len(rows)) for split, rows in labels.items()},
        predictions={"val": np.where(wrong, 1 - labels["val"], labels["val"])},
        images={"val": image},
    )


def _encoder(rng: np.random.Generator, phrases: int) -> PrecomputedEncoder:
    return PrecomputedEncoder([phrase(turn) for turn in range(phrases)], _unit_rows(rng, phrases))


def _unit_rows(rng: np.random.Generator, count: int) -> FloatArray:
    rows = rng.standard_normal((count, WIDTH), dtype=np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


def _drawings() -> list[Image.Image]:
    return [Image.new("RGB", (64, 64), (20 * number, 90, 160)) for number in range(PHOTOGRAPHS)]
