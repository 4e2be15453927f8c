"""The same rows with more machines: a Ray Data job whose workers write into one cache folder.

A unit of work is a block of neighbouring images, what a shard of the cache holds. A worker loads the models
once and then embeds one block after the other as a single machine would, so the folder ends with the same
shards and the same manifest. Where a worker is killed Ray starts another one and gives it the blocks that
were not done; a block that is in the cache already is not embedded again. Ray would try the same block
without end: one that ends its worker each time, for want of memory or by a crash, is given up after a few.
"""

from __future__ import annotations

import logging
import math
import os
import pickle
import socket
import subprocess
import sys
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from clarify_widget.encoders.cache import SHARD_ROWS, EmbeddingCache
from clarify_widget.encoders.embed import CachedImages, embed_into, load_model
from clarify_widget.errors import CacheError, ClusterError, DataError, EncoderError, MissingDependencyError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from clarify_widget.datasets.dataset import ImageSequence
    from clarify_widget.encoders.base import ImageModel

_ATTEMPTS = 4  # at a block, as many as MapReduce and Spark make at a task
_SECONDS_TO_ANSWER = 10  # for an address that is not there
_SECONDS_TO_JOIN = 60  # for one that is there and is not Ray's: Ray itself would try for a quarter of an hour
_JOIN = "import sys, ray; ray.init(address=sys.argv[1], log_to_driver=False)"
_FOUND_BY_RAY = ("auto", "local")


@dataclass(frozen=True, eq=False)
class _Job:
    """What every worker is told.

    Attributes
    ----------
    content
        Ray's reference to the pickled images and models, sent to each machine once.
    token
        A folder in the cache folder, there while the job runs, in which workers note which blocks they have
        begun; None where the cache folder cannot be written to, so that nothing is left to embed.
    attempts
        How often a block is begun before it is given up.
    here
        The folder that relative paths start from.
    """

    content: Any
    cache_dir: str
    token: str | None
    attempts: int
    here: str
    batch_size: int | None
    device: str | None


@contextmanager
def joined(address: str | None) -> Iterator[None]:
    """Be part of a Ray cluster; a connection that there is already is used, and left as it is.

    Raises
    ------
    ClusterError
        When there is no cluster at the address, or this process is part of another one.
    MissingDependencyError
        When Ray Data is not installed.
    """
    ray = _ray()
    if ray.is_initialized():
        _check_same_cluster(ray, address)
        yield
        return
    _check_reachable(address or os.environ.get("RAY_ADDRESS"))
    try:
        ray.init(address=address, logging_level=logging.WARNING)
    except (OSError, ValueError, RuntimeError) as error:
        raise ClusterError(_not_reached(address, str(error))) from error
    try:
        yield
    finally:
        ray.shutdown()


def blocks_by_workers(
    images: ImageSequence,
    models: Sequence[ImageModel | str],
    cache_dir: str | os.PathLike[str],
    *,
    batch_size: int | None,
    device: str | None,
    address: str | None,
    workers: int | None,
) -> Iterator[tuple[int, CachedImages]]:
    """Yield (number of the first image, what was cached) of each block, in the order in which they are done.

    For parameters and errors see `embed.embed_to_cache`.
    """
    ray = _ray()
    folder = Path(cache_dir).expanduser().absolute()
    content = _pickled_content(ray, images, models)
    with joined(address), _token(folder) as token:
        reference = ray.put(content)
        job = _Job(reference, str(folder), token, _ATTEMPTS, str(Path.cwd()), batch_size, device)
        try:
            for row in _job_rows(ray, job, len(images), _places(ray, workers, device)):
                answer = pickle.loads(row["answer"])  # noqa: S301 - from our own workers
                if isinstance(answer, _GivenUpError):
                    raise ClusterError(_killed_by(images, row["start"], _ATTEMPTS))
                if isinstance(answer, Exception):
                    raise answer
                yield row["start"], answer
        except ray.exceptions.RayError as error:
            raise ClusterError(
                f"The workers stopped: {_last_line(error)}. Every machine of the cluster needs "
                "clarify-widget and what its models need; what is in the cache folder already is used again.",
            ) from error


