"""Retraining from text feedback: as Clarify published it, and variants that need nothing more.

Each variant answers two questions apart. How do phrases cut the classes into slices (`Slicing`)? And how does
a head make use of the slices (`train_*`)? The inputs are always the same: phrases, the labels of train and
validation, and the errors of the ERM head on validation. No one looks at groups.

A phrase whose Error Score is within noise is no feedback: it cuts nothing, and without any cut the ERM head
stays. So a meaningless phrase does no harm.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import expit

from clarify_widget.concepts import error_score
from clarify_widget.encoders.embed import embed_phrase
from clarify_widget.errors import DataError, EmptySliceError
from clarify_widget.methods.choice import choose_by_worst_cell
from clarify_widget.methods.logit_adjustment import train_group_logit_adjustment
from clarify_widget.methods.problem import embeddings_of, features_of
from clarify_widget.training import train_head

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from clarify_widget.arrays import Float64Array, FloatArray, IntArray
    from clarify_widget.concepts import ErrorScore
    from clarify_widget.datasets.dataset import Split
    from clarify_widget.methods.choice import Choice
    from clarify_widget.methods.problem import Classifier, Problem
    from clarify_widget.training import LinearHead

L2_GRID = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)

SIGNIFICANCE = 0.01
"""Chance, shared by all phrases that are given, that a meaningless one is taken for feedback."""

SOFTNESS = 0.1
"""Width of the soft cut, in standard deviations of the similarity within a class."""


@dataclass(frozen=True, eq=False)
class Cut:
    """A direction in the similarity space and the similarity above which an image is on its "with" side."""

    direction: FloatArray  # (e,) unit row
    threshold: float
    score: float  # Error Score on the class whose errors set the threshold
    p_value: float


@dataclass(frozen=True, eq=False)
class Slicing:
    """Which images of which class lie on which side of a cut.

    Attributes
    ----------
    cuts
        For each class with text feedback, its cut.
    """

    cuts: Mapping[int, Cut]

    def margins(self, split: Split) -> Float64Array:
        """Return (n,) similarity minus threshold; nan in classes without a cut."""
        margins = np.full(len(split), np.nan)
        for label, cut in self.cuts.items():
            members = split.labels == label
            # In the precision of the similarities: the threshold lies between two of them.
            similar = embeddings_of(split)[members] @ cut.direction
            margins[members] = similar.astype(np.float64) - cut.threshold
        return margins

    def ids(self, split: Split) -> IntArray:
        """Return (n,) slices: without, then with, class after class; -1 in classes without a cut."""
        margins = self.margins(split)
        first = {label: 2 * number for number, label in enumerate(sorted(self.cuts))}
        ids = np.full(len(split), -1, dtype=np.int64)
        for label in self.cuts:
            members = split.labels == label
            ids[members] = first[label] + (margins[members] > 0)
        return ids

    def check_train(self, problem: Problem) -> IntArray:
        """Return the slices of train; raises EmptySliceError when one has no image."""
        ids = self.ids(problem.train)
        sizes = np.bincount(ids[ids >= 0], minlength=2 * len(self.cuts))
        if not sizes.all():
            label = sorted(self.cuts)[int(np.argmin(sizes)) // 2]
            raise EmptySliceError(
                f"The phrase for {problem.dataset.class_names[label]!r} leaves one of its sides without "
                "training images; choose another phrase.",
            )
        return ids


def slice_by_own_phrase(problem: Problem) -> Slicing:
    """Cut each class by the first phrase given for it, at the threshold of the best Error Score.

    Source: Lee et al., "Clarify" (UIST 2024), sections 4.1 and 4.2.
    """
    rows = _phrase_rows(problem, most=1)
    return _significant({label: _best_cut(problem, row[0], label) for label, row in rows.items()})


def slice_by_mean_phrase(problem: Problem) -> Slicing:
    """Cut each class by the mean direction of all phrases given for it."""
    rows = _phrase_rows(problem)
    means = {label: _unit(row.mean(axis=0)) for label, row in rows.items()}
    return _significant({label: _best_cut(problem, mean, label) for label, mean in means.items()})


def slice_by_one_phrase(problem: Problem) -> Slicing:
    """Cut both of two classes by the one phrase with the highest Error Score, at the same threshold.

    What misleads the model about one class often misleads it about the other: "water" tells landbirds on
    water from the rest, and waterbirds on land too. Of many classes each is misled by something else.

    Raises
    ------
    DataError
        When there are more than two classes, or no phrases.
    """
    if problem.dataset.num_classes != 2:
        raise DataError(
            f"One phrase for both classes needs two classes; {problem.dataset.name} has "
            f"{problem.dataset.num_classes}. Cut each by its own phrase.",
        )
    own = slice_by_own_phrase(problem)
    if not own.cuts:
        return own
    best = max(own.cuts.values(), key=lambda cut: cut.score)
    return Slicing(dict.fromkeys(range(problem.dataset.num_classes), best))


def slice_by_contrast(problem: Problem) -> Slicing:
    """Cut each class by its own phrase against the phrases of the other classes.

    "forest" and "ocean" say the same thing from two sides, and the difference of their similarities is less
    noisy than either, since what all photographs have in common cancels. Two classes share one direction,
    and the threshold of the class where it has the higher Error Score.
    """
    rows = {label: row[0] for label, row in _phrase_rows(problem, most=1).items()}
    if len(rows) < 2:
        raise DataError("A contrast needs phrases for at least two classes.")
    total = sum(rows.values())
    cuts = {
        label: _best_cut(problem, _unit(row - (total - row) / (len(rows) - 1)), label)
        for label, row in rows.items()
    }
    if problem.dataset.num_classes == 2:
        cuts = dict.fromkeys(cuts, max(cuts.values(), key=lambda cut: cut.score))
    return _significant(cuts)


def train_slice_balanced(problem: Problem, slicing: Slicing, *, l2: float | None = None) -> LinearHead:
    """Return the head for which all slices of a class count equally (paper, Eq. 2)."""
    return _train(problem, "slice_balanced", slicing.check_train(problem), l2)


def train_worst_slice(problem: Problem, slicing: Slicing, *, l2: float | None = None) -> LinearHead:
    """Return the head with the least mean loss on its worst slice (paper, appendix A)."""
    return _train(problem, "worst_slice", slicing.check_train(problem), l2)


def train_slice_logit_adjustment(problem: Problem, slicing: Slicing) -> Classifier:
    """Return a classifier of slices whose priors are taken out, its scores summed for each class.

    The slices stand where pseudo-groups stand in `train_ppa`; a class without a cut is one slice.
    """
    if not slicing.cuts:
        return problem.erm
    ids = slicing.check_train(problem)
    labels = problem.train.labels
    _, cells = np.unique(_whole(ids, labels), return_inverse=True)
    class_of_cell = labels[np.unique(cells, return_index=True)[1]]
    return train_group_logit_adjustment(features_of(problem.train), cells, class_of_cell, l2=problem.l2)


def train_soft_slices(problem: Problem, slicing: Slicing, *, l2: float | None = None) -> LinearHead:
    """Return the slice-balanced head of slices that every image belongs to in part.

    An image close to the threshold is on neither side for sure. Its share of the "with" slice is a sigmoid of
    its distance to the threshold, `SOFTNESS` wide; each soft slice has the total that Eq. 2 gives it.
    """
    if not slicing.cuts:
        return problem.erm
    slicing.check_train(problem)
    train = problem.train
    margins = slicing.margins(train)
    weights = np.full(len(train), 1 / len(train))
    for label in slicing.cuts:
        members = train.labels == label
        share = expit(margins[members] / (SOFTNESS * margins[members].std()))
        balanced = share / share.sum() + (1 - share) / (1 - share).sum()
        weights[members] = balanced / problem.dataset.num_classes
    return train_head(
        features_of(train),
        train.labels,
        sample_weight=weights,
        l2=problem.l2 if l2 is None else l2,
        num_classes=problem.dataset.num_classes,
        initial=problem.erm,
    )


def train_product_of_phrases(problem: Problem) -> LinearHead:
    """Return the slice-balanced head of several phrases a class, each combination of sides a slice."""
    train = problem.train
    ids = np.full(len(train), -1, dtype=np.int64)
    rows = _phrase_rows(problem)
    level = SIGNIFICANCE / sum(map(len, rows.values()))
    for label, directions in rows.items():
        cuts = [_best_cut(problem, direction, label) for direction in directions]
        cuts = [cut for cut in cuts if cut.p_value <= level]
        if not cuts:
            continue
        members = np.flatnonzero(train.labels == label)
        sides = [embeddings_of(train)[members] @ cut.direction > cut.threshold for cut in cuts]
        _, cell = np.unique(np.stack(sides), axis=1, return_inverse=True)
        ids[members] = ids.max() + 1 + cell
    return _train(problem, "slice_balanced", ids, None)


def choose_l2(
    problem: Problem, slicing: Slicing, train: Callable[[float], LinearHead], grid: Sequence[float] = L2_GRID
) -> Choice[LinearHead]:
    """Return the head of the penalty whose worst validation slice has the highest accuracy.

    Slices are known on validation also, so no group label is needed; a class without a cut is one slice.
    """
    return choose_by_worst_cell(
        (({"l2": l2}, train(l2)) for l2 in grid),
        features_of(problem.val),
        problem.val.labels,
        _whole(slicing.ids(problem.val), problem.val.labels),
    )


def _phrase_rows(problem: Problem, most: int | None = None) -> dict[int, FloatArray]:
    """Return for each class with phrases their (p, e) unit rows."""
    names = problem.dataset.class_names
    given = {label: problem.words.phrases.get(name, ()) for label, name in enumerate(names)}
    rows: dict[int, FloatArray] = {
        label: np.array([embed_phrase(problem.encoder, phrase) for phrase in phrases[:most]], np.float32)
        for label, phrases in given.items()
        if phrases
    }
    if not rows:
        raise DataError("Text feedback needs a phrase; give Words(phrases={class name: (phrase, ...)}).")
    return rows


def _best_cut(problem: Problem, direction: FloatArray, label: int) -> Cut:
    """Return the cut at the threshold of the best Error Score on validation."""
    members = problem.val.labels == label
    similar = embeddings_of(problem.val)[members] @ direction
    correct = problem.erm_correct[members]
    found: ErrorScore = error_score(similar[~correct], similar[correct])
    return Cut(direction, found.threshold, found.score, found.p_value)


def _significant(cuts: Mapping[int, Cut]) -> Slicing:
    """Leave out the cuts that chance could have made (Bonferroni over the classes)."""
    level = SIGNIFICANCE / len(cuts)
    return Slicing({label: cut for label, cut in cuts.items() if cut.p_value <= level})


def _train(problem: Problem, objective: str, slices: IntArray, l2: float | None) -> LinearHead:
    if not (slices >= 0).any():
        return problem.erm if l2 is None else problem.train_erm(l2)
    return train_head(
        features_of(problem.train),
        problem.train.labels,
        objective,
        slices=slices,
        l2=problem.l2 if l2 is None else l2,
        num_classes=problem.dataset.num_classes,
        initial=problem.erm,
    )


def _whole(ids: IntArray, labels: IntArray) -> IntArray:
    """Return slices (n,), with every class without a cut as one slice of its own."""
    return np.where(ids >= 0, ids, ids.max(initial=-1) + 1 + labels)


def _unit(row: FloatArray) -> FloatArray:
    unit: FloatArray = row / np.linalg.norm(row)
    return unit
