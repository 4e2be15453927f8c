"""The linear head: sample weights, objectives, solvers."""

from clarify_widget.training.fit import OBJECTIVES, train_head, train_heads
from clarify_widget.training.head import FitReport, Head, LinearHead
from clarify_widget.training.lbfgs import FitProgress
from clarify_widget.training.outside import head_from
from clarify_widget.training.rows import StandardisedFeatures
from clarify_widget.training.weights import sample_weights

__all__ = [
    "OBJECTIVES",
    "FitProgress",
    "FitReport",
    "Head",
    "LinearHead",
    "StandardisedFeatures",
    "head_from",
    "sample_weights",
    "train_head",
    "train_heads",
]
