from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax, logsumexp

from clarify_widget.errors import CancelledError, DataError
from clarify_widget.methods import adapters
from clarify_widget.methods.adapters import (
    contrastive_loss,
    train_contrastive_adapter,
    train_erm_adapter,
    train_linear_adapter,
)
from clarify_widget.methods.zero_shot import ZeroShotHead

TRAININGS = (train_linear_adapter, train_erm_adapter, train_contrastive_adapter)


@pytest.fixture(autouse=True)
def short_epochs(monkeypatch):
    monkeypatch.setattr(adapters, "_LEAST_STEPS", 8)


def world(seed=0, sizes=(300, 30, 30, 300), width=12):
    """Axis 0 is the class, axis 1 a background that mostly goes with it; prompts lean to the background."""
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(4), sizes)
    labels, background = groups // 2, groups % 2
    rows = 0.7 * rng.normal(size=(len(groups), width))
    rows[:, 0] += 2 * labels - 1
    rows[:, 1] += 2 * (2 * background - 1)
    prompts = np.zeros((2, width))
    prompts[:, :2] = [[-1, -1.2], [1, 1.2]]
    return rows, labels, groups, prompts


def small():
    rows, labels, _, prompts = world(sizes=(60, 10, 10, 60))
    return {
        "embeddings": rows,
        "labels": labels,
        "class_prompts": prompts,
        "validation": (rows[::3], labels[::3]),
        "epochs": 3,
    }


def worst(predictions, labels, groups):
    return min(np.mean((predictions == labels)[groups == group]) for group in range(4))


def loss_by_hand(cosines, positive, negative, temperature):
    values = []
    for row, pulled, pushed in zip(cosines / temperature, positive, negative, strict=True):
        if pulled.any():
            values.append(
                np.mean([logsumexp([score, *row[pushed]]) - score for score in row[pulled]]),
            )
    return np.mean(values) if values else 0.0


def random_masks(seed, anchors=5, candidates=7):
    rng = np.random.default_rng(seed)
    sides = rng.integers(3, size=(anchors, candidates))  # positive, negative, neither
    return rng.uniform(-1, 1, size=(anchors, candidates)), sides == 0, sides == 1


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 9999), temperature=st.floats(0.02, 5))
def test_the_contrastive_loss_is_its_formula(seed, temperature):
    cosines, positive, negative = random_masks(seed)
    found = contrastive_loss(
        torch.tensor(cosines), torch.tensor(positive), torch.tensor(negative), temperature
    )
    assert float(found) == pytest.approx(loss_by_hand(cosines, positive, negative, temperature), rel=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_its_gradient_is_that_of_finite_differences(seed):
    cosines, positive, negative = random_masks(seed)
    positive[0] = False  # an anchor without positives
    negative[1] = False  # an anchor without negatives
    loss = partial(
        contrastive_loss,
        positive=torch.tensor(positive),
        negative=torch.tensor(negative),
        temperature=0.1,
    )
    assert torch.autograd.gradcheck(loss, torch.tensor(cosines, requires_grad=True))


def test_it_does_not_depend_on_the_order_of_anchors_and_candidates():
    cosines, positive, negative = (torch.tensor(part) for part in random_masks(1))
    rows, columns = torch.randperm(5), torch.randperm(7)
    moved = (part[rows][:, columns] for part in (cosines, positive, negative))
    torch.testing.assert_close(
        contrastive_loss(*moved, 0.1), contrastive_loss(cosines, positive, negative, 0.1)
    )


def batches(images, prompts, labels, seed=0):
    return adapters._Batches(
        torch.tensor(images),
        torch.tensor(labels),
        torch.tensor(prompts),
        7.0,
        torch.Generator().manual_seed(seed),
    )


def test_the_cross_entropy_is_that_of_scaled_cosines_with_the_prompts():
    rng = np.random.default_rng(0)
    images, prompts = rng.normal(size=(6, 4)), rng.normal(size=(3, 4))
    labels = np.array([0, 1, 2, 0, 1, 2])
    expected = -log_softmax(7 * images @ prompts.T, axis=1)[np.arange(6), labels]
    for only in range(6):
        weights = np.eye(6)[only]
        found = adapters._cross_entropy(lambda rows: rows, batches(images, prompts, labels), weights=weights)
        assert float(found) == pytest.approx(expected[only])


def test_batches_are_drawn_in_proportion_to_the_weights():
    weights = np.array([0.0, 1.0, 3.0, 0.0, 6.0])
    drawn = batches(np.zeros((5, 2)), np.zeros((2, 2)), np.zeros(5, dtype=int)).draw(weights, 20_000)
    shares = np.bincount(drawn.numpy(), minlength=5) / 20_000
    np.testing.assert_allclose(shares, weights / 10, atol=0.015)


def test_negatives_are_the_nearest_images_of_other_classes(monkeypatch):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(200, 5))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    labels, right = rng.integers(3, size=200), rng.random(200) < 0.7
    seen = []
    monkeypatch.setattr(adapters, "contrastive_loss", lambda *parts: seen.append(parts))
    drawn = []
    source = batches(rows, np.zeros((3, 5)), labels)
    original = adapters._Batches.draw
    monkeypatch.setattr(
        adapters._Batches, "draw", lambda self, *request: drawn.append(original(self, *request)) or drawn[-1]
    )
    adapters._contrast(lambda picked: picked, source, right=right, temperature=0.1)
    (_, positive, negative, _), (anchors, pool) = seen[0], (part.numpy() for part in drawn)
    assert not right[anchors].any()
    same = labels[anchors][:, None] == labels[pool]
    np.testing.assert_array_equal(positive.numpy(), same & right[pool])
    distance = np.where(same, np.inf, -rows[anchors] @ rows[pool].T)
    for chosen, row in zip(negative.numpy(), distance, strict=True):
        assert chosen.sum() == adapters._NEGATIVES
        assert row[chosen].max() <= row[~chosen].min() + 1e-12


