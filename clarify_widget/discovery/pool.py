"""Unlabelled images to search by phrase: a folder, rows in memory or in a .npy file, FAISS, Lance."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from clarify_widget.arrays import check_rows, row_blocks, unit_rows
from clarify_widget.datasets.arrays import read_rows
from clarify_widget.datasets.folders import image_endings
from clarify_widget.datasets.images import ImageList
from clarify_widget.encoders.embed import embed_images
from clarify_widget.errors import DataError, MissingDependencyError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from clarify_widget.arrays import Float32Array, FloatArray, IntArray
    from clarify_widget.datasets.dataset import ImageSequence
    from clarify_widget.encoders.base import Encoder

_ROWS_IN_DIGEST = 16


class Index(Protocol):
    """Where the rows of a pool are, and who finds the nearest of them."""

    def __len__(self) -> int:
        """Return the number of rows."""
        ...

    @property
    def dim(self) -> int:
        """The width of a row."""
        ...

    def search(self, direction: Float32Array, k: int) -> tuple[IntArray, Float32Array]:
        """Return the k rows most similar to a unit row, the most similar first, and their cosines."""
        ...

    def rows(self, chosen: IntArray) -> Float32Array:
        """Return (m, dim) unit rows."""
        ...


@dataclass(frozen=True, eq=False)
class Pool:
    """Unlabelled images.

    Attributes
    ----------
    name
        What people call it; a path where it has one.
    index
        Their rows in the encoder's space.
    images
        The images themselves, where they are known.
    key
        What tells it from other pools, also in another run; by default its name.
    """

    name: str
    index: Index
    images: ImageSequence | None = None
    key: str = ""

    def __post_init__(self) -> None:
        """Check that there is one row an image."""
        if not self.key:
            object.__setattr__(self, "key", self.name)
        if self.images is not None and len(self.images) != len(self.index):
            raise DataError(
                f"{self.name} has {len(self.index)} rows for {len(self.images)} images; give one an image."
            )

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.index)

    def __repr__(self) -> str:
        """Return name and size."""
        return f"<Pool {self.name}: {len(self):,} images>"

    def name_of(self, row: int) -> str:
        """Return what people call an image."""
        return f"{self.name} {row}" if self.images is None else self.images.name(row)


def open_pool(
    source: Any,
    encoder: Encoder,
    images: ImageSequence | Sequence[Any] | None = None,
    *,
    cache_dir: Path | None = None,
    column: str = "embedding",
) -> Pool:
    """Open unlabelled images for searching.

    Parameters
    ----------
    source
        A folder of images, which are embedded, also from folders in it; an array (n, dim) or the path of a
        .npy file of rows, read a block at a time; a FAISS index or the path of one (.faiss or .index); the
        path of a Lance data set (.lance).
    encoder
        The space of the rows.
    images
        n images, or paths, for the rows; with a folder they are those in it.
    cache_dir
        Where embeddings of a folder are kept between runs.
    column
        The column of a Lance data set that has the rows.

    Raises
    ------
    DataError
        When the source is none of these, has no images, or rows of another width.
    MissingDependencyError
        When faiss or lance is not installed.
    """
    known = _sequence(images)
    path = Path(source).expanduser() if isinstance(source, (str, Path)) else None
    if path is not None and not path.exists():
        raise DataError(f"There is no {path} to search.")
    if path is not None and path.is_dir() and path.suffix != ".lance":
        return _from_folder(path, encoder, cache_dir)
    index = _index_of(source if path is None else path, column)
    name = "pool" if path is None else str(path)
    pool = Pool(name, index, known, _digest_of(index) if path is None else str(path.absolute()))
    if pool.index.dim != encoder.dim:
        raise DataError(
            f"The rows of {name} are {pool.index.dim} wide, but {encoder.name} makes {encoder.dim}; pass the "
            "encoder that made them."
        )
    return pool


class BlockIndex:
    """Rows in an array, memory-mapped or not, compared a block at a time.

    Parameters
    ----------
    rows
        (n, dim) of any precision and length.
    """

    def __init__(self, rows: npt.NDArray[Any]) -> None:
        check_rows(rows[:0], name="pool")
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def dim(self) -> int:
        """The width of a row."""
        return int(self._rows.shape[1])

    def search(self, direction: Float32Array, k: int) -> tuple[IntArray, Float32Array]:
        """Return the k rows most similar to a unit row, the most similar first, and their cosines."""
        best = np.empty(0, dtype=np.int64)
        similar = np.empty(0, dtype=np.float32)
        for part in row_blocks(self._rows):
            found = unit_rows(self._rows[part], name="pool") @ direction.astype(np.float32)
            rows = np.concatenate([best, np.arange(part.start, part.stop)])
            similar = np.concatenate([similar, found])
            first = np.argsort(-similar, kind="stable")[:k]
            best, similar = rows[first], similar[first]
        return best, similar

    def rows(self, chosen: IntArray) -> Float32Array:
        """Return (m, dim) unit rows."""
        return unit_rows(self._rows[chosen], name="pool")


class FaissIndex:
    """A FAISS index of unit rows, by inner product or by distance."""

    def __init__(self, index: Any) -> None:
        self._index = index

    def __len__(self) -> int:
        return int(self._index.ntotal)

    @property
    def dim(self) -> int:
        """The width of a row."""
        return int(self._index.d)

    def search(self, direction: Float32Array, k: int) -> tuple[IntArray, Float32Array]:
        """Return the k rows most similar to a unit row, the most similar first, and their cosines."""
        found, rows = self._index.search(direction[None].astype(np.float32), min(k, len(self)))
        is_product = self._index.metric_type == _faiss().METRIC_INNER_PRODUCT
        similar = found[0] if is_product else 1 - found[0] / 2  # of unit rows, from the squared distance
        there = rows[0] >= 0
        return rows[0][there].astype(np.int64), similar[there].astype(np.float32)

    def rows(self, chosen: IntArray) -> Float32Array:
        """Return (m, dim) unit rows."""
        rows = [self._index.reconstruct(int(row)) for row in chosen]
        return unit_rows(np.stack(rows), name="pool") if rows else np.empty((0, self.dim), dtype=np.float32)


class LanceIndex:
    """A column of a Lance data set, with its vector index where it has one."""

    def __init__(self, path: Path, column: str) -> None:
        try:
            import lance
        except ImportError as error:
            raise MissingDependencyError(
                "A .lance data set is read with the package lance; run `pip install 'clarify-widget[lance]'`."
            ) from error
        self._data: Any = lance.dataset(str(path))
        self._column = column
        fields = {field.name: field.type for field in self._data.schema}
        if not hasattr(fields.get(column), "list_size"):
            raise DataError(f"{path} has no column {column!r} of rows of one length; it has {list(fields)}.")
        self._dim = int(fields[column].list_size)

    def __len__(self) -> int:
        return int(self._data.count_rows())

    @property
    def dim(self) -> int:
        """The width of a row."""
        return self._dim

    def search(self, direction: Float32Array, k: int) -> tuple[IntArray, Float32Array]:
        """Return the k rows most similar to a unit row, the most similar first, and their cosines."""
        nearest = {"column": self._column, "q": direction.astype(np.float32), "k": k, "metric": "cosine"}
        found = self._data.to_table(columns=[self._column], nearest=nearest, with_row_address=True)
        rows = self._offsets(found["_rowaddr"].to_numpy())
        return rows, (1 - found["_distance"].to_numpy()).astype(np.float32)

    def rows(self, chosen: IntArray) -> Float32Array:
        """Return (m, dim) unit rows."""
        column = self._data.take(chosen.tolist(), columns=[self._column])[self._column]
        rows = np.array(column.to_pylist(), dtype=np.float32).reshape(len(chosen), self._dim)
        return unit_rows(rows, name="pool")

    def _offsets(self, addresses: npt.NDArray[Any]) -> IntArray:
        """Return places in the order of the data set of rows named by fragment and place in it."""
        fragments = self._data.get_fragments()
        sizes = [fragment.count_rows() for fragment in fragments]
        starts = dict(zip((one.fragment_id for one in fragments), np.cumsum([0, *sizes[:-1]]), strict=True))
        wide = addresses.astype(np.uint64)
        fragment, place = (wide >> np.uint64(32)).tolist(), (wide & np.uint64(0xFFFFFFFF)).tolist()
        return np.array([starts[f] + p for f, p in zip(fragment, place, strict=True)], dtype=np.int64)


def _from_folder(folder: Path, encoder: Encoder, cache_dir: Path | None) -> Pool:
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in image_endings())
    if not paths:
        raise DataError(f"{folder} holds no images.")
    images = ImageList(paths, [path.relative_to(folder).as_posix() for path in paths])
    embedded = embed_images(encoder, images, cache_dir=cache_dir)
    if not len(embedded.kept):
        raise DataError(f"None of the {len(paths)} images in {folder} can be read.")
    index = BlockIndex(embedded.embeddings)
    return Pool(str(folder), index, images.take(embedded.kept), str(folder.absolute()))


def _digest_of(index: Index) -> str:
    """Return what tells rows in memory from others: how many there are, and what some of them are."""
    some = np.unique(np.linspace(0, max(len(index) - 1, 0), _ROWS_IN_DIGEST, dtype=np.int64))
    rows = index.rows(some) if len(index) and isinstance(index, BlockIndex) else np.empty(0)
    digest = hashlib.blake2b(rows.tobytes(), digest_size=8).hexdigest()
    return f"{len(index)} rows {index.dim} wide, {digest}"


def _index_of(source: Any, column: str) -> Index:
    if isinstance(source, Path):
        if source.suffix == ".lance":
            return LanceIndex(source, column)
        if source.suffix in (".faiss", ".index"):
            return FaissIndex(_faiss().read_index(str(source)))
        return BlockIndex(np.asarray(read_rows(source, "pool")))
    if hasattr(source, "ntotal"):
        return FaissIndex(source)
    return BlockIndex(_array(source))


def _array(source: Any) -> FloatArray:
    array = np.asarray(source)
    if array.ndim != 2:
        raise DataError(
            f"A pool is a folder, an array (n, dim), or the path of a .npy, .faiss, .index or .lance; got "
            f"{type(source).__name__}."
        )
    return array


def _faiss() -> Any:
    try:
        import faiss
    except ImportError as error:
        raise MissingDependencyError(
            "A FAISS index is read with the package faiss; run `pip install 'clarify-widget[faiss]'`."
        ) from error
    return faiss


def _sequence(images: Any) -> ImageSequence | None:
    return images if images is None or hasattr(images, "take") else ImageList(list(images))
