"""Arrays of every kind that people have, and every way in which they can fail to fit."""

from __future__ import annotations

import numpy as np
import PIL.Image
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from clarify_widget.datasets import from_arrays
from clarify_widget.datasets.splitting import stratified_split
from clarify_widget.errors import DataError

N = 20
LABELS = np.arange(N) % 2
ROWS = np.random.default_rng(0).normal(size=(N, 4))


def splits_of(dataset):
    return {split.name: split for split in dataset.splits()}


def test_features_alone_make_a_data_set_with_a_stratified_split():
    dataset = from_arrays(labels=LABELS, features=ROWS)
    assert dataset.class_names == ("class 0", "class 1")
    assert {name: np.bincount(split.labels).tolist() for name, split in splits_of(dataset).items()} == {
        "train": [6, 6],
        "val": [2, 2],
        "test": [2, 2],
    }
    assert dataset.train.images is None
    assert dataset.train.embeddings is None


def test_rows_stay_together_through_the_split():
    marks = np.arange(N)
    dataset = from_arrays(
        labels=LABELS,
        features=np.stack([marks, marks], axis=1),
        embeddings=np.stack([marks, marks, marks], axis=1) + 1,
        predictions=LABELS,
        groups=marks,
        images=lambda row: np.full((2, 2), row, np.uint8),
    )
    seen = []
    for split in dataset.splits():
        rows = split.groups
        assert np.array_equal(split.features[:, 0], rows)
        assert np.array_equal(split.embeddings[:, 2], rows + 1)
        assert np.array_equal(split.labels, LABELS[rows])
        assert np.array_equal(split.predictions, LABELS[rows])
        assert [split.images[i].getpixel((0, 0))[0] for i in range(len(split))] == rows.tolist()
        seen += rows.tolist()
    assert sorted(seen) == list(range(N))


def test_same_seed_same_split_and_another_seed_another():
    def train(seed):
        return (
            from_arrays(labels=LABELS, features=np.arange(N)[:, None], seed=seed)
            .train.features.ravel()
            .tolist()
        )

    assert train(3) == train(3)
    assert train(3) != train(4)


@pytest.mark.parametrize(
    "split",
    [
        ["train"] * 10 + ["val"] * 6 + ["test"] * 4,
        ["training"] * 10 + ["Validation"] * 6 + ["TEST"] * 4,
        np.array([0] * 10 + [1] * 6 + [2] * 4),
        np.array(["train"] * 10 + ["valid"] * 6 + ["test"] * 4, dtype=object),
    ],
)
def test_split_is_taken_by_name_or_number(split):
    dataset = from_arrays(labels=LABELS, features=ROWS, split=split)
    assert [len(part) for part in dataset.splits()] == [10, 6, 4]
    assert np.allclose(dataset.val.features, ROWS[10:16])


def test_mappings_give_each_split_its_own_arrays_and_parts_may_miss_splits():
    dataset = from_arrays(
        labels={"train": LABELS, "validation": LABELS[:6]},
        features={"train": ROWS, "validation": ROWS[:6]},
        predictions={"validation": LABELS[:6]},
    )
    assert dataset.test is None
    assert dataset.train.predictions is None
    assert dataset.val.predictions.tolist() == LABELS[:6].tolist()


def test_text_labels_become_indices_in_the_order_of_numpy_unique():
    labels = np.where(LABELS == 0, "owl 🦉", "<b>duck</b>")
    dataset = from_arrays(
        labels=labels, features=ROWS, predictions=labels, split=["train"] * 10 + ["val"] * 10
    )
    assert dataset.class_names == tuple(np.unique(labels))
    assert [dataset.class_names[label] for label in dataset.train.labels] == labels[:10].tolist()
    assert np.array_equal(dataset.val.predictions, dataset.val.labels)


def test_class_names_decide_the_order_of_text_labels_and_name_whole_numbers():
    labels = np.where(LABELS == 0, "owl", "duck")
    assert from_arrays(labels=labels, features=ROWS, class_names=["owl", "duck"]).class_names == (
        "owl",
        "duck",
    )
    named = from_arrays(labels=LABELS, predictions=labels, features=ROWS, class_names=["owl", "duck"])
    assert np.array_equal(named.train.predictions, named.train.labels)


def test_class_names_may_name_a_class_without_images():
    dataset = from_arrays(labels=LABELS * 2, features=ROWS, class_names=["a", "b", "c"])
    assert dataset.num_classes == 3


