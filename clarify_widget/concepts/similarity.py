"""Cosine similarity of images and a phrase, both already embedded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from clarify_widget.arrays import check_rows, row_blocks, stays_in_file
from clarify_widget.errors import DataError

if TYPE_CHECKING:
    import numpy.typing as npt

    from clarify_widget.arrays import Float32Array, FloatArray

UNIT_TOLERANCE = 1e-3  # half-precision unit rows pass as they are


def similarities(embeddings: npt.ArrayLike, phrase_embedding: npt.ArrayLike) -> Float32Array:
    """Return the cosine similarity of every image with one phrase.

    Parameters
    ----------
    embeddings
        (n, e) image embeddings; rows that are not unit rows are scaled to be.
    phrase_embedding
        (e,) text embedding, likewise.

    Returns
    -------
    (n,) float32 in -1..1.

    Raises
    ------
    DataError
        When the widths differ, a number is NaN or infinite, or a row is all zeros and so has no direction.
    """
    images = check_rows(embeddings, name="embeddings")
    phrase = check_rows(np.atleast_2d(np.asarray(phrase_embedding)), name="phrase_embedding")
    if phrase.shape != (1, images.shape[1]):
        raise DataError(
            f"phrase_embedding must be one row of width {images.shape[1]}, as the image embeddings are; "
            f"got shape {np.shape(phrase_embedding)}. Embed both with the same encoder.",
        )
    text = phrase[0] / _lengths(phrase, "phrase_embedding")[0]
    lengths = _lengths(images, "embeddings")
    cosines = images @ text.astype(images.dtype)
    if np.abs(lengths - 1).max(initial=0.0) > UNIT_TOLERANCE:
        cosines = cosines / lengths
    clipped: Float32Array = np.clip(cosines, -1, 1).astype(np.float32)
    return clipped


def unit_similarities(embeddings: FloatArray, phrase_embedding: FloatArray) -> npt.NDArray[np.float32]:
    """Return (n,) cosines of image rows (n, e) and a unit row (e,).

    The caller has checked that they are unit rows, but for those in a large file: these are checked, and
    scaled, as they are read.
    """
    if not stays_in_file(embeddings):
        return np.clip(embeddings @ phrase_embedding, -1, 1).astype(np.float32, copy=False)
    cosines = np.empty(len(embeddings), dtype=np.float32)
    for part in row_blocks(embeddings):
        cosines[part] = similarities(embeddings[part], phrase_embedding)
    return cosines


def _lengths(rows: FloatArray, name: str) -> FloatArray:
    lengths: FloatArray = np.sqrt(np.einsum("ij,ij->i", rows, rows))
    if not lengths.all():
        zeros = np.flatnonzero(lengths == 0)
        raise DataError(
            f"{name} has {len(zeros)} rows of zeros, the first at row {zeros[0]}; "
            "a row without a direction has no similarity. Leave those images out or embed them again.",
        )
    return lengths
