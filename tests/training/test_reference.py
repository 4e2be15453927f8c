"""The published recipe, against two transcriptions: one with torch's own optimiser, one in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import softmax

from clarify_widget.errors import CancelledError, DataError
from clarify_widget.training import sample_weights
from clarify_widget.training.reference import train_reference
from tests.training.worlds import losses, random_problem, standardised, worst_mean

OBJECTIVES = ("erm", "class_balanced", "worst_class", "slice_balanced", "worst_slice", "dfr", "group_dro")


def loss_of(objective, each, labels, cells):
    """The published losses, one image at a time; `each` are torch losses."""
    if objective == "erm":
        return each.mean()
    key = labels if "class" in objective else cells
    means = torch.stack([each[key == cell].mean() for cell in np.unique(key[key >= 0])])
    return means.max() if objective in ("worst_class", "worst_slice", "group_dro") else means.mean()


def published_loop(features, labels, cells, objective, learning_rate, seed):
    """Steps, weights and bias of the recipe, written with torch.nn.Linear and torch.optim.SGD."""
    rows = torch.from_numpy(standardised(features).astype(np.float32))
    classes = torch.from_numpy(labels)
    torch.manual_seed(seed)
    net = torch.nn.Linear(rows.shape[1], int(labels.max()) + 1)
    order = torch.randperm(len(rows)).numpy()
    held_out, fitted = order[: len(rows) // 5], order[len(rows) // 5 :]
    optimiser = torch.optim.SGD(net.parameters(), lr=learning_rate, momentum=0.9, weight_decay=0.01)

    def loss(chosen):
        each = torch.nn.functional.cross_entropy(net(rows[chosen]), classes[chosen], reduction="none")
        return loss_of(objective, each, labels[chosen], cells[chosen])

    best, waited, step = float("inf"), 0, 0
    while step < 3000 and waited < 21:
        step += 1
        optimiser.zero_grad()
        loss(fitted).backward()
        optimiser.step()
        with torch.no_grad():
            now = float(loss(held_out))
        if now < best:
            best, waited = now, 0
        else:
            waited += 1
    return step, net.weight.detach().numpy().T, net.bias.detach().numpy()


@pytest.mark.parametrize("num_classes", [2, 3])
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_recipe_equals_a_plain_torch_loop_to_the_step(objective, num_classes):
    features, labels, groups = random_problem(num_classes, n=150, num_classes=num_classes)
    slices = np.where(labels == 0, -1, groups)
    cells = slices if "slice" in objective else groups
    steps, weights, bias = published_loop(features, labels, cells, objective, 0.1, seed=4)
    head = train_reference(features, labels, objective, slices, groups, learning_rate=0.1, seed=4)
    assert head.report.iterations == steps
    np.testing.assert_allclose(head.weights, weights, atol=2e-5)
    np.testing.assert_allclose(head.bias, bias, atol=2e-5)


def test_momentum_and_weight_decay_are_those_of_sgd_by_hand():
    """Velocity v = 0.9 v + gradient + 0.01 parameter; parameter -= rate * v; the bias decays too."""
    features, labels, _ = random_problem(0, n=60)
    rows, one_hot = standardised(features).astype(np.float32), np.eye(2)[labels]
    torch.manual_seed(1)
    net = torch.nn.Linear(rows.shape[1], 2)
    fitted = torch.randperm(60).numpy()[12:]
    weights, bias = (value.detach().double().numpy() for value in (net.weight.T, net.bias))
    velocity, bias_velocity = np.zeros_like(weights), np.zeros_like(bias)
    steps = train_reference(features, labels, "erm", seed=1, learning_rate=0.3).report.iterations
    for _ in range(steps):
        residuals = (softmax(rows[fitted] @ weights + bias, axis=1) - one_hot[fitted]) / len(fitted)
        velocity = 0.9 * velocity + rows[fitted].T @ residuals + 0.01 * weights
        bias_velocity = 0.9 * bias_velocity + residuals.sum(axis=0) + 0.01 * bias
        weights, bias = weights - 0.3 * velocity, bias - 0.3 * bias_velocity
    head = train_reference(features, labels, "erm", seed=1, learning_rate=0.3)
    np.testing.assert_allclose(head.weights, weights, atol=1e-4)
    np.testing.assert_allclose(head.bias, bias, atol=1e-4)


def test_report_says_the_objective_on_the_fitted_images_with_the_decay_of_the_bias():
    features, labels, groups = random_problem(3, n=100)
    torch.manual_seed(2)
    torch.nn.Linear(features.shape[1], 2)
    fitted = torch.randperm(100).numpy()[20:]
    head = train_reference(features, labels, "group_dro", groups=groups, seed=2)
    decay = 0.005 * (np.sum(head.weights**2) + np.sum(head.bias**2))
    each = losses(head, features, labels)
    expected = worst_mean(each[fitted], groups[fitted]) + decay
    assert head.report.objective_value == pytest.approx(expected, rel=1e-5)
    assert head.report.duality_gap is None
    assert head.report.gradient_norm > 0
    assert head.l2 == 0.01


def test_same_seed_gives_the_same_head_and_another_seed_another():
    features, labels, _ = random_problem(0, n=80)
    state = torch.random.get_rng_state()
    first, again, other = (train_reference(features, labels, "erm", seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.weights, again.weights)
    assert np.abs(first.weights - other.weights).max() > 1e-3
    assert "seed 1" in other.report.stopped_because
    assert torch.equal(state, torch.random.get_rng_state())


def test_patience_ends_it_after_21_steps_without_progress_or_it_takes_all_3000():
    features, labels, _ = random_problem(0, n=80)
    early = train_reference(features, labels, "erm", learning_rate=0.5)
    assert early.report.iterations < 3000
    assert "21 steps without progress" in early.report.stopped_because
    slow = train_reference(features, labels, "erm", learning_rate=1e-5)
    assert slow.report.iterations == 3000
    assert "all 3000 steps" in slow.report.stopped_because


def test_classes_without_annotation_have_no_weight():
    features, labels, groups = random_problem(6, n=120, num_classes=3)
    slices = np.where(labels == 0, groups, -1)
    head = train_reference(features, labels, "slice_balanced", slices, learning_rate=0.1)
    assert np.mean(head.predict(features) == 0) > 0.9
    with pytest.raises(DataError, match="no class has an annotation"):
        train_reference(features, labels, "slice_balanced", np.full(120, -1))


def test_it_minimises_what_equation_2_weighs_when_every_class_is_annotated():
    features, labels, groups = random_problem(8, n=300)
    head = train_reference(features, labels, "slice_balanced", groups, learning_rate=0.1)
    each = losses(head, features, labels)
    cells = np.mean([each[groups == cell].mean() for cell in np.unique(groups)])
    weights = sample_weights(labels, groups)
    assert np.average(each, weights=weights) == pytest.approx(cells)


def test_progress_counts_steps_and_cancelling_stops_between_them():
    features, labels, _ = random_problem(0, n=80)
    steps = []
    head = train_reference(features, labels, "erm", learning_rate=0.5, progress=steps.append)
    assert [step.iteration for step in steps] == list(range(1, head.report.iterations + 1))
    assert steps[-1].loss < steps[0].loss
    with pytest.raises(CancelledError):
        train_reference(features, labels, "erm", cancelled=lambda: True)


GOOD = {"features": np.random.default_rng(0).normal(size=(10, 2)), "labels": [0, 1] * 5, "objective": "erm"}


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"objective": "magic"}, "no objective 'magic'"),
        ({"objective": "worst_slice"}, "needs slices="),
        ({"objective": "dfr"}, "needs groups="),
        ({"objective": "dfr", "groups": [0, 1]}, "2 entries for 10 labels"),
        ({"labels": [0, 1]}, "10 rows of features for 2 labels"),
        ({"labels": [0] * 10}, "at least two classes"),
        ({"features": np.ones((4, 2)), "labels": [0, 1, 0, 1]}, "too few"),
        ({"learning_rate": 0}, "learning_rate must be"),
        ({"learning_rate": float("nan")}, "learning_rate must be"),
        ({"learning_rate": 1e30}, "diverged"),
        ({"features": np.full((10, 2), np.nan)}, "NaN"),
    ],
)
def test_input_that_does_not_fit_is_one_clear_error(changed, what):
    with pytest.raises(DataError, match=what):
        train_reference(**{**GOOD, **changed})
