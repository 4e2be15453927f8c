"""An encoder over a table of phrases, for embeddings that were made elsewhere."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from clarify_widget.arrays import check_rows
from clarify_widget.errors import DataError, EncoderError, PhraseError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import PIL.Image

    from clarify_widget.arrays import FloatArray

_CLOSE_PHRASES = 5


class PrecomputedEncoder:
    """A text tower that looks its answers up, and no image tower.

    Parameters
    ----------
    phrases
        p phrases; case and the space around them do not matter.
    phrase_embeddings
        (p, dim) their rows in the space of the images' embeddings; made unit length.
    name
        A name that tells this table from every other one.
    template
        The sentence that the rows were made of; "{phrase}" where they were made of the bare phrases.

    Raises
    ------
    DataError
        When phrases and rows differ in number, or a row is zero or not finite.
    """

    def __init__(
        self,
        phrases: Sequence[str],
        phrase_embeddings: npt.ArrayLike,
        *,
        name: str = "precomputed",
        template: str = "{phrase}",
    ) -> None:
        rows = check_rows(phrase_embeddings, name="phrase_embeddings").astype(np.float32)
        if len(rows) != len(phrases):
            raise DataError(
                f"phrase_embeddings has {len(rows)} rows for {len(phrases)} phrases; give one row a phrase."
            )
        if not len(rows):
            raise DataError("A table of phrases needs at least one.")
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        if not lengths.all():
            raise DataError(f"phrase_embeddings is all zero for {phrases[int(np.argmin(lengths))]!r}.")
        self.name = name
        self.template = template
        self.phrases = tuple(str(phrase) for phrase in phrases)
        self._rows = rows / lengths
        self._row_of = {_key(phrase): row for row, phrase in enumerate(self.phrases)}

    @property
    def dim(self) -> int:
        """The width of the similarity space."""
        return int(self._rows.shape[1])

    def encode_images(self, images: Sequence[PIL.Image.Image]) -> FloatArray:
        """Raise EncoderError: a table of phrases cannot look at images."""
        raise EncoderError(
            f"{self.name!r} has no image tower, so {len(images)} images cannot be embedded; "
            "give their embeddings with the data set.",
        )

    def encode_text(self, texts: Sequence[str]) -> FloatArray:
        """Return (len(texts), dim) float32 unit rows; PhraseError for a phrase that the table lacks."""
        rows: FloatArray = self._rows[[self._row(text) for text in texts]]
        return rows

    def _row(self, text: str) -> int:
        row = self._row_of.get(_key(text), self._row_of.get(self._bare(text)))
        if row is None:
            raise PhraseError(self._unknown(self._bare(text)))
        return row

    def _bare(self, text: str) -> str:
        """Return the phrase inside the template, as the table's key."""
        before, _, after = _key(self.template).partition("{phrase}")
        key = _key(text)
        inside = key.startswith(before) and key.endswith(after) and len(key) >= len(before) + len(after)
        return key[len(before) : len(key) - len(after)].strip() if inside else key

    def _unknown(self, phrase: str) -> str:
        close = difflib.get_close_matches(phrase, self._row_of, n=_CLOSE_PHRASES)
        close += [known for known in self._row_of if phrase in known.split() and known not in close]
        advice = (
            f"close ones: {', '.join(close[:_CLOSE_PHRASES])}"
            if close
            else f"one that it knows: {self.phrases[0]}"
        )
        return (
            f"{self.name!r} knows {len(self.phrases):,} phrases, and {phrase!r} is not among them; {advice}."
        )

    def __repr__(self) -> str:
        """Return the name and the size of the table."""
        return f"<PrecomputedEncoder {self.name!r}: {len(self.phrases):,} phrases, {self.dim} dimensions>"


def _key(text: str) -> str:
    return " ".join(text.split()).casefold()
