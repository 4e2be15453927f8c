"""Which attributes a model leans on: how much more often it is right where they are, class by class.

A model that is right on pacifiers beside a baby and wrong on those without leans on the baby. All candidates
are compared for all classes at once: the counts are products of sparse one-hot matrices with the table of
attributes, so the cost is linear in images times attributes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from html import escape
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from clarify_widget.arrays import check_labels
from clarify_widget.concepts.significance import LEVEL
from clarify_widget.errors import DataError, MissingDependencyError, ScoreError
from clarify_widget.evaluation import CellAccuracy, fisher_p_values, holm, newcombe_interval
from clarify_widget.tables import html_table, text_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from clarify_widget.arrays import BoolArray, Float64Array, IntArray
    from clarify_widget.discovery.attributes import Attributes

Direction = Literal[1, -1]

LEAST = 10
"""Images with, and without, an attribute that a class must have; the published code asks for 10 with it."""

SHOWN = 20
"""Rows that a table shows of all."""

_BLOCK = 64  # attributes that are counted together


@dataclass(frozen=True)
class Discrepancy:
    """How the accuracy of a model on one class differs with one attribute.

    Attributes
    ----------
    class_name, attribute
        What the numbers are about.
    present, absent
        The images of the class that have the attribute, and that have it not.
    interval
        Newcombe's 95% interval of the difference.
    p_value
        Fisher's exact test of no difference, two-sided.
    corrected_p_value
        The same by Holm's method for all pairs that were tested.
    confused_with
        The class that the wrong images are most often taken for, on the side where the model is worse.
    threshold
        The similarity above which an image has the attribute, ready for an annotation; None where it is not a
        phrase of the encoder.
    """

    class_name: str
    attribute: str
    present: CellAccuracy
    absent: CellAccuracy
    interval: tuple[float, float]
    p_value: float
    corrected_p_value: float
    confused_with: str
    threshold: float | None

    @property
    def difference(self) -> float:
        """Accuracy with the attribute minus accuracy without, -1..1 (paper, Eq. 7)."""
        return self.present.accuracy - self.absent.accuracy

    @property
    def significant(self) -> bool:
        """Whether the difference is more than chance, at 5% for all pairs together."""
        return self.corrected_p_value <= LEVEL

    @property
    def sentence(self) -> str:
        """The result in one sentence for people."""
        low, high = self.interval
        doubt = "" if self.significant else " Among so many pairs this could well be chance."
        return (
            f"On {self.class_name} the AI is right on {self.present.accuracy:.1%} of {self.present.size:,} "
            f"images with “{self.attribute}” and on {self.absent.accuracy:.1%} of {self.absent.size:,} "
            f"without: {100 * self.difference:+.1f} points ({100 * low:+.0f} to {100 * high:+.0f}). The "
            f"wrong ones are most often taken for {self.confused_with}.{doubt}"
        )


@dataclass(frozen=True, eq=False)
class _Pairs:
    """One entry a tested pair of class and attribute, in no order."""

    label: IntArray
    attribute: IntArray
    present_correct: IntArray
    present_size: IntArray
    absent_correct: IntArray
    absent_size: IntArray
    confused: IntArray

    @property
    def difference(self) -> Float64Array:
        difference: Float64Array = (
            self.present_correct / self.present_size - self.absent_correct / self.absent_size
        )
        return difference

    @property
    def counts(self) -> tuple[IntArray, IntArray, IntArray, IntArray]:
        return self.present_correct, self.present_size, self.absent_correct, self.absent_size

    def intervals(self, chosen: IntArray) -> tuple[Float64Array, Float64Array]:
        right, size, other_right, other_size = (count[chosen] for count in self.counts)
        return newcombe_interval(right, size, other_right, other_size)


@dataclass(frozen=True, eq=False, repr=False)
class Discrepancies:
    """The accuracy discrepancies of all attributes on all classes; made by `accuracy_discrepancies`.

    Attributes
    ----------
    class_names
        C names.
    attributes
        Which images have which attributes, and who says so.
    pairs
        The counts of each pair of class and attribute that was tested.
    p_values, corrected_p_values
        (m,) Fisher's exact test, alone and by Holm's method for all m pairs.
    """

    class_names: tuple[str, ...]
    attributes: Attributes
    pairs: _Pairs
    p_values: Float64Array
    corrected_p_values: Float64Array

    def __len__(self) -> int:
        """Return the number of tested pairs."""
        return len(self.p_values)

    def ranked(
        self,
        class_name: str | None = None,
        *,
        direction: Direction = 1,
        most: int | None = None,
        most_a_class: int | None = None,
    ) -> tuple[Discrepancy, ...]:
        """Return pairs, those first whose difference is the least likely chance.

        The paper ranks by the difference alone, its code after a choice by mutual information with the error;
        by the p-value, which goes with that information, a large difference of a few images does not come
        before one of many.

        Parameters
        ----------
        class_name
            Only the pairs of this class; None means all.
        direction
            1 puts attributes first that the model is right with, as the paper does: it leans on them; those
            that it is wrong with come last. -1 turns this around: what comes first completes "The AI is often
            wrong on images that have ___ in it."
        most
            How many to return; None means all.
        most_a_class
            How many to return of one class; the paper takes 5.

        Raises
        ------
        DataError
            When there is no such class.
        """
        order = self._order(direction)
        if class_name is not None:
            if class_name not in self.class_names:
                raise DataError(f"There is no class {class_name!r} among {list(self.class_names[:10])}.")
            order = order[self.pairs.label[order] == self.class_names.index(class_name)]
        if most_a_class is not None:
            order = order[_place_in_class(self.pairs.label[order]) < most_a_class]
        return self._rows(order[:most])

    @property
    def significant(self) -> int:
        """How many pairs differ by more than chance."""
        return int((self.corrected_p_values <= LEVEL).sum())

    @property
    def sentence(self) -> str:
        """What was tested, and how much of it is more than chance."""
        return (
            f"{len(self):,} pairs of class and attribute were tested; in {self.significant:,} the accuracy "
            "differs by more than chance (Fisher's exact test, Holm's correction: where no attribute "
            f"matters, even one such pair comes up at most one time in {1 / LEVEL:.0f}). "
            f"Attributes by {self.attributes.source}."
        )

    def to_frame(self) -> Any:
        """Return all pairs as a pandas DataFrame in the order of `ranked`, one row a pair.

        Raises
        ------
        MissingDependencyError
            When pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise MissingDependencyError("A data frame needs pandas; run `pip install pandas`.") from error
        order, pairs = self._order(1), self.pairs
        low, high = pairs.intervals(order)
        return pd.DataFrame(
            {
                "class": np.array(self.class_names)[pairs.label[order]],
                "attribute": np.array(self.attributes.names)[pairs.attribute[order]],
                "confused_with": np.array(self.class_names)[pairs.confused[order]],
                "difference": pairs.difference[order],
                "low": low,
                "high": high,
                "accuracy_with": (pairs.present_correct / pairs.present_size)[order],
                "images_with": pairs.present_size[order],
                "accuracy_without": (pairs.absent_correct / pairs.absent_size)[order],
                "images_without": pairs.absent_size[order],
                "p_value": self.p_values[order],
                "corrected_p_value": self.corrected_p_values[order],
                "threshold": self._thresholds[pairs.attribute[order]],
            }
        )

    def __str__(self) -> str:
        """Return the first pairs as text, one a line."""
        return f"{text_table(_TITLES, self._cells(), left=3)}\n{self.sentence}"

    def __repr__(self) -> str:
        """Return how many pairs there are instead of all of them."""
        return f"<Discrepancies of {len(self):,} pairs of class and attribute>"

    def _repr_html_(self) -> str:
        """Return the first pairs as a notebook shows them."""
        return f"{html_table(_TITLES, self._cells(), left=3)}<p>{escape(self.sentence)}</p>"

    def _cells(self) -> list[tuple[str, ...]]:
        return [_cells(row) for row in self.ranked(most=SHOWN)]

    def _order(self, direction: Direction) -> IntArray:
        """Return (m,) pairs: by sign and evidence, then by difference, then by how clear the attribute is."""
        difference = direction * self.pairs.difference
        with np.errstate(divide="ignore"):  # a p-value may be too small for a float
            evidence = np.sign(difference) * -np.log(self.p_values)
        gaps = (
            np.zeros(self.attributes.size) if self.attributes.gaps is None else np.array(self.attributes.gaps)
        )
        clear = gaps[self.pairs.attribute]
        return np.lexsort((self.pairs.attribute, self.pairs.label, -clear, -difference, -evidence))

    @cached_property
    def _thresholds(self) -> Float64Array:
        """Return (S,) thresholds for annotations; nan where there is none."""
        known = self.attributes.thresholds if self.attributes.by_phrase else None
        return np.full(self.attributes.size, np.nan) if known is None else np.array(known)

    def _rows(self, order: IntArray) -> tuple[Discrepancy, ...]:
        pairs = self.pairs
        low, high = pairs.intervals(order)
        return tuple(
            self._row(pair, (low_of, high_of))
            for pair, low_of, high_of in zip(order.tolist(), low.tolist(), high.tolist(), strict=True)
        )

    def _row(self, pair: int, interval: tuple[float, float]) -> Discrepancy:
        pairs, attribute = self.pairs, int(self.pairs.attribute[pair])
        threshold = float(self._thresholds[attribute])
        name = self.attributes.names[attribute]
        return Discrepancy(
            self.class_names[pairs.label[pair]],
            name,
            CellAccuracy(f"with {name}", int(pairs.present_size[pair]), int(pairs.present_correct[pair])),
            CellAccuracy(f"without {name}", int(pairs.absent_size[pair]), int(pairs.absent_correct[pair])),
            interval,
            float(self.p_values[pair]),
            float(self.corrected_p_values[pair]),
            self.class_names[pairs.confused[pair]],
            None if np.isnan(threshold) else threshold,
        )


