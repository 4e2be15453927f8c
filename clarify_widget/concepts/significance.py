"""How good the best of many phrases would look if none of them meant anything.

Whoever tries a hundred phrases finds one with a fine Error Score by chance. So right and wrong are shuffled
over the images, all phrases are scored again, and the best score is noted; a thousand times. The similarities
stay as they are, so phrases that say almost the same count almost as one.

A walk over the images of a class from the least to the most similar goes up at a wrong one and down at a
right one, by steps that bring it back to zero at the end. Its furthest distance from zero is the Error Score,
and a shuffle only changes which steps go up: each phrase is sorted once, and all shuffles walk together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from clarify_widget.arrays import check_rows
from clarify_widget.errors import CancelledError, DataError, ScoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt

    from clarify_widget.arrays import BoolArray, Float64Array, FloatArray, IntArray

LEVEL = 0.05
BLOCK = 256  # phrases, and shuffles, that walk together: what they touch stays in the processor's cache


@dataclass(frozen=True, eq=False)
class BestOfRandom:
    """The Error Scores of a list of phrases beside what the best of as many would get by chance.

    Attributes
    ----------
    scores
        (m,) Error Scores, 0..1.
    directions
        (m,) +1 where the wrong images are the more similar ones, else -1; as `Separation.direction`.
    p_values
        (m,) the chance that the best of the m phrases scores at least as high as this one when none means
        anything; corrected for all m.
    noise_line
        The score that the best of m meaningless phrases passes one time in twenty: a score lies above it
        exactly when its p-value is at most 0.05.
    best
        (permutations,) the best score of each shuffle, rising.
    permutations, seed
        How the shuffles were drawn.
    """

    scores: Float64Array
    directions: IntArray
    p_values: Float64Array
    noise_line: float
    best: Float64Array
    permutations: int
    seed: int

    @property
    def sentence(self) -> str:
        """What the list shows, for people."""
        count, clear = len(self.scores), int((self.scores > self.noise_line).sum())
        names = f"the best of {count:,} meaningless phrases" if count > 1 else "a meaningless phrase"
        found = "none of these does" if clear == 0 else f"{clear:,} of these do{'es' if clear == 1 else ''}"
        return f"By chance {names} passes {self.noise_line:.2f} one time in twenty; {found}."


def best_of_random(
    similarities: npt.ArrayLike,
    correct: npt.ArrayLike,
    *,
    permutations: int = 1000,
    seed: int = 0,
    cancelled: Callable[[], bool] | None = None,
) -> BestOfRandom:
    """Compare the Error Scores of a list of phrases with the best that chance would make of the list.

    Parameters
    ----------
    similarities
        (m, n) similarity of each phrase with each image of one class.
    correct
        (n,) which of these images the model gets right.
    permutations
        Number of shuffles, at least 19; the smallest p-value is 1 / (permutations + 1).
    seed
        Of the shuffles.
    cancelled
        Asked at every image; a true answer stops.

    Raises
    ------
    CancelledError
        When `cancelled` said so.
    ScoreError
        When all images are right, or all wrong.
    DataError
        When shapes do not fit, there are no phrases, a number is NaN, or there are too few shuffles.

    Notes
    -----
    Westfall and Young, "Resampling-Based Multiple Testing" (1993), single-step max-T; Phipson and Smyth,
    "Permutation p-values should never be zero" (2010).
    """
    rows, right = _check(similarities, correct)
    if permutations < 1 / LEVEL - 1:
        raise DataError(f"{permutations} permutations cannot show p = {LEVEL}; give at least 19.")
    n_wrong, n_correct = int((~right).sum()), int(right.sum())
    order = np.argsort(rows, axis=1)
    last_of_tie = _last_of_tie(np.take_along_axis(rows, order, axis=1))

    highest, lowest = _extremes(_steps(right)[:, None], order, last_of_tie, cancelled)
    observed = np.maximum(highest, -lowest)[:, 0]
    best = np.concatenate(
        [_furthest(steps, order, last_of_tie, cancelled) for steps in _shuffled(right, permutations, seed)]
    )
    best.sort()
    at_least = permutations - np.searchsorted(best, observed)
    whole = n_wrong * n_correct
    return BestOfRandom(
        scores=observed / whole,
        directions=np.where(-lowest >= highest, 1, -1)[:, 0],
        p_values=(1 + at_least) / (1 + permutations),
        noise_line=float(best[-int(LEVEL * (permutations + 1) + 1e-9)] / whole),
        best=best / whole,
        permutations=permutations,
        seed=seed,
    )


def _check(similarities: npt.ArrayLike, correct: npt.ArrayLike) -> tuple[FloatArray, BoolArray]:
    rows = check_rows(similarities, name="similarities")
    right = np.asarray(correct)
    if right.dtype != np.bool_ or right.shape != rows.shape[1:]:
        raise DataError(
            f"correct must be one boolean an image; got {right.dtype} of shape {right.shape} for "
            f"similarities of shape {rows.shape}, one row a phrase.",
        )
    if not len(rows):
        raise DataError("There are no phrases to compare.")
    if right.all() or not right.any():
        missing = "wrong" if right.all() else "correct"
        raise ScoreError(
            f"The class has no {missing} images, so there is nothing to describe; "
            "choose a class with both right and wrong ones.",
        )
    return rows, right


def _last_of_tie(ordered: npt.NDArray[Any]) -> BoolArray:
    """Return (m, n) after which images a threshold can lie: those less similar than the next."""
    last = np.ones(ordered.shape, dtype=bool)
    last[:, :-1] = ordered[:, :-1] < ordered[:, 1:]
    return last


def _steps(right: BoolArray) -> IntArray:
    """Return (n,) whole steps that sum to zero: up at a wrong image, down at a right one.

    After the walk has passed all images up to a threshold it stands at
    n_wrong * n_correct * (share of wrong images passed - share of right images passed).
    """
    n_wrong, n_correct = int((~right).sum()), int(right.sum())
    kinds = (np.int16, np.int32, np.int64)
    kind = next(kind for kind in kinds if n_wrong * n_correct <= np.iinfo(kind).max)
    steps: IntArray = np.where(right, -n_wrong, n_correct).astype(kind)
    return steps


def _shuffled(right: BoolArray, permutations: int, seed: int) -> Iterator[IntArray]:
    """Yield blocks (n, b) of shuffled steps."""
    rng = np.random.default_rng(seed)
    steps = _steps(right)
    for first in range(0, permutations, BLOCK):
        count = min(BLOCK, permutations - first)
        yield np.ascontiguousarray(rng.permuted(np.tile(steps, (count, 1)), axis=1).T)


def _furthest(
    steps: IntArray, order: IntArray, last_of_tie: BoolArray, cancelled: Callable[[], bool] | None
) -> IntArray:
    """Return (b,) how far from zero the walk of any phrase gets at a possible threshold, by shuffle."""
    furthest = np.zeros(steps.shape[1], dtype=steps.dtype)
    for highest, lowest in _blocks_of_extremes(steps, order, last_of_tie, cancelled):
        np.maximum(furthest, np.maximum(highest, -lowest).max(axis=0), out=furthest)
    return furthest.astype(np.int64)


def _extremes(
    steps: IntArray, order: IntArray, last_of_tie: BoolArray, cancelled: Callable[[], bool] | None
) -> tuple[IntArray, IntArray]:
    """Return the highest and the lowest place (m, b) of each phrase's walk at a possible threshold."""
    highest, lowest = zip(*_blocks_of_extremes(steps, order, last_of_tie, cancelled), strict=True)
    return np.concatenate(highest).astype(np.int64), np.concatenate(lowest).astype(np.int64)


