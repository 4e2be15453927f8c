"""From images to arrays: embed what has no embeddings yet, leave out what cannot be read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from clarify_widget.arrays import stays_in_file, unit_rows
from clarify_widget.encoders.embed import embed_with
from clarify_widget.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

    from clarify_widget.arrays import FloatArray
    from clarify_widget.datasets.dataset import Dataset, Split
    from clarify_widget.encoders.base import Encoder, ImageModel

Progress = Callable[[str, float], None]
"""Called with what is being done and the fraction done."""


def prepare(
    dataset: Dataset,
    encoder: Encoder,
    cache_dir: Path | None,
    progress: Progress | None,
    backbone: ImageModel | None = None,
) -> Dataset:
    """Return the data set with embeddings and features in every split.

    Features are those of the data set, else the backbone's, else the embeddings; encoder and backbone take
    each image once. Embeddings are unit rows, but for those that stay in a large file, which are scaled when
    they are read. Images that cannot be read are left out and listed in `Split.unreadable`.

    Raises
    ------
    DataError
        When a split has neither images nor embeddings, when none of its images can be read, or when the
        widths of the splits differ.
    """
    total = sum(len(split) for split in dataset.splits() if _lacks(split, backbone))
    done = 0
    prepared: dict[str, Split] = {}
    for split in dataset.splits():
        report = _offset(progress, split, done, total)
        ready = _prepare_split(split, encoder, backbone, cache_dir, report)
        done += len(split) if _lacks(split, backbone) else 0
        prepared[split.name] = ready
    _check_same_width(prepared, "embeddings")
    _check_same_width(prepared, "features")
    train, val, test = dataset.train, dataset.val, dataset.test
    return replace(
        dataset,
        train=prepared[train.name],
        val=prepared[val.name],
        test=None if test is None else prepared[test.name],
    )


def _lacks(split: Split, backbone: ImageModel | None) -> bool:
    return split.embeddings is None or (backbone is not None and split.features is None)


def _prepare_split(
    split: Split,
    encoder: Encoder,
    backbone: ImageModel | None,
    cache_dir: Path | None,
    progress: Callable[[int, int], None] | None,
) -> Split:
    if _lacks(split, backbone):
        split = _embed(split, encoder, backbone, cache_dir, progress)
    assert split.embeddings is not None
    embeddings: FloatArray = split.embeddings
    if not stays_in_file(embeddings):
        embeddings = unit_rows(embeddings, name=f"{split.name} embeddings")
    features = embeddings if split.features is None else split.features
    return replace(split, embeddings=embeddings, features=features)


def _embed(
    split: Split,
    encoder: Encoder,
    backbone: ImageModel | None,
    cache_dir: Path | None,
    progress: Callable[[int, int], None] | None,
) -> Split:
    """Return the split with the rows that it lacks, without the images that cannot be read."""
    if split.images is None:
        raise DataError(_nothing_to_embed(split))
    models: dict[str, ImageModel] = {}
    if split.embeddings is None:
        models["embeddings"] = encoder
    if split.features is None and backbone is not None:
        models["features"] = backbone
    embedded = embed_with(list(models.values()), split.images, progress=progress, cache_dir=cache_dir)
    kept, unreadable = embedded[0].kept, embedded[0].unreadable
    if not len(kept):
        reasons = "; ".join(f"{image.name}: {image.reason}" for image in unreadable[:3])
        raise DataError(f"None of the {len(split)} images of {split.name} can be read. {reasons}")
    readable = split if len(kept) == len(split) else split.take(kept)
    rows: dict[str, Any] = {part: one.embeddings for part, one in zip(models, embedded, strict=True)}
    return replace(readable, **rows, unreadable=(*split.unreadable, *unreadable))


def _nothing_to_embed(split: Split) -> str:
    if split.embeddings is None:
        return (
            f"{split.name} has neither images nor embeddings, so phrases have nothing to be compared with; "
            "give images=, or embeddings= from the encoder that you pass."
        )
    return f"{split.name} has neither images nor features for the backbone; give images= or features=."


def _offset(
    progress: Progress | None, split: Split, done: int, total: int
) -> Callable[[int, int], None] | None:
    if progress is None:
        return None

    def report(embedded: int, _of: int) -> None:
        progress(f"Embedding {split.name} images", (done + embedded) / max(total, 1))

    return report


def _check_same_width(splits: dict[str, Split], part: str) -> None:
    widths = {name: getattr(split, part).shape[1] for name, split in splits.items()}
    if len(set(widths.values())) > 1:
        raise DataError(f"{part} must have the same width in every split; got {widths}.")
