"""From phrases to unit rows, and the check of what an encoder answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from clarify_widget.encoders.base import phrase_parts, template_of
from clarify_widget.errors import EncoderError, PhraseError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clarify_widget.arrays import FloatArray
    from clarify_widget.encoders.base import Encoder, ImageModel

MAX_PHRASE_LENGTH = 300

_SAME_DIRECTION = 1e-4  # rounding in half-precision rows


def embed_phrase(encoder: Encoder, phrase: str, template: str | None = None) -> FloatArray:
    """Embed one phrase, put into the encoder's sentence.

    Parameters
    ----------
    encoder
        Its `encode_text` gets the whole sentence.
    phrase
        1 to 300 characters once the space around it is gone. "forest, not ocean" is the direction from ocean
        to forest: what all images have in common cancels, so it tells the two apart better than either word.
    template
        A sentence with {phrase} in it; by default the encoder's own.

    Returns
    -------
    (dim,) float32
        A unit row.

    Raises
    ------
    PhraseError
        When the phrase is blank, longer than 300 characters, or opposed to itself.
    EncoderError
        When the template lacks {phrase}, or the encoder answers with another shape, NaN or zero.
    """
    return embed_phrases(encoder, [phrase], template)[0]


def embed_phrases(encoder: Encoder, phrases: Sequence[str], template: str | None = None) -> list[FloatArray]:
    """Embed several phrases in one go; see `embed_phrase` for what each may be and for the errors."""
    template = template_of(encoder) if template is None else template
    if "{phrase}" not in template:
        raise EncoderError(f"The template {template!r} has no {{phrase}} to put a phrase into.")
    parts = [phrase_parts(check_phrase(phrase)) for phrase in phrases]
    texts = [template.replace("{phrase}", part) for wanted, opposed in parts for part in (wanted, *opposed)]
    rows = iter(unit_rows_of(encoder, encoder.encode_text(texts), len(texts)))
    return [
        _contrast(np.stack([next(rows), *(next(rows) for _ in opposed)]), phrase) if opposed else next(rows)
        for phrase, (_, opposed) in zip(phrases, parts, strict=True)
    ]


def _contrast(rows: FloatArray, phrase: str) -> FloatArray:
    """Return the unit direction from the mean of all rows but the first to the first."""
    difference = rows[0] - rows[1:].mean(axis=0)
    length = float(np.linalg.norm(difference))
    if length < _SAME_DIRECTION:
        raise PhraseError(f"{phrase!r} means the same on both sides of “not”; oppose two different things.")
    row: FloatArray = difference / length
    return row


def check_phrase(phrase: str) -> str:
    """Return the phrase without the space around it; raises PhraseError when nothing or too much is left."""
    if not isinstance(phrase, str):
        raise PhraseError(f"A phrase is text; got {type(phrase).__name__}.")
    stripped = " ".join(phrase.split())
    if not stripped:
        raise PhraseError("The phrase is empty; say what the wrong images have in them, for example 'red'.")
    if len(stripped) > MAX_PHRASE_LENGTH:
        raise PhraseError(
            f"The phrase has {len(stripped):,} characters; use a few words, "
            f"{MAX_PHRASE_LENGTH} characters at most.",
        )
    return stripped


def unit_rows_of(encoder: Encoder, answer: object, count: int) -> FloatArray:
    """Return an encoder's answer as (count, dim) float32 unit rows; EncoderError when it is not that."""
    rows = finite_rows_of(encoder, answer, count)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    if not lengths.all():
        zero = int(np.flatnonzero(lengths == 0)[0])
        raise EncoderError(f"{encoder.name!r} answered with a zero row, first in row {zero} of {count}.")
    unit: FloatArray = rows / lengths
    return unit


def finite_rows_of(model: ImageModel, answer: object, count: int) -> FloatArray:
    """Return a model's answer as (count, dim) float32 rows; EncoderError when it is not that."""
    if hasattr(answer, "detach"):
        answer = answer.detach().float().cpu()
    try:
        rows = np.asarray(answer, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise EncoderError(
            f"{model.name!r} answered with {type(answer).__name__}, not an array: {error}."
        ) from error
    expected = (count, int(model.dim))
    if rows.shape != expected:
        raise EncoderError(
            f"{model.name!r} answered with shape {rows.shape}; expected {expected}, one row each."
        )
    finite = np.isfinite(rows).all(axis=1)
    if not finite.all():
        bad = int(np.flatnonzero(~finite)[0])
        raise EncoderError(f"{model.name!r} answered with NaN or infinity, first in row {bad} of {count}.")
    return rows
