from __future__ import annotations

import numpy as np
import pytest
import safetensors.numpy

from clarify_widget.errors import DataError
from clarify_widget.training import LinearHead, train_head
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
