"""Folders as people lay them out, and as they should not."""

from __future__ import annotations

import os

import numpy as np
import PIL.Image
import pytest

from clarify_widget.datasets import from_folder
from clarify_widget.datasets.folders import image_endings
from clarify_widget.errors import DataError


def save(path, grey=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.new("L", (4, 4), grey).save(path)


def fill(root, classes, count=10, ending="png"):
    for grey, name in enumerate(classes):
        for number in range(count):
            save(root / name / f"{number}.{ending}", grey)


def names(split):
    return [split.images.name(row) for row in range(len(split))]


def test_class_folders_get_a_seeded_stratified_split(tmp_path):
    fill(tmp_path, ["cat", "dog"])
    dataset = from_folder(tmp_path, seed=1)
    assert dataset.class_names == ("cat", "dog")
    assert dataset.name == tmp_path.name
    assert [np.bincount(split.labels).tolist() for split in dataset.splits()] == [[6, 6], [2, 2], [2, 2]]
    assert names(dataset.val) == names(from_folder(tmp_path, seed=1).val)
    assert names(dataset.val) != names(from_folder(tmp_path, seed=2).val)


def test_every_label_is_that_of_its_image(tmp_path):
    fill(tmp_path, ["a", "b", "c"], count=4)
    for split in from_folder(tmp_path).splits():
        greys = [split.images[row].getpixel((0, 0))[0] for row in range(len(split))]
        assert greys == split.labels.tolist()


@pytest.mark.parametrize("val", ["val", "valid", "validation", "Val"])
def test_split_folders_are_kept_as_they_are(tmp_path, val):
    for split, count in (("train", 5), (val, 3), ("test", 2)):
        fill(tmp_path / split, ["cat", "dog"], count)
    dataset = from_folder(tmp_path)
    assert [len(split) for split in dataset.splits()] == [10, 6, 4]
    assert names(dataset.val)[0] == f"{val}/cat/0.png"


def test_split_folders_may_have_names_of_their_own(tmp_path):
    for split in ("lernen", "schauen", "prüfen"):
        fill(tmp_path / split, ["cat", "dog"], 2)
    dataset = from_folder(tmp_path, splits=("lernen", "schauen", "prüfen"))
    assert [names(split)[0] for split in dataset.splits()] == [
        "lernen/cat/0.png",
        "schauen/cat/0.png",
        "prüfen/cat/0.png",
    ]


def test_without_a_val_folder_part_of_train_is_held_out(tmp_path):
    fill(tmp_path / "train", ["cat", "dog"], 10)
    fill(tmp_path / "test", ["cat", "dog"], 3)
    dataset = from_folder(tmp_path)
    assert [np.bincount(split.labels).tolist() for split in dataset.splits()] == [[8, 8], [2, 2], [3, 3]]


def test_without_a_test_folder_there_is_no_test_split(tmp_path):
    fill(tmp_path / "train", ["cat", "dog"], 4)
    fill(tmp_path / "val", ["cat", "dog"], 4)
    assert from_folder(tmp_path).test is None


def test_a_class_may_be_called_like_a_split(tmp_path):
    fill(tmp_path, ["test", "field"], 5)
    assert from_folder(tmp_path).class_names == ("field", "test")


def test_nested_images_count_and_hidden_and_other_files_do_not(tmp_path):
    fill(tmp_path, ["cat", "dog"], 3)
    save(tmp_path / "cat" / "2024" / "june" / "kitten.PNG")
    save(tmp_path / "cat" / ".thumbnails" / "0.png")
    save(tmp_path / "cat" / "._0.png")
    save(tmp_path / ".git" / "0.png")
    save(tmp_path / "__MACOSX" / "0.png")
    (tmp_path / "cat" / "notes.txt").write_text("ignored")
    dataset = from_folder(tmp_path)
    found = sorted(name for split in dataset.splits() for name in names(split))
    assert found == sorted(
        [
            "cat/2024/june/kitten.PNG",
            *(f"{name}/{number}.png" for name in ("cat", "dog") for number in range(3)),
        ],
    )


def test_links_are_followed_and_circles_are_not(tmp_path):
    fill(tmp_path / "elsewhere", ["cat"], 3)
    root = tmp_path / "root"
    fill(root, ["dog"], 3)
    (root / "cat").symlink_to(tmp_path / "elsewhere" / "cat", target_is_directory=True)
    (root / "dog" / "circle").symlink_to(root / "dog", target_is_directory=True)
    assert sum(len(split) for split in from_folder(root).splits()) == 6


def test_class_names_come_in_natural_order_and_unharmed(tmp_path):
    classes = ["class 10", "class 2", "Émile", "emoji 🦆", "<i>html & co<", "'quote\""]
    fill(tmp_path, classes, 3)
    found = from_folder(tmp_path).class_names
    assert sorted(found) == sorted(classes)
    assert found.index("class 2") < found.index("class 10")


def test_names_that_are_not_utf8_can_be_shown(tmp_path):
    fill(tmp_path, ["cat"], 3)
    odd = os.fsencode(tmp_path) + b"/d\xf6g"
    try:
        os.mkdir(odd)  # noqa: PTH102 - pathlib takes no bytes
    except OSError:
        pytest.skip("this file system allows UTF-8 names only")
    for number in range(3):
        save(tmp_path / os.fsdecode(b"d\xf6g") / f"{number}.png")
    dataset = from_folder(tmp_path)
    assert dataset.class_names == ("cat", "d�g")
    assert dataset.train.images[len(dataset.train) - 1].size == (4, 4)
    "".join(names(dataset.train)).encode()


def test_unreadable_images_are_left_for_embedding_to_list(tmp_path):
    fill(tmp_path, ["cat", "dog"], 3)
    (tmp_path / "cat" / "broken.jpg").write_bytes(b"")
    assert sum(len(split) for split in from_folder(tmp_path).splits()) == 7


def test_class_folders_without_images_are_left_out_with_a_warning(tmp_path):
    fill(tmp_path, ["cat", "dog"], 3)
    (tmp_path / "papers").mkdir()
    (tmp_path / "papers" / "clarify.pdf").write_bytes(b"%PDF")
    with pytest.warns(UserWarning, match="papers"):
        assert from_folder(tmp_path).class_names == ("cat", "dog")


def test_image_endings_are_those_that_pillow_opens():
    assert {".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tiff", ".ppm"} <= image_endings()
    assert not {".pdf", ".txt", ".h5", ".npy", ""} & image_endings()


def nothing(_root):
    pass


def loose_images(root):
    fill(root, [""], 3)


def text_only(root):
    (root / "cat").mkdir()
    (root / "cat" / "a.txt").write_text("no image")


def one_class(root):
    fill(root, ["cat"], 3)


def class_missing_in_train(root):
    fill(root / "train", ["cat", "dog"], 3)
    fill(root / "val", ["cat", "dog", "owl"], 3)


def no_train(root):
    fill(root / "val", ["cat", "dog"], 3)
    fill(root / "test", ["cat", "dog"], 3)


def two_vals(root):
    for split in ("train", "val", "valid"):
        fill(root / split, ["cat", "dog"], 3)


BAD = [
    (nothing, "found an empty folder"),
    (loose_images, "3 of them images outside any class folder"),
    (text_only, "no images in class folders; found 1 entries, the first 'cat'"),
    (one_class, "images of one class only, 'cat'"),
    (class_missing_in_train, r"\['owl'\] have images to look at but none in train"),
    (no_train, r"split folders \['test', 'val'\] but none to train on"),
    (two_vals, "two val folders, 'val' and 'valid'"),
]


@pytest.mark.parametrize(("make", "message"), BAD)
def test_folders_that_do_not_do_say_what_was_found_and_what_is_expected(tmp_path, make, message):
    make(tmp_path)
    with pytest.raises(DataError, match=message) as caught:
        from_folder(tmp_path)
    assert str(tmp_path) in str(caught.value)


def test_missing_folder_and_file_instead_of_folder_say_so(tmp_path):
    with pytest.raises(DataError, match=r"found nothing there\. Expected root/<class>"):
        from_folder(tmp_path / "missing")
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="found a file there"):
        from_folder(tmp_path / "file")


def test_class_missing_in_val_keeps_its_place(tmp_path):
    fill(tmp_path / "train", ["cat", "dog", "owl"], 3)
    fill(tmp_path / "val", ["cat", "owl"], 3)
    dataset = from_folder(tmp_path)
    assert dataset.class_names == ("cat", "dog", "owl")
    assert set(dataset.val.labels) == {0, 2}
