"""What a model gets right, by class and group, and how sure that is."""

from clarify_widget.evaluation.bias_to_text import KeywordRow, KeywordTable, keyword_table
from clarify_widget.evaluation.intervals import (
    PairedTest,
    mean_interval,
    paired_test,
    wilson_interval,
)
from clarify_widget.evaluation.metrics import CellAccuracy, Evaluation, accuracy_by_cell, evaluate
from clarify_widget.evaluation.two_accuracies import fisher_p_values, holm, newcombe_interval

__all__ = [
    "CellAccuracy",
    "Evaluation",
    "KeywordRow",
    "KeywordTable",
    "PairedTest",
    "accuracy_by_cell",
    "evaluate",
    "fisher_p_values",
    "holm",
    "keyword_table",
    "mean_interval",
    "newcombe_interval",
    "paired_test",
    "wilson_interval",
]
