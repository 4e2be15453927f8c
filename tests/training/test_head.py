from __future__ import annotations

import numpy as np
import pytest
import safetensors.numpy
import torch
from sklearn.linear_model import LogisticRegression, RidgeClassifier

from clarify_widget.errors import DataError
from clarify_widget.training import LinearHead, head_from, train_head
from tests.training.worlds import random_problem, standardised


@pytest.mark.parametrize("num_classes", [2, 4])
def test_a_head_normalises_raw_features_itself(num_classes):
    features, labels, _ = random_problem(0, num_classes=num_classes)
    head = train_head(features, labels)
    logits = standardised(features) @ head.weights + head.bias
    np.testing.assert_allclose(head.decision_function(features), logits, atol=1e-9)
    np.testing.assert_allclose(head.decision_function(100 * features), logits, atol=1e-9)
    np.testing.assert_array_equal(head.predict(features), logits.argmax(axis=1))
    shares = head.predict_proba(features)
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    np.testing.assert_allclose(np.diff(np.log(shares)), np.diff(logits), atol=1e-9)


def test_a_head_survives_safetensors(tmp_path):
    features, labels, _ = random_problem(0)
    head = train_head(features, labels, "worst_class")
    safetensors.numpy.save_file(head.to_tensors(), tmp_path / "head.safetensors")
    tensors = safetensors.numpy.load_file(tmp_path / "head.safetensors")
    loaded = LinearHead.from_tensors(tensors, objective=head.objective, l2=head.l2)
    assert loaded.report == head.report
    np.testing.assert_array_equal(loaded.decision_function(features), head.decision_function(features))


def test_tensors_that_are_no_head_are_one_clear_error():
    tensors = train_head(*random_problem(0)[:2]).to_tensors()
    with pytest.raises(DataError, match="not a saved head"):
        LinearHead.from_tensors({"mean": tensors["mean"]}, objective="erm", l2=1)
    with pytest.raises(DataError, match="do not fit"):
        LinearHead.from_tensors({**tensors, "bias": np.zeros(7)}, objective="erm", l2=1)


def test_features_of_another_width_are_one_clear_error():
    features, labels, _ = random_problem(0)
    head = train_head(features, labels)
    with pytest.raises(DataError, match="width 6; got 5"):
        head.predict(features[:, :5])


@pytest.mark.parametrize("num_classes", [2, 3])
def test_scikit_learn_classifiers_predict_as_they_did(num_classes):
    features, labels, _ = random_problem(0, num_classes=num_classes)
    model = LogisticRegression().fit(features, labels)
    head = head_from(model, num_classes)
    np.testing.assert_array_equal(head.predict(features), model.predict(features))
    np.testing.assert_allclose(head.predict_proba(features), model.predict_proba(features), atol=1e-9)
    ridge = RidgeClassifier().fit(features, labels)
    np.testing.assert_array_equal(head_from(ridge, num_classes).predict(features), ridge.predict(features))


@pytest.mark.parametrize("bias", [True, False])
def test_torch_layers_predict_as_they_did(bias):
    features, _, _ = random_problem(0)
    layer = torch.nn.Linear(6, 3, bias=bias)
    expected = torch.softmax(layer(torch.tensor(features, dtype=torch.float32)), dim=1).detach().numpy()
    np.testing.assert_allclose(head_from(layer, 3).predict_proba(features), expected, atol=1e-5)


def test_a_one_output_torch_layer_is_the_second_class_against_the_first():
    features, _, _ = random_problem(0)
    layer = torch.nn.Linear(6, 1)
    expected = torch.sigmoid(layer(torch.tensor(features, dtype=torch.float32))).detach().numpy()[:, 0]
    np.testing.assert_allclose(head_from(layer, 2).predict_proba(features)[:, 1], expected, atol=1e-5)


def test_a_linear_head_passes_as_it_is():
    head = train_head(*random_problem(0)[:2])
    assert head_from(head, 2) is head


def test_models_that_do_not_fit_are_one_clear_error():
    features, labels, _ = random_problem(0)
    with pytest.raises(DataError, match="predictions="):
        head_from(object(), 2)
    with pytest.raises(DataError, match="2 outputs for 3 classes"):
        head_from(torch.nn.Linear(6, 2), 3)
    with pytest.raises(DataError, match="fitted on labels"):
        head_from(LogisticRegression().fit(features, labels + 1), 2)
    with pytest.raises(DataError, match="LogisticRegression"):
        head_from(LogisticRegression(), 2)
    with pytest.raises(DataError, match="width 6"):
        head_from(torch.nn.Linear(6, 2), 2).predict(features[:, :3])
