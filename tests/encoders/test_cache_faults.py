"""Disks that fill up and folders that are read-only: one error, nothing lost, and a later run goes on."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import subprocess
import sys
import textwrap
from itertools import count
from pathlib import Path

import pytest
from safetensors.numpy import load_file

from clarify_widget.datasets import ImageList
from clarify_widget.encoders import cache as cache_module
from clarify_widget.encoders import embed_to_cache, pipeline
from clarify_widget.errors import CacheError

WRITES = ("Path.mkdir", "Path.open", "mkstemp", "write", "flush", "fsync", "Path.replace")


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def shards(found):
    return {name: content for name, content in found.items() if name.endswith(".safetensors")}


@pytest.fixture
def embed(mean_colour, monkeypatch):
    """Embed images with two models, four images a shard."""
    monkeypatch.setattr(pipeline, "SHARD_ROWS", 4)

    def run(paths, folder):
        models = [mean_colour(fingerprint="a"), mean_colour("other", shift=2.0, fingerprint="b")]
        return embed_to_cache(ImageList(paths), models, folder, batch_size=2, progress=False)

    return run


class Disk:
    """A disk of this test's own, in memory."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], check=True)

    def remount(self, option):
        subprocess.run(["mount", "-o", f"remount,{option}", self.folder], check=True)

    def unmount(self):
        subprocess.run(["umount", self.folder], check=True)


@pytest.fixture
def disk(tmp_path):
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root may mount a small disk; the limit of a file's size is tested for all")
    try:
        small = Disk(tmp_path / "disk")
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no disk can be mounted here")
    yield small
    small.unmount()