class _GivenUpError(Exception):
    """A block has ended its worker as often as it may; the driver knows the names of its images."""


class _Worker:
    """One actor of the job: embeds blocks with models that it loads once."""

    def __init__(self, job: _Job) -> None:
        self._job = job

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, list[Any]]:
        """Embed one block, and answer with what was cached or with the error, so that its type is kept."""
        start, stop = int(batch["start"][0]), int(batch["stop"][0])
        answer: CachedImages | Exception
        try:
            answer = self._embed(start, stop)
        except Exception as error:  # noqa: BLE001 - a model of the user's fails with types of every kind
            answer = _that_travels(error)
        return {"start": [start], "answer": [pickle.dumps(answer)]}

    def _embed(self, start: int, stop: int) -> CachedImages:
        self._begin(start)
        images, models, caches = self._content
        return embed_into(caches, models, images.take(np.arange(start, stop)), self._job.batch_size)

    def _begin(self, start: int) -> None:
        """Note that a block is begun, before anything that may end this process."""
        job = self._job
        with suppress(OSError):  # a machine without that folder has no relative paths to read either
            os.chdir(job.here)
        if job.token is None:
            return
        if not Path(job.token).exists():
            raise CacheError(
                f"The machine {socket.gethostname()} does not see {job.cache_dir}. Give a cache folder on "
                "storage that all workers and this machine see under the same path.",
            )
        begun = Path(job.token, str(start))
        if begun.exists() and begun.stat().st_size >= job.attempts:
            raise _GivenUpError
        with suppress(OSError), begun.open("ab") as attempts:  # a full disk is an error of the cache
            attempts.write(b".")

    @cached_property
    def _content(self) -> tuple[ImageSequence, list[ImageModel], list[EmbeddingCache]]:
        import ray

        job = self._job
        images, sources = pickle.loads(ray.get(job.content))  # noqa: S301 - from our own driver
        models = [load_model(source, job.device) for source in sources]
        return images, models, [EmbeddingCache(job.cache_dir, model) for model in models]


def _job_rows(ray: Any, job: _Job, count: int, places: _Places) -> Iterator[Mapping[str, Any]]:
    """Run the job on the blocks of that many images and yield each worker's answer as it comes."""
    starts = range(0, max(count, 1), SHARD_ROWS)
    blocks = [{"start": start, "stop": min(start + SHARD_ROWS, count)} for start in starts]
    with _quiet_ray_data(ray):
        rows: Iterator[Mapping[str, Any]] = (
            ray.data.from_items(blocks, override_num_blocks=len(blocks))
            .map_batches(
                _Worker,
                batch_size=1,
                fn_constructor_args=(job,),
                compute=ray.data.ActorPoolStrategy(size=min(places.workers, len(blocks))),
                num_cpus=places.cpus,
                num_gpus=places.gpus,
            )
            .iter_rows()
        )
        yield from rows


@contextmanager
def _quiet_ray_data(ray: Any) -> Iterator[None]:
    """Leave the bar and the words to us: Ray Data has its own of both."""
    context, logger = ray.data.DataContext.get_current(), logging.getLogger("ray.data")
    shown, level = context.enable_progress_bars, logger.level
    context.enable_progress_bars = False
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        context.enable_progress_bars = shown
        logger.setLevel(level)


@dataclass(frozen=True)
class _Places:
    """How many workers there are, and what each of them has."""

    workers: int
    cpus: int
    gpus: float