def accuracy_discrepancies(
    attributes: Attributes,
    labels: npt.ArrayLike,
    predictions: npt.ArrayLike,
    class_names: Sequence[str],
    *,
    least: int = LEAST,
) -> Discrepancies:
    """Compare, for every class, the accuracy with and without every attribute.

    A pair of class and attribute is tested where the class has right and wrong images and enough of them
    have the attribute and have it not. None of that says on which side the wrong ones are, so leaving the
    other pairs out of the correction is fair.

    Parameters
    ----------
    attributes
        Of n images.
    labels, predictions
        (n,) class indices 0..C-1, and those that the model predicts.
    class_names
        C names.
    least
        How many images of the class must have the attribute, and how many must not, at least 1.

    Raises
    ------
    ScoreError
        When no pair can be tested.
    DataError
        When lengths differ, or indices leave their range.

    Notes
    -----
    Yang et al., "Mitigating Spurious Correlations in Multi-modal Models during Fine-tuning" (ICML 2023),
    section 4.1, Eq. 7. Intervals, tests and the correction are ours: the paper has none, and of a thousand
    pairs the largest differences are chance. Holm's method and not a false discovery rate, because each row
    is shown to a person as a finding, and because attributes such as "forest" and "trees" come together.
    """
    truth = check_labels(labels, num_classes=len(class_names))
    guesses = check_labels(predictions, num_classes=len(class_names), name="predictions")
    if not len(truth) == len(guesses) == len(attributes):
        raise DataError(
            f"There are {len(truth)} labels, {len(guesses)} predictions and attributes of {len(attributes)} "
            "images; give one of each an image, in the same order."
        )
    if not attributes.size:
        raise DataError("There are no attributes to compare accuracies by; give at least one.")
    if least < 1:
        raise DataError(f"least must be at least 1 image; got {least}.")
    images = _Images(truth, guesses, len(class_names))
    pairs = _joined(
        images.pairs(attributes.has[:, first : first + _BLOCK], first, least)
        for first in range(0, attributes.size, _BLOCK)
    )
    if not len(pairs.label):
        raise ScoreError(
            f"No class has right and wrong images of which at least {least} have one of the "
            f"{attributes.size} attributes and {least} have it not; give more images "
            "or other attributes, or a smaller least."
        )
    p_values = fisher_p_values(*pairs.counts)
    return Discrepancies(tuple(class_names), attributes, pairs, p_values, holm(p_values))


