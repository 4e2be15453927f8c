from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from clarify_widget import Session
from clarify_widget.errors import NotFittedError, SavedSessionError
from tests.session.planted import planted_dataset, planted_encoder


@pytest.fixture
def used(session):
    session.score("square", "noise")
    session.annotate("square", "red")
    session.annotate("oval", "red", 0.1)
    session.retrain("worst_slice")
    return session


def test_a_saved_session_comes_back_whole_without_its_data_set(used, tmp_path):
    used.save(tmp_path / "session")
    loaded = Session.load(tmp_path / "session", encoder=planted_encoder())
    assert list(loaded.annotations) == list(used.annotations)
    assert loaded.history("square") == used.history("square")
    assert loaded.predictions("val").tolist() == used.predictions("val").tolist()
    assert str(loaded.compare()) == str(used.compare())
    np.testing.assert_array_equal(loaded.sample_weights(), used.sample_weights())


def test_undo_redo_and_every_model_come_back(used, tmp_path):
    used.switch("oval", "red", on=False)
    used.retrain("slice_balanced")
    used.use_model(1)
    used.undo()
    used.undo()
    used.save(tmp_path / "session")
    loaded = Session.load(tmp_path / "session", encoder=planted_encoder())
    assert [str(model.comparison) for model in loaded.models] == [
        str(model.comparison) for model in used.models
    ]
    assert [model.curve for model in loaded.models] == [model.curve for model in used.models]
    for session in (used, loaded):
        assert session.compare() is session.models[0].comparison
        assert [session.redo(), session.redo(), session.redo()] == ["Retrain", "Return to model 1", ""]
        assert session.compare() is session.models[0].comparison
    undone = [[session.undo() for _ in range(8)] for session in (used, loaded)]
    assert undone[0] == undone[1]
    assert list(loaded.annotations) == []


def test_the_file_says_where_before_and_after_come_from(used, tmp_path):
    description = json.loads((used.save(tmp_path / "session") / "session.json").read_text())
    comparison, (saved,) = used.compare(), (model["comparison"] for model in description["models"])
    assert saved["sentence"] == comparison.sentence
    assert saved["origin"] == asdict(comparison.origin)
    assert description["history"][0]["origin"]["encoder"] == "planted words"


def test_a_saved_session_goes_on(used, tmp_path):
    used.save(tmp_path / "session")
    loaded = Session.load(tmp_path / "session", encoder=planted_encoder())
    loaded.annotate("square", "crimson")
    assert str(loaded.retrain("slice_balanced")) != ""


def test_images_come_from_the_data_set_that_is_passed(used, tmp_path):
    used.save(tmp_path / "session")
    loaded = Session.load(tmp_path / "session", dataset=planted_dataset(), encoder=planted_encoder())
    assert loaded.image(3).size == (8, 8)


def test_another_data_set_is_refused(used, tmp_path):
    used.save(tmp_path / "session")
    with pytest.raises(SavedSessionError, match="labels differ"):
        Session.load(tmp_path / "session", dataset=planted_dataset(seed=1), encoder=planted_encoder())


def test_saving_again_replaces_the_folder(used, tmp_path):
    used.save(tmp_path / "session")
    used.undo()
    used.save(tmp_path / "session")
    loaded = Session.load(tmp_path / "session", encoder=planted_encoder())
    assert loaded.retrained is None
    assert [path.name for path in tmp_path.iterdir()] == ["session"]


def test_only_json_and_safetensors_are_written(used, tmp_path):
    used.save(tmp_path / "session")
    assert {path.suffix for path in (tmp_path / "session").iterdir()} == {".json", ".safetensors"}


def test_files_that_no_model_needs_any_more_are_deleted_and_files_of_others_are_not(used, tmp_path):
    folder = used.save(tmp_path / "session")
    (folder / "train-notes.txt").write_text("mine")
    before = {path.name for path in folder.iterdir()}
    used.annotate("square", "crimson")
    used.retrain()
    used.save(folder)
    assert before < {path.name for path in folder.iterdir()}
    Session.load(folder, encoder=planted_encoder())
    again = Session(planted_dataset(), planted_encoder())
    again.fit()
    again.save(folder)
    assert {path.name for path in folder.iterdir()} < before
    assert (folder / "train-notes.txt").read_text() == "mine"


def test_a_model_from_outside_comes_back_as_its_predictions(tmp_path):
    planted = planted_dataset()
    model = LogisticRegression().fit(planted.train.embeddings, planted.train.labels)
    session = Session(planted, planted_encoder(), head=model)
    session.fit()
    session.save(tmp_path / "session")
    loaded = Session.load(tmp_path / "session", encoder=planted_encoder())
    for split in ("train", "val", "test"):
        assert loaded.predictions(split).tolist() == session.predictions(split).tolist()


def test_a_folder_with_other_files_is_left_alone(session, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(SavedSessionError, match="other files"):
        session.save(tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_saving_before_fit_says_so(tmp_path):
    with pytest.raises(NotFittedError):
        Session(planted_dataset(), planted_encoder()).save(tmp_path / "session")


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        ("session.json", b"{"),
        ("session.json", b"[]"),
        ("session.json", b'{"format": "clarify-widget session", "version": 99}'),
        ("train-*.safetensors", b"not tensors"),
        ("head-*.safetensors", None),
        ("val-*.safetensors", None),
    ],
)
def test_a_damaged_folder_is_one_clear_error(session, tmp_path, file, damage):
    folder = session.save(tmp_path / "session")
    (path,) = folder.glob(file)
    if damage is None:
        path.unlink()
    else:
        path.write_bytes(damage)
    with pytest.raises(SavedSessionError, match=path.name):
        Session.load(folder, encoder=planted_encoder())


def test_a_folder_that_is_no_session_says_so(tmp_path):
    with pytest.raises(SavedSessionError, match="not a saved session"):
        Session.load(tmp_path)


def test_an_encoder_that_cannot_be_found_by_name_asks_for_it(session, tmp_path):
    folder = session.save(tmp_path / "session")
    with pytest.raises(SavedSessionError, match="encoder="):
        Session.load(folder)


def test_history_that_lacks_a_field_is_one_clear_error(used, tmp_path):
    folder = used.save(tmp_path / "session")
    description = json.loads((folder / "session.json").read_text())
    del description["history"][0]["phrase"]
    (folder / "session.json").write_text(json.dumps(description))
    with pytest.raises(SavedSessionError, match="damaged"):
        Session.load(folder, encoder=planted_encoder())
