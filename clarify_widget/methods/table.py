"""The rows of the league: each method's name, what it is given, where it is from, and how it is run here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from clarify_widget.methods.feedback import (
    choose_l2,
    slice_by_contrast,
    slice_by_mean_phrase,
    slice_by_one_phrase,
    slice_by_own_phrase,
    train_product_of_phrases,
    train_slice_balanced,
    train_slice_logit_adjustment,
    train_soft_slices,
    train_worst_slice,
)
from clarify_widget.methods.logit_adjustment import train_group_logit_adjustment
from clarify_widget.methods.problem import features_of
from clarify_widget.training import train_head
from clarify_widget.training.reference import train_reference

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from clarify_widget.arrays import IntArray
    from clarify_widget.datasets.dataset import Split
    from clarify_widget.methods.feedback import Slicing
    from clarify_widget.methods.problem import Classifier, Problem
    from clarify_widget.training import LinearHead

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
    two_classes
        Whether it is for two classes only.
    """

    name: str
    assumes: Assumption
    source: str
    fit: Callable[[Problem], Predict]
    needs: tuple[str, ...] = ()
    two_classes: bool = False


def missing(method: Method, problem: Problem) -> str:
    """Return what a method needs and the problem does not give; "" when it can run."""
    if method.two_classes and problem.dataset.num_classes != 2:
        return "is for two classes"
    lacking = [name.replace("_", " ") for name in method.needs if not getattr(problem.words, name)]
    if method.assumes == GROUPS and problem.train.groups is None:
        lacking.append("groups of the training images")
    return f"needs {' and '.join(lacking)}" if lacking else ""


def on_features(head: Classifier) -> Predict:
    """Return the predictions of a head over a split's features."""
    return lambda split: head.predict(features_of(split))


def _erm(problem: Problem) -> Predict:
    return on_features(problem.erm)


def _exact(objective: str) -> Callable[[Problem], Predict]:
    return lambda problem: on_features(_train(problem, objective, problem.l2))


def _reference(objective: str) -> Callable[[Problem], Predict]:
    return lambda problem: on_features(_train_reference(problem, objective))


def _reference_sliced(objective: str) -> Callable[[Problem], Predict]:
    def fit(problem: Problem) -> Predict:
        slicing = slice_by_own_phrase(problem)
        slices = slicing.check_train(problem)
        return on_features(_train_reference(problem, objective if slicing.cuts else "erm", slices))

    return fit


def _sliced(
    slice_by: Callable[[Problem], Slicing], train: Callable[[Problem, Slicing], Classifier]
) -> Callable[[Problem], Predict]:
    return lambda problem: on_features(train(problem, slice_by(problem)))


def _worst_slice_with_chosen_l2(problem: Problem, slicing: Slicing) -> Classifier:
    return choose_l2(problem, slicing, lambda l2: train_worst_slice(problem, slicing, l2=l2))


def _slice_balanced_with_chosen_l2(problem: Problem, slicing: Slicing) -> Classifier:
    return choose_l2(problem, slicing, lambda l2: train_slice_balanced(problem, slicing, l2=l2))


def _logit_adjusted_groups(problem: Problem) -> Predict:
    train = problem.train
    assert train.groups is not None
    _, cells = np.unique(train.groups, return_inverse=True)
    class_of_cell = train.labels[np.unique(cells, return_index=True)[1]]
    return on_features(train_group_logit_adjustment(features_of(train), cells, class_of_cell, l2=problem.l2))


def _train(problem: Problem, objective: str, l2: float) -> LinearHead:
    train = problem.train
    return train_head(
        features_of(train),
        train.labels,
        objective,
        groups=train.groups,
        l2=l2,
        num_classes=problem.dataset.num_classes,
        initial=problem.erm,
    )


def _train_reference(problem: Problem, objective: str, slices: IntArray | None = None) -> LinearHead:
    train = problem.train
    return train_reference(
        features_of(train),
        train.labels,
        objective,
        slices,
        train.groups,
        learning_rate=problem.learning_rate,
        seed=problem.seed,
        num_classes=problem.dataset.num_classes,
    )