def _places(ray: Any, workers: int | None, device: str | None) -> _Places:
    """Return one worker a GPU, or one a machine where there are none: each loads the models once."""
    machines = [node["Resources"] for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]
    if not machines:
        raise ClusterError("No machine of the Ray cluster has a CPU to work with.")
    wants_gpu = device is None or device.startswith("cuda")
    gpus = sum(machine.get("GPU", 0) for machine in machines) if wants_gpu else 0
    count = workers or int(gpus) or len(machines)
    on_one = math.ceil(count / len(machines))
    cpus = max(1, int(min(machine["CPU"] for machine in machines)) // on_one)
    return _Places(count, cpus, min(1, gpus / count))


def _ray() -> Any:
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise MissingDependencyError(
            "engine='ray' needs Ray Data: pip install 'clarify-widget[ray]' on every machine.",
        ) from error
    return ray


def _pickled_content(ray: Any, images: ImageSequence, models: Sequence[ImageModel | str]) -> bytes:
    try:
        content: bytes = ray.cloudpickle.dumps((images, list(models)))
    except Exception as error:  # every type has its own way of refusing
        raise DataError(
            f"The images or models cannot be sent to other machines: {error}. Give the models by name and "
            "the images as paths.",
        ) from error
    return content


def _check_same_cluster(ray: Any, address: str | None) -> None:
    current = ray.get_runtime_context().gcs_address
    if address not in (None, *_FOUND_BY_RAY, current):
        raise ClusterError(
            f"This process is part of the Ray cluster {current}; run ray.shutdown() to join {address}.",
        )


def _check_reachable(address: str | None) -> None:
    """Find out in bounded time whether there is a cluster to join: Ray itself tries for many minutes."""
    if address is None or address in _FOUND_BY_RAY:
        return
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if not host or not port.isdecimal():
        raise ClusterError(f"{address!r} is no address of a Ray cluster; give 'host:6379', or 'auto'.")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _SECONDS_TO_ANSWER).close()
    except (OSError, OverflowError) as error:
        raise ClusterError(_not_reached(address, str(error))) from error
    try:
        trial = subprocess.run(  # noqa: S603 - this Python, and an address as its argument
            [sys.executable, "-c", _JOIN, address],
            timeout=_SECONDS_TO_JOIN,
            capture_output=True,
            text=True,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        reason = f"something is there, but does not answer as Ray does within {_SECONDS_TO_JOIN} s"
        raise ClusterError(_not_reached(address, reason)) from error
    if trial.returncode != 0:
        raise ClusterError(_not_reached(address, _last_line(trial.stderr)))


def _not_reached(address: str | None, reason: str) -> str:
    return (
        f"The Ray cluster at {address or 'this machine'} cannot be joined: {reason.strip().rstrip('.')}. "
        "Give the address that `ray start --head` printed, host:6379 unless its port was chosen."
    )


@contextmanager
def _token(folder: Path) -> Iterator[str | None]:
    """Leave a folder in the folder by which workers know that it is the same one for them."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        token = tempfile.TemporaryDirectory(
            dir=folder, prefix=".seen-by-", suffix=".ray", ignore_cleanup_errors=True
        )
    except OSError:  # read-only or full, which is no fault when every row is there
        yield None
        return
    with token:
        os.chmod(token.name, 0o777)  # noqa: S103, PTH101 - workers may be of another user
        yield token.name


def _killed_by(images: ImageSequence, start: int, attempts: int) -> str:
    last = min(start + SHARD_ROWS, len(images)) - 1
    return (
        f"The {last - start + 1:,} images from “{images.name(start)}” to “{images.name(last)}” have ended "
        f"their worker {attempts} times, for want of memory or by a crash. Give the workers more memory, or "
        "embed with a smaller batch_size or fewer workers; where that does not help, embed these images "
        "without engine='ray' to see which one it is, and leave it out. What is in the cache folder already "
        "is used again."
    )


def _that_travels(error: Exception) -> Exception:
    """Return the error itself, or one of ours with its words where it cannot be pickled."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - what was pickled here
    except Exception:  # noqa: BLE001 - every type has its own way of refusing
        return EncoderError(f"{type(error).__name__}: {error}")
    return error


def _last_line(what: object) -> str:
    lines = str(what).strip().splitlines()
    return lines[-1].strip().rstrip(".") if lines else "no reason is known"
