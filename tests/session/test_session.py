from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, ks_2samp
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

import clarify_widget as cw
from clarify_widget.errors import (
    CancelledError,
    DataError,
    EmptySliceError,
    NotFittedError,
    PhraseError,
    ScoreError,
    UnknownClassError,
)
from clarify_widget.session import curve as curve_module
from tests.session.planted import planted_dataset, planted_encoder


def test_one_phrase_for_each_class_lifts_the_worst_group(session):
    session.annotate("square", "red")
    session.annotate("oval", "red")
    comparison = session.retrain()
    assert comparison.split == "test"
    assert comparison.after.worst_group > comparison.before.worst_group + 0.1
    assert comparison.after.average > comparison.before.average - 0.05


def test_classes_come_worst_first_and_count_their_errors(session):
    labels, correct = session.dataset.val.labels, session.correct("val")
    summaries = session.classes()
    assert [summary.error_rate for summary in summaries] == sorted(
        (summary.error_rate for summary in summaries), reverse=True
    )
    for summary in summaries:
        inside = labels == session.class_names.index(summary.name)
        assert summary.size == inside.sum()
        assert summary.wrong == (inside & ~correct).sum()


def test_score_is_the_kolmogorov_smirnov_statistic_of_the_class(session):
    members = session.members("square")
    similar = session.similarities("red")[members.indices]
    expected = ks_2samp(similar[~members.correct], similar[members.correct])
    scored = session.score("square", "red")
    assert scored.score == pytest.approx(expected.statistic, abs=1e-12)
    assert scored.direction == 1
    assert (scored.wrong, scored.correct) == ((~members.correct).sum(), members.correct.sum())


def test_the_wrong_squares_are_red_and_the_wrong_ovals_are_not(session):
    assert session.score("square", "red").direction == 1
    assert session.score("oval", "red").direction == -1


def test_history_is_newest_first_with_the_best_and_the_kept_marked(session):
    session.score("square", "noise")
    session.score("square", "red")
    session.annotate("square", "crimson")
    session.score("square", "noise")
    history = session.history("square")
    assert [tried.phrase for tried in history] == ["noise", "crimson", "red"]
    assert [tried.kept for tried in history] == [False, True, False]
    assert max(history, key=lambda tried: tried.score).best
    assert session.history("oval") == ()


def test_threshold_of_the_user_decides_the_slices(session):
    threshold = float(np.median(session.similarities("red", "train")))
    session.annotate("square", "red", threshold)
    inside = session.dataset.train.labels == 0
    with_red = session.similarities("red", "train")[inside] > threshold
    weights = session.sample_weights()[inside]
    assert weights[with_red].sum() == pytest.approx(1 / 2)
    assert weights[~with_red].sum() == pytest.approx(1 / 2)


def test_classes_without_an_annotation_keep_uniform_weights(session):
    session.annotate("square", "red")
    train = session.dataset.train
    assert session.sample_weights()[train.labels == 1] == pytest.approx(1 / len(train))


def test_only_the_best_annotation_of_a_class_is_used(session):
    session.annotate("square", "noise")
    session.annotate("square", "red")
    both = session.retrain().after.average
    session.remove("square", "noise")
    assert session.retrain().after.average == both


def test_phrases_scored_on_the_way_to_another_leave_the_history_unless_they_are_kept(session):
    session.annotate("square", "crimson")
    session.score("square", "noise")
    session.score("oval", "noise")
    session.score("square", "red", instead_of=["crimson", "noise", "never tried"])

    assert [tried.phrase for tried in session.history("square")] == ["red", "crimson"]
    assert [tried.phrase for tried in session.history("oval")] == ["noise"]


def test_undo_takes_back_one_step_at_a_time_and_keeps_the_history(session):
    session.annotate("square", "red")
    session.annotate("oval", "red")
    session.retrain()
    assert session.undo() == "Retrain"
    with pytest.raises(NotFittedError, match="retrain first"):
        session.compare()
    session.undo()
    assert [kept.class_name for kept in session.annotations] == ["square"]
    session.undo()
    assert not session.annotations
    assert session.undo() == ""
    assert [tried.phrase for tried in session.history("square")] == ["red"]


def test_redo_does_again_what_was_taken_back_until_another_step_is_taken(session):
    session.annotate("square", "red")
    session.switch("square", "red", on=False)
    session.switch("square", "red", on=True)
    session.retrain()
    done = [session.undo() for _ in range(4)]
    assert done == ["Retrain", "Switch “red” on", "Switch “red” off", "Keep “red”"]
    assert session.redoable == "Keep “red”"
    assert [session.redo() for _ in range(5)] == [*reversed(done), ""]
    assert session.retrained is session.models[0].head

    session.undo()
    session.remove("square", "red")
    assert session.redo() == session.redoable == ""


