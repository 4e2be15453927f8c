"""From images to rows: every image is opened once, for all models, while the models work on others.

Threads open and resize the images that come next; the calling thread runs the models on batches of them.
What waits between the two is bounded, so that memory does not grow with the number of images. Images are
taken in blocks of as many as a shard of the cache has: a block is done when every model has its rows.
"""

from __future__ import annotations

import os
import sys
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from clarify_widget.datasets.dataset import UnreadableImage
from clarify_widget.datasets.images import reason_of
from clarify_widget.encoders.cache import SHARD_ROWS, EmbeddingCache, pixels_identity
from clarify_widget.errors import ImageReadError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence
    from typing import TypeGuard

    import PIL.Image

    from clarify_widget.arrays import FloatArray, IntArray
    from clarify_widget.datasets.dataset import ImageSequence
    from clarify_widget.encoders.base import ImageModel, PipelinedModel

Check = Callable[["ImageModel", object, int], "FloatArray"]

_OPENERS = min(8, os.cpu_count() or 1)
_NICENESS = 5
_MOST_PIXELS = 256 * 1024**2  # 768 MiB of RGB
_CPU_BATCH = 64
_QUICK_SECONDS = 2.0  # of one core, for a batch
_GPU_BATCH = 256  # where it does not fit, half of it, and so on


@dataclass(frozen=True, eq=False)
class Block:
    """The rows of neighbouring images: one (m, dim) array a model."""

    kept: IntArray
    rows: tuple[FloatArray, ...]
    unreadable: tuple[UnreadableImage, ...]


@dataclass(frozen=True, eq=False)
class _Opened:
    """An image that is ready for the models, or the reason why it never will be.

    Attributes
    ----------
    rows
        One a model; None where the model has yet to make it.
    inputs
        One a model; None where its row is known.
    seconds
        Of a processor, that opening it took beside the models.
    """

    index: int
    identity: str | None = None
    rows: Sequence[FloatArray | None] = ()
    inputs: Sequence[Any] = ()
    pixels: int = 0
    unreadable: UnreadableImage | None = None
    seconds: float = 0.0


@dataclass(frozen=True, eq=False)
class _Answers:
    """What one model said about some images of a batch."""

    asked: list[_Opened]
    rows: Any


