"""Rows made by Ray workers: the bytes of one machine's cache, also where a worker is killed."""

from __future__ import annotations

import json
import logging
import os
import pickle
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from threading import Lock, Thread

import numpy as np
import PIL.Image
import pytest

from clarify_widget.datasets import ImageList
from clarify_widget.encoders import embed_to_cache, ray_data
from clarify_widget.errors import CacheError, ClusterError, DataError, EncoderError, MissingDependencyError

ray = pytest.importorskip("ray")
pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning:ray.*",  # Ray warns about its own defaults
    "ignore:lance is not fork-safe:UserWarning",  # Ray forks to start; Lance has been imported by other tests
)
REPOSITORY = Path(__file__).parents[2]


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


def with_workers(images, models, folder, workers=1):
    return cached(images, models, folder, engine="ray", workers=workers)


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
    together = with_workers(images, [Slow(0.3, workers)], tmp_path / "together", workers=2)
    killer.join()
    assert len(killed) == 1
    assert len(list(workers.iterdir())) == 3
    assert contents(tmp_path / "together") == contents(tmp_path / "alone")
    assert (together.images, together.unreadable) == (alone.images, alone.unreadable)
    assert together.folders == (tmp_path / "together" / alone.folders[0].name,)


@pytest.mark.usefixtures("cluster", "small_shards")
def test_each_engine_goes_on_from_what_the_other_cached(tmp_path):
    pictures = [PIL.Image.new("RGB", (4, 4), (number, 0, 0)) for number in range(10)]
    images = ImageList([lambda picture=picture: picture for picture in pictures])
    model = Slow(0, tmp_path)
    cached(images.take(np.arange(8)), [model], tmp_path / "cache")
    assert with_workers(images, [model], tmp_path / "cache").images == 10
    again = cached(images, [model], tmp_path / "cache")
    cached(images, [model], tmp_path / "alone")
    assert contents(tmp_path / "cache") == contents(tmp_path / "alone")
    assert again.unreadable == ()


class Deadly(Slow):
    """An encoder that ends its process on dark images, each time."""

    def encode_images(self, images):
        if any(np.asarray(image).mean() < 128 for image in images):
            with (self.workers / "deaths").open("a") as deaths:
                deaths.write("x")
            os.kill(os.getpid(), signal.SIGKILL)
        return super().encode_images(images)


@pytest.mark.usefixtures("cluster", "small_shards")
def test_block_that_always_ends_its_worker_is_one_error_that_names_its_images(tmp_path, monkeypatch):
    monkeypatch.setattr(ray_data, "_ATTEMPTS", 2)
    shades = [200] * 4 + [200, 0, 200, 200] + [200] * 3
    images = ImageList(
        [lambda shade=shade: PIL.Image.new("RGB", (4, 4), (shade,) * 3) for shade in shades],
        [f"{row}.png" for row in range(len(shades))],
    )
    with pytest.raises(ClusterError, match=r"The 4 images from “4\.png” to “7\.png” have ended") as caught:
        with_workers(images, [Deadly(0, tmp_path)], tmp_path / "cache")
    assert "2 times" in str(caught.value)
    assert (tmp_path / "deaths").read_text() == "xx"
    assert not list((tmp_path / "cache").glob(".seen-by-*"))


class Broken(Slow):
    def encode_images(self, images):
        return np.full((len(images), 3), np.nan)


@pytest.mark.usefixtures("cluster")
def test_what_fails_on_a_worker_is_the_error_of_one_machine(photos, tmp_path):
    images, model = ImageList(photos(3)), Broken(0, tmp_path)
    with pytest.raises(EncoderError) as alone:
        cached(images, [model], tmp_path / "alone")
    with pytest.raises(EncoderError) as together:
        with_workers(images, [model], tmp_path / "together")
    assert str(together.value) == str(alone.value)


@pytest.mark.usefixtures("cluster")
def test_folder_that_workers_cannot_write_to_is_a_cache_error(photos, tmp_path):
    (tmp_path / "cache").write_text("a file, not a folder")
    with pytest.raises(CacheError, match="cannot be kept in"):
        with_workers(ImageList(photos(3)), [Slow(0, tmp_path)], tmp_path / "cache")


