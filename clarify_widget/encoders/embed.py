"""From images and phrases to rows, with models that are checked and a cache that is never stale."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from clarify_widget.encoders.backbones import load_backbone
from clarify_widget.encoders.base import Encoder, phrase_parts, template_of
from clarify_widget.encoders.cache import EmbeddingCache
from clarify_widget.encoders.loading import load
from clarify_widget.encoders.pipeline import Pass
from clarify_widget.errors import DataError, EncoderError, PhraseError

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from clarify_widget.arrays import FloatArray, IntArray
    from clarify_widget.datasets.dataset import ImageSequence, UnreadableImage
    from clarify_widget.encoders.base import ImageModel

MAX_PHRASE_LENGTH = 300

_SAME_DIRECTION = 1e-4  # rounding in half-precision rows


@dataclass(frozen=True, eq=False)
class EmbeddedImages:
    """The rows of the images that could be read.

    Attributes
    ----------
    embeddings
        (m, dim) float32 rows: of length one for an encoder, as they are for a backbone.
    kept
        (m,) int64, ascending: which of the given images each row belongs to.
    unreadable
        The images that were left out, and why.
    """

    embeddings: FloatArray
    kept: IntArray
    unreadable: tuple[UnreadableImage, ...]


@dataclass(frozen=True)
class CachedImages:
    """What a cache folder holds after `embed_to_cache`.

    Attributes
    ----------
    folders
        One sub-folder a model, in the order of the models: shards of rows and manifest.json.
    images
        How many images have their rows there.
    computed
        How many of them had to be opened for it.
    unreadable
        The images that were left out, and why.
    """

    folders: tuple[Path, ...]
    images: int
    computed: int
    unreadable: tuple[UnreadableImage, ...]


def embed_images(
    model: ImageModel,
    images: ImageSequence,
    *,
    batch_size: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
) -> EmbeddedImages:
    """Embed every image that can be read.

    Parameters
    ----------
    model
        An encoder or a backbone.
    images
        n images; each is opened once, and not at all when its row is cached. A JPEG file much larger than
        the model's input is decoded at half, a quarter or an eighth of its size.
    batch_size
        How many images the model gets at a time, fewer where they are large; by default 64, and on a GPU as
        many of 256 as its memory has room for.
    progress
        Called with (images done, n) after each batch.
    cache_dir
        A folder for the rows. A row is used again only for the same model and the same image: a file of the
        same path, size and times, or, for other images, the same pixels. Several processes may share it.

    Raises
    ------
    EncoderError
        When the model answers with another shape, with NaN, or an encoder with zero rows.
    CacheError
        When rows must be written to the folder and cannot.
    """
    return embed_with([model], images, batch_size=batch_size, progress=progress, cache_dir=cache_dir)[0]


def embed_with(
    models: Sequence[ImageModel],
    images: ImageSequence,
    *,
    batch_size: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
) -> tuple[EmbeddedImages, ...]:
    """Embed images with several models in one pass: each image is opened and decoded once.

    Returns
    -------
    One `EmbeddedImages` a model, all of the same images. For parameters and errors see `embed_images`.
    """
    caches = _caches(models, cache_dir)
    blocks = list(Pass(models, images, caches, batch_size, progress, rows_of_answer).blocks())
    kept = np.concatenate([np.empty(0, np.int64), *(block.kept for block in blocks)])
    unreadable = tuple(image for block in blocks for image in block.unreadable)
    return tuple(
        EmbeddedImages(
            np.concatenate([np.empty((0, model.dim), np.float32), *(block.rows[number] for block in blocks)]),
            kept,
            unreadable,
        )
        for number, model in enumerate(models)
    )


def embed_to_cache(
    images: ImageSequence,
    models: Sequence[ImageModel | str],
    cache_dir: str | os.PathLike[str],
    *,
    batch_size: int | None = None,
    progress: bool = True,
    device: str | None = None,
    engine: str = "local",
    address: str | None = None,
    workers: int | None = None,
) -> CachedImages:
    """Put the rows of images into a cache folder, in memory that does not grow with their number.

    What was cached before, by a run that was killed or by the other engine, is not done again.
    `embed_images`, and a Session with the same `cache_dir`, then find every row there.

    Parameters
    ----------
    images
        n images: a split's `images`, or an `ImageList` of paths.
    models
        Encoders and backbones, or their names as `encoders.load` and `encoders.load_backbone` take them.
    cache_dir
        The folder; several processes may share it.
    batch_size
        As for `embed_images`.
    progress
        Whether to show a bar with rate and time left, in a terminal or a notebook.
    device
        Where models that are given by name run; by default the GPU when torch finds one, else the CPU.
    engine
        "local": this process. "ray": the workers of a Ray cluster, each with models of its own, which write
        the same shards and manifest. The folder must then be on storage that this machine and all workers
        see under one path, and that keeps file locks between them. Models given by name are loaded by each
        worker, others are sent to it. A worker that is killed is replaced and its images are done again.
    address
        Of the Ray cluster, such as "10.0.0.1:6379"; by default the one that this process or machine is part
        of, else one of this machine alone is started for the time.
    workers
        How many Ray workers; by default one for each GPU, or for each machine where there are no GPUs.

    Raises
    ------
    CacheError
        When rows must be written to the folder and cannot: it is read-only, full, no folder, or a worker
        does not see it. Shards that were written stay.
    EncoderError
        When a model cannot be loaded, or answers with another shape or with NaN.
    ClusterError
        When the Ray cluster cannot be joined or its workers fail.
    MissingDependencyError
        When the engine is "ray" and Ray Data is not installed.
    DataError
        When there is no model or no such engine, or images or models cannot be sent to workers.
    """
    from tqdm.auto import tqdm

    _check_models(models)
    _check_engine(engine, address, workers)
    with tqdm(total=len(images), unit=" images", desc="Embedding", disable=not progress) as bar:
        if engine == "local":
            loaded = [load_model(model, device) for model in models]
            caches = [EmbeddingCache(cache_dir, model) for model in loaded]

            def show(done: int, _of: int) -> None:
                bar.update(done - bar.n)

            return embed_into(caches, loaded, images, batch_size, show)
        from clarify_widget.encoders.ray_data import blocks_by_workers

        parts = {}
        for start, part in blocks_by_workers(
            images,
            models,
            cache_dir,
            batch_size=batch_size,
            device=device,
            address=address,
            workers=workers,
        ):
            parts[start] = part
            bar.update(part.images + len(part.unreadable))
        return _together([parts[start] for start in sorted(parts)])


def embed_into(
    caches: Sequence[EmbeddingCache | None],
    models: Sequence[ImageModel],
    images: ImageSequence,
    batch_size: int | None,
    progress: Callable[[int, int], None] | None = None,
) -> CachedImages:
    """Put the rows of images into one cache a model; for the errors see `embed_to_cache`."""
    kept = 0
    unreadable: list[UnreadableImage] = []
    one_pass = Pass(models, images, caches, batch_size, progress, rows_of_answer)
    for block in one_pass.blocks():
        kept += len(block.kept)
        unreadable += block.unreadable
    folders = tuple(cache.folder for cache in caches if cache is not None)
    return CachedImages(folders, kept, one_pass.opened, tuple(unreadable))


def load_model(model: ImageModel | str, device: str | None) -> ImageModel:
    """Return the encoder or backbone of a name; one that is loaded passes through."""
    if not isinstance(model, str):
        return model
    is_backbone = model.startswith(("timm:", "torchvision:"))
    return load_backbone(model, device=device) if is_backbone else load(model, device=device)


def _together(parts: Sequence[CachedImages]) -> CachedImages:
    """Return what neighbouring blocks of one list of images make together."""
    return CachedImages(
        parts[0].folders,
        sum(part.images for part in parts),
        sum(part.computed for part in parts),
        tuple(image for part in parts for image in part.unreadable),
    )


def _check_models(models: Sequence[ImageModel | str]) -> None:
    if not models:
        raise DataError("There is no model to embed images with; give at least one.")


def _check_engine(engine: str, address: str | None, workers: int | None) -> None:
    if engine not in ("local", "ray"):
        raise DataError(f"There is no engine {engine!r}; give 'local' or 'ray'.")
    if engine == "local" and (address, workers) != (None, None):
        raise DataError("address and workers are of a Ray cluster; give engine='ray' with them.")
    if workers is not None and workers < 1:
        raise DataError(f"workers must be 1 or more; got {workers}.")


def _caches(
    models: Sequence[ImageModel], cache_dir: str | os.PathLike[str] | None
) -> list[EmbeddingCache | None]:
    _check_models(models)
    return [None if cache_dir is None else EmbeddingCache(cache_dir, model) for model in models]


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


def rows_of_answer(model: ImageModel, answer: object, count: int) -> FloatArray:
    """Return a model's answer as (count, dim) float32 rows, of length one when it is an encoder's."""
    if isinstance(model, Encoder):
        return unit_rows_of(model, answer, count)
    return finite_rows_of(model, answer, count)


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
