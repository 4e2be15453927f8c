"""Rows made by Ray workers: the bytes of one machine's cache, also where a worker is killed."""

from __future__ import annotations

import logging
import os
import signal
import time
from threading import Thread

import numpy as np
import pytest

from clarify_widget.datasets import ImageList
from clarify_widget.encoders import embed_to_cache, ray_data

ray = pytest.importorskip("ray")
pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning:ray.*"
)  # Ray warns about its own defaults


@pytest.fixture(scope="module")
def cluster():
    """Start a Ray of this machine with two places for workers; one start for all tests here."""
    ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    yield ray.get_runtime_context().gcs_address
    ray.shutdown()


@pytest.fixture
def small_shards(monkeypatch):
    monkeypatch.setattr(ray_data, "SHARD_ROWS", 4)
    monkeypatch.setattr("clarify_widget.encoders.pipeline.SHARD_ROWS", 4)


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def cached(images, models, folder, **engine):
    return embed_to_cache(images, models, folder, batch_size=2, progress=False, **engine)


def with_workers(images, models, folder):
    return cached(images, models, folder, engine="ray", workers=2)


class Slow:
    """An encoder that leaves a test time to kill its worker, and says which process that is."""

    name, dim, fingerprint = "slow", 3, "a"

    def __init__(self, seconds, workers):
        self.seconds = seconds
        self.workers = workers

    def encode_images(self, images):
        (self.workers / str(os.getpid())).touch()
        time.sleep(self.seconds)
        return np.stack([np.asarray(image, float).mean(axis=(0, 1)) + 1 for image in images])


@pytest.mark.usefixtures("cluster", "small_shards")
def test_killed_worker_leaves_the_bytes_of_an_undisturbed_run(photos, tmp_path):
    paths = photos(50)
    paths[17].write_bytes(b"no image")
    images = ImageList(paths)
    workers = tmp_path / "workers"
    workers.mkdir()
    alone = cached(images, [Slow(0, workers)], tmp_path / "alone")
    (workers / str(os.getpid())).unlink()
    killed = []

    def kill():
        while len(list(workers.iterdir())) < 2:
            time.sleep(0.05)
        killed.append(int(next(workers.iterdir()).name))
        os.kill(killed[0], signal.SIGKILL)

    killer = Thread(target=kill, daemon=True)
    killer.start()
    together = with_workers(images, [Slow(0.3, workers)], tmp_path / "together")
    killer.join()
    assert len(killed) == 1
    assert len(list(workers.iterdir())) == 3
    assert contents(tmp_path / "together") == contents(tmp_path / "alone")
    assert (together.images, together.unreadable) == (alone.images, alone.unreadable)
    assert together.folders == (tmp_path / "together" / alone.folders[0].name,)
