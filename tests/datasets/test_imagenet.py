"""ImageNet's own layouts, made up in miniature."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import open_clip
import pytest
from torchvision.models._meta import _IMAGENET_CATEGORIES

from clarify_widget.datasets import imagenet, imagenet_classes, imagenet_v2, imagenet_val
from clarify_widget.errors import DataError
from tests.datasets.miniature_imagenet import write_devkit, write_train, write_v2, write_val

IDS = ("n01440764", "n04008634", "n13133613")  # tench, projectile, corn cob
NAMES = ("tench", "projectile", "corn cob")


@pytest.fixture
def root(tmp_path):
    write_train(tmp_path, IDS, 3)
    return tmp_path


def labels_by_stem(split):
    return {Path(split.images.name(row)).stem: int(split.labels[row]) for row in range(len(split))}


def move_to_folders(root, wordnet_ids):
    for number, wordnet_id in enumerate(wordnet_ids, start=1):
        (root / "val" / wordnet_id).mkdir(exist_ok=True)
        path = root / "val" / f"ILSVRC2012_val_{number:08}.JPEG"
        path.rename(root / "val" / wordnet_id / path.name)


def solve(path, wordnet_ids):
    rows = [
        f"ILSVRC2012_val_{number:08},{wordnet_id} 85 1 499 272 {wordnet_id} 1 2 3 4 "
        for number, wordnet_id in enumerate(wordnet_ids, start=1)
    ]
    path.write_text("\n".join(["ImageId,PredictionString", *rows[::-1]]) + "\n")


def test_the_thousand_classes_are_those_of_timm_open_clip_and_torchvision():
    import timm.data

    classes = imagenet_classes()
    info = timm.data.ImageNetInfo("imagenet-1k")
    assert [one.wordnet_id for one in classes] == [info.index_to_label_name(index) for index in range(1000)]
    assert [one.index for one in classes] == list(range(1000))
    assert len({one.name for one in classes}) == 1000
    differing = {
        one.index: one.name for one in classes if one.name != open_clip.IMAGENET_CLASSNAMES[one.index]
    }
    assert differing == {744: "projectile", 836: "sunglass"}
    assert all(_IMAGENET_CATEGORIES[index] == name for index, name in differing.items())


@pytest.mark.parametrize("layout", ["folders", "devkit", "Kaggle's solution"])
def test_every_layout_of_validation_images_gives_the_same_labels(root, layout):
    truth = write_val(root, IDS, 4)
    if layout == "folders":
        move_to_folders(root, truth)
    elif layout == "devkit":
        write_devkit(root, truth)
    else:
        solve(root / "LOC_val_solution.csv", truth)
    dataset = imagenet(root, classes=IDS)
    assert dataset.name == "ImageNet (3 of 1,000 classes)"
    assert dataset.class_names == NAMES
    assert np.bincount(dataset.train.labels).tolist() == [3, 3, 3]
    assert dataset.train.images.name(3) == "n04008634/n04008634_0.JPEG"
    assert labels_by_stem(dataset.val) == {
        f"ILSVRC2012_val_{number:08}": IDS.index(wordnet_id)
        for number, wordnet_id in enumerate(truth, start=1)
    }
    assert dataset.val.images[0].size == (6, 5)
    assert dataset.test is None


def test_kaggles_folders_are_found_below_the_root_that_it_unpacks_to(tmp_path):
    inside = tmp_path / "ILSVRC" / "Data" / "CLS-LOC"
    write_train(inside, IDS, 2)
    solve(tmp_path / "LOC_val_solution.csv", write_val(inside, IDS, 2))
    for root in (tmp_path, tmp_path / "ILSVRC"):
        dataset = imagenet(root, classes=NAMES)
        assert (len(dataset.train), len(dataset.val)) == (6, 6)


def test_all_thousand_classes_are_read_without_naming_them(tmp_path):
    everything = [one.wordnet_id for one in imagenet_classes()]
    write_train(tmp_path, everything, 1)
    write_devkit(tmp_path, write_val(tmp_path, everything, 1))
    dataset = imagenet(tmp_path)
    assert dataset.name == "ImageNet"
    assert dataset.train.labels.tolist() == list(range(1000))
    assert sorted(dataset.val.labels) == list(range(1000))


def test_classes_come_in_imagenets_order_whichever_way_they_are_named(root):
    move_to_folders(root, write_val(root, IDS, 1))
    assert imagenet(root, classes=["corn cob", "n01440764"]).class_names == ("tench", "corn cob")


@pytest.mark.parametrize("inside", [False, True])
def test_imagenet_v2_is_read_with_its_variants_or_one_of_them_alone(root, tmp_path_factory, inside):
    v2 = tmp_path_factory.mktemp("v2")
    write_v2(v2, IDS, 2)
    write_v2(v2, IDS, 3, variant="top-images")
    move_to_folders(root, write_val(root, IDS, 1))
    given = v2 / "imagenetv2-matched-frequency-format-val" if inside else v2
    dataset = imagenet(root, v2=given, classes=IDS)
    assert np.bincount(dataset.test.labels).tolist() == [2, 2, 2]
    assert dataset.test.images.name(5).startswith("998/")
    assert len(imagenet_v2(v2, variant="top-images", classes=IDS)) == 9


def test_what_is_missing_is_named_with_where_it_comes_from(root, tmp_path):
    with pytest.raises(DataError, match=r"There is no .*nowhere/train, nor .*image-net\.org.*img_train\.tar"):
        imagenet(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"There is no .*/val, nor .*image-net\.org.*ILSVRC2012_img_val\.tar"):
        imagenet(root, classes=IDS)
    write_val(root, IDS, 1)
    with pytest.raises(DataError, match=r"nothing says which class .*ground_truth\.txt.*kaggle\.com"):
        imagenet(root, classes=IDS)
    with pytest.raises(DataError, match=r"no images for 997 of 1,000 classes, the first n01443537 \("):
        imagenet(root)
    with pytest.raises(DataError, match=r"There is no .*matched-frequency-.*github\.com/modestyachts"):
        imagenet_v2(root)


def test_a_class_whose_archive_is_still_packed_is_told_apart(root):
    (root / "train" / "n01443537.tar").touch()
    with pytest.raises(DataError, match=r"first n01443537 \(goldfish\)\. n01443537\.tar is not unpacked"):
        imagenet(root, classes=[*IDS, "goldfish"])


def test_validation_images_that_the_ground_truth_knows_must_be_there(root):
    truth = write_val(root, IDS, 2)
    write_devkit(root, truth)
    (root / "val" / "ILSVRC2012_val_00000002.JPEG").unlink()
    with pytest.raises(DataError, match=r"1 of the 6 images in .* the first ILSVRC2012_val_00000002\.JPEG"):
        imagenet_val(root, classes=IDS)
    (root / "ILSVRC2012_devkit_t12" / "data" / "meta.mat").unlink()
    with pytest.raises(DataError, match=r"There is no .*meta\.mat.*devkit_t12\.tar\.gz"):
        imagenet_val(root, classes=IDS)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "ILSVRC2012_devkit_t12/data/ILSVRC2012_validation_ground_truth.txt",
            "4\n1002\n",
            "line 2: expected",
        ),
        ("ILSVRC2012_devkit_t12/data/meta.mat", "no matrix", "is not the devkit's meta.mat"),
        ("LOC_val_solution.csv", "ImageId,PredictionString\nx,tench 1\n", "line 2: expected ImageId"),
        ("LOC_val_solution.csv", "image,class\nx,n01440764\n", "line 2: expected ImageId"),
    ],
)
def test_a_file_that_does_not_fit_is_named(root, name, text, message):
    write_devkit(root, write_val(root, IDS, 1))
    (root / name).write_text(text)
    with pytest.raises(DataError, match=message):
        imagenet_val(root, classes=IDS)


def test_classes_and_variants_that_do_not_exist_are_refused(root):
    with pytest.raises(DataError, match="ImageNet has no class 'bird'"):
        imagenet(root, classes=["tench", "bird"])
    with pytest.raises(DataError, match="must be a list"):
        imagenet(root, classes="tench")
    with pytest.raises(DataError, match="variants of ImageNet-V2 are matched-frequency"):
        imagenet_v2(root, variant="best")
