"""Rows in a file that is larger than what is copied to memory: the same answers, a few rows at a time."""

from __future__ import annotations

import numpy as np
import pytest

from clarify_widget import Session, arrays, train_head
from clarify_widget.datasets import from_arrays
from clarify_widget.encoders import PrecomputedEncoder
from clarify_widget.errors import DataError

CLASSES, OF_CLASS, WIDTH = 6, 50, 24


def rows_in_half_precision():
    rng = np.random.default_rng(0)
    labels = np.tile(np.arange(CLASSES), OF_CLASS)
    rows = rng.normal(size=(len(labels), WIDTH))
    rows[np.arange(len(labels)), labels] += 1.5
    return (3 * rows).astype(np.float16), labels  # not of length one


def session_over(rows, labels, **settings):
    dataset = from_arrays(
        labels={"train": labels, "val": labels}, embeddings={"train": rows, "val": rows}, seed=0
    )
    words = np.random.default_rng(1).normal(size=(30, WIDTH))
    return Session(dataset, PrecomputedEncoder([f"word {i}" for i in range(30)], words), **settings)


@pytest.fixture
def mapped(tmp_path, monkeypatch):
    """Return the rows as a file that is too large for memory."""
    rows, labels = rows_in_half_precision()
    np.save(tmp_path / "rows.npy", rows)
    monkeypatch.setattr(arrays, "MOST_IN_MEMORY", 100)
    return np.load(tmp_path / "rows.npy", mmap_mode="r"), labels


def in_memory():
    rows, labels = rows_in_half_precision()
    return session_over(rows.astype(np.float32), labels)


def is_the_file(rows, mapped):
    return rows.dtype == np.float16 and np.shares_memory(rows, mapped)


def test_opening_neither_copies_nor_trains_where_predictions_are_given(mapped):
    rows, labels = mapped
    session = session_over(rows, labels, predictions=(labels + (np.arange(len(labels)) % 3 == 0)) % CLASSES)
    session.fit()
    assert session.head is None
    for split in session.dataset.splits():
        assert is_the_file(split.embeddings, rows)
        assert is_the_file(split.features, rows)


def test_fitting_streams_and_every_verb_answers_as_in_memory(mapped):
    rows, labels = mapped
    session, twin = session_over(rows, labels), in_memory()
    session.fit()
    twin.fit()
    assert is_the_file(session.dataset.train.features, rows)
    np.testing.assert_array_equal(session.predictions("val"), twin.predictions("val"))
    np.testing.assert_allclose(session.similarities("word 3"), twin.similarities("word 3"), atol=1e-6)
    scored, same = session.score("class 1", "word 3"), twin.score("class 1", "word 3")
    assert scored.score == pytest.approx(same.score)
    assert scored.threshold == pytest.approx(same.threshold, abs=1e-6)
    assert [row.scored.phrase for row in session.suggest("class 2").rows] == [
        row.scored.phrase for row in twin.suggest("class 2").rows
    ]
    session.annotate("class 1", "word 3")
    twin.annotate("class 1", "word 3")
    session.retrain()
    twin.retrain()
    agree = session.retrained.predict(rows) == twin.retrained.predict(np.asarray(rows))
    assert agree.mean() > 0.99
    sharp = session.sharpen("class 1", "word 3", has=[1], has_not=[7])
    assert sharp.score == pytest.approx(
        twin.sharpen("class 1", "word 3", has=[1], has_not=[7]).score, abs=0.1
    )


def test_a_head_predicts_rows_of_a_file_as_those_in_memory(mapped):
    rows, labels = mapped
    head = train_head(np.asarray(rows, dtype=np.float32), labels)
    np.testing.assert_allclose(
        head.decision_function(rows), head.decision_function(np.asarray(rows)), atol=1e-12
    )


@pytest.mark.parametrize(("value", "problem"), [(np.nan, "NaN"), (0, "zero")])
def test_rows_that_are_not_numbers_or_have_no_direction_are_named_when_they_are_read(
    tmp_path, monkeypatch, value, problem
):
    rows, labels = rows_in_half_precision()
    rows[7] = value
    np.save(tmp_path / "rows.npy", rows)
    monkeypatch.setattr(arrays, "MOST_IN_MEMORY", 100)
    session = session_over(np.load(tmp_path / "rows.npy", mmap_mode="r"), labels, predictions=labels)
    session.fit()
    with pytest.raises(DataError, match=problem):
        session.similarities("word 1")


def test_a_small_class_is_compared_alone_with_the_similarities_that_it_has_in_the_whole():
    session = in_memory()
    session.fit()
    alone = session.similarities_of_class("class 4", "word 2")
    inside = session.dataset.val.labels == 4
    np.testing.assert_allclose(alone, session.similarities("word 2")[inside], atol=1e-7)
    assert session.similarities_of_class("class 4", "word 2").tolist() == pytest.approx(alone.tolist())
