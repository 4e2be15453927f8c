"""CelebA's own layout, made up in miniature."""

from __future__ import annotations

import numpy as np
import PIL.Image
import pytest

from clarify_widget.datasets import celeba
from clarify_widget.errors import DataError

ATTRIBUTES = ("Bald", "Blond_Hair", "Male", "Smiling")
ROWS = [  # Bald, Blond_Hair, Male, Smiling; split
    ((-1, -1, -1, 1), 0),
    ((-1, -1, 1, -1), 0),
    ((-1, 1, -1, 1), 0),
    ((-1, 1, 1, -1), 0),
    ((1, -1, 1, 1), 1),
    ((-1, 1, -1, -1), 1),
    ((-1, 1, 1, 1), 2),
]


def write(root, *, attributes=".", partition=".", images="."):
    for folder in (attributes, partition, images):
        (root / folder).mkdir(parents=True, exist_ok=True)
    lines = [
        f"{n:06}.jpg " + " ".join(f"{value:2}" for value in values) for n, (values, _) in enumerate(ROWS, 1)
    ]
    header = [str(len(ROWS)), " ".join(ATTRIBUTES) + " "]
    (root / attributes / "list_attr_celeba.txt").write_text("\n".join(header + lines) + "\n")
    parts = [f"{number:06}.jpg {split}" for number, (_, split) in enumerate(ROWS, 1)]
    (root / partition / "list_eval_partition.txt").write_text("\n".join(parts) + "\n")
    (root / images / "img_align_celeba").mkdir(exist_ok=True)
    for number in range(1, len(ROWS) + 1):
        path = root / images / "img_align_celeba" / f"{number:06}.jpg"
        PIL.Image.new("L", (4, 5), number * 20).save(path, quality=100)
    return root


@pytest.mark.parametrize("folders", [{}, {"attributes": "Anno", "partition": "Eval", "images": "Img"}])
def test_both_layouts_are_read_whole(tmp_path, folders):
    features = np.arange(14, dtype=np.float32).reshape(7, 2)
    np.save(tmp_path / "embeddings.npy", features + 1)
    dataset = celeba(write(tmp_path, **folders), features=features, embeddings=tmp_path / "embeddings.npy")
    assert dataset.class_names == ("not blond hair", "blond hair")
    assert dataset.group_names == (
        "not blond hair, not male",
        "not blond hair, male",
        "blond hair, not male",
        "blond hair, male",
    )
    assert dataset.train.labels.tolist() == [0, 0, 1, 1]
    assert dataset.train.groups.tolist() == [0, 1, 2, 3]
    assert dataset.val.groups.tolist() == [1, 2]
    assert dataset.test.features.tolist() == [[12, 13]]
    assert dataset.val.embeddings.tolist() == [[9, 10], [11, 12]]
    assert dataset.test.images.name(0) == "000007.jpg"
    assert dataset.test.images[0].getpixel((1, 1))[0] == pytest.approx(140, abs=2)


def test_any_attribute_may_be_the_target_and_any_other_mislead(tmp_path):
    dataset = celeba(write(tmp_path), target="Smiling", spurious="Blond_Hair")
    assert dataset.class_names == ("not smiling", "smiling")
    assert dataset.train.labels.tolist() == [1, 0, 1, 0]
    assert dataset.train.groups.tolist() == [2, 0, 3, 1]
    assert dataset.group_names[3] == "smiling, blond hair"


@pytest.mark.parametrize("name", ["list_attr_celeba.txt", "list_eval_partition.txt"])
def test_a_missing_file_is_named_with_where_it_comes_from(tmp_path, name):
    (write(tmp_path) / name).unlink()
    with pytest.raises(DataError, match=rf"There is no .*{name}.*mmlab\.ie\.cuhk"):
        celeba(tmp_path)


def test_missing_images_are_counted_and_the_first_is_named(tmp_path):
    write(tmp_path)
    for number in (3, 5):
        (tmp_path / "img_align_celeba" / f"{number:06}.jpg").unlink()
    with pytest.raises(DataError, match=r"2 of 7 images are not in .*, the first 000003\.jpg.*mmlab"):
        celeba(tmp_path)


def test_a_folder_that_is_not_there_names_the_first_file_it_should_hold(tmp_path):
    with pytest.raises(DataError, match=r"There is no .*nowhere/list_attr_celeba\.txt"):
        celeba(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("file_name", "old", "new", "message"),
    [
        ("list_attr_celeba.txt", "7\n", "8\n", "says 8 images and has 7; it is not whole"),
        ("list_attr_celeba.txt", "7\n", "", "should start with the number of images"),
        (
            "list_attr_celeba.txt",
            "000002.jpg -1 -1",
            "000002.jpg -1  0",
            "line 4: expected a file name and 4",
        ),
        ("list_attr_celeba.txt", "000002.jpg -1", "000002.jpg", "line 4: expected a file name and 4 times"),
        (
            "list_eval_partition.txt",
            "000002.jpg 0",
            "000002.jpg 3",
            "line 2: expected a file name and 0, 1 or 2",
        ),
        ("list_eval_partition.txt", "000004.jpg 0\n", "", "lacks 1 images of .*, the first 000004.jpg"),
    ],
)
def test_a_line_that_does_not_fit_is_named(tmp_path, file_name, old, new, message):
    path = write(tmp_path) / file_name
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(DataError, match=message):
        celeba(tmp_path)


def test_attributes_that_do_not_exist_or_repeat_are_refused(tmp_path):
    write(tmp_path)
    with pytest.raises(DataError, match=r"no attribute 'Blonde'; .* has Bald, Blond_Hair, Male, Smiling"):
        celeba(tmp_path, target="Blonde")
    with pytest.raises(DataError, match="target and spurious are both 'Male'"):
        celeba(tmp_path, target="Male")
