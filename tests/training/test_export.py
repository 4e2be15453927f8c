"""A head in the libraries of others says what it says here."""

from __future__ import annotations

import pickle
import sys

import numpy as np
import pytest
import sklearn.base
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.utils.validation import check_is_fitted

from clarify_widget.errors import MissingDependencyError, SavedSessionError
from clarify_widget.training import LinearHead, head_from, train_head
from tests.training.worlds import random_problem

HEADS = {
    num_classes: train_head(*random_problem(0, num_classes=num_classes)[:2], l2=1e-3)
    for num_classes in (2, 3, 5)
}


@st.composite
def head_and_rows(draw):
    head = HEADS[draw(st.sampled_from(sorted(HEADS)))]
    kind = draw(st.sampled_from([np.float32, np.float64]))
    # The Normalizer takes a row that is shorter than 2e-15 for one of zeros.
    size = st.floats(2.0**-20, 2.0**20, width=np.dtype(kind).itemsize * 8)
    numbers = st.one_of(st.just(0.0), size, size.map(lambda number: -number))
    shape = (draw(st.integers(1, 6)), len(head.mean))
    return head, draw(hnp.arrays(kind, shape, elements=numbers))


@settings(deadline=None)
@given(head_and_rows())
def test_torch_gives_the_same_logits(case):
    head, rows = case
    module = head.to_torch()
    with torch.no_grad():
        logits = module(torch.from_numpy(rows)).numpy()
        single = module.float()(torch.from_numpy(rows)).numpy()
    np.testing.assert_allclose(logits, head.decision_function(rows), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(single, head.decision_function(rows), rtol=1e-4, atol=1e-4)


@settings(deadline=None)
@given(head_and_rows())
def test_scikit_learn_gives_the_same_probabilities(case):
    head, rows = case
    pipeline = head.to_sklearn()
    np.testing.assert_allclose(pipeline.predict_proba(rows), head.predict_proba(rows), atol=1e-6)
    certain = np.sort(head.predict_proba(rows), axis=1)[:, -2:] @ [-1, 1] > 1e-6
    np.testing.assert_array_equal(pipeline.predict(rows)[certain], head.predict(rows)[certain])


def test_the_torch_module_holds_a_linear_layer_behind_unit_rows(tmp_path):
    module = HEADS[3].to_torch()
    assert [type(part).__name__ for part in module] == ["UnitRows", "Linear"]
    assert set(module.state_dict()) == {"1.weight", "1.bias"}
    rows = torch.randn(4, 6)
    torch.save(module, tmp_path / "head.pt")
    again = torch.load(tmp_path / "head.pt", weights_only=False)
    assert torch.equal(again(rows), module(rows))
    assert torch.autograd.gradcheck(module, torch.randn(2, 6, dtype=torch.float64, requires_grad=True))
    assert module(torch.randn(2, 5, 6)).shape == (2, 5, 3)


def test_the_pipeline_is_a_fitted_estimator():
    pipeline = HEADS[3].to_sklearn()
    check_is_fitted(pipeline)
    assert sklearn.base.is_classifier(pipeline)
    assert [name for name, _ in pipeline.steps] == [
        "functiontransformer",
        "normalizer",
        "standardscaler",
        "logisticregression",
    ]
    features, labels, _ = random_problem(0, num_classes=3)
    assert pipeline.score(features, labels) == (HEADS[3].predict(features) == labels).mean()
    again = pickle.loads(pickle.dumps(pipeline))  # noqa: S301 - our own bytes
    np.testing.assert_array_equal(again.predict_proba(features), pipeline.predict_proba(features))


@pytest.mark.parametrize("num_classes", sorted(HEADS))
@pytest.mark.parametrize("way", [LinearHead.to_torch, LinearHead.to_sklearn])
def test_what_went_out_comes_in_again(num_classes, way):
    head = HEADS[num_classes]
    features, _, _ = random_problem(1, num_classes=num_classes)
    back = head_from(way(head), num_classes)
    np.testing.assert_allclose(back.predict_proba(features), head.predict_proba(features), atol=1e-9)


def test_without_scikit_learn_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.linear_model", None)
    with pytest.raises(MissingDependencyError, match="pip install scikit-learn"):
        HEADS[2].to_sklearn()


def test_a_saved_head_is_the_same_head(tmp_path):
    features, labels, _ = random_problem(0)
    head = train_head(features, labels, "worst_class", l2=0.1 + 0.2)
    loaded = LinearHead.load(head.save(tmp_path / "head.safetensors"))
    assert (loaded.objective, loaded.l2, loaded.report) == (head.objective, head.l2, head.report)
    np.testing.assert_array_equal(loaded.decision_function(features), head.decision_function(features))
    assert [path.name for path in tmp_path.iterdir()] == ["head.safetensors"]


def test_a_file_that_holds_no_head_says_so(tmp_path):
    path = tmp_path / "head.safetensors"
    with pytest.raises(SavedSessionError, match="missing or damaged"):
        LinearHead.load(path)
    path.write_bytes(b"nonsense")
    with pytest.raises(SavedSessionError, match="missing or damaged"):
        LinearHead.load(path)
    from safetensors.numpy import save_file

    save_file({"weight": np.ones(3)}, path)
    with pytest.raises(SavedSessionError, match="does not hold a head"):
        LinearHead.load(path)
    save_file({"weights": np.ones(3)}, path, HEADS[2].metadata())
    with pytest.raises(SavedSessionError, match="not a saved head"):
        LinearHead.load(path)
