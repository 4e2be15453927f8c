"""A cache that is never stale, never half written, and shared."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import PIL.Image
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file

from clarify_widget.datasets import ImageList
from clarify_widget.encoders import embed_images, embed_to_cache, embed_with, pipeline
from clarify_widget.errors import CacheError


def blocks(folder):
    return sorted(folder.rglob("*.safetensors"))


def encoded(encoder, images, cache_dir):
    """Return the rows, and how many images the encoder had to look at for them."""
    before = encoder.seen
    rows = embed_images(encoder, images, cache_dir=cache_dir).embeddings
    return rows, encoder.seen - before


def test_second_run_encodes_nothing_and_gives_the_same_rows(mean_colour, photos, tmp_path):
    images = ImageList(photos(7))
    first, looked = encoded(mean_colour(fingerprint="a"), images, tmp_path / "cache")
    again, looked_again = encoded(mean_colour(fingerprint="a"), images, tmp_path / "cache")
    assert (looked, looked_again) == (7, 0)
    assert np.array_equal(first, again)


def test_new_images_alone_are_encoded(mean_colour, photos, tmp_path):
    paths = photos(9)
    encoder = mean_colour(fingerprint="a")
    encoded(encoder, ImageList(paths[:5]), tmp_path / "cache")
    rows, looked = encoded(encoder, ImageList(paths[::-1]), tmp_path / "cache")
    assert looked == 4
    assert np.array_equal(rows, embed_images(encoder, ImageList(paths[::-1])).embeddings)


def test_replaced_file_of_the_same_size_and_time_is_encoded_again(mean_colour, tmp_path):
    path = tmp_path / "photo.bmp"
    PIL.Image.new("RGB", (4, 4), (255, 0, 0)).save(path)
    status = path.stat()
    encoder = mean_colour(fingerprint="a")
    red, _ = encoded(encoder, ImageList([path]), tmp_path / "cache")
    PIL.Image.new("RGB", (4, 4), (0, 0, 255)).save(path)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert path.stat().st_size == status.st_size
    blue, looked = encoded(encoder, ImageList([path]), tmp_path / "cache")
    assert looked == 1
    assert not np.allclose(red, blue)


def test_file_that_changes_while_it_is_encoded_is_not_cached(mean_colour, photos, tmp_path):
    (path,) = photos(1)

    class Slow(mean_colour):
        def encode_images(self, images):
            PIL.Image.new("RGB", (4, 4), (1, 2, 3)).save(path)
            return super().encode_images(images)

    encoded(Slow(fingerprint="a"), ImageList([path]), tmp_path / "cache")
    assert blocks(tmp_path / "cache") == []


def test_images_in_memory_are_known_by_their_pixels(mean_colour, tmp_path):
    pictures = [PIL.Image.new("RGB", (4, 4), (number, 0, 0)) for number in range(5)]
    encoder = mean_colour(fingerprint="a")
    first, _ = encoded(encoder, ImageList(pictures), tmp_path / "cache")
    copies = ImageList([lambda picture=picture: np.asarray(picture) for picture in pictures[::-1]])
    again, looked = encoded(encoder, copies, tmp_path / "cache")
    assert looked == 0
    assert np.array_equal(again, first[::-1])
    assert encoded(encoder, ImageList([pictures[0].resize((8, 2))]), tmp_path / "cache")[1] == 1


@pytest.mark.parametrize(
    "other",
    [
        {"name": "another", "fingerprint": "a"},
        {"fingerprint": "b"},
        {"fingerprint": None},
        {"fingerprint": "a", "dim": 4},
    ],
)
def test_another_encoder_gets_no_rows_of_this_one(mean_colour, photos, tmp_path, other):
    images = ImageList(photos(3))
    encoded(mean_colour(fingerprint="a"), images, tmp_path / "cache")

    class Wider(mean_colour):
        dim = other.pop("dim", 3)

        def encode_images(self, images):
            return np.pad(super().encode_images(images), ((0, 0), (0, self.dim - 3)))

    assert encoded(Wider(**other), images, tmp_path / "cache")[1] >= 3


def test_encoder_without_a_fingerprint_is_told_by_what_it_answers(mean_colour, photos, tmp_path):
    images = ImageList(photos(3))
    test_picture = 1
    assert encoded(mean_colour(), images, tmp_path / "cache")[1] == 3 + test_picture
    assert encoded(mean_colour(), images, tmp_path / "cache")[1] == test_picture
    assert encoded(mean_colour(shift=0.9), images, tmp_path / "cache")[1] == 3 + test_picture


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_blocks_never_give_wrong_rows(mean_colour, photos, tmp_path_factory, data):
    images = ImageList(photos(6))
    folder = tmp_path_factory.mktemp("cache")
    encoder = mean_colour(fingerprint="a")
    whole, _ = encoded(encoder, images, folder)
    (block,) = blocks(folder)
    content = bytearray(block.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    block.write_bytes(bytes(content[: data.draw(st.integers(0, len(content)))]))
    rows, _ = encoded(encoder, images, folder)
    assert np.array_equal(rows, whole)
    assert encoded(encoder, images, folder)[1] == 0


def test_folder_that_cannot_be_written_to_is_an_error_before_any_image_is_opened(
    mean_colour, photos, tmp_path
):
    (tmp_path / "cache").write_text("a file, not a folder")
    encoder = mean_colour(fingerprint="a")
    with pytest.raises(CacheError, match="cannot be kept in"):
        encoded(encoder, ImageList(photos(3)), tmp_path / "cache")
    assert encoder.seen == 0


def test_manifest_lists_every_shard_and_what_it_holds(mean_colour, photos, tmp_path, monkeypatch):
    monkeypatch.setattr(pipeline, "SHARD_ROWS", 4)
    cached = embed_to_cache(
        ImageList(photos(10)), [mean_colour(fingerprint="a")], tmp_path / "cache", progress=False
    )
    (folder,) = cached.folders
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["dim"] == 3
    assert sorted(manifest["shards"]) == [path.name for path in blocks(folder)]
    assert sorted(shard["rows"] for shard in manifest["shards"].values()) == [2, 4, 4]
    assert (cached.images, cached.computed, cached.unreadable) == (10, 10, ())
    rows = [load_file(path)["rows"] for path in blocks(folder)]
    assert sum(len(part) for part in rows) == 10


def test_several_models_open_each_image_once(mean_colour, photos, tmp_path):
    opened = []

    class Counting(ImageList):
        def __getitem__(self, index):
            opened.append(index)
            return super().__getitem__(index)

    images = Counting(photos(9))
    models = [mean_colour(fingerprint="a"), mean_colour("other", shift=2.0, fingerprint="b")]
    embed_images(models[0], images.take(np.arange(4)), cache_dir=tmp_path / "cache")
    first, second = embed_with(models, images, batch_size=4, cache_dir=tmp_path / "cache")
    assert sorted(opened) == list(range(9))
    assert models[0].seen == models[1].seen == 9
    for model, found in zip(models, (first, second), strict=True):
        assert np.allclose(found.embeddings, embed_images(model, images).embeddings)
    opened.clear()
    embed_with(models, images, cache_dir=tmp_path / "cache")
    assert opened == []


def test_batch_that_does_not_fit_the_device_is_halved(mean_colour, photos):
    sizes = []

    class Small(mean_colour):
        def encode_images(self, images):
            sizes.append(len(images))
            if len(images) > 3:
                raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
            return super().encode_images(images)

    images = ImageList(photos(20))
    rows = embed_images(Small(), images, batch_size=8).embeddings
    assert np.array_equal(rows, embed_images(mean_colour(), images).embeddings)
    assert sizes[:6] == [8, 4, 2, 2, 4, 2]
    assert max(sizes[10:]) == 2


def test_interrupted_run_keeps_the_rows_that_it_had(mean_colour, photos, tmp_path):
    images = ImageList(photos(8))

    def interrupt(done, _total):
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        embed_images(
            mean_colour(fingerprint="a"),
            images,
            batch_size=2,
            progress=interrupt,
            cache_dir=tmp_path / "cache",
        )
    assert encoded(mean_colour(fingerprint="a"), images, tmp_path / "cache")[1] == 4


KILLS = int(os.environ.get("CLARIFY_KILLS", "3"))

EMBEDDING = """
    import sys, time
    from pathlib import Path
    sys.path.insert(0, {tests!r})
    from conftest import MeanColour
    from clarify_widget.datasets import ImageList
    from clarify_widget.encoders import embed_to_cache, pipeline

    pipeline.SHARD_ROWS = 4
    images = ImageList(sorted(Path({photos!r}).iterdir()))
    models = [MeanColour(fingerprint="a"), MeanColour("other", shift=2.0, fingerprint="b")]
    print("ready", flush=True)
    embed_to_cache(images, models, {cache!r}, batch_size=2, progress=False)