def test_the_kept_layers_predict_as_the_network_does():
    chance = torch.Generator().manual_seed(0)
    network = adapters._network(6, 4, chance)
    rows = torch.nn.functional.normalize(torch.randn(50, 6, generator=chance), dim=1)
    for _ in range(20):
        network(3 * rows + 0.2)  # running statistics that are not those of the start
    network.eval()
    adapter = adapters.AdapterHead(adapters._layers(network), np.eye(3, 6), 5.0, 1, 0.0)
    with torch.no_grad():
        adapted = torch.nn.functional.normalize(network(rows), dim=1).numpy()
    np.testing.assert_allclose(adapter.adapt(rows.numpy()), adapted, atol=1e-6)
    np.testing.assert_allclose(adapter.adapt(9 * rows.numpy()), adapted, atol=1e-6)
    np.testing.assert_allclose(adapter.decision_function(rows.numpy()), 5 * adapted[:, :3], atol=1e-5)


def test_starting_weights_are_spread_as_torchs_own():
    ours = adapters._network(400, 300, torch.Generator().manual_seed(0))
    theirs = torch.nn.Linear(400, 300)
    for name in ("weight", "bias"):
        own, other = getattr(ours[0], name).detach(), getattr(theirs, name).detach()
        assert own.shape == other.shape
        assert float(own.std()) == pytest.approx(float(other.std()), rel=0.15)
        assert float(own.abs().max()) <= 400**-0.5


def test_contrast_lifts_the_worst_group_that_zero_shot_and_cross_entropy_leave_behind():
    sizes = (600, 40, 40, 600)
    rows, labels, _, prompts = world(sizes=sizes)
    test_rows, test_labels, test_groups, _ = world(seed=1, sizes=(300, 300, 300, 300))
    validation = world(seed=2, sizes=sizes)[:2]
    scores = [
        worst(head.predict(test_rows), test_labels, test_groups)
        for head in (
            ZeroShotHead(prompts, np.arange(2)),
            train_erm_adapter(rows, labels, prompts, validation),
            train_contrastive_adapter(rows, labels, prompts, validation),
        )
    ]
    assert scores[2] > max(scores[:2]) + 0.1


@pytest.mark.parametrize("train", TRAININGS)
def test_the_same_seed_gives_the_same_adapter_and_leaves_torchs_own_chance_alone(train):
    torch.manual_seed(5)
    state = torch.get_rng_state()
    first, again = train(**small(), seed=3), train(**small(), seed=3)
    other = train(**small(), seed=4)
    assert torch.equal(torch.get_rng_state(), state)
    rows = small()["embeddings"]
    np.testing.assert_array_equal(first.decision_function(rows), again.decision_function(rows))
    assert not np.allclose(first.decision_function(rows), other.decision_function(rows))


def test_a_linear_adapter_is_one_layer_and_the_others_are_a_bottleneck():
    assert [layer[0].shape for layer in train_linear_adapter(**small()).layers] == [(12, 12)]
    for train in TRAININGS[1:]:
        adapter = train(**small(), hidden_width=4)
        assert [layer[0].shape for layer in adapter.layers] == [(12, 4), (4, 12)]


