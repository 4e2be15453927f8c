"""Which of many classes are worth a look: those whose errors some phrase explains better than chance would.

Lee et al., "Clarify" (UIST 2024), section 4.1, paragraph "Additional features for large datasets": of the
1000 classes of ImageNet, those with an accuracy between 0.2 and 0.8, and of these the 100 with the highest
Error Score over the candidate phrases. The noise correction is ours: on 50 images the best of many phrases
scores high by chance, so classes whose best phrase chance could have made come last.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clarify_widget.concepts.significance import LEVEL
from clarify_widget.errors import CancelledError, DataError, ScoreError
from clarify_widget.session.suggestions import best_first, embed_candidates, ranking_of, try_all
from clarify_widget.tables import html_table, text_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from clarify_widget.concepts import BestOfRandom
    from clarify_widget.encoders.preparation import Progress
    from clarify_widget.session.phrases import EmbeddedPhrases
    from clarify_widget.session.ranking import RankedPhrase, Ranking
    from clarify_widget.session.results import ClassSummary
    from clarify_widget.session.session import Session

ACCURACIES = (0.2, 0.8)
"""The paper's: beyond them a class has too few right, or too few wrong, images."""

MOST_CLASSES = 100
"""The paper's."""


@dataclass(frozen=True)
class TriagedClass:
    """A class that is worth a look.

    Attributes
    ----------
    summary
        Its name, size and errors.
    ranking
        Its best phrases, with the noise line of all candidates on this class; as `Session.suggest` gives it.
    """

    summary: ClassSummary
    ranking: Ranking

    @property
    def best(self) -> RankedPhrase:
        """The phrase with the highest Error Score."""
        return self.ranking.rows[0]


@dataclass(frozen=True, repr=False)
class Triage:
    """The classes that are worth a look, those first whose best phrase is more than chance.

    Attributes
    ----------
    rows
        One a class: above the noise by falling Error Score, then the others likewise.
    tried
        How many classes had an accuracy between the bounds.
    above_noise
        In how many of these the best phrase is above the noise line.
    classes
        How many classes there are.
    candidates
        How many phrases were tried for each.
    accuracies
        The bounds, both included.
    """

    rows: tuple[TriagedClass, ...]
    tried: int
    above_noise: int
    classes: int
    candidates: int
    accuracies: tuple[float, float]

    @property
    def sentence(self) -> str:
        """How many classes were tried, and how many chance alone would put above their noise line."""
        low, high = self.accuracies
        between = "class has" if self.tried == 1 else "classes have"
        return (
            f"{self.tried:,} of {self.classes:,} {between} an accuracy between {low:g} and {high:g}; in "
            f"{self.above_noise:,} of them the best of {self.candidates:,} phrases is above the noise line, "
            f"where chance alone would put about {LEVEL * self.tried:.2g}."
        )

    def __str__(self) -> str:
        """Return the list as text, one class a line."""
        return f"{text_table(_TITLES, self._table(), left=len(_TITLES))}\n{self.sentence}"

    def __repr__(self) -> str:
        """Return how long the list is instead of all of it."""
        return f"<Triage of {len(self.rows)} classes>"

    def _repr_html_(self) -> str:
        """Return the list as a notebook shows it."""
        from html import escape

        return f"{html_table(_TITLES, self._table(), left=len(_TITLES))}<p>{escape(self.sentence)}</p>"

    def _table(self) -> list[tuple[str, ...]]:
        return [_cells(row) for row in self.rows]


@dataclass(frozen=True, eq=False)
class _Tried:
    """What one class came to, before the rows for people are made."""

    place: int
    summary: ClassSummary
    chance: BestOfRandom
    best: int  # candidate

    @property
    def above_noise(self) -> bool:
        return bool(self.chance.p_values[self.best] <= LEVEL)

    @property
    def order(self) -> tuple[bool, float, int]:
        return not self.above_noise, -float(self.chance.scores[self.best]), self.place


def triage_classes(
    session: Session,
    candidates: Iterable[str] | None,
    *,
    k: int,
    most: int,
    accuracies: tuple[float, float],
    direction: int | None,
    seed: int,
    progress: Progress | None,
    cancelled: Callable[[], bool] | None,
) -> Triage:
    """Return the classes that are worth a look; see `Session.triage` for the errors."""
    low, high = accuracies
    if not 0 <= low <= high <= 1:
        raise DataError(f"accuracies must be two numbers in 0..1, the lower first; got {accuracies}.")
    eligible = [one for one in _in_order(session) if _may_be_scored(one) and low <= one.accuracy <= high]
    if not eligible:
        raise ScoreError(
            f"No class has an accuracy between {low:g} and {high:g}, with right and wrong validation images; "
            "give wider accuracies."
        )
    embedded = embed_candidates(session, candidates, "try", cancelled)
    kept: list[_Tried] = []
    above = 0
    for done, tried in enumerate(_try_classes(session, eligible, embedded, direction, seed, cancelled), 1):
        if tried is not None:
            above += tried.above_noise
            kept = sorted([*kept, tried], key=lambda one: one.order)[:most]
        if progress is not None:
            progress("Trying phrases", done / len(eligible))
    rows = (_row(session, one, embedded, k, direction, cancelled) for one in kept)
    phrases = len(embedded.phrases)
    return Triage(tuple(rows), len(eligible), above, len(session.class_names), phrases, (low, high))


def _try_classes(
    session: Session,
    summaries: list[ClassSummary],
    embedded: EmbeddedPhrases,
    direction: int | None,
    seed: int,
    cancelled: Callable[[], bool] | None,
) -> Iterable[_Tried | None]:
    """Yield what each class comes to, in order; a few are tried at once. None has no phrase of its kind."""

    def try_one(place: int, summary: ClassSummary) -> _Tried | None:
        chance = try_all(session, summary.name, embedded, seed=seed, cancelled=cancelled)
        order = best_first(chance, direction)
        return _Tried(place, summary, chance, int(order[0])) if len(order) else None

    workers = os.cpu_count() or 1
    with ThreadPoolExecutor(workers) as pool:
        for start in range(0, len(summaries), 4 * workers):  # so that few results wait, and few are lost
            some = summaries[start : start + 4 * workers]
            yield from pool.map(try_one, range(start, start + len(some)), some)


def _row(
    session: Session,
    tried: _Tried,
    embedded: EmbeddedPhrases,
    k: int,
    direction: int | None,
    cancelled: Callable[[], bool] | None,
) -> TriagedClass:
    if cancelled is not None and cancelled():
        raise CancelledError("Cancelled before the best phrases of all classes were listed.")
    name = tried.summary.name
    ranking = ranking_of(session, name, embedded, tried.chance, most=k, direction=direction)
    return TriagedClass(tried.summary, ranking)


def _in_order(session: Session) -> list[ClassSummary]:
    """Return the classes in the order of the data set."""
    place = {name: label for label, name in enumerate(session.class_names)}
    return sorted(session.classes(), key=lambda one: place[one.name])


def _may_be_scored(summary: ClassSummary) -> bool:
    return 0 < summary.wrong < summary.size


_TITLES = ("Class", "Accuracy", "Images", "Best phrase", "Error Score", "Noise line", "p, corrected")


def _cells(row: TriagedClass) -> tuple[str, ...]:
    best, summary = row.best, row.summary
    return (
        summary.name,
        f"{summary.accuracy:.2f}",
        f"{summary.size:,}",
        best.scored.phrase,
        f"{best.scored.score:.2f}",
        f"{row.ranking.chance.noise_line:.2f}",
        f"{best.p_value:.3f}",
    )
