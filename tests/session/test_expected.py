"""What retraining would give, against retraining a second session and against scikit-learn."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, fisher_exact
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler, normalize

from clarify_widget import Annotation, Session
from clarify_widget.errors import (
    CancelledError,
    EmptySliceError,
    NotFittedError,
    PhraseError,
    UnknownClassError,
)
from clarify_widget.session import expected as module
from tests.session.planted import PHRASES, planted_dataset, planted_encoder

ALIKE = 1e-12


@pytest.fixture
def tried(session):
    for phrase in ("red", "crimson", "round", "noise"):
        session.score("square", phrase)
    return session


def predictions_of_scikit_learn(session, slices):
    """Validation predictions of a head trained by scikit-learn; slices as {class: has-phrase of train}."""
    train, val = session.dataset.train, session.dataset.val
    weights = np.full(len(train), 1 / len(train))
    for label, has in slices.items():
        for side in (has, ~has):
            members = (train.labels == label) & side
            weights[members] = 1 / (2 * members.sum())
    scaler = StandardScaler().fit(normalize(train.features.astype(np.float64)))
    model = LogisticRegression(C=2 / session.l2, tol=1e-10, max_iter=10_000)
    rows = scaler.transform(normalize(train.features.astype(np.float64)))
    model.fit(rows, train.labels, sample_weight=weights / weights.sum())
    return model.predict(scaler.transform(normalize(val.features.astype(np.float64))))


def worst(correct, cells):
    """(accuracy, members) of the worst cell."""
    return min(((correct[cell].mean(), cell) for cell in cells), key=lambda one: one[0])


def test_expected_is_what_scikit_learn_says_of_a_head_with_these_weights(tried):
    labels = tried.dataset.val.labels
    before = tried.correct("val")
    for expected in tried.expected("square"):
        has = {
            split: tried.similarities(expected.phrase, split) > expected.threshold
            for split in ("train", "val")
        }
        after = predictions_of_scikit_learn(tried, {0: has["train"]}) == labels
        cells = [(labels == 0) & ~has["val"], (labels == 0) & has["val"], labels == 1]
        (accuracy, members), (accuracy_after, members_after) = worst(before, cells), worst(after, cells)
        assert expected.worst_before.accuracy == pytest.approx(accuracy, abs=ALIKE)
        assert expected.worst_after.accuracy == pytest.approx(accuracy_after, abs=ALIKE)
        assert (expected.worst_before.size, expected.worst_after.size) == (members.sum(), members_after.sum())
        assert expected.average_after.accuracy == pytest.approx(after.mean(), abs=ALIKE)
        if (members == members_after).all():
            fixed, broken = (~before & after & members).sum(), (before & ~after & members).sum()
            p_value = binomtest(fixed, fixed + broken).pvalue if fixed + broken else 1.0
        else:
            counts = [
                [right[cell].sum(), (~right[cell]).sum()]
                for right, cell in ((before, members), (after, members_after))
            ]
            p_value = fisher_exact(counts).pvalue
        assert expected.p_value == pytest.approx(p_value)
        assert expected.within_noise == (p_value > 0.05)


def test_expected_is_what_keeping_and_retraining_then_gives(tried):
    tried.annotate("oval", "red")
    (expected,) = tried.expected("square", ["red"])

    copy = Session(planted_dataset(), planted_encoder())
    copy.fit()
    copy.annotate("oval", "red")
    copy.annotate("square", "red")
    copy.retrain()

    after = copy.evaluation("val", retrained=True)
    assert expected.average_after.accuracy == pytest.approx(after.average, abs=ALIKE)
    assert expected.average_before.accuracy == pytest.approx(copy.evaluation("val").average, abs=ALIKE)
    assert [kept.phrase for kept in expected.together_with] == ["red"]
    labels = copy.dataset.val.labels
    right = copy.retrained.predict(copy.dataset.val.features) == labels
    cells = [
        (labels == label) & ((copy.similarities("red") > kept.threshold) == side)
        for label, name in enumerate(copy.class_names)
        for kept in copy.annotations.of_class(name)
        for side in (False, True)
    ]
    assert expected.worst_after.accuracy == pytest.approx(worst(right, cells)[0], abs=ALIKE)


@settings(deadline=None, max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(phrase=st.sampled_from(PHRASES), class_name=st.sampled_from(["square", "oval"]), share=st.floats(0, 1))
def test_expected_at_any_threshold_is_what_keeping_it_there_gives(session, phrase, class_name, share):
    threshold = float(np.quantile(session.similarities(phrase, "train"), share))
    (expected,) = session.expected(class_name, [phrase], thresholds={phrase: threshold})

    session.annotate(class_name, phrase, threshold)
    if expected.reason:
        with pytest.raises(EmptySliceError, match=re.escape(expected.reason)):
            session.retrain()
    else:
        session.retrain()
        after = session.evaluation("val", retrained=True)
        assert expected.average_after.accuracy == pytest.approx(after.average, abs=ALIKE)
        session.undo()
    session.undo()


def test_right_phrase_helps_beyond_noise_and_noise_stays_within(tried):
    (noise,) = tried.expected("square", ["noise"])
    tried.annotate("oval", "red")
    (red,) = tried.expected("square", ["red"])

    assert noise.within_noise
    assert "within noise" in noise.sentence
    assert not red.within_noise
    assert red.change > 0.1
    assert "unlikely to be chance" in red.sentence
    assert "for square and “red” for oval" in red.sentence


def test_nothing_in_the_session_changes(tried):
    tried.annotate("oval", "red")
    tried.retrain()
    before = (tried.annotations, tried.tried, tried.undoable, tried.retraining, tried.head)

    tried.expected("square")
    tried.expected("oval", ["round"])

    assert (tried.annotations, tried.tried, tried.undoable, tried.retraining, tried.head) == before


def test_all_tried_phrases_come_newest_first_and_named_ones_in_order(tried):
    assert [one.phrase for one in tried.expected("square")] == ["noise", "round", "crimson", "red"]
    assert [one.phrase for one in tried.expected("square", ["crimson", " red "])] == ["crimson", "red"]
    assert tried.expected("oval") == ()


def test_threshold_is_the_chosen_one_then_the_kept_one_then_that_of_the_score(tried):
    assert tried.expected("square", ["red"])[0].threshold == tried.history("square")[-1].threshold
    tried.annotate("square", "red", 0.125)
    assert tried.expected("square", ["red"])[0].threshold == 0.125
    assert tried.expected("square", ["red"], thresholds={"red": 0.25})[0].threshold == 0.25


@pytest.fixture
def solved(monkeypatch):
    """How many heads were trained, a number for each time that the solver was called."""
    counts = []
    solve = module.train_heads

    def count(features, labels, sample_weights, **settings):
        counts.append(len(sample_weights))
        return solve(features, labels, sample_weights, **settings)

    monkeypatch.setattr(module, "train_heads", count)
    return counts


def test_what_was_computed_is_remembered_until_the_other_classes_change(tried, solved):
    first = tried.expected("square")
    assert tried.expected("square") == first
    assert solved == [4]

    tried.annotate("square", "red")
    tried.score("square", "noise")
    assert set(tried.expected("square")) == set(first)
    tried.annotate("oval", "red")
    assert tried.expected("square", ["red"]) != (first[-1],)
    assert solved == [4, 1]

    tried.undo()
    assert set(tried.expected("square")) == set(first)
    assert solved == [4, 1]


def test_what_is_known_already_costs_nothing(tried, solved):
    assert tried.expected_already("square") == {}
    (red,) = tried.expected("square", ["red"])

    assert tried.expected_already("square") == {"red": red}
    assert tried.expected_already("square", thresholds={"red": 0.2}) == {}
    assert solved == [1]


def test_another_head_is_another_expectation(tried, solved):
    tried.expected("square", ["red"])
    tried.head = None
    tried.fit()

    assert tried.expected_already("square") == {}
    tried.expected("square", ["red"])
    assert solved == [1, 1]


def test_many_phrases_are_solved_a_few_at_a_time_and_each_few_are_told(tried, solved, monkeypatch):
    monkeypatch.setattr(module, "SOLVED_TOGETHER", 3)
    known = []
    tried.subscribe(lambda event: known.append((event, len(tried.expected_already("square")))))

    tried.expected("square")

    assert solved == [3, 1]
    assert known == [("expected", 3), ("expected", 4)]


def test_side_without_training_images_is_a_reason_and_the_others_are_computed(tried):
    red, round_ = tried.expected("square", ["red", "round"], thresholds={"red": 0.9999})

    assert "No image of class 'square' is with \"red\"" in red.reason
    assert red.worst_before is red.worst_after is red.average_after is None
    assert not red.within_noise
    assert np.isnan(red.change)
    assert red.reason in red.sentence
    assert round_.reason == ""


def test_data_that_no_head_can_be_trained_on_are_a_reason():
    planted = planted_dataset()
    squares = planted.train.take(np.flatnonzero(planted.train.labels == 0))
    predictions = np.zeros_like(planted.val.labels)
    predictions[::3] = 1
    session = Session(replace(planted, train=squares), planted_encoder(), predictions=predictions)
    session.fit()

    (expected,) = session.expected("square", ["red"])

    assert "there are none of [1]" in expected.reason
    assert expected.worst_after is None


def test_words_that_the_encoder_never_learned_are_a_reason():
    encoder = planted_encoder()
    encoder.unknown_words = lambda phrase: ("crimson",) if "crimson" in phrase else ()
    session = Session(planted_dataset(), encoder)
    session.fit()
    session.score("square", "crimson")

    assert "does not know 'crimson'" in session.expected("square")[0].reason


def test_phrase_that_was_not_tried_is_computed_and_stays_untried(session):
    assert session.expected("square", ["red"])[0].worst_after is not None
    assert session.history("square") == ()
    with pytest.raises(PhraseError):
        session.expected("square", [""])
    with pytest.raises(UnknownClassError):
        session.expected("cube")


def test_unfitted_session_says_so():
    with pytest.raises(NotFittedError):
        Session(planted_dataset(), planted_encoder()).expected("square", ["red"])
    with pytest.raises(NotFittedError):
        _ = Session(planted_dataset(), planted_encoder()).previews_off


def test_cancelled_between_iterations_leaves_nothing_behind(tried):
    asked = itertools.count()
    with pytest.raises(CancelledError):
        tried.expected("square", cancelled=lambda: next(asked) > 6)

    assert next(asked) < 10
    assert tried.expected_already("square") == {}
    assert len(tried.expected("square")) == 4


def test_what_was_found_before_cancelling_stays(tried, monkeypatch):
    monkeypatch.setattr(module, "SOLVED_TOGETHER", 1)
    with pytest.raises(CancelledError):
        tried.expected("square", cancelled=lambda: bool(tried.expected_already("square")))

    assert list(tried.expected_already("square")) == ["noise"]


def test_head_that_changes_meanwhile_does_not_get_the_results_of_the_old_one(tried):
    def fit_again():
        if not fitted:
            fitted.append(True)
            tried.head = None
            tried.fit()
        return False

    fitted = []
    tried.expected("square", ["red"], cancelled=fit_again)

    assert tried.expected_already("square") == {}


def test_predictions_from_outside_are_what_it_is_compared_with():
    planted = planted_dataset()
    predictions = planted.val.labels.copy()
    predictions[planted.val.groups == 1] = 1
    session = Session(planted, planted_encoder(), predictions=predictions)
    session.fit()

    (expected,) = session.expected("square", ["red"])

    assert expected.average_before.accuracy == pytest.approx((predictions == planted.val.labels).mean())
    assert expected.worst_after.accuracy > expected.worst_before.accuracy


def test_expected_says_where_it_comes_from(tried):
    origin = tried.expected("square", ["red"])[0].origin

    assert (origin.dataset, origin.split, origin.images, origin.encoder) == (
        "planted",
        "val",
        400,
        "planted words",
    )
    assert (origin.objective, origin.l2, origin.solver) == ("slice_balanced", tried.l2, "exact")
    assert "no randomness" in str(origin)


def test_only_the_best_annotation_of_another_class_is_used(tried):
    tried.annotate("oval", "noise")
    tried.annotate("oval", "red")

    (expected,) = tried.expected("square", ["red"])

    best = tried.annotations.best_per_class()
    assert list(expected.together_with) == [kept for kept in best if kept.class_name == "oval"]
    assert isinstance(expected.together_with[0], Annotation)


@pytest.mark.parametrize(
    ("images", "width", "classes", "off"), [(4795, 1280, 2, False), (50_000, 768, 1000, True)]
)
def test_previews_are_off_where_they_would_keep_the_machine_busy(images, width, classes, off):
    data = planted_dataset(images=False)

    class Shaped:
        shape = (images, width)

    train = replace(data.train)
    object.__setattr__(train, "features", Shaped())
    names = tuple(map(str, range(classes)))

    reason = module.too_much_for_previews(replace(data, class_names=names, train=train))

    assert bool(reason) == off
    if off:
        assert "50,000 images x 768 features x 1,000 classes" in reason
