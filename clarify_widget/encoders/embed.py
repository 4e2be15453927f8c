"""From images and phrases to unit rows, with an encoder that is checked and a cache that is never stale."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from clarify_widget.datasets.dataset import UnreadableImage
from clarify_widget.datasets.images import reason_of
from clarify_widget.encoders.base import Encoder, phrase_parts, template_of
from clarify_widget.encoders.cache import EmbeddingCache, pixels_identity
from clarify_widget.errors import EncoderError, ImageReadError, PhraseError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import PIL.Image

    from clarify_widget.arrays import FloatArray, IntArray
    from clarify_widget.datasets.dataset import ImageSequence

MAX_PHRASE_LENGTH = 300

_SAME_DIRECTION = 1e-4  # rounding in half-precision rows

_OPENERS = min(8, os.cpu_count() or 1)
_MOST_PIXELS = 256 * 1024**2  # 768 MiB of RGB


@dataclass(frozen=True, eq=False)
class EmbeddedImages:
    """The rows of the images that could be read.

    Attributes
    ----------
    embeddings
        (m, dim) float32 unit rows.
    kept
        (m,) int64, ascending: which of the given images each row belongs to.
    unreadable
        The images that were left out, and why.
    """

    embeddings: FloatArray
    kept: IntArray
    unreadable: tuple[UnreadableImage, ...]


def embed_images(
    encoder: Encoder,
    images: ImageSequence,
    *,
    batch_size: int = 64,
    progress: Callable[[int, int], None] | None = None,
    cache_dir: Path | None = None,
) -> EmbeddedImages:
    """Embed every image that can be read.

    Parameters
    ----------
    encoder
        Its `encode_images` gets batches of RGB images.
    images
        n images; each is opened once, and not at all when its row is cached.
    batch_size
        How many images the encoder gets at a time; fewer where they are large.
    progress
        Called with (images done, n) after each batch.
    cache_dir
        A folder for the rows. A row is used again only for the same encoder and the same image: a file of
        the same path, size and times, or, for other images, the same pixels. Several processes may share it.

    Raises
    ------
    EncoderError
        When the encoder answers with another shape, with NaN, or with zero rows.
    """
    cache = EmbeddingCache(cache_dir, encoder) if cache_dir is not None else None
    with ThreadPoolExecutor(_OPENERS) as openers:
        work = _Embedding(encoder, images, cache, openers)
        try:
            for start in range(0, len(images), batch_size):
                done = min(start + batch_size, len(images))
                work.embed(range(start, done))
                if progress is not None:
                    progress(done, len(images))
        finally:
            if cache is not None:
                cache.write()
    return work.result()


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
    if hasattr(answer, "detach"):
        answer = answer.detach().cpu()
    try:
        rows = np.asarray(answer, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise EncoderError(
            f"{encoder.name!r} answered with {type(answer).__name__}, not an array: {error}."
        ) from error
    expected = (count, int(encoder.dim))
    if rows.shape != expected:
        raise EncoderError(
            f"{encoder.name!r} answered with shape {rows.shape}; expected {expected}, one row each."
        )
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    if not (np.isfinite(lengths).all() and lengths.all()):
        bad = int(np.flatnonzero(~(np.isfinite(lengths) & (lengths > 0)))[0])
        raise EncoderError(
            f"{encoder.name!r} answered with a zero row, NaN or infinity, first in row {bad} of {count}."
        )
    unit: FloatArray = rows / lengths
    return unit


@dataclass(frozen=True)
class _OpenImage:
    """An image on its way to the encoder."""

    index: int
    identity: str | None
    image: PIL.Image.Image


class _Embedding:
    """The rows found so far, from the cache or from the encoder."""

    def __init__(
        self,
        encoder: Encoder,
        images: ImageSequence,
        cache: EmbeddingCache | None,
        openers: ThreadPoolExecutor,
    ) -> None:
        self._encoder = encoder
        self._images = images
        self._cache = cache
        self._openers = openers
        self._rows: dict[int, FloatArray] = {}
        self._unreadable: list[UnreadableImage] = []

    def embed(self, indices: Sequence[int]) -> None:
        """Find the rows of these images, holding no more pixels at a time than need be."""
        waiting: list[_OpenImage] = []
        pixels = 0
        for start in range(0, len(indices), _OPENERS):
            for opened in self._open(indices[start : start + _OPENERS]):
                waiting.append(opened)
                pixels += opened.image.width * opened.image.height
            if pixels > _MOST_PIXELS:
                self._encode(waiting)
                waiting, pixels = [], 0
        self._encode(waiting)

    def result(self) -> EmbeddedImages:
        """Return what was found, in the order of the images."""
        kept = np.array(sorted(self._rows), dtype=np.int64)
        found = [self._rows[index] for index in kept]
        rows = np.array(found, dtype=np.float32).reshape(len(kept), self._encoder.dim)
        return EmbeddedImages(rows, kept, tuple(self._unreadable))

    def _open(self, indices: Sequence[int]) -> list[_OpenImage]:
        """Open the images whose rows are not cached; files beside each other, anything else one by one."""
        identities = {index: self._file_identity(index) for index in indices}
        wanted = [index for index in indices if not self._take_cached(index, identities[index])]
        files = [index for index in wanted if identities[index] is not None]
        decoded = dict(zip(files, self._openers.map(self._try_to_open, files), strict=True))
        opened = []
        for index in wanted:
            image = decoded[index] if index in decoded else self._try_to_open(index)
            if isinstance(image, UnreadableImage):
                self._unreadable.append(image)
                continue
            identity = identities[index]
            if self._cache is not None and identity is None:
                identity = pixels_identity(image)
                if self._take_cached(index, identity):
                    continue
            opened.append(_OpenImage(index, identity, image))
        return opened

    def _try_to_open(self, index: int) -> PIL.Image.Image | UnreadableImage:
        try:
            return self._images[index]
        except ImageReadError as error:
            return UnreadableImage(self._images.name(index), reason_of(error))

    def _encode(self, opened: Sequence[_OpenImage]) -> None:
        if not opened:
            return
        answer = self._encoder.encode_images([one.image for one in opened])
        rows = unit_rows_of(self._encoder, answer, len(opened))
        for one, row in zip(opened, rows, strict=True):
            self._rows[one.index] = row
            if self._cache is not None and one.identity is not None and self._is_unchanged(one):
                self._cache.add(one.identity, row)

    def _take_cached(self, index: int, identity: str | None) -> bool:
        row = self._cache.get(identity) if self._cache is not None and identity is not None else None
        if row is not None:
            self._rows[index] = row
        return row is not None

    def _file_identity(self, index: int) -> str | None:
        identity = getattr(self._images, "identity", None)
        return identity(index) if callable(identity) else None

    def _is_unchanged(self, one: _OpenImage) -> bool:
        """Tell whether the file is the one that was opened: one replaced meanwhile must not be cached."""
        now = self._file_identity(one.index)
        return now is None or now == one.identity
