"""The two sides of each annotation, and the figures of them."""

from __future__ import annotations

import math
import sys
from itertools import pairwise

import numpy as np
import pytest

from clarify_widget import plots
from clarify_widget.errors import DataError, MissingDependencyError
from clarify_widget.session import mean_accuracy
from tests.e2e.problems import small_session


@pytest.fixture
def session():
    session = small_session()
    session.annotate("square", "red")
    session.annotate("oval", "blue")
    return session


@pytest.mark.parametrize("split", ["val", "test"])
def test_accuracies_are_those_of_images_counted_one_by_one(session, split):
    session.retrain()
    part = next(part for part in session.dataset.splits() if part.name == split)
    retrained = session.retrained.predict(part.features) == part.labels
    for found in session.minority_splits(split):
        label = session.class_names.index(found.annotation.class_name)
        has = session.similarities(found.annotation.phrase, split) > found.annotation.threshold
        rows = [row for row in range(len(part)) if part.labels[row] == label]
        hard = [row for row in rows if has[row] == found.has_phrase]
        for right, model in ((session.correct(split), found.before), (retrained, found.after)):
            assert model.average.correct == sum(right[row] for row in rows)
            assert (model.minority.size, model.minority.correct) == (len(hard), sum(right[hard]))
            assert model.majority.size == len(rows) - len(hard)


def test_the_minority_is_chosen_on_validation_and_stays_that_side_elsewhere(session):
    val, test = session.minority_splits(), session.minority_splits("test")
    assert [one.has_phrase for one in val] == [one.has_phrase for one in test]
    for one in val:
        assert one.before.minority.accuracy < one.before.majority.accuracy
        assert one.after is None


def test_a_mean_leaves_out_sides_without_images(session):
    (first, second) = session.minority_splits()
    expected = (first.before.minority.accuracy + second.before.minority.accuracy) / 2
    assert mean_accuracy([first, second], "minority") == pytest.approx(expected)
    assert math.isnan(mean_accuracy([first, second], "minority", after=True))


def heights(axes, name):
    bars = next(bars for bars in axes.containers if bars.get_label() == name)
    return [bar.get_height() for bar in bars]


def test_figures_show_what_the_session_knows(session):
    session.retrain()
    found = session.minority_splits("test")
    (axes,) = plots.minority_before_and_after(session, "test").axes
    assert heights(axes, "before") == [pytest.approx(100 * one.before.minority.accuracy) for one in found]
    assert heights(axes, "after") == [pytest.approx(100 * one.after.minority.accuracy) for one in found]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["square: red", "oval: blue"]
    (axes,) = plots.averages(session, "test").axes
    assert heights(axes, "after")[0] == pytest.approx(
        100 * session.evaluation("test", retrained=True).average
    )
    figure = plots.sides_by_class(session, ("val", "test"))
    assert heights(figure.axes[1], "majority") == [
        pytest.approx(100 * one.before.majority.accuracy) for one in found
    ]


def test_bars_of_one_place_stand_beside_each_other_and_figures_can_be_written(session, tmp_path):
    figure = plots.sides_by_class(session)
    edges = sorted(
        (bar.get_x(), bar.get_x() + bar.get_width()) for bars in figure.axes[0].containers for bar in bars
    )
    assert all(end <= start + 1e-9 for (_, end), (start, _) in pairwise(edges))
    assert np.isfinite(edges).all()
    figure.savefig(tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 5_000


def test_without_annotations_or_matplotlib_it_is_said_what_to_do(session, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, "matplotlib.figure", None)
        with pytest.raises(MissingDependencyError, match=r"clarify-widget\[plots\]"):
            plots.averages(session)
    session.undo()
    session.undo()
    with pytest.raises(DataError, match="nothing to draw"):
        plots.averages(session)
