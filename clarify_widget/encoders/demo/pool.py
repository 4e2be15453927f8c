"""Scenes rendered once, in parallel, and kept on disk as the 64-pixel pictures that training reads."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from tqdm import tqdm

from clarify_widget.datasets.scenes import render, sample_scene
from clarify_widget.datasets.scenes.phrases import facts
from clarify_widget.encoders.demo.model import SIDE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray


@dataclass(frozen=True)
class Pool:
    """Pictures and what is true of them, chunk by chunk.

    Attributes
    ----------
    pictures
        Memory-mapped uint8 arrays, each (chunk, 64, 64, 3).
    facts
        (n, number of concepts) bool.
    """

    pictures: tuple[NDArray[np.uint8], ...]
    facts: NDArray[np.bool_]

    def __len__(self) -> int:
        """Return the number of scenes."""
        return len(self.facts)

    def take(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return the pictures of these rows, (len(rows), 64, 64, 3)."""
        chunk = len(self.pictures[0])
        return np.stack([self.pictures[row // chunk][row % chunk] for row in rows])


def render_pool(folder: Path, *, chunks: int, chunk: int, seed: int, processes: int) -> Pool:
    """Render what is missing of the pool and open it.

    Parameters
    ----------
    folder
        Where it is kept; chunks that an earlier run finished are not rendered again.
    chunks, chunk
        How many chunks, and how many scenes each has.
    seed
        Scene i of chunk c is the same whatever the number of processes.
    processes
        How many chunks are rendered at a time.
    """
    folder.mkdir(parents=True, exist_ok=True)
    missing = [i for i in range(chunks) if not _facts_path(folder, i).exists()]
    if missing:
        rendered = _rendered(partial(_render_chunk, folder, chunk, seed), missing, processes)
        for _ in tqdm(rendered, total=len(missing), desc="rendering scenes", unit="chunk"):
            pass
    return Pool(
        pictures=tuple(np.load(_pictures_path(folder, i), mmap_mode="r") for i in range(chunks)),
        facts=np.concatenate([np.load(_facts_path(folder, i)) for i in range(chunks)]),
    )


def _rendered(render_chunk: Callable[[int], None], missing: list[int], processes: int) -> Iterator[None]:
    if processes == 1:
        yield from map(render_chunk, missing)
        return
    # Spawned, not forked: torch, and Lance where it has been imported, have threads, which a fork breaks.
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as executor:
        yield from executor.map(render_chunk, missing)


def _render_chunk(folder: Path, size: int, seed: int, chunk: int) -> None:
    rng = np.random.default_rng([seed, chunk])
    scenes = [sample_scene(rng) for _ in range(size)]
    _save(_pictures_path(folder, chunk), np.stack([_reduced(render(scene)) for scene in scenes]))
    _save(_facts_path(folder, chunk), np.stack([facts(scene) for scene in scenes]))


def _reduced(picture: Image.Image) -> NDArray[np.uint8]:
    # As open_clip's own preprocessing does, so that training and use see the same pixels.
    return np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.BICUBIC))


def _save(path: Path, values: NDArray[np.generic]) -> None:
    # Written under another name first, so that a killed run leaves no half chunk behind.
    unfinished = path.with_suffix(".part")
    with unfinished.open("wb") as file:
        np.save(file, values)
    unfinished.replace(path)


def _pictures_path(folder: Path, chunk: int) -> Path:
    return folder / f"pictures-{chunk:04d}.npy"


def _facts_path(folder: Path, chunk: int) -> Path:
    return folder / f"facts-{chunk:04d}.npy"
