"""Phrases that nobody typed yet, tried for a class all at once."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

import numpy as np

from clarify_widget.concepts import best_of_random, separate
from clarify_widget.errors import PhraseError
from clarify_widget.session.ranking import RankedPhrase, Ranking
from clarify_widget.session.scoring import check_scorable, score_phrase

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from clarify_widget.encoders.base import Encoder
    from clarify_widget.session.session import Session

SHUFFLES = 199
"""Of right and wrong, for the noise line; with 1,000 it moves by about 0.01, and takes five times as long."""

MOST_COMPARED = 5_000_000
"""Phrases x images of a class up to which suggestions are made unasked: under a second."""

_PHRASES_AT_LEAST = 100  # fewer take as long: each image costs some steps of Python


def take_long(phrases: int, images: int) -> bool:
    """Whether people should ask for suggestions before they are looked for."""
    return max(phrases, _PHRASES_AT_LEAST) * images > MOST_COMPARED


def known_phrases(encoder: Encoder) -> tuple[str, ...]:
    """Return the phrases that an encoder knows by itself, else those that come with the package."""
    own = getattr(encoder, "phrases", None)
    return vocabulary() if own is None else tuple(own)


@cache
def vocabulary() -> tuple[str, ...]:
    """Return phrases for what photographs often show beside their subject, one a line of vocabulary.txt."""
    text = resources.files("clarify_widget.session").joinpath("vocabulary.txt").read_text(encoding="utf-8")
    return tuple(line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#"))


def without_class_names(phrases: Iterable[str], class_names: Iterable[str]) -> list[str]:
    """Return the phrases that name no class, whatever the case, the plural or the space in a name."""
    names = {form for name in class_names for form in _forms(name)}
    return [phrase for phrase in dict.fromkeys(phrases) if not _runs_of_words(phrase) & names]


def suggest_phrases(
    session: Session,
    class_name: str,
    candidates: Iterable[str],
    *,
    most: int,
    direction: int | None,
    seed: int,
    cancelled: Callable[[], bool] | None,
) -> Ranking:
    """Return the best of many phrases for a class; see `Session.suggest` for the errors."""
    members = session.members(class_name)
    check_scorable(class_name, members)
    phrases = without_class_names((phrase.strip() for phrase in candidates), session.class_names)
    if not phrases:
        raise PhraseError(f"There are no phrases to suggest for {class_name}; give some as candidates.")
    similar = session.similarities_of_many(phrases, members.indices, cancelled)
    found = [separate(row[~members.correct], row[members.correct]) for row in similar]
    chance = best_of_random(similar, members.correct, permutations=SHUFFLES, seed=seed, cancelled=cancelled)
    fitting = [
        i for i in np.argsort(-chance.scores, kind="stable") if direction in (None, found[i].direction)
    ]
    rows = [
        RankedPhrase(score_phrase(session, class_name, phrases[i]), float(chance.p_values[i]))
        for i in fitting[:most]
    ]
    return Ranking(tuple(rows), chance)


def _forms(name: str) -> set[str]:
    words = _words(name)
    return {"".join(words), "".join(words) + "s"} - {"", "s"}


def _runs_of_words(phrase: str) -> set[str]:
    """Return every run of neighbouring words, written as one: "white water birds" has "waterbirds"."""
    words = _words(phrase)
    return {"".join(words[i:j]) for i in range(len(words)) for j in range(i + 1, len(words) + 1)}


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text.casefold())
