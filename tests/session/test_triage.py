"""Which of many classes are worth a look."""

from __future__ import annotations

import numpy as np
import pytest

from clarify_widget import Session
from clarify_widget.datasets import from_arrays
from clarify_widget.encoders import PrecomputedEncoder
from clarify_widget.errors import CancelledError, DataError, PhraseError, ScoreError

WIDTH, OF_CLASS = 16, 40
CLASSES = ("explained", "unexplained", "hopeless", "solved", "perfect", "other way", "also explained")
ACCURACY = {"hopeless": 0.1, "solved": 0.9, "perfect": 1.0}


def many_classes():
    """In some classes the first axis says which images are wrong, or right; phrase 0 is that axis."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(len(CLASSES)), OF_CLASS)
    rows = rng.normal(size=(len(labels), WIDTH))
    right = np.concatenate(
        [np.arange(OF_CLASS) < round(OF_CLASS * ACCURACY.get(name, 0.5)) for name in CLASSES]
    )
    for name, push in (("explained", 3), ("also explained", 2.5), ("other way", -3)):
        inside = labels == CLASSES.index(name)
        rows[inside & ~right, 0] += push
    phrases = ["plain axis", *(f"word {number}" for number in range(60))]
    directions = rng.normal(size=(len(phrases), WIDTH))
    directions[:, 0] = 0  # no other phrase has anything of the first axis
    directions[0] = np.eye(WIDTH)[0]
    dataset = from_arrays(
        labels={"train": labels, "val": labels},
        embeddings={"train": rows, "val": rows},
        predictions={"val": np.where(right, labels, (labels + 1) % len(CLASSES))},
        class_names=CLASSES,
    )
    session = Session(dataset, PrecomputedEncoder(phrases, directions))
    session.fit()
    return session


@pytest.fixture(scope="module")
def classes():
    return many_classes()


@pytest.mark.parametrize("direction", [1, -1, None])
def test_every_class_comes_to_what_suggest_finds_for_it(classes, direction):
    found = classes.triage(direction=direction, k=4)
    assert {row.summary.name for row in found.rows} == set(CLASSES) - set(ACCURACY)
    for row in found.rows:
        alone = classes.suggest(row.summary.name, k=4, direction=direction)
        assert row.ranking.rows == alone.rows
        np.testing.assert_array_equal(row.ranking.chance.scores, alone.chance.scores)
        np.testing.assert_array_equal(row.ranking.chance.best, alone.chance.best)
        assert row.ranking.chance.noise_line == alone.chance.noise_line


def test_classes_that_a_phrase_explains_come_first_by_falling_score(classes):
    found = classes.triage()
    assert [row.summary.name for row in found.rows[:2]] == ["explained", "also explained"]
    assert all(row.best.scored.phrase == "plain axis" and row.best.above_noise for row in found.rows[:2])
    order = [(not row.best.above_noise, -row.best.scored.score) for row in found.rows]
    assert order == sorted(order)
    assert found.above_noise == sum(row.best.above_noise for row in found.rows)
    both = classes.triage(direction=None)
    assert "other way" in [row.summary.name for row in both.rows if row.best.above_noise]


def test_only_classes_between_the_accuracies_are_tried_both_bounds_included(classes):
    half = classes.triage(accuracies=(0.5, 0.5))
    assert half.tried == 4
    assert {row.summary.accuracy for row in half.rows} == {0.5}
    wide = classes.triage(accuracies=(0, 1))
    assert {row.summary.name for row in wide.rows} == set(CLASSES) - {"perfect"}
    assert wide.classes == len(CLASSES)


def test_no_more_classes_and_phrases_than_wanted_and_all_are_counted(classes):
    found = classes.triage(most=1, k=2)
    assert [row.summary.name for row in found.rows] == ["explained"]
    assert len(found.rows[0].ranking.rows) == 2
    assert found.tried == 4
    assert found.above_noise >= 2
    assert found.candidates == 61


def test_candidates_may_be_given_and_those_that_name_a_class_are_left_out(classes):
    found = classes.triage(["plain axis", "word 1", "explained word"])
    assert found.candidates == 2


def test_nothing_joins_the_history(classes):
    classes.triage()
    assert classes.tried == ()


def test_it_can_be_read_in_a_terminal_and_in_a_notebook(classes):
    found = classes.triage(most=2)
    text = str(found)
    assert text.splitlines()[1].split()[0] == "explained"
    assert "4 of 7 classes have an accuracy between 0.2 and 0.8" in text
    assert "plain axis</td>" in found._repr_html_()
    assert repr(found) == "<Triage of 2 classes>"


def test_progress_rises_to_the_end(classes):
    told = []
    classes.triage(progress=lambda what, share: told.append((what, share)))
    assert [share for _, share in told] == [0.25, 0.5, 0.75, 1.0]


def test_cancelled_it_stops_at_once(classes):
    asked = []
    with pytest.raises(CancelledError):
        classes.triage(cancelled=lambda: asked.append(1) or len(asked) > 50)
    assert len(asked) < 200


def test_what_cannot_be_tried_is_one_clear_error(classes):
    with pytest.raises(ScoreError, match=r"No class has an accuracy between 0\.91 and 0\.99"):
        classes.triage(accuracies=(0.91, 0.99))
    with pytest.raises(DataError, match="lower first"):
        classes.triage(accuracies=(0.8, 0.2))
    with pytest.raises(PhraseError, match="no phrases to try"):
        classes.triage(["explained"])