class Pass:
    """One pass over the images.

    Parameters
    ----------
    check
        Returns what a model answered as (m, dim) float32 rows, or raises; see `embed.rows_of_answer`.

    Attributes
    ----------
    opened
        How many images had to be opened so far.
    """

    def __init__(
        self,
        models: Sequence[ImageModel],
        images: ImageSequence,
        caches: Sequence[EmbeddingCache | None],
        batch_size: int | None,
        progress: Callable[[int, int], None] | None,
        check: Check,
    ) -> None:
        self.opened = 0
        self._check = check
        self._models = models
        self._images = images
        self._caches = caches
        self._batch_size = batch_size or (_GPU_BATCH if all(map(_is_on_gpu, models)) else _CPU_BATCH)
        self._progress = progress
        self._least_side = _least_side(models)
        self._checked_writable = False

    def blocks(self) -> Iterator[Block]:
        """Yield the rows of one block of images after the other, each in the caches by then."""
        with (
            ThreadPoolExecutor(_OPENERS, initializer=_give_way) as openers,
            closing(self._ahead(openers)) as opened,
            _threads_of_torch_kept(),
        ):
            answered = self._answered(opened)
            for indices in self._block_indices():
                yield self._block(answered, indices)
        for cache in self._caches:
            if cache is not None:
                cache.finish()

    def _block_indices(self) -> Iterator[range]:
        for start in range(0, len(self._images), SHARD_ROWS):
            yield range(start, min(start + SHARD_ROWS, len(self._images)))

    def _block(self, answered: Iterator[tuple[list[_Opened], list[_Answers]]], indices: range) -> Block:
        """Gather the rows of one block, and write those that are new."""
        found = [
            _Rows(model, cache, self._check) for model, cache in zip(self._models, self._caches, strict=True)
        ]
        unreadable: list[UnreadableImage] = []
        done = indices.start
        try:
            while done < indices.stop:
                batch, answers = next(answered)
                unreadable += [one.unreadable for one in batch if one.unreadable is not None]
                for number, (rows, answer) in enumerate(zip(found, answers, strict=True)):
                    rows.take_known(batch, number)
                    rows.take(answer, self._is_unchanged)
                done += len(batch)
                if self._progress is not None:
                    self._progress(done, len(self._images))
        finally:
            for rows in found:
                rows.write()
        kept = sorted(set.intersection(*(set(rows.by_index) for rows in found)))
        return Block(
            np.array(kept, dtype=np.int64), tuple(rows.of(kept) for rows in found), tuple(unreadable)
        )

    def _answered(self, opened: Iterator[_Opened]) -> Iterator[tuple[list[_Opened], list[_Answers]]]:
        """Yield batches with the models' answers, one late: a GPU works on the next one meanwhile."""
        before = None
        seconds = 0.0  # of the batch before
        for turn, batch in enumerate(self._batched(opened)):
            began = time.perf_counter()
            if turn == 1 and self._should_share_cores(seconds):
                now = batch, self._answers_sharing_cores(batch)
            else:
                now = batch, self._answers(batch)
            seconds = time.perf_counter() - began
            if before is not None:
                yield before
            before = now
        if before is not None:
            yield before

    def _should_share_cores(self, seconds: float) -> bool:
        """Tell by the time of the first batch: a slow model needs all cores, whatever the images are."""
        import torch

        return seconds * torch.get_num_threads() < _QUICK_SECONDS and not any(map(_is_on_gpu, self._models))

    def _answers_sharing_cores(self, batch: Sequence[_Opened]) -> list[_Answers]:
        """Ask on one core, and leave the models the cores that opening images does not need from then on.

        More threads of torch than there are free cores wait for each other by spinning: it takes cores from
        the threads that open images, and would be measured as work, which that of one thread alone is not.
        """
        import torch

        cores = torch.get_num_threads()
        torch.set_num_threads(1)
        began = time.thread_time()
        answers = self._answers(batch)
        working, opening = time.thread_time() - began, sum(one.seconds for one in batch)
        torch.set_num_threads(max(1, round(cores * working / (working + opening))))
        return answers

    def _answers(self, batch: Sequence[_Opened]) -> list[_Answers]:
        return [self._ask(number, batch) for number in range(len(self._models))]

    def _batched(self, opened: Iterator[_Opened]) -> Iterator[list[_Opened]]:
        """Group images in batches that stay inside one block and hold no more pixels than need be."""
        for indices in self._block_indices():
            batch: list[_Opened] = []
            pixels = 0
            for index in indices:
                batch.append(next(opened))
                pixels += batch[-1].pixels
                if len(batch) >= self._batch_size or pixels > _MOST_PIXELS or index + 1 == indices.stop:
                    yield batch
                    batch, pixels = [], 0

    def _ask(self, number: int, batch: Sequence[_Opened]) -> _Answers:
        asked = [one for one in batch if one.unreadable is None and one.rows[number] is None]
        inputs = [one.inputs[number] for one in asked]
        return _Answers(asked, self._run(self._models[number], inputs) if asked else None)

    def _run(self, model: ImageModel, inputs: list[Any]) -> Any:
        """Run a model on a batch, or on halves of it where the device has no room for the whole."""
        try:
            return model.rows_of(inputs) if _takes_inputs(model) else model.encode_images(inputs)
        except RuntimeError as error:
            if len(inputs) == 1 or not _is_out_of_memory(error):
                raise
        half = len(inputs) // 2
        self._batch_size = min(self._batch_size, half)
        halves = [self._run(model, inputs[:half]), self._run(model, inputs[half:])]
        return np.concatenate([_as_array(rows) for rows in halves])

    def _ahead(self, openers: ThreadPoolExecutor) -> Generator[_Opened, None, None]:
        """Yield the images in order while threads open a bounded number of those that come next."""
        depth = 2 * self._batch_size if all(map(_takes_inputs, self._models)) else _OPENERS
        waiting: deque[_Opened | Future[_Opened]] = deque()
        try:
            for indices in self._block_indices():
                identities = [self._file_identity(index) for index in indices]
                known = [_find(cache, identities) for cache in self._caches]
                for index, identity, *rows in zip(indices, identities, *known, strict=True):
                    waiting.append(self._begin(openers, index, identity, rows))
                    if len(waiting) > depth:
                        yield _result(waiting.popleft())
            while waiting:
                yield _result(waiting.popleft())
        finally:
            for future in waiting:
                if isinstance(future, Future):
                    future.cancel()

    def _begin(
        self, openers: ThreadPoolExecutor, index: int, identity: str | None, rows: Sequence[FloatArray | None]
    ) -> _Opened | Future[_Opened]:
        """Begin to open an image; one that is no file on this thread, as its function may expect."""
        if all(row is not None for row in rows):
            return _Opened(index, identity, rows)
        self._check_writable()
        self.opened += 1
        if identity is not None:
            return openers.submit(
                _timed, lambda: self._prepared(index, identity, rows, self._try_to_open(index))
            )
        image = self._try_to_open(index)
        return openers.submit(_timed, lambda: self._prepared(index, None, rows, image))

    def _prepared(
        self,
        index: int,
        identity: str | None,
        rows: Sequence[FloatArray | None],
        image: PIL.Image.Image | UnreadableImage,
    ) -> _Opened:
        if isinstance(image, UnreadableImage):
            return _Opened(index, unreadable=image)
        if identity is None and any(cache is not None for cache in self._caches):
            identity = pixels_identity(image)
            rows = [None if cache is None else cache.get(identity) for cache in self._caches]
        inputs = [
            None if row is not None else model.input_of(image) if _takes_inputs(model) else image
            for model, row in zip(self._models, rows, strict=True)
        ]
        pixels = 0 if all(map(_takes_inputs, self._models)) else image.width * image.height
        return _Opened(index, identity, rows, inputs, pixels)

    def _try_to_open(self, index: int) -> PIL.Image.Image | UnreadableImage:
        reduced = getattr(self._images, "reduced", None)
        try:
            if self._least_side is not None and callable(reduced):
                image: PIL.Image.Image = reduced(index, self._least_side)
                return image
            return self._images[index]
        except ImageReadError as error:
            return UnreadableImage(self._images.name(index), reason_of(error))

    def _check_writable(self) -> None:
        """Find out before the first image is opened, not after a thousand."""
        if not self._checked_writable:
            for cache in self._caches:
                if cache is not None:
                    cache.check_writable()
            self._checked_writable = True

    def _file_identity(self, index: int) -> str | None:
        identity = getattr(self._images, "identity", None)
        return identity(index) if callable(identity) else None

    def _is_unchanged(self, one: _Opened) -> bool:
        """Tell whether the file is the one that was opened: one replaced meanwhile must not be cached."""
        now = self._file_identity(one.index)
        return now is None or now == one.identity


