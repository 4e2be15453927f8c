from __future__ import annotations

import numpy as np
import pytest

from clarify_widget.errors import DataError
from clarify_widget.methods.choice import choose_by_worst_cell
from clarify_widget.training import FitReport, LinearHead

LABELS = [0, 0, 1, 1]


def head_that_says(answers):
    """A head over one-hot rows that predicts answers[i] for row i."""
    scores = np.eye(2)[answers].astype(float)
    report = FitReport(0.0, 0.0, None, 0, "made by hand")
    return LinearHead(np.zeros(4), np.ones(4), scores, np.zeros(2), "erm", 1.0, report)


def choose(*answers, cells=None):
    candidates = [({"number": float(i)}, head_that_says(each)) for i, each in enumerate(answers)]
    return choose_by_worst_cell(candidates, np.eye(4), LABELS, cells)


def test_the_worst_class_decides_before_the_average():
    found = choose([0, 0, 0, 0], [0, 1, 1, 0], [0, 0, 0, 1])
    assert found.chosen.settings == {"number": 2.0}
    assert [(trial.worst_cell, trial.average) for trial in found.trials] == [
        (0, 0.5),
        (0.5, 0.5),
        (0.5, 0.75),
    ]
    assert found.predict(np.eye(4)).tolist() == [0, 0, 0, 1]


def test_among_equals_the_first_is_chosen():
    assert choose([0, 1, 1, 1], [1, 0, 1, 1], [0, 0, 0, 1]).chosen.settings == {"number": 0.0}


def test_cells_take_the_place_of_classes():
    by_class, by_cell = (
        choose([0, 1, 1, 0], [0, 0, 0, 1]),
        choose([0, 1, 1, 0], [0, 0, 0, 1], cells=[0, 1, 1, 0]),
    )
    assert by_class.chosen.settings == {"number": 1.0}
    assert by_cell.chosen.worst_cell == 0.5
    assert [trial.worst_cell for trial in by_cell.trials] == [0.0 + 0.5, 0.5]


def test_nothing_to_choose_from_is_one_clear_error():
    with pytest.raises(DataError, match="no setting"):
        choose_by_worst_cell([], np.eye(4), LABELS)
    with pytest.raises(DataError, match="entries"):
        choose([0, 0, 1, 1], cells=[0])
