"""Models of others predict as a head what they predict by themselves."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from clarify_widget.errors import DataError
from clarify_widget.training import head_from, train_head
from tests.training.worlds import random_problem

NAMES = ("zebra", "ape", "mouse", "bee")


@pytest.mark.parametrize("num_classes", [2, 3])
def test_scikit_learn_classifiers_predict_as_they_did(num_classes):
    features, labels, _ = random_problem(0, num_classes=num_classes)
    model = LogisticRegression().fit(features, labels)
    head = head_from(model, num_classes)
    np.testing.assert_array_equal(head.predict(features), model.predict(features))
    np.testing.assert_allclose(head.predict_proba(features), model.predict_proba(features), atol=1e-9)
    ridge = RidgeClassifier().fit(features, labels)
    found = head_from(ridge, num_classes)
    np.testing.assert_array_equal(found.predict(features), ridge.predict(features))
    with pytest.raises(DataError, match="margins"):
        found.predict_proba(features)


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


@pytest.mark.parametrize("num_classes", [2, 3])
@pytest.mark.parametrize(
    "kind",
    [
        RandomForestClassifier,
        KNeighborsClassifier,
        NearestCentroid,
        LogisticRegression,
        lambda: SVC(decision_function_shape="ovr"),
        lambda: make_pipeline(StandardScaler(), LogisticRegression()),
    ],
)
def test_any_scikit_learn_classifier_predicts_as_it_did_by_index_and_by_name(kind, num_classes):
    features, labels, _ = random_problem(0, num_classes=num_classes)
    model = kind().fit(features, labels)
    head = head_from(model, num_classes)
    np.testing.assert_array_equal(head.predict(features), model.predict(features))
    if hasattr(model, "predict_proba"):
        np.testing.assert_allclose(head.predict_proba(features), model.predict_proba(features), atol=1e-9)
    else:
        with pytest.raises(DataError, match="does not say how sure it is"):
            head.predict_proba(features)

    names = NAMES[:num_classes]  # scikit-learn sorts them, we do not
    named = kind().fit(features, np.array(names)[labels])
    found = head_from(named, num_classes, names).predict(features)
    assert [names[label] for label in found] == named.predict(features).tolist()


def test_any_torch_module_is_asked_in_evaluation_mode_and_left_as_it_was():
    features, _, _ = random_problem(0)
    module = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.Dropout(0.9), torch.nn.Linear(8, 3))
    expected = module.eval()(torch.tensor(features, dtype=torch.float32)).detach().numpy()
    module.train()
    head = head_from(module, 3)
    np.testing.assert_allclose(head.decision_function(features), expected, atol=1e-6)
    assert module.training
    one = torch.nn.Sequential(torch.nn.Linear(6, 1)).double()
    chance = torch.sigmoid(one(torch.tensor(features, dtype=torch.float64))).detach().numpy()[:, 0]
    np.testing.assert_allclose(head_from(one, 2).predict_proba(features)[:, 1], chance, atol=1e-9)


def test_a_function_may_answer_with_logits_indices_or_names(monkeypatch):
    features, _, _ = random_problem(0)
    monkeypatch.setattr("clarify_widget.training.outside._ASKED_AT_ONCE", 100)
    weights = np.random.default_rng(0).normal(size=(6, 3))
    expected = (features @ weights).argmax(axis=1)
    names = NAMES[:3]
    asked = []

    def logits(rows):
        asked.append(len(rows))
        return rows @ weights

    for model in (
        logits,
        lambda rows: torch.tensor(rows @ weights).float(),
        lambda rows: (rows @ weights).argmax(axis=1),
        lambda rows: [names[label] for label in (rows @ weights).argmax(axis=1)],
    ):
        np.testing.assert_array_equal(head_from(model, 3, names).predict(features), expected)
    assert sum(asked) == len(features)
    assert max(asked) < 20
    with pytest.raises(DataError, match="not how sure"):
        head_from(lambda rows: (rows @ weights).argmax(axis=1), 3).predict_proba(features)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda rows: rows, r"an array of shape \(\d+, 6\); expected \(\d+,\) classes or \(\d+, 3\) scores"),
        (lambda rows: rows[:-1, 0], "expected"),
        (lambda rows: np.full(len(rows), 3), "must be 0..2"),
        (lambda rows: ["cow"] * len(rows), r"\['cow'\], but the class names are \['zebra', 'ape', 'mouse'\]"),
        (lambda rows: np.full((len(rows), 3), np.nan), "NaN"),
        (lambda _rows: None, "expected"),
    ],
)
def test_answers_that_do_not_fit_are_one_clear_error(answer, message):
    features, _, _ = random_problem(0)
    with pytest.raises(DataError, match=message):
        head_from(answer, 3, NAMES[:3]).predict(features)


@pytest.mark.parametrize(
    "model", [RandomForestClassifier(), make_pipeline(StandardScaler(), LogisticRegression())]
)
def test_models_that_are_not_fitted_say_so(model):
    with pytest.raises(DataError, match="not fitted"):
        head_from(model, 2)
