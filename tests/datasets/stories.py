"""What a correlated data set must show: ERM fails on the minority, and one phrase a class mends it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from clarify_widget.session import Session

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clarify_widget.datasets import Dataset
    from clarify_widget.encoders.base import Encoder
    from clarify_widget.evaluation import Evaluation


@dataclass(frozen=True)
class Story:
    before: Evaluation
    after: Evaluation
    scores: dict[str, float]


def tell(dataset: Dataset, encoder: Encoder, phrases: Mapping[str, str]) -> Story:
    """Train, complete the sentence once for each class, keep it, and train again."""
    session = Session(dataset, encoder=encoder)
    session.fit()
    scores = {name: session.score(name, phrase).score for name, phrase in phrases.items()}
    for name, phrase in phrases.items():
        session.annotate(name, phrase)
    comparison = session.retrain()
    return Story(comparison.before, comparison.after, scores)
