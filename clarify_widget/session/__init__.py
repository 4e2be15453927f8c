"""The loop without a notebook: fit, look, describe, keep, retrain, compare, undo, save."""

from clarify_widget.session.judgements import Judgement
from clarify_widget.session.minority import MinoritySplit, SideAccuracies, mean_accuracy
from clarify_widget.session.origin import Origin
from clarify_widget.session.phrase_comparison import PhraseComparison
from clarify_widget.session.ranking import RankedPhrase, Ranking
from clarify_widget.session.results import (
    ClassMembers,
    ClassSummary,
    Comparison,
    ComparisonRow,
    Expected,
    PhraseScore,
)
from clarify_widget.session.session import Session
from clarify_widget.session.triage import Triage, TriagedClass

__all__ = [
    "ClassMembers",
    "ClassSummary",
    "Comparison",
    "ComparisonRow",
    "Expected",
    "Judgement",
    "MinoritySplit",
    "Origin",
    "PhraseComparison",
    "PhraseScore",
    "RankedPhrase",
    "Ranking",
    "Session",
    "SideAccuracies",
    "Triage",
    "TriagedClass",
    "mean_accuracy",
]