def _blocks_of_extremes(
    steps: IntArray, order: IntArray, last_of_tie: BoolArray, cancelled: Callable[[], bool] | None
) -> Iterator[tuple[IntArray, IntArray]]:
    for i in range(0, len(order), BLOCK):
        yield _extremes_of_block(steps, order[i : i + BLOCK], last_of_tie[i : i + BLOCK], cancelled)


def _extremes_of_block(
    steps: IntArray, order: IntArray, last_of_tie: BoolArray, cancelled: Callable[[], bool] | None
) -> tuple[IntArray, IntArray]:
    at = np.zeros((len(order), steps.shape[1]), dtype=steps.dtype)
    highest, lowest, step = np.zeros_like(at), np.zeros_like(at), np.empty_like(at)
    for image, may_stop in zip(order.T, last_of_tie.T, strict=True):
        if cancelled is not None and cancelled():
            raise CancelledError("Cancelled before all shuffles were scored.")
        np.take(steps, image, axis=0, out=step, mode="clip")
        at += step
        if may_stop.all():
            np.maximum(highest, at, out=highest)
            np.minimum(lowest, at, out=lowest)
        else:
            np.maximum(highest, at, out=highest, where=may_stop[:, None])
            np.minimum(lowest, at, out=lowest, where=may_stop[:, None])
    return highest, lowest