@settings(max_examples=40, deadline=None)
@given(steps=st.lists(st.sampled_from(["keep", "other", "off", "on", "remove", "undo", "redo"]), max_size=20))
def test_undo_and_redo_walk_one_line_of_states(steps):
    session = cw.Session(planted_dataset(), planted_encoder())
    session.fit()
    line, at = [session.annotations], 0
    for step in steps:
        before = session.annotations
        try:
            {
                "keep": lambda: session.annotate("square", "red"),
                "other": lambda: session.annotate("square", "noise"),
                "off": lambda: session.switch("square", "red", on=False),
                "on": lambda: session.switch("square", "red", on=True),
                "remove": lambda: session.remove("square", "red"),
                "undo": session.undo,
                "redo": session.redo,
            }[step]()
        except DataError:
            assert session.annotations is before
            continue
        if step == "undo":
            at = max(0, at - 1)
        elif step == "redo":
            at = min(len(line) - 1, at + 1)
        elif session.annotations is not before:
            line, at = [*line[: at + 1], session.annotations], at + 1
        assert session.annotations is line[at]
        assert bool(session.undoable) == (at > 0)
        assert bool(session.redoable) == (at < len(line) - 1)


def test_a_phrase_that_is_switched_off_is_kept_but_not_retrained_with(session):
    session.annotate("square", "noise")
    session.annotate("square", "red")
    session.annotate("oval", "red")
    everything = session.retrain()
    session.switch("square", "red", on=False)
    session.retrain()
    assert [kept.phrase for kept in session.retraining.annotations] == ["noise", "red"]
    session.switch("square", "noise", on=False)
    session.switch("oval", "red", on=False)
    assert len(session.annotations) == 3
    with pytest.raises(NotFittedError, match="switched on"):
        session.retrain()
    with pytest.raises(NotFittedError, match="switched on"):
        session.sample_weights()
    with pytest.raises(DataError, match="is not kept"):
        session.switch("oval", "blue", on=True)

    session.switch("square", "red", on=True)
    session.switch("oval", "red", on=True)
    assert session.retrain().after.average == everything.after.average


def test_every_model_can_be_returned_to_and_that_can_be_undone(session):
    session.annotate("square", "red")
    first = session.retrain()
    second = session.retrain("class_balanced")
    assert [model.number for model in session.models] == [1, 2]

    session.use_model(1)
    assert session.compare() is first
    assert session.undo() == "Return to model 1"
    assert session.compare() is second
    session.use_model(0)
    assert session.retrained is None
    assert session.undo() == "Return to the original model"
    assert session.undo() == "Retrain"
    session.use_model(2)
    assert session.compare() is second
    with pytest.raises(DataError, match="models 0 to 2; got 3"):
        session.use_model(3)


def test_the_curve_ends_where_the_new_head_stands_on_validation(session, monkeypatch):
    monkeypatch.setattr(curve_module, "SHARE", np.inf)  # at every iteration, however long it takes
    session.annotate("square", "red")
    session.annotate("oval", "red")
    steps = []
    session.retrain(progress=steps.append)
    curve = session.retraining.curve
    assert steps[-1].curve == curve
    assert [point.iteration for point in curve] == sorted({point.iteration for point in curve})
    assert all(0 <= point.worst <= point.average <= 1 for point in curve)
    assert all(step.seconds_left is None or step.seconds_left >= 0 for step in steps)

    val = session.dataset.val
    right = session.retrained.predict(val.features) == val.labels
    splits = [session.split(kept.class_name, kept.phrase, kept.threshold) for kept in session.annotations]
    parts = [right[split.indices[split.has == side]] for split in splits for side in (False, True)]
    assert curve[-1].average == right.mean()
    assert curve[-1].worst == min(part.mean() for part in parts)


def test_cancelled_retraining_changes_nothing(session):
    session.annotate("square", "red")
    with pytest.raises(CancelledError):
        session.retrain(cancelled=lambda: True)
    assert session.retrained is None
    assert session.undoable == "Keep “red”"


def test_fixed_and_broken_are_the_images_whose_verdict_changed(session):
    session.annotate("square", "red")
    comparison = session.retrain()
    test = session.dataset.test
    before = session.predictions("test") == test.labels
    after = session.retrained.predict(test.features) == test.labels
    assert comparison.fixed.tolist() == np.flatnonzero(after & ~before).tolist()
    assert comparison.broken.tolist() == np.flatnonzero(before & ~after).tolist()
    assert comparison.after.average - comparison.before.average == pytest.approx(
        (len(comparison.fixed) - len(comparison.broken)) / len(test)
    )


