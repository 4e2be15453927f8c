"""Phrases in the similarity space: each embedded once, and compared once with the images of a split."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

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


class PhraseSimilarities:
    """Similarities of phrases with images; what was computed lately is remembered.

    A phrase is words, a combination of phrases, or the name of one that was sharpened. A text tower may take
    seconds: nothing here holds a lock meanwhile.
    """

    def __init__(self) -> None:
        self._embeddings: Memory[FloatArray] = Memory(_EMBEDDINGS_REMEMBERED)
        self._similarities: Memory[FloatArray] = Memory(_SIMILARITIES_REMEMBERED)
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

    def of_many(
        self,
        phrases: Sequence[str],
        split: Split,
        rows: IntArray,
        dataset: Dataset,
        encoder: Encoder,
        cancelled: Callable[[], bool] | None,
    ) -> FloatArray:
        """Return (m, n) similarities of m phrases with n rows of a split, embedding a few at a time."""
        plain = [i for i, phrase in enumerate(phrases) if self._is_plain(phrase)]
        self._embed([phrases[i] for i in plain], encoder, cancelled)
        images = np.asarray(split.embeddings)[rows]
        similar = np.empty((len(phrases), len(rows)), dtype=np.float32)
        if plain:
            directions = np.stack([self._direction(phrases[i], encoder) for i in plain])
            similar[plain] = np.clip(directions @ images.T, -1, 1)
        for i in set(range(len(phrases))).difference(plain):
            similar[i] = self.of(phrases[i], split, dataset, encoder)[rows]
        return similar

    def remembers(self, phrase: str, split: Split) -> bool:
        """Whether `of` would answer without computing anything."""
        return self._similarities.get((phrase.strip(), split.name)) is not None

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

    def _is_plain(self, phrase: str) -> bool:
        return phrase not in self._sharpened and parse_phrase(phrase).is_single

    def _parse(self, phrase: str) -> Combination:
        """Take a phrase apart; the name of a sharpened one stays whole, whatever words are in it."""
        name = phrase.strip()
        return Combination((name,)) if name in self._sharpened else parse_phrase(phrase)

    def _embed(self, phrases: Sequence[str], encoder: Encoder, cancelled: Callable[[], bool] | None) -> None:
        missing = [phrase for phrase in phrases if self._embeddings.get(phrase) is None]
        for first in range(0, len(missing), EMBEDDED_TOGETHER):
            if cancelled is not None and cancelled():
                raise CancelledError("Cancelled before the next phrases were embedded.")
            some = missing[first : first + EMBEDDED_TOGETHER]
            for phrase, row in zip(some, embed_phrases(encoder, some), strict=True):
                self._embeddings.put(phrase, row)

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
        assert split.embeddings is not None
        row = self._direction(phrase, encoder)
        if len(row) != split.embeddings.shape[1]:
            raise DataError(
                f"The {split.name} embeddings are {split.embeddings.shape[1]} wide, but {encoder.name} "
                f"makes {len(row)}; pass the encoder that made the embeddings.",
            )
        return unit_similarities(split.embeddings, row)

    def _direction(self, phrase: str, encoder: Encoder) -> FloatArray:
        if phrase in self._sharpened:
            return np.array(self._sharpened[phrase].direction, dtype=np.float32)
        known = self._embeddings.get(phrase)
        if known is None:
            known = embed_phrase(encoder, phrase)
            self._embeddings.put(phrase, known)
        return known
