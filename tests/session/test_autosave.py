"""What is on disk after every change, whatever happens to the process or to the disk."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clarify_widget import Session
from clarify_widget.errors import DataError, NotFittedError, SavedSessionError, ScoreError
from clarify_widget.session import autosave, files
from tests.session.planted import PHRASES, planted_dataset, planted_encoder

REPOSITORY = Path(__file__).parents[2]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}


def loaded(folder):
    return Session.load(folder, encoder=planted_encoder())


def known(session):
    """Everything that a person has done with a session and would miss."""
    return {
        "tried": session.tried,
        "annotations": list(session.annotations),
        "models": [str(model.comparison) for model in session.models],
        "in use": None if session.retraining is None else session.retraining.number,
        "undo": [what for what, _ in session.steps.before],
        "redo": [what for what, _ in session.steps.taken_back],
        "reviews": session.reviews,
        "training labels": session.dataset.train.labels.tolist(),
        "gathered": session.gathered,
    }


def unlabelled(session):
    """A pool whose rows are some of validation."""
    return session.pool(session.dataset.val.embeddings[:50])


def contents(folder):
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


VERBS = {
    "score": lambda session: session.score("square", "noise"),
    "keep": lambda session: session.annotate("square", "red"),
    "move the threshold": lambda session: session.annotate("square", "red", 0.25),
    "keep another": lambda session: session.annotate("oval", "crimson"),
    "remove": lambda session: session.remove("square", "red"),
    "switch off": lambda session: session.switch("square", "red", on=False),
    "switch on": lambda session: session.switch("square", "red", on=True),
    "retrain": lambda session: session.retrain(),
    "undo": lambda session: session.undo(),
    "redo": lambda session: session.redo(),
    "original model": lambda session: session.use_model(0),
    "first model": lambda session: session.use_model(1),
    "accept": lambda session: unlabelled(session).accept([1, 2], "oval"),
    "reject": lambda session: unlabelled(session).reject([2, 3]),
    "take back": lambda session: unlabelled(session).undo(),
    "add": lambda session: unlabelled(session).add(),
}


@settings(
    max_examples=16,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(st.sampled_from(sorted(VERBS)), min_size=1, max_size=8))
def test_after_every_verb_the_folder_holds_what_the_session_knows(tmp_path_factory, monkeypatch, verbs):
    monkeypatch.setattr(autosave, "PATIENCE", 20)  # the disk of a busy machine is no fault
    session = Session(planted_dataset(images=False), planted_encoder())
    session.fit()
    folder = session.autosave(tmp_path_factory.mktemp("kept"))
    for verb in verbs:
        try:
            VERBS[verb](session)
        except (DataError, NotFittedError, ScoreError):
            continue
        assert known(loaded(folder)) == known(session), verb


def test_a_change_writes_only_what_changed(session, tmp_path):
    folder = session.autosave(tmp_path / "kept")
    first = contents(folder)
    session.annotate("square", "red")
    second = contents(folder)
    assert {name for name in second if second[name] != first.get(name)} == {"session.json"}
    session.retrain()
    third = contents(folder)
    new = {name for name in third if third[name] != second.get(name)} - {"session.json"}
    assert [name.split("-")[0] for name in new] == ["head"]


KILLED = """
import os, signal, sys, threading
from clarify_widget import Session
from tests.session.planted import planted_dataset, planted_encoder

session = Session(planted_dataset(images=False), planted_encoder())
session.fit()
session.autosave(sys.argv[1])
session.score("square", "noise")
session.annotate("square", "red")
session.annotate("oval", "red", 0.125)
session.retrain()
session.annotate("square", "crimson")
session.undo()
"""
KILL = "os.kill(os.getpid(), signal.SIGKILL)\n"
# Ends the process when session.json is half written, at a moment that the parent chooses.
KILL_WHILE_WRITING = """
from pathlib import Path
write_bytes, written = Path.write_bytes, 0

