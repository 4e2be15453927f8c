"""Phrases in the similarity space: each embedded once, and compared once with the images of a split."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from clarify_widget.arrays import stays_in_file, unit_rows
from clarify_widget.concepts import Combination, on_one_scale, parse_phrase, unit_similarities
from clarify_widget.encoders.embed import check_phrase, embed_phrase, embed_phrases
from clarify_widget.errors import CancelledError, DataError
from clarify_widget.session.memory import Memory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from clarify_widget.arrays import FloatArray, IntArray
    from clarify_widget.concepts import SharpenedPhrase
    from clarify_widget.datasets.dataset import Dataset, Split
    from clarify_widget.encoders.base import Encoder

EMBEDDED_TOGETHER = 16
"""How many phrases the text tower gets at a time; more are hardly cheaper, and nobody can stop it."""

_EMBEDDINGS_REMEMBERED = 8192
_SIMILARITIES_REMEMBERED = 64
_CLASSES_REMEMBERED = 1024
_REFERENCE_ROWS = 20_000  # of a large file: a mean and a spread need no more
_SMALL_CLASS = 4  # a class of less than one in so many images is compared alone


@dataclass(frozen=True, eq=False)
class EmbeddedPhrases:
    """Phrases that are compared with one class after the other.

    Attributes
    ----------
    phrases
        All m of them.
    plain
        (p,) which have one direction; the others are joined from several, or were sharpened.
    directions
        (p, dim) unit rows.
    """

    phrases: tuple[str, ...]
    plain: IntArray
    directions: FloatArray


class PhraseSimilarities:
    """Similarities of phrases with images; what was computed lately is remembered.

    A phrase is words, a combination of phrases, or the name of one that was sharpened. A text tower may take
    seconds: nothing here holds a lock meanwhile.
    """

    def __init__(self) -> None:
        self._embeddings: Memory[FloatArray] = Memory(_EMBEDDINGS_REMEMBERED)
        self._similarities: Memory[FloatArray] = Memory(_SIMILARITIES_REMEMBERED)
        self._of_class: Memory[FloatArray] = Memory(_CLASSES_REMEMBERED)
        self._sharpened: dict[str, SharpenedPhrase] = {}

    def of(self, phrase: str, split: Split, dataset: Dataset, encoder: Encoder) -> FloatArray:
        """Return (n,) cosines with the embedded images of a split (Lee et al., UIST 2024, Eq. 1).

        Those of a combination are joined on the scale of the training images; see `concepts.combinations`.
        """
        key = (phrase.strip(), split.name)
        known = self._similarities.get(key)
        if known is None:
            known = self._compare(phrase, split, dataset, encoder)
            self._similarities.put(key, known)
        return known

    def of_class(
        self, phrase: str, split: Split, label: int, dataset: Dataset, encoder: Encoder
    ) -> FloatArray:
        """Return (m,) similarities of a phrase with the images of one class of a split, in their order.

        A small class is compared alone: with many classes that is far less than the split.
        """
        inside = np.flatnonzero(split.labels == label)
        phrase = phrase.strip()
        whole = self._similarities.get((phrase, split.name))
        if whole is not None or len(inside) * _SMALL_CLASS >= len(split) or not self._is_plain(phrase):
            return (self.of(phrase, split, dataset, encoder) if whole is None else whole)[inside]
        key = (phrase, split.name, label)
        known = self._of_class.get(key)
        if known is None:
            row = self._row_for(split, phrase, encoder)
            known = unit_similarities(rows_at(split, inside), row)
            self._of_class.put(key, known)
        return known

    def embed(
        self, phrases: Sequence[str], encoder: Encoder, cancelled: Callable[[], bool] | None
    ) -> EmbeddedPhrases:
        """Embed phrases, a few at a time, for `of_many`; CancelledError when `cancelled` said so."""
        plain = [i for i, phrase in enumerate(phrases) if self._is_plain(phrase)]
        rows = self._embed([phrases[i] for i in plain], encoder, cancelled)
        directions: FloatArray = np.array(rows, dtype=np.float32).reshape(len(rows), encoder.dim)
        return EmbeddedPhrases(tuple(phrases), np.array(plain, dtype=np.int64), directions)

    def of_many(
        self, embedded: EmbeddedPhrases, split: Split, rows: IntArray, dataset: Dataset, encoder: Encoder
    ) -> FloatArray:
        """Return (m, n) similarities of m embedded phrases with n rows of a split."""
        similar = np.empty((len(embedded.phrases), len(rows)), dtype=np.float32)
        if len(embedded.plain):
            similar[embedded.plain] = np.clip(embedded.directions @ rows_at(split, rows).T, -1, 1)
        for i in set(range(len(embedded.phrases))).difference(embedded.plain.tolist()):
            similar[i] = self.of(embedded.phrases[i], split, dataset, encoder)[rows]
        return similar

    def remembers(self, phrase: str, split: Split, label: int) -> bool:
        """Whether `of_class` would answer without computing anything."""
        keys = ((phrase.strip(), split.name), (phrase.strip(), split.name, label))
        return self._similarities.get(keys[0]) is not None or self._of_class.get(keys[1]) is not None

    def direction(self, phrase: str, encoder: Encoder) -> FloatArray:
        """Return (dim,) the unit row of a phrase; DataError for a combination, which has no direction."""
        combination = self._parse(phrase)
        if not combination.is_single:
            raise DataError(
                f"“{phrase}” is {len(combination.parts)} phrases joined; each has a direction of its own. "
                f"Sharpen one of them, such as “{combination.parts[0]}”.",
            )
        return self._direction(combination.parts[0], encoder)

    @property
    def sharpened(self) -> tuple[SharpenedPhrase, ...]:
        """Every phrase that was sharpened."""
        return tuple(self._sharpened.values())

    def learn(self, sharpened: Iterable[SharpenedPhrase]) -> None:
        """Know sharpened phrases by their names; DataError for a name that already means something else."""
        for one in sharpened:
            if self._sharpened.setdefault(one.name, one) != one:
                raise DataError(
                    f"“{one.name}” was sharpened by other images here; sharpen “{one.phrase}” by one image "
                    "more or less, so that the two have names of their own.",
                )

    def sharpened_parts(self, phrase: str) -> tuple[SharpenedPhrase, ...]:
        """Return the sharpened phrases that a phrase is, or is joined from."""
        return tuple(self._sharpened[part] for part in self.parts(phrase) if part in self._sharpened)

    def parts(self, phrase: str) -> tuple[str, ...]:
        """Return the phrases that a phrase is joined from; of another one itself."""
        return self._parse(phrase).parts

    def forget_images(self) -> None:
        """Forget the similarities, because the images are others now."""
        self._similarities.clear()
        self._of_class.clear()

    def _is_plain(self, phrase: str) -> bool:
        return phrase not in self._sharpened and parse_phrase(phrase).is_single

    def _parse(self, phrase: str) -> Combination:
        """Take a phrase apart; the name of a sharpened one stays whole, whatever words are in it."""
        name = phrase.strip()
        return Combination((name,)) if name in self._sharpened else parse_phrase(phrase)

    def _embed(
        self, phrases: Sequence[str], encoder: Encoder, cancelled: Callable[[], bool] | None
    ) -> list[FloatArray]:
        known = {phrase: self._embeddings.get(phrase) for phrase in phrases}
        rows = {phrase: row for phrase, row in known.items() if row is not None}
        missing = [phrase for phrase in known if phrase not in rows]
        for first in range(0, len(missing), EMBEDDED_TOGETHER):
            if cancelled is not None and cancelled():
                raise CancelledError("Cancelled before the next phrases were embedded.")
            some = missing[first : first + EMBEDDED_TOGETHER]
            for phrase, row in zip(some, embed_phrases(encoder, some), strict=True):
                self._embeddings.put(phrase, row)
                rows[phrase] = row
        return [rows[phrase] for phrase in phrases]

    def _compare(self, phrase: str, split: Split, dataset: Dataset, encoder: Encoder) -> FloatArray:
        combination = self._parse(phrase)
        if combination.is_single:
            return self._cosines(combination.parts[0], split, encoder)
        check_phrase(phrase)
        joined = combination.join(
            lambda part: on_one_scale(
                self.of(part, split, dataset, encoder), self.of(part, dataset.train, dataset, encoder)
            )
        )
        return joined.astype(np.float32)

    def _cosines(self, phrase: str, split: Split, encoder: Encoder) -> FloatArray:
        return unit_similarities(embeddings_of(split), self._row_for(split, phrase, encoder))

    def _row_for(self, split: Split, phrase: str, encoder: Encoder) -> FloatArray:
        """Return the direction of a phrase, checked against the images that it is to be compared with."""
        assert split.embeddings is not None
        row = self._direction(phrase, encoder)
        if len(row) != split.embeddings.shape[1]:
            raise DataError(
                f"The {split.name} embeddings are {split.embeddings.shape[1]} wide, but {encoder.name} "
                f"makes {len(row)}; pass the encoder that made the embeddings.",
            )
        return row

    def _direction(self, phrase: str, encoder: Encoder) -> FloatArray:
        if phrase in self._sharpened:
            return np.array(self._sharpened[phrase].direction, dtype=np.float32)
        known = self._embeddings.get(phrase)
        if known is None:
            known = embed_phrase(encoder, phrase)
            self._embeddings.put(phrase, known)
        return known


def embeddings_of(split: Split) -> FloatArray:
    """Return what `Session.fit` made sure that every split has."""
    assert split.embeddings is not None
    return split.embeddings


def rows_at(split: Split, rows: IntArray | list[int]) -> FloatArray:
    """Return unit rows of a split's images, wherever they are kept."""
    embeddings = embeddings_of(split)
    chosen: FloatArray = embeddings[rows]
    return unit_rows(chosen, name=f"{split.name} embeddings") if stays_in_file(embeddings) else chosen


def reference_rows(split: Split) -> FloatArray:
    """Return unit rows that stand for a split: all of them, or evenly spaced ones of a large file."""
    embeddings = embeddings_of(split)
    if not stays_in_file(embeddings):
        return embeddings
    return rows_at(split, np.linspace(0, len(split) - 1, _REFERENCE_ROWS, dtype=np.int64))
