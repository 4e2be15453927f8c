"""Unlabelled images to search: every kind of source finds what a full sort finds."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from PIL import Image

from clarify_widget import arrays
from clarify_widget.discovery import open_pool
from clarify_widget.encoders import PrecomputedEncoder
from clarify_widget.errors import DataError, MissingDependencyError

COUNT, WIDTH = 300, 8


@pytest.fixture
def encoder():
    return PrecomputedEncoder(["red", "blue"], np.eye(WIDTH)[:2])


@pytest.fixture
def rows():
    found = np.random.default_rng(0).normal(size=(COUNT, WIDTH)).astype(np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def as_array(rows, _folder):
    return rows


def as_float16_file(rows, folder):
    np.save(folder / "rows.npy", (5 * rows).astype(np.float16))
    return folder / "rows.npy"


def as_faiss_product(rows, _folder):
    import faiss

    index = faiss.IndexFlatIP(WIDTH)
    index.add(rows)
    return index


def as_faiss_distance_file(rows, folder):
    import faiss

    index = faiss.IndexFlatL2(WIDTH)
    index.add(rows)
    faiss.write_index(index, str(folder / "rows.faiss"))
    return folder / "rows.faiss"


def as_lance(rows, folder):
    import lance
    import pyarrow as pa

    for part in (rows[:200], rows[200:]):  # two fragments
        column = pa.FixedSizeListArray.from_arrays(pa.array(part.reshape(-1)), WIDTH)
        mode = "append" if (folder / "rows.lance").exists() else "create"
        lance.write_dataset(pa.table({"embedding": column}), str(folder / "rows.lance"), mode=mode)
    return folder / "rows.lance"


SOURCES = (as_array, as_float16_file, as_faiss_product, as_faiss_distance_file, as_lance)


@pytest.mark.parametrize("source", SOURCES)
def test_every_source_finds_what_a_full_sort_finds(source, rows, encoder, tmp_path, monkeypatch):
    monkeypatch.setattr(arrays, "_CHECKED_AT_ONCE", 50 * WIDTH)
    pool = open_pool(source(rows, tmp_path), encoder)
    assert len(pool) == COUNT
    direction = np.eye(WIDTH, dtype=np.float32)[0]
    found, similar = pool.index.search(direction, 12)
    assert found.tolist() == np.argsort(-rows[:, 0], kind="stable")[:12].tolist()
    np.testing.assert_allclose(similar, rows[found, 0], atol=1e-3)
    np.testing.assert_allclose(pool.index.rows(found), rows[found], atol=1e-3)


@pytest.mark.parametrize("source", SOURCES)
def test_asked_for_more_than_there_are_it_returns_all(source, rows, encoder, tmp_path):
    pool = open_pool(source(rows, tmp_path), encoder)
    found, _ = pool.index.search(np.eye(WIDTH, dtype=np.float32)[1], 10 * COUNT)
    assert sorted(found.tolist()) == list(range(COUNT))


class MeanColour:
    """Images as their mean colour."""

    name, dim = "mean colour", 3

    def encode_images(self, images):
        return np.array([np.asarray(image).reshape(-1, 3).mean(axis=0) + 1 for image in images])

    def encode_text(self, texts):
        return np.eye(3)[:1].repeat(len(texts), axis=0)


def test_a_folder_is_embedded_folders_inside_and_broken_files_included(tmp_path):
    (tmp_path / "inside").mkdir()
    Image.new("RGB", (8, 8), "red").save(tmp_path / "inside" / "a.png")
    Image.new("RGB", (8, 8), "blue").save(tmp_path / "b.png")
    (tmp_path / "c.jpg").write_bytes(b"no image")
    pool = open_pool(str(tmp_path), MeanColour())
    found, _ = pool.index.search(np.eye(3, dtype=np.float32)[0], 5)
    assert [pool.name_of(row) for row in found] == ["inside/a.png", "b.png"]
    assert pool.images[int(found[0])].getpixel((0, 0)) == (255, 0, 0)


def test_what_cannot_be_searched_is_one_clear_error(rows, encoder, tmp_path):
    with pytest.raises(DataError, match="There is no"):
        open_pool(tmp_path / "missing.npy", encoder)
    with pytest.raises(DataError, match="no images"):
        open_pool(tmp_path, encoder)
    with pytest.raises(DataError, match="7 wide, but precomputed makes 8"):
        open_pool(rows[:, :7], encoder)
    with pytest.raises(DataError, match="A pool is a folder"):
        open_pool(rows[0], encoder)
    with pytest.raises(DataError, match="300 rows for 2 images"):
        open_pool(rows, encoder, images=["a.png", "b.png"])
    with pytest.raises(DataError, match="no column 'vector'"):
        open_pool(as_lance(rows, tmp_path), encoder, column="vector")


@pytest.mark.parametrize(("name", "ending"), [("faiss", ".faiss"), ("lance", ".lance")])
def test_a_package_that_is_missing_is_named_with_the_way_to_get_it(
    name, ending, encoder, tmp_path, monkeypatch
):
    path = tmp_path / f"rows{ending}"
    path.mkdir() if ending == ".lance" else path.write_bytes(b"")
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingDependencyError, match=rf"clarify-widget\[{name}\]"):
        open_pool(path, encoder)