@pytest.mark.parametrize("select", ["average", "worst_class"])
def test_the_best_epoch_on_validation_is_kept_and_training_stops_after_it(select):
    rows, labels, _, prompts = world(sizes=(60, 10, 10, 60))
    val_rows, val_labels, _, _ = world(seed=1, sizes=(30, 30, 5, 5))
    steps = []
    adapter = train_erm_adapter(
        rows, labels, prompts, (val_rows, val_labels), select=select, progress=steps.append
    )
    right = adapter.predict(val_rows) == val_labels
    expected = right.mean() if select == "average" else min(right[val_labels == c].mean() for c in (0, 1))
    assert adapter.validation_accuracy == pytest.approx(expected)
    assert [step.iteration for step in steps] == list(range(1, len(steps) + 1))
    assert len(steps) == min(adapter.epochs + adapters.PATIENCE, adapters.EPOCHS)
    assert all(np.isfinite([step.loss, step.gradient_norm]).all() for step in steps)


@pytest.mark.parametrize("select", ["average", "worst_class", "worst_pseudo_group"])
def test_the_contrastive_adapter_is_judged_by_what_was_asked_for(select):
    rows, labels, _, prompts = world(sizes=(60, 10, 10, 60))
    val_rows, val_labels, _, _ = world(seed=1, sizes=(40, 40, 5, 5))
    adapter = train_contrastive_adapter(
        rows, labels, prompts, (val_rows, val_labels), select=select, epochs=4
    )
    right = adapter.predict(val_rows) == val_labels
    zero_shot_right = ZeroShotHead(prompts, np.arange(2)).predict(val_rows) == val_labels
    assert np.bincount(zero_shot_right[val_labels == 0]).min() >= 20
    cells = {
        "average": np.zeros(90),
        "worst_class": val_labels,
        "worst_pseudo_group": np.where(val_labels == 0, zero_shot_right, 2),  # the other class has ten images
    }[select]
    expected = min(right[cells == cell].mean() for cell in np.unique(cells))
    assert adapter.validation_accuracy == pytest.approx(expected)


class Fixed:
    """A source whose predictions are given, for train and for validation."""

    def __init__(self, *predictions):
        self.predictions = {len(each): each for each in predictions}

    def predict(self, rows):
        return self.predictions[len(rows)]


def test_a_source_that_is_always_right_leaves_the_cross_entropy():
    problem = small()
    adapter = train_contrastive_adapter(**problem, source=Fixed(problem["labels"], problem["validation"][1]))
    assert np.isfinite(adapter.decision_function(problem["embeddings"])).all()


def test_a_source_that_is_always_wrong_still_trains():
    problem = small()
    wrong = Fixed(1 - problem["labels"], 1 - problem["validation"][1])
    adapter = train_contrastive_adapter(**problem, source=wrong)
    assert np.isfinite(adapter.decision_function(problem["embeddings"])).all()


@pytest.mark.parametrize("train", TRAININGS)
def test_cancelling_stops_before_the_next_step(train):
    asked = []
    with pytest.raises(CancelledError):
        train(**small(), cancelled=lambda: asked.append(True) or len(asked) == 2)
    assert len(asked) == 2


@pytest.mark.parametrize("train", TRAININGS)
@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"labels": [0, 1]}, "140 rows of features for 2 labels"),
        ({"labels": [0] * 140}, r"none of \[1\]"),
        ({"embeddings": np.full((140, 12), np.nan)}, "NaN"),
        ({"embeddings": np.ones((140, 11))}, "width 12 and embeddings 11"),
        ({"class_prompts": np.ones((2, 12)) * [[0.0], [1.0]]}, "zeros"),
        ({"class_prompts": np.ones(12)}, "2-D"),
        ({"validation": (np.ones((2, 12)), [0])}, "validation embeddings has 2 rows for 1"),
        ({"validation": (np.ones((2, 11)), [0, 1])}, "validation embeddings 11"),
        ({"validation": (np.empty((0, 12)), [])}, "no validation images"),
        ({"validation": (np.ones((1, 12)), [2])}, "highest is 2"),
        ({"learning_rate": 0}, "learning_rate"),
        ({"logit_scale": float("inf")}, "logit_scale"),
        ({"epochs": 0}, "epochs"),
        ({"select": "worst_group"}, "select"),
    ],
)
def test_input_that_does_not_fit_is_one_clear_error(train, changed, what):
    with pytest.raises(DataError, match=what):
        train(**{**small(), **changed})


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"temperature": 0}, "temperature"),
        ({"select": "worst_slice"}, "select"),
        ({"hidden_width": 0}, "hidden_width"),
    ],
)
def test_contrastive_settings_that_do_not_fit_are_one_clear_error(changed, what):
    with pytest.raises(DataError, match=what):
        train_contrastive_adapter(**{**small(), **changed})


def test_embeddings_of_another_width_are_one_clear_error():
    with pytest.raises(DataError, match="width 12; got 3"):
        train_linear_adapter(**small()).predict(np.ones((2, 3)))