def test_run_on_a_disk_that_fills_up_keeps_its_shards_and_goes_on_with_room(embed, disk, photos, tmp_path):
    paths = photos(60)
    with pytest.raises(CacheError, match=r"No space left on device\. Give a cache folder that") as failed:
        embed(paths, disk.folder / "cache")
    assert str(disk.folder) in str(failed.value)
    kept = shards(contents(disk.folder))
    assert 2 <= len(kept) < 30
    assert not [name for name in contents(disk.folder) if name.endswith(".tmp")]
    disk.remount("size=8m")
    cached = embed(paths, disk.folder / "cache")
    assert (cached.images, cached.computed) == (60, 60 - 4 * (len(kept) // 2))
    assert kept.items() <= contents(disk.folder).items()
    embed(paths, tmp_path / "undisturbed")
    assert contents(disk.folder / "cache") == contents(tmp_path / "undisturbed")


def test_disk_that_is_read_only_is_read_and_an_error_where_rows_are_new(embed, disk, photos):
    paths = photos(8)
    embed(paths[:4], disk.folder / "cache")
    before = contents(disk.folder)
    disk.remount("ro")
    assert embed(paths[:4], disk.folder / "cache").computed == 0
    with pytest.raises(CacheError, match="Read-only file system"):
        embed(paths, disk.folder / "cache")
    assert contents(disk.folder) == before
    disk.remount("rw")
    assert embed(paths, disk.folder / "cache").computed == 4


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root writes where nobody may; a disk is tested"
)
def test_folder_without_permission_is_read_and_an_error_where_rows_are_new(embed, photos, tmp_path):
    paths = photos(8)
    folders = embed(paths[:4], tmp_path / "cache").folders
    for folder in folders:
        folder.chmod(0o555)
        (folder / "lock").chmod(0o444)
    try:
        assert embed(paths[:4], tmp_path / "cache").computed == 0
        with pytest.raises(CacheError, match="Permission denied"):
            embed(paths, tmp_path / "cache")
    finally:
        for folder in folders:
            folder.chmod(0o755)
            (folder / "lock").chmod(0o644)
    assert embed(paths, tmp_path / "cache").computed == 4


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such limit on Windows")
def test_limit_of_the_size_of_files_is_one_line_and_status_1(photos, tmp_path):
    photos(4)
    lines = [f"photos/{row:03}.png,{'ab'[row % 2]},{('train', 'val')[row // 2]}" for row in range(4)]
    (tmp_path / "table.csv").write_text("\n".join(["image,label,split", *lines]))
    script = """
        import resource, sys
        from clarify_widget import cli
        resource.setrlimit(resource.RLIMIT_FSIZE, (600, 600))
        sys.exit(cli.main(["embed", "frame:table.csv", "--cache", "rows"]))
    """
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    line = ended.stderr.strip().splitlines()[-1]
    assert line.startswith("clarify-widget: The embeddings cannot be kept in rows")
    assert "File too large. Give a cache folder that can be written to and has room" in line
    assert shards(contents(tmp_path / "rows")) == {}


class Faults:
    """Makes the n-th step of writing fail as on a full disk: see WRITES."""

    def __init__(self, monkeypatch):
        self._left = None
        self._failed = None
        for name in ("mkdir", "replace"):
            self._patch(monkeypatch, cache_module.Path, name, f"Path.{name}")
        self._patch(monkeypatch, cache_module.tempfile, "mkstemp", "mkstemp")
        self._patch(monkeypatch, cache_module.os, "fsync", "fsync")
        self._patch_opening(monkeypatch)

    def begin(self, step):
        self._left, self._failed = step, None

    def end(self):
        """Let everything succeed again, and return what failed; None where there were fewer steps."""
        self._left = None
        return self._failed

    def step(self, name):
        if self._left is None:
            return
        self._left -= 1
        if self._left < 0:
            self._left, self._failed = None, name
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _patch(self, monkeypatch, owner, attribute, name):
        real = getattr(owner, attribute)

        def failing(*arguments, **options):
            self.step(name)
            return real(*arguments, **options)

        monkeypatch.setattr(owner, attribute, failing)

    def _patch_opening(self, monkeypatch):
        faults, real_open, real_fdopen = self, Path.open, os.fdopen

        class File(io.FileIO):
            def write(self, data):
                faults.step("write")
                return super().write(data)

            def flush(self):
                if not self.closed:
                    faults.step("flush")
                super().flush()

        def opened(path, mode="r", *arguments, **options):
            if mode == "ab":
                faults.step("Path.open")
            return real_open(path, mode, *arguments, **options)

        def fdopened(handle, mode="r", *arguments, **options):
            return File(handle, mode) if mode == "wb" else real_fdopen(handle, mode, *arguments, **options)

        monkeypatch.setattr(cache_module.Path, "open", opened)
        monkeypatch.setattr(cache_module.os, "fdopen", fdopened)


def images_in(folder):
    """Return the digests of the images whose rows a model's folder has."""
    return {bytes(one) for path in folder.glob("*.safetensors") for one in load_file(path)["images"]}


def test_every_step_of_writing_may_fail_and_nothing_is_lost(embed, photos, tmp_path, monkeypatch):
    paths = photos(6)
    folders = [folder.name for folder in embed(paths, tmp_path / "undisturbed").folders]
    expected = contents(tmp_path / "undisturbed")
    faults = Faults(monkeypatch)
    failed = set()
    for step in count():
        folder = tmp_path / f"cache {step}"
        faults.begin(step)
        with contextlib.suppress(CacheError):
            embed(paths, folder)
        failed.add(faults.end())
        if None in failed:
            break
        kept = contents(folder)
        assert not [name for name in kept if name.endswith(".tmp")]
        assert shards(kept).items() <= expected.items()
        known = set.intersection(*(images_in(folder / name) for name in folders))
        assert embed(paths, folder).computed == len(paths) - len(known)
        assert contents(folder) == expected
    assert contents(folder) == expected
    assert failed == {*WRITES, None}


def test_error_of_a_step_that_fails_says_which_folder_and_why(embed, photos, tmp_path, monkeypatch):
    paths = photos(4)
    faults = Faults(monkeypatch)
    for step in range(12):
        faults.begin(step)
        with pytest.raises(
            CacheError, match=r"cannot be kept in .*cache.*: No space left on device\. Give a"
        ):
            embed(paths, tmp_path / str(step) / "cache")
