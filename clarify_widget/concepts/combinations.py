"""Phrases joined by AND, OR and NOT: again one similarity an image, with one threshold.

"forest AND fog", "snow OR ice", "forest NOT ocean", "(snow OR ice) AND night". The words count in capitals
only, and not where everything is in capitals: "black and white" and "BLACK AND WHITE" are phrases like any
other.

The cosines of one phrase may all be larger than those of another, and the larger of the two would always be
the same. So each part is put on one scale first, that of the training images. Then AND is the smaller, OR the
larger and NOT the negative (Zadeh, "Fuzzy sets", 1965): above one threshold, "forest AND fog" has exactly the
images that both parts have there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from clarify_widget.errors import PhraseError

if TYPE_CHECKING:
    from collections.abc import Callable

    from clarify_widget.arrays import Float64Array, FloatArray

_SYMBOL = re.compile(r"(\(|\)|\b(?:AND|OR|NOT)\b)")
_BINDS = {"OR": 1, "AND": 2, "NOT": 3}  # the higher, the tighter
_SPREADS = 3.0  # standard deviations from the mean that become tanh 1 = 0.76


@dataclass(frozen=True)
class Combination:
    """A phrase taken apart.

    Attributes
    ----------
    steps
        In postfix order: "a", "b", "AND" of "a AND b". A phrase without an operator is one step.
    """

    steps: tuple[str, ...]

    @property
    def parts(self) -> tuple[str, ...]:
        """The phrases that are joined, each once."""
        return tuple(dict.fromkeys(step for step in self.steps if step not in _BINDS))

    @property
    def is_single(self) -> bool:
        """Whether nothing is joined."""
        return len(self.steps) == 1

    def join(self, similarity_of: Callable[[str], Float64Array]) -> Float64Array:
        """Return (n,) similarities with the whole, given those with each part on one scale."""
        stack: list[Float64Array] = []
        for step in self.steps:
            if step == "NOT":
                stack.append(-stack.pop())
            elif step in _BINDS:
                second, first = stack.pop(), stack.pop()
                stack.append((np.minimum if step == "AND" else np.maximum)(first, second))
            else:
                stack.append(similarity_of(step))
        return stack.pop()


def parse_phrase(phrase: str) -> Combination:
    """Take a phrase apart at AND, OR and NOT.

    NOT binds tighter than AND, and AND tighter than OR; parentheses group. "forest NOT ocean" is short for
    "forest AND NOT ocean".

    Raises
    ------
    PhraseError
        When words are missing beside an operator, or parentheses do not match.

    Notes
    -----
    Dijkstra's shunting yard: no recursion, however deep the parentheses.
    """
    text = " ".join(phrase.split())
    if text == text.upper() or not _BINDS.keys() & set(_SYMBOL.findall(text)):
        return Combination((text,))
    steps: list[str] = []
    waiting: list[str] = []
    wants_words = True
    for symbol in _symbols(text):
        _check(text, wants_words if symbol not in ("AND", "OR", ")") else not wants_words)
        if symbol in ("(", "NOT"):
            waiting.append(symbol)
        elif symbol == ")":
            _release(waiting, steps, 0)
            _check(text, bool(waiting))
            waiting.pop()
        elif symbol in _BINDS:
            _release(waiting, steps, _BINDS[symbol])
            waiting.append(symbol)
            wants_words = True
        else:
            steps.append(symbol)
            wants_words = False
    _release(waiting, steps, 0)
    _check(text, not wants_words and not waiting)
    return Combination(tuple(steps))


def on_one_scale(similarities: FloatArray, reference: FloatArray) -> Float64Array:
    """Return (n,) similarities in -1..1 that can be compared with those of another phrase.

    Parameters
    ----------
    similarities
        (n,) cosines with one phrase.
    reference
        (m,) cosines of the training images with it. Their mean becomes 0, and tanh keeps the distances from
        it, in their standard deviations, inside the range of a similarity. The order stays.
    """
    centre, spread = float(reference.mean(dtype=np.float64)), float(reference.std(dtype=np.float64))
    distances = np.asarray(similarities, dtype=np.float64) - centre
    scaled: Float64Array = np.tanh(distances / (_SPREADS * spread)) if spread > 0 else np.sign(distances)
    return scaled


def _symbols(text: str) -> list[str]:
    """Return operators, parentheses and what stands between them, with the AND that a NOT may leave out."""
    symbols: list[str] = []
    for symbol in filter(None, (part.strip() for part in _SYMBOL.split(text))):
        if symbol == "NOT" and symbols and symbols[-1] not in (*_BINDS, "("):
            symbols.append("AND")
        symbols.append(symbol)
    return symbols


def _release(waiting: list[str], steps: list[str], binds: int) -> None:
    """Move what binds at least as tight to the steps, back to the last opening parenthesis."""
    while waiting and waiting[-1] != "(" and _BINDS[waiting[-1]] >= binds:
        steps.append(waiting.pop())


def _check(text: str, fits: bool) -> None:
    if not fits:
        raise PhraseError(
            f"{text!r} is not complete: AND and OR need words on both sides, NOT after it, and every "
            "parenthesis its other half. In small letters they are words like any other.",
        )
