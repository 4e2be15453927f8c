"""A data set from Hugging Face `datasets`: images stay in their tables until one is looked at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from clarify_widget.datasets.images import ImageList, open_image, printable
from clarify_widget.datasets.parts import Columns, from_parts
from clarify_widget.errors import DataError, MissingDependencyError

if TYPE_CHECKING:
    import PIL.Image

    from clarify_widget.arrays import IntArray
    from clarify_widget.datasets.dataset import Dataset, ImageSequence


def from_huggingface(
    dataset: Any,
    *,
    image: str | None = "image",
    label: str = "label",
    group: str | None = None,
    prediction: str | None = None,
    features: str | None = None,
    embeddings: str | None = None,
    name: str | None = None,
    seed: int = 0,
) -> Dataset:
    """Make a data set of a `datasets.Dataset`, or of one a split.

    Parameters
    ----------
    dataset
        A Dataset, which is dealt 60:20:20 within each class; or a DatasetDict, or any dictionary, of train,
        val and test ("validation" and the like do). Without val, 20% of each class of train become val.
    image
        The column of images: of the feature `datasets.Image`, decoded only when looked at or embedded, or of
        paths. None where there are embeddings only.
    label
        The column of classes; the names are those of its ClassLabel, or its own texts.
    group
        The column of ground-truth groups, likewise; only evaluation and oracle baselines look at them.
    prediction
        The column of what a model predicts: class indices or names, or rows of C probabilities or logits.
    features, embeddings
        Columns of rows of numbers: what the head trains on, and rows in the encoder's space.
    name
        What the data set is called; by default as the hub calls it.
    seed
        Of what is dealt or held out.

    Raises
    ------
    MissingDependencyError
        When `datasets` is not installed.
    DataError
        When a column is missing, when the data set streams, or as `from_arrays`.
    """
    splits = dict(dataset) if isinstance(dataset, Mapping) else {"all": dataset}
    if not splits:
        raise DataError("There are no splits; a DatasetDict needs at least train.")
    for part in splits.values():
        _check_kind(part)
    wanted = {
        "labels": label,
        "groups": group,
        "predictions": prediction,
        "features": features,
        "embeddings": embeddings,
    }
    parts = {key: _columns(part, key, wanted, image) for key, part in splits.items()}
    first = next(iter(splits.values()))
    return from_parts(
        parts,
        class_names=_names(first, label),
        group_names=None if group is None else _names(first, group),
        name=name or first.info.dataset_name or "Hugging Face data set",
        seed=seed,
    )


class TableImages:
    """Images of one column of a Hugging Face data set.

    Parameters
    ----------
    table
        Its column "image" holds image files as they are, not decoded.
    rows
        (n,) which rows of it.
    names
        n names.
    """

    def __init__(self, table: Any, rows: IntArray, names: tuple[str, ...]) -> None:
        self._table = table
        self._rows = rows
        self._names = names

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._rows)

    def __getitem__(self, index: int, /) -> PIL.Image.Image:
        """Decode one image as RGB; raises ImageReadError when it cannot be read."""
        (source,) = self._table[int(self._rows[index])].values()
        return open_image(source, self._names[index])

    def name(self, index: int) -> str:
        """Return the path of the image's file, or its split and row."""
        return self._names[index]

    def take(self, rows: IntArray) -> TableImages:
        """Return the images of these rows, still not decoded."""
        return TableImages(self._table, self._rows[rows], tuple(self._names[row] for row in rows))


def _check_kind(part: Any) -> None:
    try:
        import datasets
    except ImportError as error:
        raise MissingDependencyError(
            "from_huggingface needs the package datasets: pip install datasets."
        ) from error
    if isinstance(part, datasets.IterableDataset):
        raise DataError(
            "This data set streams, so its images cannot be looked at again; load it without streaming=True, "
            "or make one of its first rows: datasets.Dataset.from_list(list(stream.take(1000)), "
            "features=stream.features).",
        )
    if not isinstance(part, datasets.Dataset):
        raise DataError(
            f"from_huggingface takes a datasets.Dataset, or a dictionary of them; got {type(part).__name__}."
        )


def _columns(part: Any, split: str, wanted: Mapping[str, str | None], image: str | None) -> Columns:
    columns: Columns = {"images": None if image is None else _images(part, split, image)}
    for argument, column in wanted.items():
        columns[argument] = None if column is None else _values(part, column)
    return columns


def _values(part: Any, column: str) -> Any:
    _check_column(part, column)
    return np.asarray(part.with_format("numpy")[column][:])


def _check_column(part: Any, column: str) -> None:
    if column not in part.column_names:
        raise DataError(
            f"There is no column {column!r}; there are {part.column_names}. "
            "Say which ones are meant, for example image='img'.",
        )


def _images(part: Any, split: str, column: str) -> ImageSequence:
    from datasets import Image

    _check_column(part, column)
    table = part.select_columns([column])
    if not isinstance(part.features[column], Image):
        return ImageList(list(table[column]))
    table = table.cast_column(column, Image(decode=False))
    flat = table.flatten()
    paths = flat[f"{column}.path"][:]
    if flat.data.column(f"{column}.bytes").null_count == len(flat.data) and None not in paths:
        return ImageList(paths)
    names = tuple(printable(path or f"{split} {row}") for row, path in enumerate(paths))
    return TableImages(table.with_format(None), np.arange(len(table)), names)


def _names(part: Any, column: str) -> list[str] | None:
    """Return the names of a ClassLabel; None where the column has its own."""
    _check_column(part, column)
    names: list[str] | None = getattr(part.features[column], "names", None)
    return names