"""


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system cannot kill a process in the middle")
def test_process_killed_at_random_moments_ends_with_the_bytes_of_an_undisturbed_run(photos, tmp_path):
    """CLARIFY_KILLS sets how many moments; each run goes on where the one before was killed."""
    paths = photos(125)

    def run(cache, wait=None):
        script = EMBEDDING.format(
            tests=os.path.dirname(__file__),  # noqa: PTH120 - a plain string for the script
            photos=str(paths[0].parent),
            cache=str(cache),
        )
        with subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE
        ) as process:
            process.stdout.readline()
            started = time.monotonic()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(wait)
            process.kill()
        return time.monotonic() - started, process.returncode

    whole = tmp_path / "whole"
    seconds, code = run(whole)
    assert code == 0
    expected = contents(whole)
    moments = random.Random(0)
    killed = 0
    cache = tmp_path / "killed-0"
    for number in range(KILLS):
        before = contents(cache) if cache.is_dir() else {}
        _, code = run(cache, moments.uniform(0, seconds))
        killed += code == -signal.SIGKILL
        assert {name for name in before if name.endswith(".safetensors")} <= set(contents(cache))
        if code == 0 or number == KILLS - 1:
            assert run(cache)[1] == 0
            assert contents(cache) == expected
            cache = tmp_path / f"killed-{number + 1}"
    assert killed


def test_many_writers_share_one_folder(mean_colour, photos, tmp_path):
    paths = photos(30)
    expected = embed_images(mean_colour(), ImageList(paths)).embeddings

    def run(start):
        rows = np.roll(np.arange(30), start)
        images = ImageList(paths).take(rows)
        found = embed_images(mean_colour(fingerprint="a"), images, batch_size=5, cache_dir=tmp_path / "cache")
        return np.array_equal(found.embeddings, expected[rows])

    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(run, range(0, 30, 5)))
    assert encoded(mean_colour(fingerprint="a"), ImageList(paths), tmp_path / "cache")[1] == 0


def test_unreadable_images_are_tried_again_once_they_are_mended(mean_colour, photos, tmp_path):
    paths = photos(3)
    whole = paths[1].read_bytes()
    paths[1].write_bytes(whole[:20])
    encoder = mean_colour(fingerprint="a")
    assert len(embed_images(encoder, ImageList(paths), cache_dir=tmp_path / "cache").unreadable) == 1
    paths[1].write_bytes(whole)
    mended = embed_images(encoder, ImageList(paths), cache_dir=tmp_path / "cache")
    assert mended.kept.tolist() == [0, 1, 2]
    assert mended.unreadable == ()
