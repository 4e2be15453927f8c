"""Weights in files that others read."""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest

from clarify_widget import Session
from clarify_widget.datasets.images import ImageList
from clarify_widget.errors import DataError, MissingDependencyError, NotFittedError
from tests.session.planted import planted_dataset, planted_encoder

READERS = {".csv": partial(pd.read_csv, converters={"weight": float}), ".parquet": pd.read_parquet}


@pytest.fixture
def annotated(session):
    session.annotate("square", "red")
    return session


@pytest.mark.parametrize("ending", READERS)
@pytest.mark.parametrize("totals", ["paper", "preserve"])
def test_files_hold_the_weights_with_what_they_belong_to(annotated, tmp_path, ending, totals):
    table = READERS[ending](annotated.export_weights(tmp_path / f"weights{ending}", totals))
    train = annotated.dataset.train
    assert list(table) == ["image", "path", "split", "label", "slice", "weight"]
    assert table["image"].tolist() == [f"train/{row}.png" for row in range(len(train))]
    assert table["path"].isna().all()
    assert set(table["split"]) == {"train"}
    assert table["label"].tolist() == [annotated.class_names[label] for label in train.labels]
    np.testing.assert_array_equal(table["weight"], annotated.sample_weights(totals))
    (kept,) = annotated.annotations
    has = annotated.similarities("red", "train") > kept.threshold
    expected = np.where(has, 'square with "red"', 'square without "red"')
    expected = np.where(train.labels == 0, expected, "oval")
    assert table["slice"].tolist() == expected.tolist()
    sums = table.groupby("slice")["weight"].sum()
    assert sums['square with "red"'] == pytest.approx(sums['square without "red"'])


@pytest.mark.parametrize("ending", READERS)
def test_names_and_paths_survive_whatever_they_are(tmp_path, ending):
    data = planted_dataset()
    paths = [f'/data/ü, "{row}"\n🦆.png' for row in range(len(data.train))]
    session = Session(replace(data, train=replace(data.train, images=ImageList(paths))), planted_encoder())
    session.fit()
    session.annotate("square", "red")
    table = READERS[ending](session.export_weights(tmp_path / f"weights{ending.upper()}"))
    assert table["image"].tolist() == table["path"].tolist() == paths


def test_the_table_is_a_data_frame_in_one_step(annotated):
    frame = pd.DataFrame(annotated.weights_table())
    np.testing.assert_array_equal(frame["weight"], annotated.sample_weights())


def test_what_cannot_be_written_says_so_and_writes_nothing(session, annotated, tmp_path, monkeypatch):
    with pytest.raises(DataError, match=r"\.csv or \.parquet; got 'weights.xlsx'"):
        annotated.export_weights(tmp_path / "weights.xlsx")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingDependencyError, match="pip install pyarrow"):
        annotated.export_weights(tmp_path / "weights.parquet")
    session.undo()
    with pytest.raises(NotFittedError, match="at least one kept phrase"):
        session.export_weights(tmp_path / "weights.csv")
    assert list(tmp_path.iterdir()) == []