@pytest.mark.usefixtures("cluster")
def test_workers_that_end_are_a_cluster_error(photos, tmp_path, monkeypatch):
    def crash(*_):
        raise ray.exceptions.WorkerCrashedError

    monkeypatch.setattr(ray_data, "_job_rows", crash)
    with pytest.raises(ClusterError, match="The workers stopped: The worker died unexpectedly"):
        with_workers(ImageList(photos(3)), [Slow(0, tmp_path)], tmp_path / "cache")


def test_command_embeds_with_the_workers_of_a_cluster(cluster, photos, tmp_path):
    paths = photos(16)
    paths[3].write_bytes(b"no image")
    lines = [
        f"{path},{['dark', 'light'][row // 8]},{['train', 'val'][row % 2]}" for row, path in enumerate(paths)
    ]
    (tmp_path / "table.csv").write_text("\n".join(["image,label,split", *lines]))
    command = [sys.executable, "-m", "clarify_widget.cli", "embed", "frame:table.csv", "--cache", "rows"]
    ended = subprocess.run(
        [*command, "--engine", "ray", "--address", cluster, "--workers", "1"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    answer = json.loads(ended.stdout)
    assert answer["images"] == {"train": 8, "val": 7}
    assert answer["unreadable"] == [f"{paths[3]}: it is not an image that Pillow knows"]
    assert "Embedding: 100%" in ended.stderr
    for parity in (0, 1):
        embed_to_cache(ImageList(paths[parity::2]), ["demo"], tmp_path / "alone", progress=False)
    assert contents(tmp_path / "rows") == contents(tmp_path / "alone")


def test_machine_that_does_not_see_the_folder_says_so(tmp_path):
    job = ray_data._Job(None, str(tmp_path), str(tmp_path / "not there"), 4, str(tmp_path), None, None)
    answer = ray_data._Worker(job)({"start": [0], "stop": [1]})
    with pytest.raises(CacheError, match=re.escape(f"does not see {tmp_path}. Give a cache folder on")):
        raise pickle.loads(answer["answer"][0])  # noqa: S301 - what the worker has just pickled


@pytest.fixture
def elsewhere(monkeypatch):
    """Be a process that is part of no cluster."""
    monkeypatch.setattr(ray, "is_initialized", lambda: False)


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("127.0.0.1:1", "The Ray cluster at 127.0.0.1:1 cannot be joined: .*refused"),
        ("ray://127.0.0.1:1", "cannot be joined: .*refused"),
        ("10.0.0.1", "is no address of a Ray cluster; give 'host:6379'"),
    ],
)
def test_address_without_a_cluster_is_one_error_at_once(photos, tmp_path, address, said):
    began = time.monotonic()
    with pytest.raises(ClusterError, match=said):
        cached(ImageList(photos(1)), ["demo"], tmp_path / "cache", engine="ray", address=address)
    assert time.monotonic() - began < 10


@pytest.mark.usefixtures("elsewhere")
def test_address_of_something_else_is_one_error_in_bounded_time(photos, tmp_path, monkeypatch):
    monkeypatch.setattr(ray_data, "_SECONDS_TO_JOIN", 2)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(ClusterError, match="does not answer as Ray does within 2 s"):
            cached(ImageList(photos(1)), ["demo"], tmp_path / "cache", engine="ray", address=address)


def test_another_cluster_than_the_one_that_was_joined_is_an_error(cluster, photos, tmp_path):
    with pytest.raises(ClusterError, match=f"part of the Ray cluster {cluster}"):
        cached(ImageList(photos(1)), ["demo"], tmp_path / "cache", engine="ray", address="10.0.0.1:6379")


def test_without_ray_the_error_says_what_to_install(photos, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingDependencyError, match=re.escape("pip install 'clarify-widget[ray]'")):
        cached(ImageList(photos(1)), ["demo"], tmp_path / "cache", engine="ray")


def test_model_that_cannot_be_sent_is_an_error_that_says_what_can(photos, tmp_path):
    model = Slow(0, tmp_path)
    model.lock = Lock()
    with pytest.raises(DataError, match=r"cannot be sent to other machines: .* Give the models by name"):
        cached(ImageList(photos(1)), [model], tmp_path / "cache", engine="ray")


@pytest.mark.parametrize(
    "wrong",
    [{"engine": "spark"}, {"address": "10.0.0.1:6379"}, {"workers": 2}, {"engine": "ray", "workers": 0}],
)
def test_settings_that_do_not_belong_together_are_an_error(photos, tmp_path, wrong):
    with pytest.raises(DataError, match=r"engine|workers"):
        cached(ImageList(photos(1)), ["demo"], tmp_path / "cache", **wrong)
