"""Sharpening a phrase of a session by images that people marked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from clarify_widget.concepts import SharpenedPhrase, sharpen
from clarify_widget.errors import DataError
from clarify_widget.session.phrases import reference_rows, rows_at

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from clarify_widget.arrays import IntArray
    from clarify_widget.datasets.dataset import Split
    from clarify_widget.session.session import Session


def sharpen_phrase(
    session: Session, phrase: str, has: Iterable[int], has_not: Iterable[int], split: Split
) -> SharpenedPhrase:
    """Sharpen a phrase by marked images of a split; see `Session.sharpen` for the errors."""
    phrase = " ".join(phrase.split())
    before = next((one for one in session.sharpened if one.name == phrase), None)
    wanted, unwanted = (session.check_rows(rows, split.name) for rows in (has, has_not))
    both = wanted & unwanted
    if both:
        raise DataError(f"{split.name} {min(both)} is marked as having “{phrase}” and as not having it.")
    if before is not None and before.split != split.name:
        raise DataError(
            f"“{before.name}” was sharpened by {before.split} images; mark more of those, or sharpen "
            f"“{before.phrase}” by {split.name} images instead.",
        )
    if before is not None:
        wanted, unwanted = (wanted | set(before.has)) - unwanted, (unwanted | set(before.has_not)) - wanted
    if not wanted | unwanted:
        raise DataError(f"Mark at least one image that has “{phrase}”, or that has it not.")
    words = phrase if before is None else before.phrase
    has, has_not = tuple(sorted(wanted)), tuple(sorted(unwanted))
    asked = (words, split.name, has, has_not)
    for known in session.sharpened:
        if (known.phrase, known.split, known.has, known.has_not) == asked:
            return known
    rows = [*has, *has_not]
    direction = sharpen(
        session.direction(words),
        rows_at(split, rows),
        np.arange(len(rows)) < len(wanted),
        reference_rows(session.dataset.train),
    )
    return SharpenedPhrase(
        name=_free_name(f"{words}, sharpened by {len(rows)}", {one.name for one in session.sharpened}),
        phrase=words,
        split=split.name,
        has=has,
        has_not=has_not,
        direction=tuple(direction.astype(np.float32).tolist()),
    )


def unmarked(rows: IntArray, sharpened: Iterable[SharpenedPhrase]) -> IntArray:
    """Return the places in `rows` of validation images that no phrase was sharpened by."""
    marked = [row for one in sharpened if one.split == "val" for row in one.marked]
    return np.flatnonzero(~np.isin(rows, marked))


def _free_name(name: str, taken: Collection[str]) -> str:
    """Return the name, numbered where other marks have led to the same one."""
    names = (name if number == 1 else f"{name} #{number}" for number in range(1, len(taken) + 2))
    return next(one for one in names if one not in taken)