def test_groups_by_name_are_stratified_and_named():
    groups = np.where(np.arange(N) < 5, "rare", "common")
    dataset = from_arrays(labels=LABELS, features=ROWS, groups=groups)
    assert dataset.group_names == ("common", "rare")
    assert all(set(split.groups) == {0, 1} for split in dataset.splits())


def test_pandas_columns_lists_and_torch_tensors_do():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(
        {"label": ["b", "a"] * 10, "path": [f"{i}.png" for i in range(N)]}, index=range(50, 70)
    )
    dataset = from_arrays(
        labels=frame["label"],
        images=frame["path"],
        features=pandas.DataFrame(ROWS),
        embeddings=torch.tensor(ROWS, requires_grad=True),
        predictions=torch.tensor(LABELS),
        groups=frame["label"].astype("category"),
        split=["train"] * 10 + ["val"] * 10,
    )
    assert dataset.class_names == ("a", "b")
    assert dataset.val.images.name(0) == "10.png"
    assert np.allclose(dataset.train.embeddings, ROWS[:10])
    nullable = from_arrays(labels=pandas.Series(LABELS, dtype="Int64"), features=ROWS)
    assert nullable.class_names == ("class 0", "class 1")


@pytest.mark.parametrize("kind", [np.float64, np.float32, np.float16])
def test_probabilities_become_predictions_with_confidences(kind):
    logits = np.random.default_rng(1).normal(size=(N, 2))
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    dataset = from_arrays(
        labels=LABELS, features=ROWS, predictions=shares.astype(kind), split=[0] * 10 + [1] * 10
    )
    assert np.array_equal(dataset.val.predictions, logits[10:].argmax(axis=1))
    np.testing.assert_allclose(dataset.val.confidences, shares[10:].max(axis=1), atol=1e-3)
    assert dataset.val.take(np.array([3])).confidences == dataset.val.confidences[3]


def test_logits_become_predictions_without_confidences():
    logits = np.random.default_rng(1).normal(size=(N, 2))
    dataset = from_arrays(
        labels={"train": LABELS, "val": LABELS},
        features={"train": ROWS, "val": ROWS},
        predictions={"val": logits},
    )
    assert np.array_equal(dataset.val.predictions, logits.argmax(axis=1))
    assert dataset.val.confidences is None


def test_tensors_of_any_precision_become_rows_and_pictures():
    pixels = torch.rand(N, 3, 5, 7)
    dataset = from_arrays(
        labels=torch.tensor(LABELS),
        images=pixels,
        features=torch.tensor(ROWS).to(torch.bfloat16),
        embeddings=torch.tensor(ROWS).half(),
        split=torch.tensor([0] * 10 + [1] * 10),
    )
    np.testing.assert_allclose(dataset.val.features, ROWS[10:], rtol=1e-2, atol=1e-2)
    np.testing.assert_allclose(dataset.val.embeddings, ROWS[10:], rtol=1e-3, atol=1e-3)
    shown = np.asarray(dataset.val.images[3], int)
    assert np.abs(shown - 255 * pixels[13].permute(1, 2, 0).numpy()).max() <= 1


def test_memory_mapped_features_stay_in_their_file(tmp_path):
    np.save(tmp_path / "features.npy", ROWS.astype(np.float32))
    mapped = np.load(tmp_path / "features.npy", mmap_mode="r")
    dataset = from_arrays(labels=LABELS, features=mapped, split=[0] * 12 + [1] * 8)
    for split in dataset.splits():
        assert np.shares_memory(split.features, mapped)


def test_images_come_as_paths_pil_images_arrays_functions_or_one_function(tmp_path):
    array = np.random.default_rng(0).integers(0, 256, (N, 3, 5, 3), dtype=np.uint8)
    for row, pixels in enumerate(array):
        PIL.Image.fromarray(pixels).save(tmp_path / f"{row:02}.png")
    forms = [
        sorted(tmp_path.iterdir()),
        [PIL.Image.fromarray(pixels) for pixels in array],
        array,
        array / 255,
        [lambda pixels=pixels: pixels for pixels in array],
        lambda row: array[row],
    ]
    split = ["train"] * 10 + ["val"] * 10
    for images in forms:
        dataset = from_arrays(labels=LABELS, images=images, split=split)
        assert np.array_equal(np.asarray(dataset.val.images[3]), array[13])