_CLARIFY = "Lee et al., Clarify (UIST 2024)"
_BEYOND = "this package"

METHODS: tuple[Method, ...] = (
    Method("ERM", LABELS, _CLARIFY, _erm),
    Method("class-balanced", LABELS, _CLARIFY, _exact("class_balanced")),
    Method("worst-class", LABELS, _CLARIFY, _exact("worst_class")),
    Method("ERM, published recipe", LABELS, _CLARIFY, _reference("erm")),
    Method("class-balanced, published recipe", LABELS, _CLARIFY, _reference("class_balanced")),
    Method("worst-class, published recipe", LABELS, _CLARIFY, _reference("worst_class")),
    Method(
        "Clarify (slice-balanced)",
        FEEDBACK,
        f"{_CLARIFY}, Eq. 2",
        _sliced(slice_by_own_phrase, train_slice_balanced),
        needs=("phrases",),
    ),
    Method(
        "Clarify (worst-slice)",
        FEEDBACK,
        f"{_CLARIFY}, appendix A",
        _sliced(slice_by_own_phrase, train_worst_slice),
        needs=("phrases",),
    ),
    Method(
        "slice-balanced, published recipe",
        FEEDBACK,
        _CLARIFY,
        _reference_sliced("slice_balanced"),
        needs=("phrases",),
    ),
    Method(
        "worst-slice, published recipe",
        FEEDBACK,
        _CLARIFY,
        _reference_sliced("worst_slice"),
        needs=("phrases",),
    ),
    Method(
        "slices in logit adjustment",
        FEEDBACK,
        _BEYOND,
        _sliced(slice_by_own_phrase, train_slice_logit_adjustment),
        needs=("phrases",),
    ),
    Method(
        "soft slices", FEEDBACK, _BEYOND, _sliced(slice_by_own_phrase, train_soft_slices), needs=("phrases",)
    ),
    Method(
        "one phrase for both classes",
        FEEDBACK,
        _BEYOND,
        _sliced(slice_by_one_phrase, train_slice_balanced),
        needs=("phrases",),
        two_classes=True,
    ),
    Method(
        "several phrases, mean direction",
        FEEDBACK,
        _BEYOND,
        _sliced(slice_by_mean_phrase, train_slice_balanced),
        needs=("phrases",),
    ),
    Method(
        "several phrases, product of sides",
        FEEDBACK,
        _BEYOND,
        lambda problem: on_features(train_product_of_phrases(problem)),
        needs=("phrases",),
    ),
    Method(
        "l2 by worst slice, slice-balanced",
        FEEDBACK,
        _BEYOND,
        _sliced(slice_by_own_phrase, _slice_balanced_with_chosen_l2),
        needs=("phrases",),
    ),
    Method(
        "l2 by worst slice, worst-slice",
        FEEDBACK,
        _BEYOND,
        _sliced(slice_by_own_phrase, _worst_slice_with_chosen_l2),
        needs=("phrases",),
    ),
    Method(
        "contrast of phrases, slice-balanced",
        FEEDBACK,
        _BEYOND,
        _sliced(slice_by_contrast, train_slice_balanced),
        needs=("phrases",),
    ),
    Method(
        "contrast of phrases, worst-slice",
        FEEDBACK,
        _BEYOND,
        _sliced(slice_by_contrast, train_worst_slice),
        needs=("phrases",),
    ),
    Method(
        "contrast, worst-slice, l2 by worst slice",
        FEEDBACK,
        _BEYOND,
        _sliced(slice_by_contrast, _worst_slice_with_chosen_l2),
        needs=("phrases",),
    ),
    Method("DFR (reweight)", GROUPS, "Kirichenko et al., DFR (ICLR 2023)", _exact("dfr")),
    Method("group DRO (exact)", GROUPS, "Sagawa et al., Group DRO (ICLR 2020)", _exact("group_dro")),
    Method("group logit adjustment", GROUPS, "Zhu et al., PPA (CVPR 2025)", _logit_adjusted_groups),
    Method("DFR (ours), published recipe", GROUPS, _CLARIFY, _reference("dfr")),
    Method("group DRO (ours), published recipe", GROUPS, _CLARIFY, _reference("group_dro")),
)
