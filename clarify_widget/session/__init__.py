"""The loop without a notebook: fit, look, describe, keep, retrain, compare, undo, save."""

from clarify_widget.session.origin import Origin
from clarify_widget.session.results import (
    ClassMembers,
    ClassSummary,
    Comparison,
    ComparisonRow,
    Expected,
    PhraseScore,
)
from clarify_widget.session.session import Session

__all__ = [
    "ClassMembers",
    "ClassSummary",
    "Comparison",
    "ComparisonRow",
    "Expected",
    "Origin",
    "PhraseScore",
    "Session",
]