def half(path, content):
    global written
    written += path.name.startswith("session.json")
    if written < int(sys.argv[2]):
        return write_bytes(path, content)
    write_bytes(path, content[: len(content) // 2])
    os.kill(os.getpid(), signal.SIGKILL)

Path.write_bytes = half
"""


def run(script, *arguments):
    return subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        cwd=REPOSITORY,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_killed_process_loses_nothing(tmp_path):
    ended = run(KILLED + KILL, tmp_path / "kept")
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    session = loaded(tmp_path / "kept")
    assert [(kept.class_name, kept.phrase) for kept in session.annotations] == [
        ("square", "red"),
        ("oval", "red"),
    ]
    assert session.annotations.of_class("oval").best_per_class() == session.annotations.of_class("oval")
    assert session.compare().objective == "slice_balanced"
    assert session.redoable == "Keep “crimson”"
    assert {tried.phrase for tried in session.tried} == {"noise", "red", "crimson"}


@pytest.mark.parametrize("write", [2, 4, 6])
def test_a_process_killed_while_it_writes_leaves_the_state_before(tmp_path, write):
    ended = run("import sys, os, signal\n" + KILL_WHILE_WRITING + KILLED, tmp_path / "kept", write)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    session = loaded(tmp_path / "kept")
    # The first write is that of `autosave` itself; keeping a phrase scores it, then keeps it.
    assert (len(session.tried), len(session.annotations)) == {2: (0, 0), 4: (2, 0), 6: (3, 1)}[write]
    session.autosave(tmp_path / "kept")
    assert not list((tmp_path / "kept").glob("*.partial"))


ENDLESS = """
import sys, threading
from clarify_widget import Session
from tests.session.planted import PHRASES, planted_dataset, planted_encoder

session = Session(planted_dataset(images=False), planted_encoder())
session.fit()
session.autosave(sys.argv[1])
session.annotate("square", "red")
for number in range(100_000):
    session.annotate("oval", "red", number / 1e5)
    print(number, flush=True)
"""


@pytest.mark.parametrize("patience", [0.0, 0.0371, 0.1113])
def test_nothing_that_returned_is_lost_whenever_the_process_is_killed(tmp_path, patience):
    process = subprocess.Popen(
        [sys.executable, "-c", ENDLESS, str(tmp_path / "kept")],
        cwd=REPOSITORY,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        process.stdout.readline()
        time.sleep(patience)
        process.kill()
        returned = [int(line) for line in process.stdout if line.endswith("\n")]
    (kept,) = loaded(tmp_path / "kept").annotations.of_class("oval")
    last = returned[-1] if returned else 0
    assert kept.threshold in (last / 1e5, (last + 1) / 1e5)


SLOW_DISK = """
import time
from clarify_widget.session.saved import SessionFolder
write = SessionFolder.write

def slowly(folder, snapshot):
    time.sleep(0.5)
    write(folder, snapshot)

SessionFolder.write = slowly
"""


def test_python_does_not_end_before_the_last_state_is_written(tmp_path):
    ended = run(SLOW_DISK + KILLED, tmp_path / "kept")
    assert ended.returncode == 0, ended.stderr
    assert loaded(tmp_path / "kept").redoable == "Keep “crimson”"


def test_a_slow_disk_holds_up_no_verb_and_gets_the_latest_state(session, tmp_path, monkeypatch):
    folder = session.autosave(tmp_path / "kept")
    may_write, written = threading.Event(), []
    replace_file = files.replace_file

    def wait_and_replace(path, content):
        may_write.wait(30)
        written.append(len(json.loads(content)["history"]))
        replace_file(path, content)

    monkeypatch.setattr("clarify_widget.session.saved.replace_file", wait_and_replace)
    monkeypatch.setattr(autosave, "PATIENCE", 0.01)
    for phrase in PHRASES:
        session.score("square", phrase)
    assert written == []
    may_write.set()
    session.autosave(tmp_path / "elsewhere")  # waits for what is under way
    assert written[:-1] == [1, 4]
    assert known(loaded(folder)) == known(session)


def test_a_disk_that_fails_is_said_once_and_heals(session, tmp_path, monkeypatch, caplog):
    folder = session.autosave(tmp_path / "kept")
    replace_file = files.replace_file

    def full(_path, _content):
        raise OSError(28, "No space left on device")

    events = []
    session.subscribe(events.append)
    monkeypatch.setattr("clarify_widget.session.saved.replace_file", full)
    session.score("square", "noise")
    session.annotate("square", "red")
    assert session.saved.error == "No space left on device"
    warnings = [record.message for record in caplog.records]
    assert len(warnings) == 1
    assert f"no longer saved to {folder}: No space left on device. It goes on" in warnings[0]
    assert len(loaded(folder).tried) == 0
    monkeypatch.setattr("clarify_widget.session.saved.replace_file", replace_file)
    events.clear()
    session.retrain()
    deadline = time.monotonic() + 10
    while "saved" not in events and time.monotonic() < deadline:
        time.sleep(0.01)
    assert "saved" in events
    assert session.saved.error == ""
    assert known(loaded(folder)) == known(session)


FULL_DISK = """
import resource

session.annotate("square", "red")
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
session.score("square", "noise")
session.retrain()
assert "File too large" in session.saved.error, session.saved
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
session.annotate("oval", "red")
assert session.saved.error == "", session.saved
"""


def test_a_disk_without_room_costs_nothing_but_a_warning(tmp_path):
    begin = KILLED[: KILLED.index("session.score")]
    ended = run(begin + FULL_DISK, tmp_path / "kept")
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr.count("no longer saved") == 1
    session = loaded(tmp_path / "kept")
    assert [kept.class_name for kept in session.annotations] == ["square", "oval"]
    assert session.retrained is not None


def test_a_folder_that_disappears_is_written_again(session, tmp_path):
    folder = session.autosave(tmp_path / "kept")
    session.annotate("square", "red")
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    session.retrain()
    assert known(loaded(folder)) == known(session)


def test_a_folder_that_cannot_be_written_to_is_an_error_at_once(session, tmp_path):
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "kept", Path("/proc/kept")):
        with pytest.raises(SavedSessionError, match=str(folder)):
            session.autosave(folder)
    assert session.saved is None


def test_a_notebook_that_is_run_again_goes_on_where_it_was(session, tmp_path):
    session.autosave(tmp_path / "kept")
    session.annotate("square", "red")
    session.retrain()
    again = Session(planted_dataset(), planted_encoder())
    again.fit()
    again.autosave(tmp_path / "kept")
    assert known(again) == known(session)
    again.annotate("oval", "red")
    assert known(loaded(tmp_path / "kept")) == known(again)


def test_work_in_the_folder_is_never_overwritten_by_other_work(session, tmp_path):
    session.autosave(tmp_path / "kept")
    session.annotate("square", "red")
    other = Session(planted_dataset(), planted_encoder())
    other.fit()
    other.score("oval", "noise")
    with pytest.raises(SavedSessionError, match="other work"):
        other.autosave(tmp_path / "kept")
    other_data = Session(planted_dataset(seed=1), planted_encoder())
    other_data.fit()
    with pytest.raises(SavedSessionError, match="other labels"):
        other_data.autosave(tmp_path / "kept")
    other_model = Session(
        planted_dataset(), planted_encoder(), predictions={"val": planted_dataset().val.labels}
    )
    other_model.fit()
    with pytest.raises(SavedSessionError, match="predicts otherwise"):
        other_model.autosave(tmp_path / "kept")
    assert known(loaded(tmp_path / "kept")) == known(session)


def test_a_session_goes_on_in_the_folder_it_was_saved_to_or_loaded_from(session, tmp_path):
    session.save(tmp_path / "kept")
    session.annotate("square", "red")
    session.autosave(tmp_path / "kept")
    back = loaded(tmp_path / "kept")
    back.annotate("oval", "red")
    back.autosave(tmp_path / "kept")
    assert known(loaded(tmp_path / "kept")) == known(back)


def test_two_sessions_in_one_folder_never_leave_it_broken(session, tmp_path):
    session.autosave(tmp_path / "kept")
    again = Session(planted_dataset(), planted_encoder())
    again.fit()
    again.autosave(tmp_path / "kept")
    for one, phrase in ((session, "red"), (again, "crimson")):
        one.annotate("square", phrase)
        one.retrain()
        assert known(loaded(tmp_path / "kept")) == known(one)
    session.annotate("oval", "red")  # its head was deleted by the other
    assert known(loaded(tmp_path / "kept")) == known(session)


def test_another_folder_takes_over(session, tmp_path):
    first = session.autosave(tmp_path / "first")
    second = session.autosave(tmp_path / "second")
    session.annotate("square", "red")
    assert session.saved.folder == second
    assert len(loaded(first).annotations) == 0
    assert len(loaded(second).annotations) == 1


def test_autosaving_before_fit_says_so(tmp_path):
    with pytest.raises(NotFittedError):
        Session(planted_dataset(), planted_encoder()).autosave(tmp_path / "kept")
