"""The benchmark's layout, once made up and once the genuine files where they are."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from clarify_widget.datasets import waterbirds
from clarify_widget.errors import DataError

HEADER = "img_id,img_filename,y,split,place,place_filename\n"
ROWS = [  # file name, y, split, place
    ("001.Gull/gull 1.jpg", 1, 0, 1),
    ("001.Gull/gull 2.jpg", 1, 1, 0),
    ("002.Wren/wren 1.jpg", 0, 0, 0),
    ("002.Wren/wren 2.jpg", 0, 1, 1),
    ("002.Wren/wren 3.jpg", 0, 2, 0),
]


def write(root, *, images="images"):
    lines = [
        f"{number},{name},{y},{split},{place},/x.jpg" for number, (name, y, split, place) in enumerate(ROWS)
    ]
    (root / "metadata.csv").write_text(HEADER + "\n".join(lines) + "\n")
    for grey, (name, *_) in enumerate(ROWS):
        path = root / images / name
        path.parent.mkdir(parents=True, exist_ok=True)
        PIL.Image.new("L", (4, 4), grey * 10).save(path, quality=100)
    return root


@pytest.mark.parametrize("images", ["images", "."])
def test_layout_is_read_whole(tmp_path, images):
    features = np.arange(10, dtype=np.float32).reshape(5, 2)
    np.save(tmp_path / "embeddings.npy", features + 1)
    dataset = waterbirds(
        write(tmp_path, images=images), features=features, embeddings=tmp_path / "embeddings.npy"
    )
    assert dataset.class_names == ("landbird", "waterbird")
    assert dataset.group_names[2] == "waterbird on land"
    assert dataset.train.labels.tolist() == [1, 0]
    assert dataset.val.groups.tolist() == [2, 1]
    assert dataset.test.features.tolist() == [[8, 9]]
    assert dataset.val.embeddings.tolist() == [[3, 4], [7, 8]]
    assert dataset.test.images.name(0) == "002.Wren/wren 3.jpg"
    assert dataset.test.images[0].getpixel((1, 1))[0] == pytest.approx(40, abs=2)


def test_missing_metadata_and_images_say_which_file_and_where_the_benchmark_comes_from(tmp_path):
    with pytest.raises(DataError, match=r"There is no .*metadata\.csv.*group_DRO"):
        waterbirds(tmp_path)
    write(tmp_path)
    for path in (tmp_path / "images").rglob("*.jpg"):
        path.unlink()
    with pytest.raises(DataError, match=r"None of the 5 images .*gull 1\.jpg.*group_DRO"):
        waterbirds(tmp_path)


def test_missing_and_damaged_arrays_are_named(tmp_path):
    write(tmp_path)
    with pytest.raises(DataError, match=r"There is no .*gone\.npy to read the features from"):
        waterbirds(tmp_path, features=tmp_path / "gone.npy")
    (tmp_path / "bad.npy").write_bytes(b"not an array")
    with pytest.raises(DataError, match=r"bad\.npy is not a NumPy array file"):
        waterbirds(tmp_path, embeddings=tmp_path / "bad.npy")
    np.save(tmp_path / "pickled.npy", np.array([object()] * 5), allow_pickle=True)
    with pytest.raises(DataError, match=r"pickled\.npy is not a NumPy array file"):
        waterbirds(tmp_path, embeddings=tmp_path / "pickled.npy")
    with pytest.raises(DataError, match="features has 4 rows for 5 labels"):
        waterbirds(tmp_path, features=np.ones((4, 2)))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("place,", "background,", r"lacks the columns \['place'\]"),
        ("gull 1.jpg,1,0", "gull 1.jpg,7,0", r"line 2: y must be 0..1; got '7'"),
        ("gull 1.jpg,1,0", "gull 1.jpg,1,train", r"line 2: split must be 0..2; got 'train'"),
    ],
)
def test_metadata_that_does_not_fit_is_named(tmp_path, old, new, message):
    write(tmp_path)
    path = tmp_path / "metadata.csv"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(DataError, match=message):
        waterbirds(tmp_path)


def test_empty_metadata_is_named(tmp_path):
    (tmp_path / "metadata.csv").write_text(HEADER)
    with pytest.raises(DataError, match="has no rows"):
        waterbirds(tmp_path)


GENUINE = Path(
    os.environ.get("CLARIFY_WATERBIRDS_DIR", Path(__file__).parents[3] / "shared" / "waterbirds"),
)


@pytest.mark.skipif(not (GENUINE / "metadata.csv").is_file(), reason="the genuine Waterbirds is not here")
def test_genuine_waterbirds_has_the_published_group_sizes():
    dataset = waterbirds(
        GENUINE,
        features=GENUINE / "image_features.npy",
        embeddings=GENUINE / "image_embeddings.npy",
    )
    sizes = [np.bincount(split.groups).tolist() for split in dataset.splits()]
    assert sizes == [[3498, 184, 56, 1057], [467, 466, 133, 133], [2255, 2255, 642, 642]]
    assert dataset.train.features.shape == (4795, 1280)
    assert np.allclose(np.linalg.norm(dataset.val.embeddings, axis=1), 1, atol=1e-3)
    assert min(dataset.val.images[7].size) == 160
