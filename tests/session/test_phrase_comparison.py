from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import pearsonr
from sklearn.metrics import confusion_matrix


def test_two_phrases_are_laid_beside_each_other(session):
    session.annotate("square", "round", -0.05)
    found = session.compare_phrases("square", "red", "round")
    members = session.members("square")
    red, round_ = (session.similarities(phrase)[members.indices] for phrase in ("red", "round"))
    has = red > found.first.threshold, round_ > -0.05
    table = confusion_matrix(*has)[::-1, ::-1].ravel()
    assert [cell.size for cell in found.cells] == table.tolist()
    for cell, mask in zip(
        found.cells, (has[0] & has[1], has[0] & ~has[1], ~has[0] & has[1], ~has[0] & ~has[1]), strict=True
    ):
        assert cell.accuracy == pytest.approx(members.correct[mask].mean())
    assert found.correlation == pytest.approx(pearsonr(red, round_).statistic, abs=1e-5)
    assert found.agreement == pytest.approx((has[0] == has[1]).mean())


def test_the_sentence_names_the_worst_cell_and_how_often_they_agree(session):
    found = session.compare_phrases("square", "red", "noise")
    assert found.sentence.startswith("“red” (0.")
    assert f"agree on {found.agreement:.0%} of the square images" in found.sentence
    worst = min(found.cells, key=lambda cell: cell.accuracy)
    assert "with “red”" in worst.name
    assert worst.name in found.sentence


def test_thresholds_that_are_given_count_and_nothing_joins_the_history(session):
    found = session.compare_phrases("square", "red", "round", thresholds={"red": -1.0})
    assert found.only_second.size == found.neither.size == 0
    assert np.isfinite(found.correlation)
    assert session.history("square") == ()


def test_a_phrase_beside_itself_agrees_with_itself(session):
    found = session.compare_phrases("square", "red", "red")
    assert found.agreement == 1
    assert found.correlation == pytest.approx(1)