def test_comparison_says_what_is_noise_for_the_worst_part_and_for_the_average(session):
    session.annotate("square", "red")
    session.annotate("oval", "red")
    comparison = session.retrain()
    test = session.dataset.test
    before = session.predictions("test") == test.labels
    after = session.retrained.predict(test.features) == test.labels
    members = test.groups == session.dataset.group_names.index(comparison.worst_name)
    for right, p_value in (
        ((before[members], after[members]), comparison.p_value),
        ((before, after), comparison.average_p_value),
    ):
        fixed, broken = (~right[0] & right[1]).sum(), (right[0] & ~right[1]).sum()
        assert p_value == pytest.approx(binomtest(fixed, fixed + broken).pvalue)
    assert (
        f"the change in “{comparison.worst_name}”, the worst before, is unlikely to be chance"
        in comparison.sentence
    )

    session.undo()
    unchanged = session.retrain("erm")
    assert unchanged.p_value == unchanged.average_p_value == 1
    assert unchanged.sentence.count("within noise (p = 1)") == 2


def test_printed_tables_carry_the_interval_of_every_accuracy(session):
    session.annotate("square", "red")
    comparison = session.retrain()
    text, html = str(comparison), comparison._repr_html_()
    for row in comparison.rows:
        line = next(line for line in text.splitlines() if line.startswith(f"{row.name} "))
        for low, high in (row.before_interval, row.after_interval):
            assert f"({100 * low:.0f}-{100 * high:.0f})" in line
            assert f"({100 * low:.0f}-{100 * high:.0f})" in html


def test_every_result_says_where_it_comes_from(session):
    scored = session.score("square", "red")
    session.annotate("square", "red")
    comparison = session.retrain("worst_slice")

    reviewed, retrained = scored.origin, comparison.origin
    assert (reviewed.dataset, reviewed.split, reviewed.images) == (
        "planted",
        "val",
        scored.wrong + scored.correct,
    )
    assert (reviewed.encoder, reviewed.objective, reviewed.l2) == ("planted words", "erm", session.l2)
    assert (retrained.split, retrained.images, retrained.objective) == ("test", 800, "worst_slice")
    assert retrained.solver == "exact"
    assert retrained.stopped_because == session.retrained.report.stopped_because
    assert str(retrained) in str(comparison)


def test_head_of_the_published_recipe_carries_its_seed_into_every_result():
    planted = planted_dataset()
    head = cw.train_head(planted.train.embeddings, planted.train.labels, solver="reference")
    session = cw.Session(planted, planted_encoder(), head=head)
    session.fit()

    origin = session.score("square", "red").origin

    assert origin.solver == "uncertified"
    assert "(seed 0)" in str(origin)


def test_without_groups_the_worst_slice_is_judged():
    from dataclasses import replace

    planted = planted_dataset()
    blind = replace(
        planted,
        group_names=None,
        **{part: replace(getattr(planted, part), groups=None) for part in ("train", "val", "test")},
    )
    session = cw.Session(blind, planted_encoder())
    session.fit()
    session.annotate("square", "red")
    session.annotate("oval", "red")
    comparison = session.retrain()
    assert comparison.worst_kind == "slice"
    assert {row.name for row in comparison.of_kind("slice")} >= {comparison.worst_name}
    assert comparison.after.worst_group > comparison.before.worst_group


@pytest.mark.parametrize("kind", ["sklearn", "torch"])
def test_a_head_from_outside_is_reviewed_instead_of_ours(kind):
    planted = planted_dataset()
    model = LogisticRegression().fit(planted.train.embeddings, planted.train.labels)
    expected = model.predict(planted.val.embeddings)
    if kind == "torch":
        import torch

        linear = torch.nn.Linear(planted.train.embeddings.shape[1], 2)
        with torch.no_grad():
            linear.weight.copy_(torch.as_tensor(np.concatenate([-model.coef_, model.coef_])))
            linear.bias.copy_(torch.as_tensor(np.concatenate([-model.intercept_, model.intercept_])))
        model = linear
    session = cw.Session(planted, planted_encoder(), head=model)
    session.fit()
    assert session.predictions("val").tolist() == expected.tolist()
    session.annotate("square", "red")
    assert session.retrain().after.worst_group > session.compare().before.worst_group


def test_predictions_from_outside_need_no_head():
    planted = planted_dataset()
    predictions = planted.val.labels.copy()
    predictions[planted.val.groups == 1] = 1
    session = cw.Session(planted, planted_encoder(), predictions=predictions)
    session.fit()
    scored = session.score("square", "red")
    assert scored.score > 0.9
    assert "a model from outside" in str(scored.origin)
    session.annotate("square", "red")
    assert session.retrain().split == "val"
    with pytest.raises(NotFittedError, match="no predictions for test"):
        session.predictions("test")


