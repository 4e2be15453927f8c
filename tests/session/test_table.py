from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.svm import LinearSVC

from clarify_widget import Session
from clarify_widget.datasets.images import ImageList
from clarify_widget.errors import DataError, NotFittedError
from tests.session.planted import planted_dataset, planted_encoder


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_confidence_of_a_forest_is_the_largest_of_its_probabilities(split):
    planted = planted_dataset()
    forest = RandomForestClassifier(20, random_state=0).fit(
        planted.train.embeddings, np.array(planted.class_names)[planted.train.labels]
    )
    session = Session(planted, planted_encoder(), head=forest)
    session.fit()

    largest = forest.predict_proba(getattr(planted, split).embeddings).max(axis=1)
    np.testing.assert_allclose(session.confidences(split), largest, rtol=1e-6)


def test_confidence_of_the_own_head_is_its_probability_of_what_it_predicts(session):
    probabilities = session.head.predict_proba(session.dataset.val.features)

    predicted = probabilities[np.arange(len(probabilities)), session.predictions("val")]
    np.testing.assert_allclose(session.confidences(), predicted, rtol=1e-6)
    assert (session.confidences() >= 0.5).all()


def test_model_that_says_only_the_class_has_no_confidences():
    planted = planted_dataset()
    machine = LinearSVC().fit(planted.train.embeddings, planted.train.labels)
    for given in ({"head": machine}, {"head": machine.predict}, {"predictions": planted.val.labels}):
        session = Session(planted, planted_encoder(), **given)
        session.fit()
        assert session.confidences() is None
        assert "confidence" not in session.table([0])


def test_confidences_follow_the_predictions_into_a_table(session):
    rows = [7, 3, 399, 3]

    frame = pd.DataFrame(session.table(rows, phrase="red"))

    val, names = session.dataset.val, np.array(session.class_names)
    assert list(frame.columns) == [
        "index",
        "name",
        "path",
        "label",
        "predicted",
        "confidence",
        "correct",
        "group",
        "similarity",
    ]
    assert frame["index"].tolist() == rows
    assert frame["name"].tolist() == [f"val/{row}.png" for row in rows]
    assert frame["label"].tolist() == names[val.labels[rows]].tolist()
    assert frame["predicted"].tolist() == names[session.predictions("val")[rows]].tolist()
    assert frame["correct"].tolist() == (frame["label"] == frame["predicted"]).tolist()
    assert frame["group"].tolist() == np.array(session.dataset.group_names)[val.groups[rows]].tolist()
    np.testing.assert_allclose(frame["confidence"], session.confidences()[rows])
    np.testing.assert_allclose(frame["similarity"], session.similarities("red")[rows])


def test_table_without_rows_has_the_whole_split(session):
    assert session.table(split="test")["index"] == list(range(800))
    assert session.table([])["index"] == []
    assert "similarity" not in session.table([0])


def test_path_is_there_for_an_image_that_is_a_file(tmp_path):
    planted = planted_dataset()
    sources = [planted.val.images[row] for row in range(len(planted.val))]
    file = tmp_path / "first.png"
    sources[0].save(file)
    images = ImageList([file, *sources[1:]], names=[str(row) for row in range(len(sources))])
    session = Session(replace(planted, val=replace(planted.val, images=images)), planted_encoder())
    session.fit()

    assert session.table([0, 1])["path"] == [str(file), None]


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([400], "val has images 0 to 399; got 400"),
        ([-1], "val has images 0 to 399; got -1"),
        ([1.0], "Rows are whole numbers; got 1.0"),
        (np.ones(400, dtype=bool), "numpy.flatnonzero"),
    ],
)
def test_rows_that_are_none_are_refused(session, rows, sentence):
    with pytest.raises(DataError, match=sentence):
        session.table(rows)


def test_split_without_predictions_has_no_confidences():
    planted = planted_dataset()
    session = Session(planted, planted_encoder(), predictions=planted.val.labels)
    session.fit()
    with pytest.raises(NotFittedError, match="no predictions for test"):
        session.confidences("test")
