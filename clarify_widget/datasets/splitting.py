"""Which images train the head, which are looked at, and which judge the result."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from clarify_widget.errors import DataError

if TYPE_CHECKING:
    from clarify_widget.arrays import IntArray

SPLIT_NAMES = ("train", "val", "test")

_ALIASES = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}


def split_name(name: object) -> str | None:
    """Return "train", "val" or "test" for any usual way of writing it, None for anything else."""
    return _ALIASES.get(str(name).strip().casefold())


def stratified_split(strata: IntArray, *, val_fraction: float, test_fraction: float, seed: int) -> IntArray:
    """Deal images to train, val and test so that every stratum keeps its share in each.

    Parameters
    ----------
    strata
        (n,) what must keep its share: classes, or groups where they are known.
    val_fraction, test_fraction
        Shares of each stratum, at least one image of it where it has three or more and the share is not 0.
        A stratum with two images gives one to train and one to val; a single image goes to train.
    seed
        The same seed deals the same way.

    Returns
    -------
    (n,) int64
        0 train, 1 val, 2 test.

    Raises
    ------
    DataError
        When the fractions leave nothing to train on.
    """
    if not (0 <= val_fraction < 1 and 0 <= test_fraction < 1 and val_fraction + test_fraction < 1):
        raise DataError(
            "val_fraction and test_fraction must be 0 or more and leave images to train on; "
            f"got {val_fraction} and {test_fraction}.",
        )
    generator = np.random.default_rng(seed)
    parts = np.zeros(len(strata), dtype=np.int64)
    for stratum in np.unique(strata):
        rows = generator.permutation(np.flatnonzero(strata == stratum))
        val, test = _held_out(len(rows), val_fraction, test_fraction)
        parts[rows[:val]] = 1
        parts[rows[val : val + test]] = 2
    return parts


def _held_out(size: int, val_fraction: float, test_fraction: float) -> tuple[int, int]:
    """Return how many of a stratum's images go to val and to test, leaving at least one to train on."""
    val = max(round(size * val_fraction), 1) if val_fraction else 0
    test = max(round(size * test_fraction), 1) if test_fraction else 0
    spare = size - 1
    val = min(val, spare, max(spare - bool(test), 1))
    return val, min(test, spare - val)
