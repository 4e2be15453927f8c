"""Phrases that nobody typed yet, tried for a class all at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from clarify_widget.concepts import best_of_random
from clarify_widget.discovery.vocabulary import vocabulary, without_class_names
from clarify_widget.errors import PhraseError
from clarify_widget.session.ranking import RankedPhrase, Ranking
from clarify_widget.session.scoring import check_scorable, score_phrase

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from clarify_widget.arrays import IntArray
    from clarify_widget.concepts import BestOfRandom
    from clarify_widget.encoders.base import Encoder
    from clarify_widget.session.phrases import EmbeddedPhrases
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


def suggest_phrases(
    session: Session,
    class_name: str,
    candidates: Iterable[str] | None,
    *,
    most: int,
    direction: int | None,
    seed: int,
    cancelled: Callable[[], bool] | None,
) -> Ranking:
    """Return the best of many phrases for a class; see `Session.suggest` for the errors."""
    check_scorable(class_name, session.members(class_name))
    embedded = embed_candidates(session, candidates, f"suggest for {class_name}", cancelled)
    chance = try_all(session, class_name, embedded, seed=seed, cancelled=cancelled)
    return ranking_of(session, class_name, embedded, chance, most=most, direction=direction)


def embed_candidates(
    session: Session,
    candidates: Iterable[str] | None,
    purpose: str,
    cancelled: Callable[[], bool] | None,
) -> EmbeddedPhrases:
    """Embed the phrases that `candidate_phrases` returns."""
    return session.embed_phrases(candidate_phrases(session, candidates, purpose), cancelled)


def candidate_phrases(session: Session, candidates: Iterable[str] | None, purpose: str) -> list[str]:
    """Return the candidates that name no class; None means what the encoder, or the package, knows."""
    given = known_phrases(session.encoder) if candidates is None else candidates
    phrases = without_class_names((phrase.strip() for phrase in given), session.class_names)
    if not phrases:
        raise PhraseError(f"There are no phrases to {purpose}; give some as candidates.")
    return phrases


def try_all(
    session: Session,
    class_name: str,
    embedded: EmbeddedPhrases,
    *,
    seed: int,
    cancelled: Callable[[], bool] | None,
) -> BestOfRandom:
    """Score every candidate on one class, beside what chance alone would reach."""
    members = session.members(class_name)
    similar = session.similarities_of_many(embedded, members.indices)
    return best_of_random(similar, members.correct, permutations=SHUFFLES, seed=seed, cancelled=cancelled)


def best_first(chance: BestOfRandom, direction: int | None) -> IntArray:
    """Return which candidates have the wanted direction, the highest Error Score first."""
    order = np.argsort(-chance.scores, kind="stable")
    return order if direction is None else order[chance.directions[order] == direction]


def ranking_of(
    session: Session,
    class_name: str,
    embedded: EmbeddedPhrases,
    chance: BestOfRandom,
    *,
    most: int,
    direction: int | None,
) -> Ranking:
    """Return the best candidates with all that is known of each."""
    rows = [
        RankedPhrase(score_phrase(session, class_name, embedded.phrases[i]), float(chance.p_values[i]))
        for i in best_first(chance, direction)[:most].tolist()
    ]
    return Ranking(tuple(rows), chance)
