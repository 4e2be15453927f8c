"""Projections that take what words call spurious out of embeddings, without any training.

RoboShot changes the images' embeddings; orthogonal and calibrated projection change the prompts'.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from clarify_widget.arrays import check_rows
from clarify_widget.errors import DataError
from clarify_widget.methods.zero_shot import check_directions
from clarify_widget.training.head import unit_rows

if TYPE_CHECKING:
    import numpy.typing as npt

    from clarify_widget.arrays import Float64Array

_RANK_TOLERANCE = 1e-6  # of the largest singular value; text rows are single precision


def roboshot(
    embeddings: npt.ArrayLike,
    reject: npt.ArrayLike | None = None,
    accept: npt.ArrayLike | None = None,
) -> Float64Array:
    """Take harmful directions out of image embeddings and double the helpful ones.

    Parameters
    ----------
    embeddings
        (n, e) image embeddings.
    reject
        (k, e) directions of what must not matter, such as `pair_directions` of land and water; None for none.
    accept
        (m, e) directions of what should matter; None for none.

    Returns
    -------
    (n, e) float64 unit rows: first the parts along the reject directions are taken away, then the parts
    along the accept directions are added once more, each set made orthonormal before. Rows that lie wholly
    in the reject directions become zero.

    Raises
    ------
    DataError
        When widths differ, a direction is zero, or a number is NaN.

    Notes
    -----
    Adila et al., "Zero-shot robustification of zero-shot models" (ICLR 2024), Algorithm 1, with the
    orthonormal bases that the paper obtains by QR; here linearly dependent directions count once.
    """
    rows = unit_rows(check_rows(embeddings, name="embeddings"))
    if reject is not None:
        basis = _orthonormal(_directions(reject, rows.shape[1], "reject"))
        rows = rows - (rows @ basis) @ basis.T
        rows[np.linalg.norm(rows, axis=1) < _RANK_TOLERANCE] = 0  # nothing but rounding is left
    if accept is not None:
        basis = _orthonormal(_directions(accept, rows.shape[1], "accept"))
        rows = rows + (rows @ basis) @ basis.T
    return unit_rows(rows)


def pair_directions(pairs: npt.ArrayLike) -> Float64Array:
    """Return what tells the texts of each pair apart.

    Parameters
    ----------
    pairs
        (k, 2, e) text embeddings, such as those of "an image of land" and "an image of water".

    Returns
    -------
    (k, e) unit rows, first minus second.

    Raises
    ------
    DataError
        When the shape is another, or the two texts of a pair have the same embedding.

    Notes
    -----
    The insight pairs of Adila et al. (ICLR 2024), section 3.
    """
    first, second = _pairs(pairs)
    return check_directions(first - second, "the differences of pairs")


def orthogonal_projection(spurious: npt.ArrayLike) -> Float64Array:
    """Return the projection onto the directions orthogonal to all spurious prompts.

    Parameters
    ----------
    spurious
        (k, e) text embeddings of prompts that name the spurious attribute alone.

    Returns
    -------
    P (e, e) float64, symmetric and idempotent, with P s = 0 for every spurious row s. Apply it to the class
    prompts' embeddings and scale these to unit rows again (`ZeroShotHead` does).

    Raises
    ------
    DataError
        When there is no prompt, one is zero, or a number is NaN.

    Notes
    -----
    Chuang et al., "Debiasing vision-language models via biased prompts" (2023), section 4.1.
    """
    rows = check_rows(spurious, name="spurious")
    basis = _orthonormal(_directions(rows, rows.shape[1], "spurious"))
    projection: Float64Array = np.eye(len(basis)) - basis @ basis.T
    return projection


def calibrated_projection(
    spurious: npt.ArrayLike,
    positive_pairs: npt.ArrayLike,
    strength: float = 1000.0,
) -> Float64Array:
    """Return the orthogonal projection, calibrated so that prompts of one class meet.

    Minimises ||P - P0||^2 + strength/p * sum over pairs of ||P a - P b||^2, P0 the orthogonal projection:
    P = P0 (I + strength/p * sum (a - b)(a - b)^T)^-1.

    Parameters
    ----------
    spurious
        (k, e) as in `orthogonal_projection`.
    positive_pairs
        (p, 2, e) unit text embeddings of prompts of one class with different spurious attributes, such as "a
        landbird in a forest" and "a landbird on water".
    strength
        lambda, 0 or more; 1000 in the paper.

    Returns
    -------
    P (e, e) float64. Apply it to a column of text embedding, that is `prompts @ P.T` to rows.

    Raises
    ------
    DataError
        When widths differ, there are no pairs, the strength is negative, or a number is NaN.

    Notes
    -----
    Chuang et al. (2023), section 4.2, with lambda = 1000 as in the authors' code.
    """
    projection = orthogonal_projection(spurious)
    first, second = _pairs(positive_pairs)
    if first.shape[1] != len(projection):
        raise DataError(f"spurious has width {len(projection)} and positive_pairs {first.shape[1]}.")
    if not (np.isfinite(strength) and strength >= 0):
        raise DataError(f"strength must be 0 or more; got {strength}.")
    differences = first - second
    spread = np.eye(len(projection)) + strength / len(differences) * differences.T @ differences
    return np.asarray(np.linalg.solve(spread, projection).T, dtype=np.float64)  # both are symmetric


def _directions(rows: npt.ArrayLike, width: int, name: str) -> Float64Array:
    directions = check_rows(rows, name=name)
    if directions.shape[1] != width:
        raise DataError(f"{name} has width {directions.shape[1]} for embeddings of width {width}.")
    if not len(directions):
        raise DataError(f"{name} has no rows; give None for no directions.")
    return check_directions(directions, name)


def _orthonormal(directions: Float64Array) -> Float64Array:
    """Return (e, r) orthonormal columns that span the rows (k, e)."""
    _, values, rows = np.linalg.svd(directions, full_matrices=False)
    basis: Float64Array = rows[values > _RANK_TOLERANCE * values[0]].T
    return basis


def _pairs(pairs: npt.ArrayLike) -> tuple[Float64Array, Float64Array]:
    array = np.asarray(pairs)
    if array.ndim != 3 or array.shape[1] != 2 or not len(array):
        raise DataError(f"Pairs must have the shape (number of pairs, 2, width); got {array.shape}.")
    first, second = check_rows(array[:, 0], name="pairs"), check_rows(array[:, 1], name="pairs")
    return first.astype(np.float64), second.astype(np.float64)