@pytest.mark.parametrize("given_as", ["head", "predictions"])
def test_any_model_of_the_features_can_be_reviewed(given_as):
    planted = planted_dataset()
    forest = RandomForestClassifier(20, random_state=0).fit(
        planted.train.embeddings, np.array(planted.class_names)[planted.train.labels]
    )
    session = cw.Session(planted, planted_encoder(), **{given_as: forest})
    session.fit()
    named = np.array(planted.class_names)[session.predictions("test")]
    assert named.tolist() == forest.predict(planted.test.embeddings).tolist()
    session.annotate("square", "red")
    assert session.retrain().split == "test"


def test_predictions_come_as_names_or_scores():
    planted = planted_dataset()
    classes = 1 - planted.val.labels
    shares = np.where(np.arange(2) == classes[:, None], 0.75, 0.25)
    for predictions in (classes, np.array(planted.class_names)[classes], shares, np.log(shares)):
        session = cw.Session(planted, planted_encoder(), predictions={"val": predictions})
        session.fit()
        assert session.predictions("val").tolist() == classes.tolist()
    assert session.dataset.val.confidences is None
    session = cw.Session(planted, planted_encoder(), predictions=shares)
    assert set(session.dataset.val.confidences) == {0.75}
    with pytest.raises(DataError, match=r"val predictions of shape \(400, 3\)"):
        cw.Session(planted, planted_encoder(), predictions=np.zeros((400, 3)))


def test_head_and_predictions_together_are_refused():
    planted = planted_dataset()
    with pytest.raises(DataError, match="not both"):
        cw.Session(planted, planted_encoder(), head=object(), predictions=planted.val.labels)


def test_embeddings_of_another_width_name_both_encoders():
    other = cw.encoders.PrecomputedEncoder(["red"], np.eye(3, dtype=np.float32)[:1], name="other")
    session = cw.Session(planted_dataset(), other)
    session.fit()
    with pytest.raises(DataError, match=r"24 wide.*makes 3"):
        session.score("square", "red")


@pytest.mark.parametrize("phrase", ["", "   ", "\n", "x" * 10_000])
def test_a_phrase_that_cannot_be_compared_loses_nothing(session, phrase):
    session.annotate("square", "red")
    with pytest.raises(PhraseError):
        session.score("square", phrase)
    assert [kept.phrase for kept in session.annotations] == ["red"]
    assert [tried.phrase for tried in session.history("square")] == ["red"]


def test_words_that_the_encoder_never_learned_are_in_the_score():
    encoder = planted_encoder()
    encoder.unknown_words = lambda phrase: ("crimson",) if "crimson" in phrase else ()
    session = cw.Session(planted_dataset(), encoder)
    session.fit()
    scored = session.score("square", "crimson")
    assert scored.unknown_words == ("crimson",)
    assert "does not know 'crimson'; load a CLIP model" in scored.warning
    assert scored.warning in scored.sentence
    assert session.score("square", "red").warning == ""


def test_an_unknown_class_names_the_classes(session):
    with pytest.raises(UnknownClassError, match="'square', 'oval'"):
        session.score("triangle", "red")


def test_a_class_without_errors_says_so():
    planted = planted_dataset()
    session = cw.Session(planted, planted_encoder(), predictions=planted.val.labels)
    session.fit()
    with pytest.raises(ScoreError, match="right on all"):
        session.score("square", "red")


def test_an_empty_slice_at_retraining_names_the_phrase_and_changes_nothing(session):
    session.annotate("square", "red", 0.9999)
    with pytest.raises(EmptySliceError, match="red"):
        session.retrain()
    assert session.retrained is None
    assert [kept.threshold for kept in session.annotations] == [0.9999]


def test_verbs_before_fit_say_what_to_call():
    session = cw.Session(planted_dataset(), planted_encoder())
    for verb in (
        session.classes,
        lambda: session.score("square", "red"),
        session.retrain,
        session.sample_weights,
        session.compare,
    ):
        with pytest.raises(NotFittedError):
            verb()


def test_retraining_without_a_phrase_says_what_to_do(session):
    with pytest.raises(NotFittedError, match="Keep"):
        session.retrain()


def test_subscribers_hear_of_every_change_until_they_leave(session):
    events = []
    leave = session.subscribe(events.append)
    session.score("square", "red")
    session.annotate("square", "red")
    session.retrain()
    session.undo()
    leave()
    session.undo()
    assert events == ["scored", "scored", "annotated", "retrained", "undone"]


def test_scoring_goes_on_while_another_thread_retrains(session):
    session.annotate("square", "red")
    training, scored = threading.Event(), threading.Event()

    def progress(_):
        training.set()
        assert scored.wait(20)

    thread = threading.Thread(target=lambda: session.retrain(progress=progress))
    thread.start()
    assert training.wait(20)
    session.score("square", "noise")
    scored.set()
    thread.join(20)
    assert session.compare().objective == "slice_balanced"
