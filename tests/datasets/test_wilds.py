"""The folders of WILDS, made up in miniature."""

from __future__ import annotations

import PIL.Image
import pytest

from clarify_widget.datasets import celeba, wilds
from clarify_widget.errors import DataError


def picture(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.new("RGB", (4, 4)).save(path)


@pytest.fixture
def camelyon17(tmp_path):
    lines = [",patient,node,x_coord,y_coord,tumor,slide,center,split"]
    rows = [(0, 0, 0), (1, 3, 0), (1, 0, 1), (0, 4, 1), (0, 1, 0), (1, 1, 0), (1, 2, 0), (0, 2, 1)]
    for number, (tumor, center, split) in enumerate(rows):
        lines.append(f"{number},004,{number},3328,{number},{tumor},7,{center},{split}")
        folder = tmp_path / "patches" / f"patient_004_node_{number}"
        picture(folder / f"patch_patient_004_node_{number}_x_3328_y_{number}.png")
    (tmp_path / "metadata.csv").write_text("\n".join(lines))
    return tmp_path


@pytest.fixture
def iwildcam(tmp_path):
    lines = [",split,location_remapped,sequence_remapped,y,filename"]
    for number, (split, label) in enumerate(
        [("train", 0), ("train", 1), ("val", 1), ("test", 0), ("id_val", 0), ("id_test", 1)]
    ):
        lines.append(f"{number},{split},1,{number},{label},{number}.jpg")
        picture(tmp_path / "train" / f"{number}.jpg")
    (tmp_path / "metadata.csv").write_text("\n".join(lines))
    (tmp_path / "categories.csv").write_text("y,category_id,name\n0,0,empty\n1,2,ocelot\n")
    return tmp_path


@pytest.fixture
def celeba_as_csv(tmp_path):
    rows = [(-1, 1, 0), (1, -1, 0), (1, 1, 1), (-1, -1, 2)]
    attributes, partition = ["image_id,Bald,Blond_Hair,Male"], ["image_id,partition"]
    for number, (blond, male, split) in enumerate(rows, start=1):
        attributes.append(f"{number:06}.jpg,-1,{blond},{male}")
        partition.append(f"{number:06}.jpg,{split}")
        picture(tmp_path / "img_align_celeba" / f"{number:06}.jpg")
    (tmp_path / "list_attr_celeba.csv").write_text("\n".join(attributes))
    (tmp_path / "list_eval_partition.csv").write_text("\n".join(partition))
    return tmp_path


def test_camelyon17_holds_out_whole_hospitals(camelyon17):
    dataset = wilds(camelyon17)
    assert dataset.name == "Camelyon17"
    assert dataset.class_names == ("normal", "tumor")
    assert dataset.train.labels.tolist() == [0, 1]
    assert [dataset.group_names[group] for group in dataset.val.groups] == [
        "normal, hospital 1",
        "tumor, hospital 1",
    ]
    assert dataset.test.labels.tolist() == [1, 0]
    assert dataset.test.images.path(0) == str(
        camelyon17 / "patches/patient_004_node_6/patch_patient_004_node_6_x_3328_y_6.png"
    )
    assert dataset.train.images[1].size == (4, 4)


def test_iwildcam_has_its_categories_and_its_official_splits(iwildcam):
    dataset = wilds(iwildcam)
    assert dataset.class_names == ("empty", "ocelot")
    assert [split.labels.tolist() for split in dataset.splits()] == [[0, 1], [1], [0]]
    assert dataset.test.images.path(0) == str(iwildcam / "train" / "3.jpg")
    (iwildcam / "categories.csv").unlink()
    assert wilds(iwildcam).class_names == ("class 0", "class 1")


def test_celeba_is_read_from_commas_as_from_columns(celeba_as_csv):
    dataset = wilds(celeba_as_csv)
    assert dataset.class_names == ("not blond hair", "blond hair")
    assert dataset.train.groups.tolist() == [1, 2]
    assert dataset.test.groups.tolist() == [0]
    assert celeba(celeba_as_csv, target="Male", spurious="Bald").train.labels.tolist() == [1, 0]


def test_celeba_of_kaggle_has_its_images_one_folder_deeper(celeba_as_csv):
    images = celeba_as_csv / "img_align_celeba"
    images.rename(celeba_as_csv / "moved")
    images.mkdir()
    (celeba_as_csv / "moved").rename(images / "img_align_celeba")
    assert wilds(celeba_as_csv).train.images[0].size == (4, 4)


def test_waterbirds_is_read_by_its_columns(tmp_path):
    lines = ["img_id,img_filename,y,split,place,place_filename"]
    for number, (label, split) in enumerate([(0, 0), (1, 0), (1, 1), (0, 2)]):
        lines.append(f"{number},a/{number}.jpg,{label},{split},{label},/x.jpg")
        picture(tmp_path / "a" / f"{number}.jpg")
    (tmp_path / "metadata.csv").write_text("\n".join(lines))
    assert wilds(tmp_path).name == "Waterbirds"


def test_what_is_missing_is_named_with_where_it_comes_from(camelyon17, tmp_path):
    with pytest.raises(DataError, match=r"There is no .*nowhere/metadata\.csv.*wilds\.stanford\.edu"):
        wilds(tmp_path / "nowhere")
    (camelyon17 / "patches").rename(tmp_path / "gone")
    with pytest.raises(DataError, match=r"None of the 6 images .*_x_3328_y_0\.png.*wilds\.stanford"):
        wilds(camelyon17)


def test_other_data_sets_and_values_are_refused(camelyon17):
    path = camelyon17 / "metadata.csv"
    text = path.read_text()
    path.write_text("id,comment_text,toxicity,split\n1,hello,0,train\n")
    with pytest.raises(DataError, match=r"columns \['id', 'comment_text'.*of none of waterbirds_v1\.0"):
        wilds(camelyon17)
    path.write_text(text.replace("3328,0,0,", "3328,0,yes,"))
    with pytest.raises(DataError, match="tumor must be a whole number from 0; got 'yes'"):
        wilds(camelyon17)
