"""Several processes, started by torchrun, train the head of one process that has all rows."""

from __future__ import annotations

import os
import pickle
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from clarify_widget.errors import DataError
from clarify_widget.training import train_head
from tests.training.shared_rows import Rows, heads
from tests.training.worlds import random_problem, standardised

REPOSITORY = Path(__file__).parents[2]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
SECONDS = 300  # nothing here hangs; a busy machine is slow


def torchrun(processes, what, folder):
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        str(processes),
    ]
    return subprocess.run(
        [*command, "-m", "tests.training.shared_rows", what, str(folder)],
        cwd=REPOSITORY,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


@pytest.fixture(scope="module", params=[2, 3])
def found(request, tmp_path_factory):
    """What each of two processes found of two classes, and each of three of three."""
    folder = tmp_path_factory.mktemp("found")
    ended = torchrun(request.param, "compared", folder)
    assert ended.returncode == 0, ended.stderr
    files = [folder / f"{rank}.pickle" for rank in range(request.param)]
    return [pickle.loads(file.read_bytes()) for file in files]  # noqa: S301  our own


@pytest.fixture(scope="module")
def alone(found):
    """What one process makes of the problem of as many classes as there are processes."""
    return dict(heads(num_classes=len(found)))


def test_every_objective_gives_the_numbers_of_one_process(found, alone):
    assert found[0]["heads"].keys() == alone.keys()
    for name, head in found[0]["heads"].items():
        close = {"atol": 1e-5, "rtol": 0, "err_msg": name}
        for field in ("mean", "scale", "weights", "bias"):
            np.testing.assert_allclose(getattr(head, field), getattr(alone[name], field), **close)
        for field in ("objective_value", "duality_gap"):
            ours, theirs = getattr(head.report, field), getattr(alone[name].report, field)
            np.testing.assert_allclose(ours, theirs, **close)
        assert head.report.stopped_because == alone[name].report.stopped_because
        assert (head.objective, head.l2) == (alone[name].objective, alone[name].l2)


def test_every_process_has_the_same_head_to_the_last_bit(found):
    for other in found[1:]:
        for name, head in found[0]["heads"].items():
            assert other["heads"][name].weights.tobytes() == head.weights.tobytes(), name
            assert other["heads"][name].bias.tobytes() == head.bias.tobytes(), name
            assert other["heads"][name].report == head.report, name


def test_the_head_is_that_of_scikit_learn(found):
    num_classes = len(found)
    own = Rows(num_classes=num_classes)
    half = 2 if num_classes == 2 else 1  # of two classes scikit-learn has one column, twice as long as ours
    model = LogisticRegression(C=half / (0.3 * len(own.labels)), tol=1e-10, max_iter=5000)
    model.fit(standardised(own.features), own.labels)
    head = found[-1]["heads"]["erm"]
    for ours, theirs in ((head.weights.T, model.coef_), (head.bias, model.intercept_)):
        wanted = theirs if num_classes == 2 else theirs[1:] - theirs[0]
        np.testing.assert_allclose(ours[1:] - ours[0], wanted, atol=1e-5)


def test_every_process_sees_the_same_progress(found):
    steps = found[0]["progress"]
    assert len(steps) > 2
    for other in found[1:]:
        for ours, theirs in zip(steps, other["progress"], strict=True):
            assert ours[:3] == theirs[:3]
            np.testing.assert_array_equal(ours[3], theirs[3])


@pytest.mark.parametrize(
    ("what", "kind", "words"),
    [
        ("NaN", "DataError", "In process LAST: features has NaN or infinity"),
        ("width", "DataError", "width of features is 5 in process 0 and 4 in process LAST"),
        ("flat", "DataError", "In process LAST: features must be a 2-D array"),
        ("apart", "DataError", "StandardisedFeatures.of(features, process_group)"),
        ("prepared", "DataError", "features is 'raw' in process 0 and 'prepared' in process LAST"),
        ("negative", "DataError", "the lowest is -2"),
        ("short", "DataError", "In process LAST: labels has shape"),
        ("names", "DataError", "In process LAST: labels must be numbers"),
        ("absent", "DataError", "there are none of [1]"),
        ("none", "DataError", "no images"),
        ("mixed slices", "DataError", "images of two classes"),
        ("slices here", "DataError", "slices is 'left out' in process 0 and 'given' in process LAST"),
        ("negative weight", "DataError", "sample_weight must be finite and not negative"),
        ("l2", "DataError", "l2 is 0.2 in process 0 and 0.1 in process LAST"),
        ("no l2", "DataError", "l2 must be a positive number"),
        ("objective", "DataError", "objective is 'erm' in process 0 and 'worst_class' in process LAST"),
        ("initial", "DataError", "initial has weights of shape"),
        ("reference", "DataError", 'use solver="exact"'),
        ("device", "DataError", "In process LAST: device must be"),
        ("cancelled", "CancelledError", "In process LAST: Training was cancelled"),
        ("callback", "ProcessError", "Process LAST failed: KeyError: 'a callback'"),
    ],
)
def test_what_is_wrong_in_one_process_is_the_same_clear_error_in_all(found, what, kind, words):
    errors = {one["failures"][what] for one in found}
    assert len(errors) == 1
    ((name, message),) = errors
    assert name == kind
    assert words.replace("LAST", str(len(found) - 1)) in message


def test_training_goes_on_after_errors(found):
    assert all(one["failures"]["after all of them"] is None for one in found)


def test_some_of_the_processes_can_train_without_the_others(found):
    own = Rows()
    expected = train_head(own.features, own.labels).weights
    for one in found[1:]:
        np.testing.assert_allclose(one["subgroup"].weights, expected, atol=1e-5)


def test_a_process_that_is_killed_ends_the_others_with_a_clear_error(tmp_path):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    variables = {"MASTER_ADDR": "localhost", "MASTER_PORT": str(port), "WORLD_SIZE": "2"}
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.training.shared_rows", "killed", str(tmp_path)],
            cwd=REPOSITORY,
            env=ENVIRONMENT | variables | {"RANK": str(rank)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    said = [process.communicate(timeout=SECONDS)[1] for process in processes]
    assert processes[1].returncode == -signal.SIGKILL
    assert processes[0].returncode == 1
    assert "ProcessError: Another of the processes that train together ended" in said[0]


def test_torchrun_ends_with_the_error_of_a_process(tmp_path):
    ended = torchrun(2, "failed", tmp_path)
    assert ended.returncode == 1
    assert ended.stderr.count("DataError: In process 1: labels has shape") == 2


def test_without_torchrun_the_error_says_what_is_missing():
    features, labels, _ = random_problem(0)
    with pytest.raises(DataError, match="not initialised"):
        train_head(features, labels, process_group="world")
