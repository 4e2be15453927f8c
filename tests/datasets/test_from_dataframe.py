"""Tables as people keep them, with their columns by name."""

from __future__ import annotations

import csv
import re
import sys

import numpy as np
import pandas as pd
import PIL.Image
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clarify_widget.datasets import from_dataframe
from clarify_widget.datasets.frames import read_csv
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


CELL = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=5)
NAMES = st.lists(CELL.filter(bool), min_size=1, max_size=4, unique=True)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), names=NAMES)
def test_csv_file_is_read_as_pandas_reads_text(tmp_path, data, names):
    row = st.lists(st.one_of(CELL.filter(bool), st.integers(0, 99).map(str)), min_size=len(names))
    rows = data.draw(st.lists(row.map(lambda cells: cells[: len(names)]), min_size=1, max_size=5))
    path = tmp_path / "table.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows([names, *rows])
    expected = pd.read_csv(path, dtype=str, keep_default_na=False)
    table = read_csv(path)
    assert list(table.columns) == list(expected.columns)
    for name in names:
        assert [str(cell) for cell in table[name]] == expected[name].tolist()
        assert (table[name].dtype == np.int64) == all(
            re.fullmatch("0|[1-9][0-9]*", c) for c in expected[name]
        )


def test_csv_file_needs_no_pandas_and_keeps_classes_called_none(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    lines = ["image,label,split", *(f"{row}.png,{['None', 'NA'][row % 2]},{row % 2}" for row in range(8))]
    (tmp_path / "table.csv").write_text("\ufeff" + "\n".join(lines), encoding="utf-8")
    table = read_csv(tmp_path / "table.csv")
    assert table["split"].tolist() == [0, 1] * 4
    assert from_dataframe(table, image="image").class_names == ("NA", "None")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"image,label\na.png,dog\nb.png\n", "row 3: expected 2 cells, one a column; got 1"),
        (b"image,label\na.png,dog,brown\n", "row 2: expected 2 cells, one a column; got 3"),
        (b"\xff\xd8\xff\xe0", "is not a CSV file"),
        (b"", "image='image' is not a column of the table; it has []"),
        (b"image,label\na.png,\nb.png,dog\n", "labels are missing in 1 rows, the first at row 0"),
    ],
)
def test_csv_file_that_does_not_fit_is_one_error(tmp_path, content, said):
    (tmp_path / "table.csv").write_bytes(content)
    with pytest.raises(DataError, match=re.escape(said)):
        from_dataframe(read_csv(tmp_path / "table.csv"), image="image")
