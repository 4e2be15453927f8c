"""How Bias-to-Text judges a keyword: by mean similarity, and by the images whose caption has it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from clarify_widget.errors import DataError, PhraseError, ScoreError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from clarify_widget.arrays import BoolArray


def clip_score(wrong: npt.ArrayLike, correct: npt.ArrayLike) -> float:
    """Return how much more similar to a keyword the wrong images are than the right ones, on average.

    Parameters
    ----------
    wrong
        (n_wrong,) similarities of the images that the model gets wrong.
    correct
        (n_correct,) similarities of those that it gets right.

    Returns
    -------
    Mean of wrong minus mean of correct, in -2..2. Published tables multiply it by 100.

    Raises
    ------
    ScoreError
        When there are no wrong, or no correct, images.
    DataError
        When an array is not 1-D finite numbers.

    Notes
    -----
    Kim et al., "Discovering and Mitigating Visual Biases through Keyword Explanation" (CVPR 2024); Lee et
    al., "Clarify" (UIST 2024), Eq. 3.
    """
    return _mean(wrong, "wrong") - _mean(correct, "correct")


def has_keyword(captions: Sequence[str], keyword: str) -> BoolArray:
    """Return (n,) which captions hold a keyword as whole words, in any case.

    "bird" is in "A bird." but not in "birds"; the words of "tall  tree" must stand side by side.

    Raises
    ------
    PhraseError
        When the keyword is blank.
    DataError
        When a caption is not text.

    Notes
    -----
    The subgroup of Bias-to-Text is made of the images whose caption has the keyword.
    """
    words = keyword.split()
    if not words:
        raise PhraseError("A keyword needs a word, such as 'forest'; got a blank one.")
    strange = [caption for caption in captions if not isinstance(caption, str)]
    if strange:
        raise DataError(f"captions must be texts, one an image; got {strange[0]!r}.")
    pattern = re.compile(r"(?<!\w)" + r"\s+".join(map(re.escape, words)) + r"(?!\w)", re.IGNORECASE)
    return np.array([pattern.search(caption) is not None for caption in captions], dtype=bool)


def _mean(similarities: npt.ArrayLike, side: str) -> float:
    values = np.asarray(similarities, dtype=np.float64)
    if values.ndim != 1:
        raise DataError(f"Similarities of {side} images must be a 1-D array; got shape {values.shape}.")
    if not len(values):
        raise ScoreError(
            f"The class has no {side} images, so there is nothing to compare; "
            "choose a class with both right and wrong ones.",
        )
    if not np.isfinite(values).all():
        raise DataError(f"Similarities of {side} images hold NaN or infinity; embed the images again.")
    return float(values.mean())
