"""The rows of the league: each method's name, what it is given, where it is from, and how it is run here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from clarify_widget.errors import DataError
from clarify_widget.methods.adapters import (
    train_contrastive_adapter,
    train_erm_adapter,
    train_linear_adapter,
)
from clarify_widget.methods.afr import choose_afr
from clarify_widget.methods.choice import choose_by_worst_cell
from clarify_widget.methods.dfr import train_dfr
from clarify_widget.methods.feedback import (
    L2_GRID,
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
from clarify_widget.methods.group_dro import train_online_group_dro
from clarify_widget.methods.jtt import choose_jtt
from clarify_widget.methods.logit_adjustment import train_group_logit_adjustment
from clarify_widget.methods.ppa import choose_ppa
from clarify_widget.methods.problem import embeddings_of, features_of
from clarify_widget.methods.projection import (
    calibrated_projection,
    orthogonal_projection,
    pair_directions,
    roboshot,
)
from clarify_widget.methods.wise_ft import choose_wise_ft
from clarify_widget.methods.zero_shot import ZeroShotHead, prompt_embeddings
from clarify_widget.training import train_head
from clarify_widget.training.reference import train_reference

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from clarify_widget.arrays import Float64Array, FloatArray, IntArray
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


def on_embeddings(head: Classifier) -> Predict:
    """Return the predictions of a head over a split's embeddings."""
    return lambda split: head.predict(embeddings_of(split))


def class_prompt_head(problem: Problem) -> ZeroShotHead:
    """Return the zero-shot head with one prompt a class."""
    rows = problem.text(problem.words.class_prompts)
    return ZeroShotHead(rows, np.arange(len(rows)))


def _class_prompt(problem: Problem) -> Predict:
    return on_embeddings(class_prompt_head(problem))


def _group_prompt(problem: Problem) -> Predict:
    return on_embeddings(ZeroShotHead(problem.text(problem.words.group_prompts), problem.class_of_group()))


def _templates(problem: Problem) -> Predict:
    words = problem.words
    rows = prompt_embeddings(problem.encoder, words.class_nouns, words.templates)
    return on_embeddings(ZeroShotHead(rows, np.arange(len(rows))))


def _roboshot(problem: Problem) -> Predict:
    words, head = problem.words, class_prompt_head(problem)
    reject = pair_directions(problem.text_pairs(words.reject_pairs))
    accept = pair_directions(problem.text_pairs(words.accept_pairs)) if words.accept_pairs else None
    return lambda split: head.predict(roboshot(embeddings_of(split), reject, accept))


def _orthogonal(problem: Problem) -> Predict:
    return _projected(problem, orthogonal_projection(problem.text(problem.words.spurious_prompts)))


def _calibrated(problem: Problem) -> Predict:
    words = problem.words
    spurious, pairs = problem.text(words.spurious_prompts), problem.text_pairs(words.positive_pairs)
    return _projected(problem, calibrated_projection(spurious, pairs))


def _projected(problem: Problem, projection: Float64Array) -> Predict:
    prompts = problem.text(problem.words.class_prompts)
    return on_embeddings(ZeroShotHead(prompts @ projection.T, np.arange(len(prompts))))


def _jtt(problem: Problem) -> Predict:
    return on_features(choose_jtt(*_train_and_val(problem), num_classes=problem.dataset.num_classes))


def _afr(problem: Problem) -> Predict:
    classes = problem.dataset.num_classes
    return on_features(choose_afr(*_train_and_val(problem), seed=problem.seed, num_classes=classes))


def _class_balanced_with_chosen_l2(problem: Problem) -> Predict:
    candidates = (({"l2": l2}, _train(problem, "class_balanced", l2)) for l2 in L2_GRID)
    return on_features(choose_by_worst_cell(candidates, features_of(problem.val), problem.val.labels))


def _dfr_with_chosen_l2(problem: Problem) -> Predict:
    candidates = (({"l2": l2}, _train(problem, "dfr", l2)) for l2 in L2_GRID)
    val = problem.val
    return on_features(choose_by_worst_cell(candidates, features_of(val), val.labels, val.groups))


def _wise_ft(problem: Problem) -> Predict:
    train, val = problem.train, problem.val
    trained = train_head(
        embeddings_of(train), train.labels, l2=problem.l2, num_classes=problem.dataset.num_classes
    )
    return on_embeddings(choose_wise_ft(class_prompt_head(problem), trained, embeddings_of(val), val.labels))


def _linear_adapter(problem: Problem) -> Predict:
    return on_embeddings(train_linear_adapter(*_adapter_input(problem), seed=problem.seed))


def _erm_adapter(problem: Problem) -> Predict:
    return on_embeddings(train_erm_adapter(*_adapter_input(problem), seed=problem.seed))


def _contrastive_adapter(problem: Problem) -> Predict:
    return on_embeddings(train_contrastive_adapter(*_adapter_input(problem), seed=problem.seed))


def _adapter_input(
    problem: Problem,
) -> tuple[FloatArray, IntArray, FloatArray, tuple[FloatArray, IntArray]]:
    train, val = problem.train, problem.val
    prompts = problem.text(problem.words.class_prompts)
    return embeddings_of(train), train.labels, prompts, (embeddings_of(val), val.labels)