BAD = {
    "Give images, embeddings or features": {"features": None},
    "features has 19 rows for 20 labels": {"features": ROWS[1:]},
    "images has 2 rows for 20 labels": {"images": ["a.png", "b.png"]},
    "predictions has 3 rows for 20 labels": {"predictions": [0, 1, 0]},
    "NaN or infinity in 1 of 12 rows": {
        "features": np.where(np.arange(N)[:, None] == 3, np.nan, ROWS),
        "split": [0] * 12 + [1] * 8,
    },
    "features must be a 2-D array": {"features": ROWS[:, 0]},
    r"labels must be 0..C-1 without gaps; got \[1, 2\]": {"labels": LABELS + 1},
    r"labels must be 0..C-1 without gaps; got \[0, 2\]": {"labels": LABELS * 2},
    "labels must be 0..C-1; the lowest is -1": {"labels": LABELS - 1},
    "labels must be whole numbers": {"labels": LABELS + 0.5},
    "labels must be 0..1 for 2 classes; the highest is 2": {"labels": LABELS * 2, "class_names": ["a", "b"]},
    r"labels has \['c'\], but the class names are \['a', 'b'\]": {
        "labels": ["a", "c"] * 10,
        "class_names": ["a", "b"],
    },
    "labels are missing in 10 rows, the first at row 1": {"labels": np.array(["a", None] * 10, dtype=object)},
    "labels must be a 1-D array": {"labels": LABELS[:, None]},
    "labels must have one row an image; got int": {"labels": 3},
    "labels is None": {"labels": None},
    "at least two classes": {"labels": np.zeros(N, int)},
    "class_names must differ": {"class_names": ["a", "a"]},
    "predictions must be 0..1 for 2 classes": {"predictions": LABELS + 1},
    r"predictions of shape \(20, 3\) should have one column for each of the 2": {
        "predictions": np.zeros((N, 3))
    },
    "predictions has NaN": {"predictions": np.full((N, 2), np.nan)},
    "predictions must be a 2-D array": {"predictions": np.zeros((N, 2, 2))},
    "groups must be 0..1 for 2 classes": {"groups": LABELS + 1, "group_names": ["g", "h"]},
    r"split must be train, val or test \(or 0, 1, 2\); got \['fold 1'\]": {"split": ["fold 1"] * N},
    "split leaves no image to val": {"split": ["train"] * N},
    r"split has shape \(3,\) for 20 labels": {"split": [0, 1, 2]},
    "split must be 0..2": {"split": [3] * N},
    "labels came as a mapping": {"labels": {"train": LABELS, "val": LABELS}},
    "not both": {"labels": {"train": LABELS}, "features": {"train": ROWS}, "split": [0] * N},
    "labels need a val split": {"labels": {"train": LABELS}, "features": {"train": ROWS}},
    "labels has a split 'fold'": {"labels": {"fold": LABELS}, "features": {"train": ROWS}},
    "features has a test split, but labels has none": {
        "labels": {"train": LABELS, "val": LABELS},
        "features": {"train": ROWS, "val": ROWS, "test": ROWS},
    },
    "val features has 3 rows for 20 labels": {
        "labels": {"train": LABELS, "val": LABELS},
        "features": {"train": ROWS, "val": ROWS[:3]},
    },
    "images must be one image a label; got a single str": {"images": "photos/"},
    "split leaves no image to train": {"labels": [], "features": np.empty((0, 4))},
}


@pytest.mark.parametrize("message", BAD)
def test_what_does_not_fit_is_one_clear_data_error(message):
    with pytest.raises(DataError, match=message):
        from_arrays(**{"labels": LABELS, "features": ROWS, **BAD[message]})


@settings(deadline=None)
@example([0, 0, 0], 0.5, 0.25, 0)
@given(
    st.lists(st.integers(0, 4), min_size=1, max_size=80),
    st.floats(0, 0.5),
    st.floats(0, 0.49),
    st.integers(0, 5),
)
def test_stratified_split_keeps_every_stratum_in_train_and_its_share_elsewhere(strata, val, test, seed):
    strata = np.array(strata)
    parts = stratified_split(strata, val_fraction=val, test_fraction=test, seed=seed)
    for stratum in np.unique(strata):
        train, held_out, tested = np.bincount(parts[strata == stratum], minlength=3)
        size = train + held_out + tested
        assert train >= 1
        assert abs(held_out - val * size) <= 1
        assert abs(tested - test * size) <= 1.5
        if size >= 3:
            assert (held_out >= 1) == (val > 0)
            assert (tested >= 1) == (test > 0)


@pytest.mark.parametrize(("val", "test"), [(0.5, 0.5), (-0.1, 0.2), (0.2, 1.0)])
def test_fractions_must_leave_images_to_train_on(val, test):
    with pytest.raises(DataError, match="leave images to train on"):
        stratified_split(LABELS, val_fraction=val, test_fraction=test, seed=0)