class _Rows:
    """One model's rows of one block."""

    def __init__(self, model: ImageModel, cache: EmbeddingCache | None, check: Check) -> None:
        self._model = model
        self._check = check
        self._cache = cache
        self._new: dict[str, FloatArray] = {}
        self.by_index: dict[int, FloatArray] = {}

    def take_known(self, batch: Sequence[_Opened], number: int) -> None:
        """Take the rows that the cache had."""
        for one in batch:
            row = one.rows[number] if one.unreadable is None else None
            if row is not None:
                self.by_index[one.index] = row

    def take(self, answers: _Answers, is_unchanged: Callable[[_Opened], bool]) -> None:
        """Take the rows that the model made, once they are what they should be."""
        if not answers.asked:
            return
        rows = self._check(self._model, answers.rows, len(answers.asked))
        for one, row in zip(answers.asked, rows, strict=True):
            self.by_index[one.index] = row
            if self._cache is not None and one.identity is not None and is_unchanged(one):
                self._new[one.identity] = row

    def write(self) -> None:
        """Write the new rows to the cache as one shard."""
        if self._cache is not None and self._new:
            rows: FloatArray = np.stack(list(self._new.values())).astype(np.float32, copy=False)
            self._cache.write(list(self._new), rows)
        self._new = {}

    def of(self, indices: Sequence[int]) -> FloatArray:
        """Return the (m, dim) float32 rows of these images."""
        rows = [self.by_index[index] for index in indices]
        return np.array(rows, dtype=np.float32).reshape(len(indices), self._model.dim)


def _find(cache: EmbeddingCache | None, identities: Sequence[str | None]) -> Sequence[FloatArray | None]:
    return [None] * len(identities) if cache is None else cache.find(identities)


def _result(opened: _Opened | Future[_Opened]) -> _Opened:
    return opened.result() if isinstance(opened, Future) else opened


def _give_way() -> None:
    """Have this thread run where the models leave room: the models are what is waited for."""
    if sys.platform == "linux":  # where threads have a niceness each
        os.nice(_NICENESS)


def _timed(prepare: Callable[[], _Opened]) -> _Opened:
    began = time.thread_time()
    opened = prepare()
    return replace(opened, seconds=time.thread_time() - began)


@contextmanager
def _threads_of_torch_kept() -> Iterator[None]:
    import torch

    threads = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _takes_inputs(model: ImageModel) -> TypeGuard[PipelinedModel]:
    return hasattr(model, "input_of") and hasattr(model, "rows_of")


def _is_on_gpu(model: ImageModel) -> bool:
    return getattr(getattr(model, "device", None), "type", "cpu") != "cpu"


def _least_side(models: Sequence[ImageModel]) -> int | None:
    """Return how small the images may be decoded for all models, None for as they are."""
    sides = [getattr(model, "least_side", None) for model in models]
    known = [side for side in sides if side is not None]
    return max(known) if known and len(known) == len(sides) else None


def _is_out_of_memory(error: RuntimeError) -> bool:
    """Tell by the words: each kind of device has a type of its own for it, and some have none."""
    return "out of memory" in str(error).lower()


def _as_array(rows: Any) -> Any:
    return rows.detach().float().cpu().numpy() if hasattr(rows, "detach") else np.asarray(rows)