def _ppa(problem: Problem) -> Predict:
    train, val = problem.train, problem.val
    names = problem.text(problem.words.class_prompts)
    return on_features(
        choose_ppa(
            features_of(train), embeddings_of(train), train.labels, names, features_of(val), val.labels
        )
    )


def _dfr(variant: Literal["subsample", "upsample"]) -> Callable[[Problem], Predict]:
    def fit(problem: Problem) -> Predict:
        train = problem.train
        assert train.groups is not None
        return on_features(
            train_dfr(
                features_of(train),
                train.labels,
                train.groups,
                variant,
                l2=problem.l2,
                seed=problem.seed,
                num_classes=problem.dataset.num_classes,
            ),
        )

    return fit


def _online_group_dro(problem: Problem) -> Predict:
    train = problem.train
    assert train.groups is not None
    return on_features(
        train_online_group_dro(
            features_of(train),
            train.labels,
            train.groups,
            l2=problem.l2,
            seed=problem.seed,
            num_classes=problem.dataset.num_classes,
        ),
    )


def _train_and_val(problem: Problem) -> tuple[FloatArray, IntArray, FloatArray, IntArray]:
    train, val = problem.train, problem.val
    return features_of(train), train.labels, features_of(val), val.labels


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
    import torch

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
        # All images at every step: of CelebA half a second each on two cores, and up to 3000 of them.
        device="cuda" if torch.cuda.is_available() else "cpu",
    )


_CLARIFY = "Lee et al., Clarify (UIST 2024)"
_CLIP = "Radford et al., CLIP (ICML 2021)"
_ADAPTERS = "Zhang and Ré, Contrastive Adapters (NeurIPS 2022)"
_BIASED_PROMPTS = "Chuang et al., Biased Prompts (2023)"
_DFR = "Kirichenko et al., DFR (ICLR 2023)"
_GROUP_DRO = "Sagawa et al., Group DRO (ICLR 2020)"
_PPA = "Zhu et al., PPA (CVPR 2025)"
_BEYOND = "this package"

METHODS: tuple[Method, ...] = (
    Method("class prompt", PROMPTS, _CLIP, _class_prompt),
    Method("group prompt", PROMPTS, _ADAPTERS, _group_prompt, needs=("group_prompts",)),
    Method("class prompt, 80 templates", PROMPTS, _CLIP, _templates, needs=("templates", "class_nouns")),
    Method("RoboShot", PROMPTS, "Adila et al., RoboShot (ICLR 2024)", _roboshot, needs=("reject_pairs",)),
    Method("orthogonal projection", PROMPTS, _BIASED_PROMPTS, _orthogonal, needs=("spurious_prompts",)),
    Method(
        "calibrated projection",
        PROMPTS,
        _BIASED_PROMPTS,
        _calibrated,
        needs=("spurious_prompts", "positive_pairs"),
    ),
    Method("ERM", LABELS, _CLARIFY, _erm),
    Method("class-balanced", LABELS, _CLARIFY, _exact("class_balanced")),
    Method("worst-class", LABELS, _CLARIFY, _exact("worst_class")),
    Method("ERM, published recipe", LABELS, _CLARIFY, _reference("erm")),
    Method("class-balanced, published recipe", LABELS, _CLARIFY, _reference("class_balanced")),
    Method("worst-class, published recipe", LABELS, _CLARIFY, _reference("worst_class")),
    Method("class-balanced, l2 by worst class", LABELS, _BEYOND, _class_balanced_with_chosen_l2),
    Method("JTT", LABELS, "Liu et al., JTT (ICML 2021)", _jtt),
    Method("AFR", LABELS, "Qiu et al., AFR (ICML 2023)", _afr),
    Method("WiSE-FT", LABELS, "Wortsman et al., WiSE-FT (CVPR 2022)", _wise_ft),
    Method("linear adapter", LABELS, _ADAPTERS, _linear_adapter),
    Method("ERM adapter", LABELS, _ADAPTERS, _erm_adapter),
    Method("contrastive adapter", LABELS, _ADAPTERS, _contrastive_adapter),
    Method("PPA", LABELS, _PPA, _ppa),
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
    Method("DFR (subsample)", GROUPS, _DFR, _dfr("subsample")),
    Method("DFR (upsample)", GROUPS, _DFR, _dfr("upsample")),
    Method("DFR (reweight)", GROUPS, _DFR, _exact("dfr")),
    Method("DFR (reweight), l2 by worst group", GROUPS, _DFR, _dfr_with_chosen_l2),
    Method("group DRO (online)", GROUPS, _GROUP_DRO, _online_group_dro),
    Method("group DRO (exact)", GROUPS, _GROUP_DRO, _exact("group_dro")),
    Method("group logit adjustment", GROUPS, _PPA, _logit_adjusted_groups),
    Method("DFR (ours), published recipe", GROUPS, _CLARIFY, _reference("dfr")),
    Method("group DRO (ours), published recipe", GROUPS, _CLARIFY, _reference("group_dro")),
)


def method_named(name: str) -> Method:
    """Return a row of the league; raises DataError when there is none of that name."""
    for method in METHODS:
        if method.name == name:
            return method
    raise DataError(f"No method {name!r}; there are {[method.name for method in METHODS]}.")