class _Images:
    """Labels and predictions as sparse one-hot matrices, to be multiplied with attributes."""

    def __init__(self, labels: IntArray, predictions: IntArray, num_classes: int) -> None:
        wrong = np.flatnonzero(labels != predictions)
        mistakes, which = np.unique(labels[wrong] * num_classes + predictions[wrong], return_inverse=True)
        every = np.arange(len(labels))
        right = np.flatnonzero(labels == predictions)
        self._of_class = _one_hot(labels, every, (num_classes, len(labels)))
        self._right = _one_hot(labels[right], right, self._of_class.shape)
        # A mistake is a class and what it was taken for; they come class by class.
        self._mistakes = _one_hot(which, wrong, (len(mistakes), len(labels)))
        self._mistaken, self._taken_for = np.divmod(mistakes, num_classes)

    def pairs(self, has: BoolArray, first: int, least: int) -> _Pairs:
        """Return the pairs that can be tested, of all classes and some attributes (n, s)."""
        size, correct = _count(self._of_class), _count(self._right)
        present_size, present_correct = self._of_class @ _counted(has), self._right @ _counted(has)
        absent_size, absent_correct = size - present_size, correct - present_correct
        label, attribute = np.nonzero(
            (correct > 0) & (correct < size) & (present_size >= least) & (absent_size >= least)
        )
        at = label, attribute
        worse_without = present_correct * np.maximum(absent_size, 1) >= absent_correct * np.maximum(
            present_size, 1
        )
        return _Pairs(
            label,
            first + attribute,
            present_correct[at],
            present_size[at],
            absent_correct[at],
            absent_size[at],
            self._confused(has, worse_without)[at],
        )

    def _confused(self, has: BoolArray, worse_without: BoolArray) -> IntArray:
        """Return (C, s) what images on the worse side are most often taken for; -1 without mistakes."""
        kinds = len(self._mistaken)
        confused = np.full(worse_without.shape, -1)
        if not kinds:
            return confused
        present = self._mistakes @ _counted(has)
        on_worse_side = np.where(worse_without[self._mistaken], _count(self._mistakes) - present, present)
        # The mistake's place goes into the number that is compared: of equally frequent ones the first wins.
        numbered = on_worse_side * kinds + np.arange(kinds - 1, -1, -1)[:, None]
        starts = np.flatnonzero(np.diff(self._mistaken, prepend=-1))
        winner = kinds - 1 - np.maximum.reduceat(numbered, starts, axis=0) % kinds
        confused[self._mistaken[starts]] = self._taken_for[winner]
        return confused


