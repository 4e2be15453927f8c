"""The rows of the league: each method's name, what it is given, where it is from, and how it is run here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

from clarify_widget.methods import feedback
from clarify_widget.methods.problem import features_of
from clarify_widget.training import train_head

if TYPE_CHECKING:
    from typing import TypeAlias

    from clarify_widget.arrays import IntArray
    from clarify_widget.datasets.dataset import Split
    from clarify_widget.methods.problem import Problem
    from clarify_widget.training import Head, LinearHead

    Predict: TypeAlias = Callable[[Split], IntArray]

Assumption = Literal["prompts", "labels", "labels, text feedback", "labels, groups"]
PROMPTS: Assumption = "prompts"
LABELS: Assumption = "labels"
FEEDBACK: Assumption = "labels, text feedback"
GROUPS: Assumption = "labels, groups"


@dataclass(frozen=True)
class Method:
    """One row of the league.

    Attributes
    ----------
    name
        As the papers call it.
    assumes
        What it is given beside the images.
    source
        Where it is from.
    fit
        Takes a problem, returns the predictions (n,) of any of its splits.
    needs
        Fields of `Words` that must not be empty.
    """

    name: str
    assumes: Assumption
    source: str
    fit: Callable[[Problem], Predict]
    needs: tuple[str, ...] = ()


def missing(method: Method, problem: Problem) -> str:
    """Return what a method needs and the problem does not give; "" when it can run."""
    lacking = [name.replace("_", " ") for name in method.needs if not getattr(problem.words, name)]
    if method.assumes == GROUPS and problem.train.groups is None:
        lacking.append("groups of the training images")
    return f"needs {' and '.join(lacking)}" if lacking else ""
