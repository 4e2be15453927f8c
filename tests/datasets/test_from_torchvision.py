"""Real torchvision data sets, and others that give an image and a label."""

from __future__ import annotations

import numpy as np
import PIL.Image
import pytest
import torch
from torch.utils.data import Dataset, IterableDataset, Subset, TensorDataset, random_split
from torchvision.datasets import FakeData, ImageFolder, VisionDataset
from torchvision.transforms import Compose, Normalize, ToTensor

from clarify_widget import Session
from clarify_widget.datasets import from_torchvision
from clarify_widget.datasets.images import ImageList
from clarify_widget.errors import DataError

NORMALISED = Compose([ToTensor(), Normalize([0.5] * 3, [0.25] * 3)])


@pytest.fixture
def folder(tmp_path):
    for label, name in enumerate(("duck", "owl")):
        (tmp_path / name).mkdir()
        for row in range(10):
            PIL.Image.new("RGB", (4, 3), (100 * label + row, 0, 0)).save(tmp_path / name / f"{row}.png")
    return tmp_path


class Counted(VisionDataset):
    """Labels in `targets`, images made when asked for, as CIFAR10 has them."""

    classes = ("duck", "owl", "bee")

    def __init__(self, size, transform=None, target_transform=None):
        super().__init__(None, transform=transform, target_transform=target_transform)
        self.targets = [row % 3 for row in range(size)]
        self.opened = []

    def __len__(self):
        return len(self.targets)

    def __getitem__(self, row):
        self.opened.append(row)
        image, label = PIL.Image.new("RGB", (4, 3), (row, 0, 0)), self.targets[row]
        return self.transforms(image, label) if self.transforms is not None else (image, label)


def value(split, row):
    return split.images[row].getpixel((0, 0))[0]


def test_images_of_a_folder_are_known_by_their_paths(folder, tmp_path):
    dataset = from_torchvision(ImageFolder(folder, transform=NORMALISED))
    assert dataset.name == "ImageFolder"
    assert dataset.class_names == ("duck", "owl")
    assert isinstance(dataset.val.images, ImageList)
    for split in dataset.splits():
        for row in range(len(split)):
            assert split.images.path(row).startswith(str(folder))
            assert value(split, row) // 100 == split.labels[row]
    session = Session(dataset, "demo")
    session.fit()
    again = Session.load(session.save(tmp_path / "session"))
    assert np.array_equal(np.asarray(again.image(0)), np.asarray(session.image(0)))


def test_labels_come_without_opening_images_and_images_without_transforms():
    train, val = Counted(30, NORMALISED), Counted(9, NORMALISED)
    dataset = from_torchvision({"train": train, "validation": val})
    assert dataset.class_names == ("duck", "owl", "bee")
    assert val.opened == []
    assert [value(dataset.val, row) for row in (7, 2)] == [7, 2]
    assert dataset.val.images.name(7) == "validation 7"
    assert train.opened == []
    assert val.transform is NORMALISED


def test_labels_are_those_that_the_data_set_gives():
    turned = Counted(30, target_transform=lambda label: 2 - label)
    dataset = from_torchvision({"train": turned, "val": Counted(9)})
    assert dataset.train.labels[:3].tolist() == [2, 1, 0]


def test_subsets_of_subsets_keep_their_rows():
    base = Counted(60, NORMALISED)
    train, rest = random_split(base, [30, 30], torch.Generator().manual_seed(0))
    val = Subset(rest, list(range(29, 9, -1)))
    dataset = from_torchvision({"train": train, "val": val})
    val_rows = [rest.indices[row] for row in range(29, 9, -1)]
    for rows, split in ((train.indices, dataset.train), (val_rows, dataset.val)):
        assert split.labels.tolist() == [base.targets[row] for row in rows]
        assert [value(split, row) for row in range(len(split))] == list(rows)


def test_without_val_a_fifth_of_train_is_held_out():
    dataset = from_torchvision({"train": Counted(30), "test": Counted(9)})
    assert [np.bincount(split.labels).tolist() for split in dataset.splits()] == [[8] * 3, [2] * 3, [3] * 3]
    seen = [value(split, row) for split in (dataset.train, dataset.val) for row in range(len(split))]
    assert sorted(seen) == list(range(30))


def test_any_map_style_data_set_does():
    fake = FakeData(20, (3, 8, 8), num_classes=2, transform=ToTensor())
    pixels = torch.rand(20, 3, 8, 8)
    tensors = TensorDataset(pixels, torch.arange(20) % 2)
    for given in (fake, tensors):
        dataset = from_torchvision({"train": given, "val": given})
        assert dataset.class_names == ("class 0", "class 1")
        assert dataset.val.labels.tolist() == [int(given[row][1]) for row in range(20)]
        shown = np.asarray(dataset.val.images[5], int)
        expected = given[5][0].permute(1, 2, 0).numpy() * 255
        assert np.abs(shown - expected).max() <= 1
    named = from_torchvision({"train": tensors, "val": tensors}, class_names=["a", "b"], name="mine")
    assert (named.name, named.class_names) == ("mine", ("a", "b"))


class Pixels(Dataset):
    def __len__(self):
        return 4

    def __getitem__(self, row):
        return {"image": row}


class Stream(IterableDataset):
    def __iter__(self):
        return iter(())


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (Pixels(), "is a dict; expected"),
        (Stream(), "Stream cannot be indexed"),
        (42, "int cannot be indexed"),
        ({}, "no data sets"),
        ({"fold": Counted(9), "train": Counted(9)}, "'fold' is none of"),
    ],
)
def test_what_does_not_fit_is_one_clear_error(given, message):
    with pytest.raises(DataError, match=message):
        from_torchvision(given)
