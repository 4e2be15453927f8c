"""Real `datasets` objects, in memory and on disk."""

from __future__ import annotations

import io

import datasets as hf
import numpy as np
import PIL.Image
import pytest

from clarify_widget import Session
from clarify_widget.datasets import from_huggingface
from clarify_widget.datasets.images import ImageList
from clarify_widget.errors import DataError, ImageReadError, MissingDependencyError

NAMES = ["owl", "duck"]
FEATURES = hf.Features({"image": hf.Image(), "label": hf.ClassLabel(names=NAMES)})


def grey(value):
    return PIL.Image.new("L", (4, 3), value)


def png(value):
    file = io.BytesIO()
    grey(value).save(file, "PNG")
    return file.getvalue()


def table(values, features=FEATURES, **columns):
    rows = {"image": [{"bytes": png(value), "path": f"in/{value}.png"} for value in values]}
    labels = [value % 2 for value in values]
    return hf.Dataset.from_dict({**rows, "label": labels, **columns}, features=features)


@pytest.fixture
def opened(monkeypatch):
    """Every image that anybody decodes."""
    seen = []
    decode, open_ = hf.Image.decode_example, PIL.Image.open

    def spying_open(file, *arguments):
        seen.append(file)
        return open_(file, *arguments)

    monkeypatch.setattr(PIL.Image, "open", spying_open)
    monkeypatch.setattr(hf.Image, "decode_example", lambda *a, **k: seen.append(a) or decode(*a, **k))
    return seen


def test_images_are_decoded_one_at_a_time_and_only_when_asked_for(opened):
    both = hf.DatasetDict({"train": table(range(20)), "validation": table(range(20, 30))})
    opened.clear()  # datasets opens some to write them
    dataset = from_huggingface(both)
    assert dataset.class_names == ("owl", "duck")
    assert [len(split) for split in dataset.splits()] == [20, 10]
    taken = dataset.val.images.take(np.array([7, 2]))
    assert [taken.name(0), taken.name(1)] == ["in/27.png", "in/22.png"]
    assert opened == []
    assert [taken[row].getpixel((0, 0))[0] for row in range(2)] == [27, 22]
    assert len(opened) == 2


def test_rows_stay_together_after_shuffling_filtering_and_dealing():
    shuffled = table(range(60)).shuffle(seed=0).filter(lambda label: label in (0, 1), input_columns="label")
    dataset = from_huggingface(shuffled.select(range(50)), name="shuffled")
    assert dataset.name == "shuffled"
    seen = []
    for split in dataset.splits():
        for row in range(len(split)):
            value = split.images[row].getpixel((0, 0))[0]
            assert value % 2 == split.labels[row]
            assert split.images.name(row) == f"in/{value}.png"
            seen.append(value)
    assert sorted(seen) == sorted(int(row["image"].getpixel((0, 0))) for row in shuffled.select(range(50)))


def test_without_a_validation_split_a_fifth_of_each_class_of_train_is_held_out():
    dataset = from_huggingface({"train": table(range(20)), "test": table(range(20, 30))})
    assert [np.bincount(split.labels).tolist() for split in dataset.splits()] == [[8, 8], [2, 2], [5, 5]]
    values = [
        split.images[row].getpixel((0, 0))[0] for split in dataset.splits() for row in range(len(split))
    ]
    assert sorted(values) == list(range(30))


def test_images_that_are_files_are_known_by_their_paths(tmp_path):
    paths = [str(tmp_path / f"{value}.png") for value in range(20)]
    for value, path in enumerate(paths):
        grey(value).save(path)
    files = hf.Dataset.from_dict({"image": paths, "label": [value % 2 for value in range(20)]}, FEATURES)
    text = hf.Dataset.from_dict({"image": paths, "label": ["duck", "owl"] * 10})
    for given, names in ((files, ("owl", "duck")), (text, ("duck", "owl"))):
        dataset = from_huggingface(given)
        assert dataset.class_names == names
        assert isinstance(dataset.train.images, ImageList)
        assert dataset.train.images.path(0) in paths
        assert dataset.train.images[0].size == (4, 3)


def test_a_saved_data_set_works_the_same(tmp_path):
    table(range(20)).save_to_disk(tmp_path / "saved")
    dataset = from_huggingface(hf.load_from_disk(str(tmp_path / "saved")))
    assert dataset.train.images[0].size == (4, 3)


def test_other_columns_become_groups_predictions_and_rows():
    features = hf.Features(
        {
            **FEATURES,
            "ground": hf.ClassLabel(names=["land", "sea"]),
            "scores": hf.Sequence(hf.Value("float32")),
            "row": hf.Sequence(hf.Value("float64")),
        }
    )
    scores = [[0.25, 0.75]] * 20
    rows = np.random.default_rng(0).normal(size=(20, 3))
    given = table(range(20), features, ground=[0, 1] * 10, scores=scores, row=rows.tolist())
    dataset = from_huggingface(
        {"train": given, "val": given},
        group="ground",
        prediction="scores",
        features="row",
        embeddings="row",
    )
    assert dataset.group_names == ("land", "sea")
    assert dataset.val.predictions.tolist() == [1] * 20
    assert set(dataset.val.confidences) == {0.75}
    np.testing.assert_allclose(dataset.val.features, rows, rtol=1e-6)
    alone = from_huggingface({"train": given, "val": given}, image=None, embeddings="row")
    assert alone.val.images is None


def test_a_damaged_image_costs_only_itself():
    rows = [{"bytes": png(value), "path": None} for value in range(20)]
    rows[3] = {"bytes": b"not an image", "path": None}
    given = hf.Dataset.from_dict({"image": rows, "label": [0, 1] * 10}, FEATURES)
    dataset = from_huggingface({"train": given, "val": given})
    with pytest.raises(ImageReadError, match="Cannot read val 3"):
        dataset.val.images[3]
    session = Session(dataset, "demo")
    session.fit()
    assert [image.name for image in session.unreadable()] == ["train 3", "val 3"]


@pytest.mark.parametrize(
    ("given", "arguments", "message"),
    [
        (lambda: table(range(9)), {"image": "img"}, r"no column 'img'; there are \['image', 'label'\]"),
        (lambda: table(range(9)), {"label": "y"}, "no column 'y'"),
        (lambda: table(range(9)).to_iterable_dataset(), {}, "streams"),
        (lambda: [1, 2], {}, "got list"),
        (dict, {}, "no splits"),
        (lambda: {"fold 1": table(range(9)), "val": table(range(9))}, {}, "'fold 1' is none of train, val"),
        (lambda: {"val": table(range(9)), "test": table(range(9))}, {}, "no split to train on"),
    ],
)
def test_what_does_not_fit_is_one_clear_error(given, arguments, message):
    with pytest.raises(DataError, match=message):
        from_huggingface(given(), **arguments)


def test_without_the_package_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "datasets", None)
    with pytest.raises(MissingDependencyError, match="pip install datasets"):
        from_huggingface(object())
