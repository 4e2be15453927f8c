from __future__ import annotations

import numpy as np
import pytest
import torch

from clarify_widget.errors import DataError
from clarify_widget.methods.group_dro import train_online_group_dro, update_group_weights
from clarify_widget.training import train_head
from tests.training.worlds import losses, random_problem, standardised, worst_mean


def test_group_weights_follow_the_published_formula():
    """q' = q * exp(eta * (loss + C / sqrt(n))); q = q' / sum q'."""
    weights, group_losses = np.array([0.1, 0.2, 0.3, 0.4]), np.array([0.0, 2.0, 0.7, 0.1])
    sizes = np.array([3498, 184, 56, 1057])
    for eta, adjustment in ((0.01, 0.0), (0.5, 3.0)):
        raised = weights * np.exp(eta * (group_losses + adjustment / np.sqrt(sizes)))
        found = update_group_weights(weights, group_losses, sizes, step_size=eta, adjustment=adjustment)
        np.testing.assert_allclose(found, raised / raised.sum())


def test_huge_losses_do_not_overflow_the_group_weights():
    found = update_group_weights(np.array([0.5, 0.5]), np.array([1e6, 0.0]), np.array([1, 1]), step_size=1.0)
    np.testing.assert_array_equal(found, [1, 0])


def published_loop(features, labels, groups, *, l2, eta, adjustment, learning_rate, batch, epochs, seed):
    """Online group DRO with torch's gradients and optimiser; only the draws are shared."""
    rows, classes = torch.from_numpy(standardised(features)), torch.from_numpy(labels)
    count, sizes = groups.max() + 1, np.bincount(groups)
    net = torch.nn.Linear(rows.shape[1], int(labels.max()) + 1, dtype=torch.float64)
    torch.nn.init.zeros_(net.weight)
    torch.nn.init.zeros_(net.bias)
    optimiser = torch.optim.SGD(net.parameters(), lr=learning_rate, momentum=0.9, weight_decay=l2)
    q = torch.ones(count, dtype=torch.float64) / count
    rng = np.random.default_rng(seed)
    for _ in range(epochs):
        drawn = rng.choice(len(rows), len(rows), p=1 / (count * sizes[groups]))
        for first in range(0, len(drawn), batch):
            chosen = drawn[first : first + batch]
            each = torch.nn.functional.cross_entropy(net(rows[chosen]), classes[chosen], reduction="none")
            members = torch.from_numpy(np.eye(count)[groups[chosen]].T)
            group_losses = members @ each / members.sum(1).clamp(min=1)
            raised = group_losses.detach() + adjustment / torch.from_numpy(np.sqrt(sizes))
            q = q * torch.exp(eta * raised)
            q = q / q.sum()
            optimiser.zero_grad()
            (group_losses @ q).backward()
            optimiser.step()
    return net.weight.detach().numpy().T, net.bias.detach().numpy()


@pytest.mark.parametrize("num_classes", [2, 3])
@pytest.mark.parametrize(("eta", "adjustment", "batch"), [(0.01, 0.0, 32), (0.3, 2.0, 7), (0.1, 1.0, 500)])
def test_it_equals_a_plain_torch_loop_with_the_same_draws(eta, adjustment, batch, num_classes):
    features, labels, groups = random_problem(num_classes, n=120, num_classes=num_classes)
    weights, bias = published_loop(
        features,
        labels,
        groups,
        l2=0.02,
        eta=eta,
        adjustment=adjustment,
        learning_rate=0.05,
        batch=batch,
        epochs=5,
        seed=3,
    )
    head = train_online_group_dro(
        features,
        labels,
        groups,
        l2=0.02,
        step_size=eta,
        adjustment=adjustment,
        learning_rate=0.05,
        batch_size=batch,
        epochs=5,
        seed=3,
    )
    np.testing.assert_allclose(head.weights, weights, atol=1e-9)
    np.testing.assert_allclose(head.bias, bias, atol=1e-9)


def test_many_small_steps_come_near_the_head_that_is_solved_exactly():
    features, labels, groups = random_problem(1, n=300)
    exact = train_head(features, labels, "group_dro", groups=groups, l2=0.05)
    online = train_online_group_dro(
        features, labels, groups, l2=0.05, step_size=0.02, learning_rate=0.01, batch_size=300, epochs=1500
    )
    best, near = (worst_mean(losses(head, features, labels), groups) for head in (exact, online))
    assert near == pytest.approx(best, rel=0.04)  # what the noise of the draws leaves
    decay = 0.025 * (np.sum(online.weights**2) + np.sum(online.bias**2))
    assert online.report.objective_value == pytest.approx(near + decay)
    assert online.report.objective_value >= exact.report.objective_value


def test_the_seed_decides_the_draws_and_is_recorded():
    features, labels, groups = random_problem(0)
    first, again, other = (
        train_online_group_dro(features, labels, groups, epochs=3, seed=seed) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first.weights, again.weights)
    assert np.abs(first.weights - other.weights).max() > 1e-6
    assert "seed 1" in other.report.stopped_because


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"groups": [0, 1]}, "2 entries"),
        ({"groups": None}, "needs groups="),
        ({"labels": [0] * 12}, "at least two classes"),
        ({"l2": -1}, "l2 must be a number at least 0"),
        ({"step_size": 0}, "step_size must be a number above 0"),
        ({"learning_rate": float("nan")}, "learning_rate must be"),
        ({"adjustment": -1}, "adjustment must be"),
        ({"batch_size": 0}, "batch_size must be"),
        ({"epochs": 0}, "epochs must be"),
    ],
)
def test_input_that_does_not_fit_is_one_clear_error(changed, what):
    good = {
        "features": np.random.default_rng(0).normal(size=(12, 2)),
        "labels": [0, 1] * 6,
        "groups": [0, 1, 2, 3] * 3,
    }
    with pytest.raises(DataError, match=what):
        train_online_group_dro(**{**good, **changed})


def test_steps_that_diverge_are_one_clear_error():
    features, labels, groups = random_problem(0)
    with pytest.raises(DataError, match="diverged"), np.errstate(all="ignore"):
        train_online_group_dro(features, labels, groups, l2=1.0, learning_rate=1e3, epochs=200)
