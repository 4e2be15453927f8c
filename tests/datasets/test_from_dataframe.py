"""Tables as people keep them, with their columns by name."""

from __future__ import annotations

import numpy as np
import pandas as pd
import PIL.Image
import pytest

from clarify_widget.datasets import from_dataframe
from clarify_widget.errors import DataError

N = 20


@pytest.fixture
def frame():
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "file": [f"{row}.png" for row in range(N)],
            "kind": ["duck", "owl"] * (N // 2),
            "part": ["train"] * 10 + ["validation"] * 6 + ["test"] * 4,
            "ground": ["land", "land", "sea", "sea"] * (N // 4),
            "said": ["owl", "owl"] * (N // 2),
            "p_duck": np.full(N, 0.25),
            "p_owl": np.full(N, 0.75),
            "x": rng.normal(size=N),
            "y": rng.normal(size=N),
            "row": [rng.normal(size=3) for _ in range(N)],
        },
        index=range(100, 100 + N),
    )


def test_columns_are_taken_by_name(frame, tmp_path):
    for row in range(N):
        PIL.Image.new("RGB", (2, 2), (row, 0, 0)).save(tmp_path / f"{row}.png")
    dataset = from_dataframe(
        frame,
        image="file",
        root=tmp_path,
        label="kind",
        split="part",
        group="ground",
        prediction="said",
        features=["x", "y"],
        embeddings="row",
    )
    assert [len(split) for split in dataset.splits()] == [10, 6, 4]
    assert dataset.class_names == ("duck", "owl")
    assert dataset.group_names == ("land", "sea")
    assert dataset.val.images[2].getpixel((0, 0)) == (12, 0, 0)
    assert dataset.val.predictions.tolist() == [1] * 6
    np.testing.assert_allclose(dataset.test.features, frame[["x", "y"]].to_numpy()[16:])
    np.testing.assert_allclose(dataset.train.embeddings, np.stack(frame["row"])[:10])


def test_scores_of_a_model_are_several_columns_and_rows_may_come_from_elsewhere(frame):
    elsewhere = np.arange(2 * N).reshape(N, 2)
    dataset = from_dataframe(
        frame, label="kind", split="part", prediction=["p_duck", "p_owl"], features=elsewhere
    )
    assert dataset.val.predictions.tolist() == [1] * 6
    assert set(dataset.val.confidences) == {0.75}
    assert np.array_equal(dataset.val.features, elsewhere[10:16])


def test_images_may_be_anything_that_opens(frame):
    frame["pixels"] = [PIL.Image.new("RGB", (2, 2), (row, 0, 0)) for row in range(N)]
    dataset = from_dataframe(frame, image="pixels", label="kind", split="part", root="/nowhere")
    assert dataset.test.images[0].getpixel((0, 0)) == (16, 0, 0)


def test_without_a_split_column_each_class_is_dealt(frame):
    dataset = from_dataframe(frame, label="kind", features=["x", "y"])
    assert [np.bincount(split.labels).tolist() for split in dataset.splits()] == [[6, 6], [2, 2], [2, 2]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"label": "knid"}, r"label='knid' is not a column of the table; .* Did you mean 'kind'\?"),
        ({"image": "path"}, "image='path' is not a column"),
        ({"features": ["x", "z"]}, "features='z' is not a column"),
        ({"features": "x"}, "'x' must have one row of d numbers an image"),
        ({"split": "kind"}, "split must be train, val or test"),
        ({"prediction": "ground"}, "predictions has"),
    ],
)
def test_what_does_not_fit_is_one_clear_error(frame, arguments, message):
    with pytest.raises(DataError, match=message):
        from_dataframe(frame, **{"label": "kind", "features": ["x", "y"], **arguments})


def test_a_table_without_images_or_rows_says_so(frame):
    with pytest.raises(DataError, match="Give images, embeddings or features"):
        from_dataframe(frame, label="kind")
