"""What a method is given: prepared splits, the words that it may use, and settings shared by all methods."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import numpy as np

from clarify_widget.concepts import unit_similarities
from clarify_widget.errors import DataError
from clarify_widget.training import train_head
from clarify_widget.training.reference import LEARNING_RATE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clarify_widget.arrays import BoolArray, FloatArray, IntArray
    from clarify_widget.datasets.dataset import Dataset, Split
    from clarify_widget.encoders.base import Encoder
    from clarify_widget.training import LinearHead


class Classifier(Protocol):
    """Anything that predicts classes from rows."""

    def predict(self, rows: FloatArray, /) -> IntArray:
        """Return (n,) class indices."""
        ...


@dataclass(frozen=True)
class Words:
    """Everything in words that some method uses.

    Attributes
    ----------
    class_prompts
        C prompts, one a class, as the encoder wants them.
    group_prompts
        G prompts in the order of the data set's groups; () leaves out the methods that need them.
    phrases
        Text feedback: for a class, phrases that tell its right from its wrong images, best first.
    spurious_prompts
        Prompts of the spurious attribute's values, for the projections of Chuang et al.
    positive_pairs
        Pairs of prompts of one class with different values of the attribute, for the calibrated projection.
    reject_pairs, accept_pairs
        Pairs of texts whose differences RoboShot removes from, and strengthens in, the images.
    templates
        Sentences with {phrase} for the ensembled prompt; () where the encoder takes bare phrases only.
    class_nouns
        What the templates are filled with, one a class.
    """

    class_prompts: tuple[str, ...]
    group_prompts: tuple[str, ...] = ()
    phrases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    spurious_prompts: tuple[str, ...] = ()
    positive_pairs: tuple[tuple[str, str], ...] = ()
    reject_pairs: tuple[tuple[str, str], ...] = ()
    accept_pairs: tuple[tuple[str, str], ...] = ()
    templates: tuple[str, ...] = ()
    class_nouns: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Problem:
    """One data set with its words, on which every method is tried.

    Attributes
    ----------
    dataset
        With features and unit embeddings in every split (see `prepare`), and a test split.
    encoder
        Whose text tower reads the words.
    words
        What may be said.
    l2
        Strength of the penalty of every head, unless a method chooses its own.
    seed
        For methods with chance in them.
    learning_rate
        Of the published recipe: 0.01 for Waterbirds, 0.1 for CelebA.

    Raises
    ------
    DataError
        When a split lacks features or embeddings, there is no test split, or words do not fit the classes.
    """

    dataset: Dataset
    encoder: Encoder
    words: Words
    l2: float = 1e-2
    seed: int = 0
    learning_rate: float = LEARNING_RATE

    def __post_init__(self) -> None:
        """Check that every method will find what it needs."""
        dataset, words = self.dataset, self.words
        if dataset.test is None:
            raise DataError(f"{dataset.name} has no test split to judge methods on; give one.")
        for split in dataset.splits():
            if split.features is None or split.embeddings is None:
                raise DataError(f"{split.name} lacks features or embeddings; call prepare(dataset, encoder).")
        if len(words.class_prompts) != dataset.num_classes:
            raise DataError(
                f"There are {len(words.class_prompts)} class prompts for {dataset.num_classes} classes."
            )
        if words.group_prompts and len(words.group_prompts) != len(dataset.group_names or ()):
            raise DataError(
                f"There are {len(words.group_prompts)} group prompts for groups {dataset.group_names}."
            )
        unknown = sorted(set(words.phrases) - set(dataset.class_names))
        if unknown:
            raise DataError(f"phrases name {unknown}; the classes are {list(dataset.class_names)}.")

    @property
    def train(self) -> Split:
        """The training split."""
        return self.dataset.train

    @property
    def val(self) -> Split:
        """The validation split; methods other than the oracles must not look at its groups."""
        return self.dataset.val

    @property
    def test(self) -> Split:
        """The test split, which no method looks at."""
        assert self.dataset.test is not None
        return self.dataset.test

    @cached_property
    def erm(self) -> LinearHead:
        """The ERM head that every later method starts from."""
        return self.train_erm(self.l2)

    @cached_property
    def erm_correct(self) -> BoolArray:
        """(n_val,) which validation images the ERM head gets right."""
        correct: BoolArray = self.erm.predict(features_of(self.val)) == self.val.labels
        return correct

    def train_erm(self, l2: float) -> LinearHead:
        """Return the ERM head of another penalty."""
        return train_head(
            features_of(self.train), self.train.labels, l2=l2, num_classes=self.dataset.num_classes
        )

    def text(self, texts: tuple[str, ...]) -> FloatArray:
        """Return (len(texts), e) unit rows of texts as they are."""
        return self.encoder.encode_text(texts)

    def text_pairs(self, pairs: tuple[tuple[str, str], ...]) -> FloatArray:
        """Return (len(pairs), 2, e) unit rows of pairs of texts."""
        rows = self.text(tuple(text for pair in pairs for text in pair))
        paired: FloatArray = rows.reshape(len(pairs), 2, -1)
        return paired

    def similarities(self, phrase: FloatArray, split: Split) -> FloatArray:
        """Return (n,) similarities of a split with a text row (e,)."""
        return unit_similarities(embeddings_of(split), phrase)

    def class_of_group(self) -> IntArray:
        """Return (G,) the class that each group is a part of."""
        groups = self.test.groups
        assert groups is not None
        classes = np.zeros(len(self.dataset.group_names or ()), dtype=np.int64)
        classes[groups] = self.test.labels
        return classes

    def train_group_sizes(self) -> IntArray | None:
        """Return (G,) numbers of training images a group, where groups are known."""
        names, groups = self.dataset.group_names, self.train.groups
        if names is None or groups is None:
            return None
        sizes: IntArray = np.bincount(groups, minlength=len(names))
        return sizes


def features_of(split: Split) -> FloatArray:
    """Return (n, d) what heads train on."""
    assert split.features is not None
    return split.features


def embeddings_of(split: Split) -> FloatArray:
    """Return (n, e) unit rows that words are compared with."""
    assert split.embeddings is not None
    return split.embeddings
