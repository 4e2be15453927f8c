"""A list of phrases on one class, ranked, beside what the best of as many meaningless phrases would score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from clarify_widget.concepts import best_of_random
from clarify_widget.errors import PhraseError
from clarify_widget.session.scoring import score_phrase

if TYPE_CHECKING:
    from collections.abc import Iterable

    from clarify_widget.concepts import BestOfRandom
    from clarify_widget.session.results import PhraseScore
    from clarify_widget.session.session import Session


@dataclass(frozen=True)
class RankedPhrase:
    """One phrase of a ranked list.

    Attributes
    ----------
    scored
        Its Error Score, threshold and direction, and the p-value that it would have alone.
    p_value
        The chance that the best of all phrases in the list scores as high when none means anything.
    """

    scored: PhraseScore
    p_value: float

    @property
    def above_noise(self) -> bool:
        """Whether it stands out among as many phrases, at the level of one in twenty."""
        return self.p_value <= 0.05


@dataclass(frozen=True, repr=False)
class Ranking:
    """Phrases of one class, the highest Error Score first.

    Attributes
    ----------
    rows
        One a phrase.
    chance
        What the best of as many meaningless phrases would score, with the seed of the shuffles.
    """

    rows: tuple[RankedPhrase, ...]
    chance: BestOfRandom

    @property
    def sentence(self) -> str:
        """How much of the list is more than chance."""
        return self.chance.sentence

    def __str__(self) -> str:
        """Return the list as text, one phrase a line, with the noise line where it falls."""
        width = max(len(row.scored.phrase) for row in self.rows)
        lines = [f"{'':{width}}  score  more often  p (corrected)"]
        lines += [
            f"{row.scored.phrase:{width}}   {row.scored.score:.2f}  {_direction(row):10}  {row.p_value:.3f}"
            for row in self.rows
        ]
        above = sum(row.above_noise for row in self.rows)
        lines.insert(1 + above, f"{' noise line ':-^{width}}   {self.chance.noise_line:.2f}")
        return "\n".join([*lines, self.sentence])

    def __repr__(self) -> str:
        """Return how long the list is instead of all of it."""
        return f"<Ranking of {len(self.rows)} phrases>"

    def _repr_html_(self) -> str:
        """Return the list as a notebook shows it."""
        from html import escape

        body = "".join(
            f"<tr><td style='text-align:left'>{escape(row.scored.phrase)}</td><td>{row.scored.score:.2f}</td>"
            f"<td>{_direction(row)}</td><td>{row.p_value:.3f}</td></tr>"
            for row in self.rows
        )
        head = "<tr><th></th><th>Error Score</th><th>more often</th><th>p, corrected</th></tr>"
        return f"<table><thead>{head}</thead><tbody>{body}</tbody></table><p>{escape(self.sentence)}</p>"


def rank_phrases(session: Session, class_name: str, phrases: Iterable[str], *, seed: int) -> Ranking:
    """Rank phrases by their Error Score on one class; see `Session.rank` for the errors."""
    unique = list(dict.fromkeys(phrase.strip() for phrase in phrases))
    if not unique:
        raise PhraseError(f"There are no phrases to rank for {class_name}; give some, or try some first.")
    scored = [score_phrase(session, class_name, phrase) for phrase in unique]
    members = session.members(class_name)
    similar = np.stack([session.similarities_of_class(class_name, phrase) for phrase in unique])
    chance = best_of_random(similar, members.correct, seed=seed)
    rows = [RankedPhrase(one, float(p_value)) for one, p_value in zip(scored, chance.p_values, strict=True)]
    return Ranking(tuple(sorted(rows, key=lambda row: -row.scored.score)), chance)


def _direction(row: RankedPhrase) -> str:
    return "wrong" if row.scored.direction > 0 else "right"
