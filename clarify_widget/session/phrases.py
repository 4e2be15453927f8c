"""Phrases in the similarity space: each embedded once, and compared once with the images of a split."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clarify_widget.concepts import unit_similarities
from clarify_widget.encoders.embed import embed_phrase
from clarify_widget.errors import DataError
from clarify_widget.session.memory import Memory

if TYPE_CHECKING:
    from clarify_widget.arrays import FloatArray
    from clarify_widget.datasets.dataset import Split
    from clarify_widget.encoders.base import Encoder

_EMBEDDINGS_REMEMBERED = 1024
_SIMILARITIES_REMEMBERED = 64


class PhraseSimilarities:
    """Similarities of phrases with images; what was computed lately is remembered.

    A text tower may take seconds: nothing here holds a lock meanwhile.
    """

    def __init__(self) -> None:
        self._embeddings: Memory[FloatArray] = Memory(_EMBEDDINGS_REMEMBERED)
        self._similarities: Memory[FloatArray] = Memory(_SIMILARITIES_REMEMBERED)

    def of(self, phrase: str, split: Split, encoder: Encoder) -> FloatArray:
        """Return (n,) cosines with the embedded images of a split (Lee et al., UIST 2024, Eq. 1)."""
        key = (phrase.strip(), split.name)
        known = self._similarities.get(key)
        if known is None:
            known = self._compare(phrase, split, encoder)
            self._similarities.put(key, known)
        return known

    def forget_images(self) -> None:
        """Forget the similarities, because the images are others now."""
        self._similarities.clear()

    def _compare(self, phrase: str, split: Split, encoder: Encoder) -> FloatArray:
        assert split.embeddings is not None
        row = self._embedding(phrase, encoder)
        if len(row) != split.embeddings.shape[1]:
            raise DataError(
                f"The {split.name} embeddings are {split.embeddings.shape[1]} wide, but {encoder.name} "
                f"makes {len(row)}; pass the encoder that made the embeddings.",
            )
        return unit_similarities(split.embeddings, row)

    def _embedding(self, phrase: str, encoder: Encoder) -> FloatArray:
        key = phrase.strip()
        known = self._embeddings.get(key)
        if known is None:
            known = embed_phrase(encoder, phrase)
            self._embeddings.put(key, known)
        return known