def _one_hot(rows: IntArray, columns: IntArray, shape: tuple[int, int]) -> Any:
    from scipy.sparse import csr_array

    return csr_array((np.ones(len(rows), dtype=np.int64), (rows, columns)), shape=shape)


def _count(one_hot: Any) -> IntArray:
    """Return (rows, 1) how many images there are of each kind."""
    counts: IntArray = np.diff(one_hot.indptr)[:, None].astype(np.int64)
    return counts


def _counted(has: BoolArray) -> IntArray:
    return has.astype(np.int64)


def _joined(parts: Any) -> _Pairs:
    listed = list(parts)
    fields = _Pairs.__dataclass_fields__
    return _Pairs(**{name: np.concatenate([getattr(part, name) for part in listed]) for name in fields})


def _place_in_class(labels: IntArray) -> IntArray:
    """Return (m,) the how-manieth of its class each one is."""
    order = np.argsort(labels, kind="stable")
    ordered = labels[order]
    starts = np.flatnonzero(np.diff(ordered, prepend=-1))
    place = np.empty(len(labels), dtype=np.int64)
    place[order] = np.arange(len(labels)) - np.repeat(starts, np.diff(np.append(starts, len(labels))))
    return place


_TITLES = (
    "Class",
    "Attribute",
    "Confused with",
    "Discrepancy",
    "95% interval",
    "With",
    "Images",
    "Without",
    "Images",
    "p, corrected",
)


def _cells(row: Discrepancy) -> tuple[str, ...]:
    low, high = row.interval
    return (
        row.class_name,
        row.attribute,
        row.confused_with,
        f"{100 * row.difference:+.1f}",
        f"{100 * low:+.0f} to {100 * high:+.0f}",
        f"{row.present.accuracy:.1%}",
        f"{row.present.size:,}",
        f"{row.absent.accuracy:.1%}",
        f"{row.absent.size:,}",
        "< 0.001" if row.corrected_p_value < 0.001 else f"{row.corrected_p_value:.2g}",
    )
