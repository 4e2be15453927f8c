"""What was kept in a session mitigates by fine-tuning as well, and gives a session to go on with."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import clarify_widget as cw
from clarify_widget.errors import CancelledError, DataError, EncoderError, NotFittedError
from clarify_widget.finetuning import DRAWN_SPURIOUS_LANGUAGE, SPURIOUS_LANGUAGE, Settings
from clarify_widget.session.finetuning import _usual
from tests.finetuning.tiny import tiny_encoder
from tests.session.planted import planted_dataset, planted_encoder

QUICK = Settings(learning_rate=1e-3, epochs=2)


def birds(*, groups=True):
    dataset = cw.datasets.shorebirds()
    rows = np.arange(240)

    def few(split):
        taken = split.take(rows)
        return taken if groups else replace(taken, groups=None)

    parts = {name: few(getattr(dataset, name)) for name in ("train", "val", "test")}
    return replace(dataset, **parts, group_names=dataset.group_names if groups else None)


def told(dataset):
    session = cw.Session(dataset)
    session.fit()
    session.annotate("water bird", "forest, not water")
    session.annotate("land bird", "water")
    return session


@pytest.fixture(scope="module")
def session():
    return told(birds())


@pytest.fixture(scope="module")
def result(session):
    return session.finetune(settings=QUICK)


def test_kept_phrases_are_the_attributes_and_their_slices_the_groups(session, result):
    assert result.tuned.towers.attributes == ("forest", "water")
    assert result.tuned.objective == str(DRAWN_SPURIOUS_LANGUAGE)
    assert result.tuned.towers.encoder is session.encoder


def test_comparison_sets_the_model_under_review_beside_the_tuned_encoder(session, result):
    assert result.comparison.split == "test"
    before = session.evaluation()
    after = result.tuned.evaluation("test")
    assert result.comparison.before == before
    assert result.comparison.after.worst_group == after.worst_group
    assert "100 L_ls (released), SGD on the projections; epoch" in str(result)
    assert str(result) == str(result.comparison)
    assert "<table>" in result._repr_html_()


def test_new_session_goes_on_in_the_new_space_and_the_old_one_stays(session, result):
    new = result.session
    assert new.encoder is result.encoder
    assert new.encoder.name.startswith("demo, fine-tuned ")
    assert np.array_equal(new.predictions("test"), result.tuned.predictions("test"))
    assert new.evaluation().worst_group == result.comparison.after.worst_group
    assert not new.annotations
    assert session.encoder.name == "demo"
    assert len(session.annotations) == 2
    assert session.retraining is None
    images = [new.image(row) for row in range(3)]
    assert np.allclose(new.encoder.encode_images(images), new.dataset.val.embeddings[:3], atol=1e-5)


def test_new_session_scores_keeps_retrains_and_finetunes_again(result):
    new = result.session
    assert new.score("water bird", "forest").origin.encoder == new.encoder.name
    water_birds = new.similarities("forest", "train")[new.dataset.train.labels == 0]
    new.annotate("water bird", "forest", float(np.quantile(water_birds, 0.9)))
    assert new.retrain().after.average > 0.5
    again = new.finetune(settings=QUICK)
    assert again.encoder.name.startswith(f"{new.encoder.name}, fine-tuned ")


def test_new_session_opens_again_by_itself_once_the_encoder_is_saved(session, tmp_path):
    result = session.finetune(settings=QUICK)
    folder = result.save(tmp_path / "encoder")
    new = result.session
    new.annotate("water bird", "duck", float(np.median(new.similarities("duck", "train"))))
    new.save(tmp_path / "session")
    again = cw.Session.load(tmp_path / "session", dataset=birds())
    assert again.encoder.name == f"local-dir:{folder}"
    assert np.array_equal(again.predictions("test"), new.predictions("test"))
    assert np.allclose(again.similarities("a duck"), new.similarities("a duck"), atol=1e-5)
    assert again.annotations == new.annotations


def test_without_groups_the_worst_slice_decides():
    session = told(birds(groups=False))
    result = session.finetune(settings=QUICK)
    assert result.comparison.worst_kind == "slice"
    val = session.dataset.val
    right = result.tuned.predictions("val") == val.labels
    kept = {annotation.class_name: annotation for annotation in session.annotations}
    cells = []
    for label, name in enumerate(session.class_names):
        has = session.similarities(kept[name].phrase, "val") > kept[name].threshold
        cells += [right[(val.labels == label) & has].mean(), right[(val.labels == label) & ~has].mean()]
    best = result.tuned.history[result.tuned.best_epoch]
    assert best.worst == pytest.approx(min(cells))


def test_another_encoder_has_the_papers_objective_and_the_published_settings(session):
    plain = session.finetune(SPURIOUS_LANGUAGE, QUICK)
    assert plain.tuned.objective == "L_CLIP + L_vc + L_lc + L_ls"
    losses, settings = _usual(tiny_encoder())
    assert (losses, settings.learning_rate, settings.epochs) == (SPURIOUS_LANGUAGE, 1e-4, 300)


def test_cancelling_leaves_the_session_as_it_was(session):
    with pytest.raises(CancelledError):
        session.finetune(settings=QUICK, cancelled=lambda: True)
    assert session.encoder.name == "demo"


def test_progress_covers_the_towers_and_then_the_steps(session):
    towers, steps = [], []
    session.finetune(
        settings=QUICK, embedding=lambda what, done: towers.append((what, done)), progress=steps.append
    )
    assert {what for what, _ in towers} == {
        f"Running the image tower over {name}" for name in ("train", "val", "test")
    }
    assert steps[-1].fraction == pytest.approx(1)


def test_session_knows_beforehand_whether_its_encoder_can_be_fine_tuned(session):
    assert session.finetuning_off == ""
    looked_up = cw.Session(planted_dataset(), planted_encoder())
    assert looked_up.finetuning_off.startswith("Only an open_clip model")
    other_tower = tiny_encoder()
    other_tower.model.visual.proj = None
    assert "“tiny vit” is none" in cw.Session(birds(), other_tower).finetuning_off
    val = replace(session.dataset.val, images=None)
    only_rows = cw.Session(replace(session.dataset, val=val), session.encoder)
    assert only_rows.finetuning_off.startswith("Fine-tuning needs the images, and the val split has only")


def test_what_is_missing_is_named():
    with pytest.raises(NotFittedError, match="call fit"):
        cw.Session(birds()).finetune()
    session = cw.Session(planted_dataset(), planted_encoder())
    session.fit()
    with pytest.raises(NotFittedError, match="at least one kept phrase"):
        session.finetune()
    session.annotate("square", "red")
    with pytest.raises(EncoderError, match="is a PrecomputedEncoder"):
        session.finetune()
    without_images = told(birds())
    val = replace(without_images.dataset.val, images=None)
    without_images.dataset = replace(without_images.dataset, val=val)
    with pytest.raises(DataError, match="val has no images"):
        without_images.finetune(settings=QUICK)
