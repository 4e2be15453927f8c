"""The solvers where they are put to the test: many at once, streamed, many classes, bad conditions."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression

from clarify_widget.errors import CancelledError, DataError
from clarify_widget.training import StandardisedFeatures, train_head, train_heads
from clarify_widget.training.models import LinearModel
from clarify_widget.training.preconditioner import sample
from clarify_widget.training.risks import Cells, SoftMaximum
from tests.training.worlds import losses, penalty, random_problem, standardised


def reweightings(count, n, seed=0):
    return np.random.default_rng(seed).exponential(size=(count, n)) + 0.01


def in_single_precision(monkeypatch, *, copy):
    """Solve even small problems as large ones are solved: standardised into a copy, or streamed."""
    monkeypatch.setattr("clarify_widget.training.rows.DOUBLE_PRECISION_LIMIT", 0)
    monkeypatch.setattr("clarify_widget.training.rows.COPY_LIMIT", 2**24 if copy else 0)


def by_small_blocks(monkeypatch, numbers=2000):
    monkeypatch.setattr("clarify_widget.training.rows.BLOCK_NUMBERS", numbers)
    monkeypatch.setattr("clarify_widget.training.models.BLOCK_NUMBERS", {"cpu": numbers})
    monkeypatch.setattr("clarify_widget.training.preconditioner.BLOCK_NUMBERS", numbers)


@pytest.mark.parametrize(("num_classes", "count"), [(2, 1), (2, 2), (2, 7), (3, 5)])
def test_heads_trained_together_are_those_trained_alone(num_classes, count):
    features, labels, _ = random_problem(1, num_classes=num_classes)
    weights = reweightings(count, len(labels))
    heads = train_heads(features, labels, weights, l2=0.02)
    assert len(heads) == count
    for head, row in zip(heads, weights, strict=True):
        alone = train_head(features, labels, l2=0.02, sample_weight=row)
        np.testing.assert_allclose(head.weights, alone.weights, atol=1e-6)
        np.testing.assert_allclose(head.bias, alone.bias, atol=1e-6)
        assert head.report.objective_value == pytest.approx(alone.report.objective_value, rel=1e-9)
        assert 0 <= head.report.duality_gap <= 1e-9


def test_heads_trained_together_are_those_of_scikit_learn():
    features, labels, _ = random_problem(5)
    weights = reweightings(3, len(labels))
    for head, row in zip(train_heads(features, labels, weights, l2=0.1), weights, strict=True):
        model = LogisticRegression(C=2 / 0.1, solver="newton-cholesky", tol=1e-10)
        model.fit(standardised(features), labels, sample_weight=row / row.sum())
        np.testing.assert_allclose(head.weights[:, 1] - head.weights[:, 0], model.coef_[0], atol=1e-5)
        np.testing.assert_allclose(head.bias[1] - head.bias[0], model.intercept_[0], atol=1e-5)


def test_features_standardised_once_give_the_same_heads():
    features, labels, groups = random_problem(2)
    prepared = StandardisedFeatures.of(features)
    assert StandardisedFeatures.of(prepared) is prepared
    assert len(prepared) == len(labels)
    for objective in ("erm", "slice_balanced", "group_dro"):
        options = {"slices": groups, "groups": groups}
        once = train_head(prepared, labels, objective, **options)
        np.testing.assert_array_equal(
            once.weights, train_head(features, labels, objective, **options).weights
        )


def test_no_reweightings_are_no_heads():
    features, labels, _ = random_problem(0)
    assert train_heads(features, labels, np.ones((0, len(labels))), l2=0.1) == ()


@pytest.mark.parametrize(
    ("weights", "what"),
    [
        (np.ones(200), r"\(K, n\)"),
        (np.ones((2, 199)), "shape"),
        (-np.ones((2, 200)), "not negative"),
        (np.full((2, 200), np.nan), "finite"),
        (np.zeros((2, 200)), "without any weight"),
    ],
)
def test_reweightings_that_do_not_fit_are_one_clear_error(weights, what):
    features, labels, _ = random_problem(0)
    with pytest.raises(DataError, match=what):
        train_heads(features, labels, weights, l2=0.1)


def test_training_together_reports_progress_and_can_be_cancelled():
    features, labels, _ = random_problem(0)
    weights = reweightings(4, len(labels))
    steps = []
    heads = train_heads(features, labels, weights, l2=0.01, progress=steps.append)
    assert [step.iteration for step in steps] == list(range(1, len(steps) + 1))
    assert max(head.report.iterations for head in heads) == len(steps)
    fractions = [step.fraction for step in steps]
    assert fractions == sorted(fractions)
    asked = []
    with pytest.raises(CancelledError):
        train_heads(features, labels, weights, l2=0.01, cancelled=lambda: len(asked) == 2 or asked.append(1))
    assert len(asked) == 2


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("num_classes", [2, 4])
def test_memory_mapped_features_give_the_head_of_features_in_memory(
    monkeypatch, tmp_path, num_classes, dtype
):
    features, labels, groups = random_problem(3, n=900, d=12, num_classes=num_classes)
    features = features.astype(dtype)
    np.save(tmp_path / "features.npy", features)
    in_memory = train_head(features.astype(np.float64), labels, "slice_balanced", slices=groups)
    in_single_precision(monkeypatch, copy=False)
    by_small_blocks(monkeypatch)
    mapped = np.load(tmp_path / "features.npy", mmap_mode="r")
    streamed = train_head(mapped, labels, "slice_balanced", slices=groups)
    np.testing.assert_allclose(streamed.mean, in_memory.mean, atol=1e-9)
    np.testing.assert_allclose(streamed.scale, in_memory.scale, rtol=1e-9)
    assert streamed.report.objective_value == pytest.approx(in_memory.report.objective_value, rel=1e-6)
    np.testing.assert_allclose(streamed.weights, in_memory.weights, atol=1e-4)


def test_streaming_in_double_precision_changes_nothing_but_rounding(monkeypatch, tmp_path):
    features, labels, _ = random_problem(3, n=500, d=12)
    in_memory = train_head(features, labels)
    np.save(tmp_path / "features.npy", features)
    monkeypatch.setattr("clarify_widget.training.rows.COPY_LIMIT", 0)
    by_small_blocks(monkeypatch, 500)
    streamed = train_head(np.load(tmp_path / "features.npy", mmap_mode="r"), labels)
    np.testing.assert_allclose(streamed.weights, in_memory.weights, atol=1e-6)
    np.testing.assert_allclose(streamed.bias, in_memory.bias, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_memory_mapped_features_are_never_loaded_whole(monkeypatch, tmp_path, dtype):
    rng = np.random.default_rng(0)
    mapped = np.lib.format.open_memmap(tmp_path / "features.npy", "w+", dtype, (20_000, 64))
    mapped[:] = rng.standard_normal(mapped.shape) + 1
    labels = (mapped[:, 0] > 1).astype(int)
    mapped.flush()
    mapped = np.load(tmp_path / "features.npy", mmap_mode="r")
    in_single_precision(monkeypatch, copy=False)
    by_small_blocks(monkeypatch, 2**15)
    most_rows = 0
    product = torch.Tensor.__matmul__

    def counting(left, right):
        nonlocal most_rows
        most_rows = max(most_rows, *left.shape)
        return product(left, right)

    monkeypatch.setattr(torch.Tensor, "__matmul__", counting)
    train_heads(mapped[:100], labels[:100], reweightings(1, 100), l2=1)  # imports what it needs
    tracemalloc.start()
    heads = train_heads(mapped, labels, reweightings(4, len(labels)), l2=0.01)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(heads) == 4
    assert most_rows < 1000  # of a product: one block
    assert peak < mapped.nbytes / 2 + 4 * 8 * len(labels) * 4  # NumPy's: the weights and a block


def test_a_warm_start_takes_fewer_iterations():
    features, labels, groups = random_problem(6, n=2000, d=60)
    erm = train_head(features, labels, l2=1e-3)
    cold = train_head(features, labels, "slice_balanced", slices=groups, l2=1e-3)
    near = train_head(features, labels, l2=1e-3, sample_weight=1 + 0.01 * (groups == 1), initial=erm)
    warm = train_head(features, labels, "slice_balanced", slices=groups, l2=1e-3, initial=cold)
    assert near.report.iterations < erm.report.iterations
    assert warm.report.iterations == 0
    np.testing.assert_array_equal(warm.weights.round(12), cold.weights.round(12))


@pytest.mark.parametrize("num_classes", [2, 3])
def test_the_same_data_give_the_same_bytes_in_single_precision_too(monkeypatch, num_classes):
    in_single_precision(monkeypatch, copy=True)
    features, labels, _ = random_problem(8, n=3000, d=40, num_classes=num_classes)
    weights = reweightings(3, len(labels))
    first = train_heads(features, labels, weights, l2=0.01)
    again = train_heads(features.copy(), labels.copy(), weights.copy(), l2=0.01)
    for one, other in zip(first, again, strict=True):
        assert one.weights.tobytes() == other.weights.tobytes()
        assert one.report == other.report


def test_fifty_classes_reach_the_optimum_of_scikit_learn():
    rng = np.random.default_rng(0)
    labels = np.arange(1000) % 50
    features = rng.standard_normal((50, 20))[labels] + rng.standard_normal((1000, 20)) + 1
    head = train_head(features, labels, l2=1e-3)
    model = LogisticRegression(C=1 / 1e-3, tol=1e-8, max_iter=5000)
    model.fit(standardised(features), labels, sample_weight=np.full(1000, 1e-3))
    theirs = replace(head, weights=model.coef_.T, bias=model.intercept_)
    optimum = losses(theirs, features, labels).mean() + penalty(theirs)
    own = losses(head, features, labels).mean() + penalty(head)
    assert own <= optimum * (1 + 1e-9)
    assert own == pytest.approx(optimum, rel=1e-6)
    assert head.report.duality_gap < 1e-9


def test_columns_of_very_different_spread_and_nearly_equal_ones_still_converge():
    features, labels, _ = random_problem(0, n=400, d=8)
    twin = features[:, :1] + 1e-6 * np.random.default_rng(0).normal(size=(400, 1))
    features = np.hstack([features * 10.0 ** np.arange(-4, 4), twin])
    report = train_head(features, labels, l2=1e-4).report
    assert report.duality_gap <= 1e-9
    assert report.iterations < 100


def test_separable_images_with_a_small_penalty_still_converge():
    rng = np.random.default_rng(0)
    labels = np.arange(300) % 2
    features = rng.standard_normal((300, 30)) + 4 * labels[:, None]
    report = train_head(features, labels, l2=1e-7).report
    assert report.duality_gap <= 1e-9
    assert report.objective_value < 1e-3


@pytest.mark.parametrize("single", [False, True])
def test_weights_a_million_times_larger_for_some_images_still_converge(monkeypatch, single):
    features, labels, groups = random_problem(4, n=500, d=10)
    if single:
        in_single_precision(monkeypatch, copy=True)
    weights = np.where(groups % 2 == 1, 1e6, 1.0)
    report = train_head(features, labels, sample_weight=weights).report
    assert report.duality_gap <= 1e-6 * report.objective_value


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 100), num_classes=st.integers(2, 4), count=st.integers(1, 4), entry=st.integers(0, 10)
)
def test_gradients_agree_with_finite_differences(seed, num_classes, count, entry):
    features, labels, _ = random_problem(seed, n=40, d=4, num_classes=num_classes)
    model = LinearModel(StandardisedFeatures.of(features), labels, num_classes, 0.3)
    weights = reweightings(count, 40, seed)
    weights = torch.from_numpy(weights / weights.sum(axis=1, keepdims=True))
    rng = np.random.default_rng(seed)
    point = torch.from_numpy(rng.standard_normal((count, model.num_parameters)))
    entry %= model.num_parameters
    shift = torch.zeros_like(point)
    shift[:, entry] = 1e-5
    higher = model.evaluate(point + shift, weights).values
    lower = model.evaluate(point - shift, weights).values
    found = model.evaluate(point, weights)
    np.testing.assert_allclose(found.gradients[:, entry], (higher - lower) / 2e-5, rtol=1e-5, atol=1e-9)
    mean_losses = (model.losses(point) * weights).sum(dim=1)
    np.testing.assert_allclose(found.values, mean_losses + model.penalty(point), rtol=1e-12)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 100), num_classes=st.integers(2, 3))
def test_no_parameters_go_below_the_lower_bound_of_any_others(seed, num_classes):
    features, labels, _ = random_problem(seed, n=40, d=4, num_classes=num_classes)
    model = LinearModel(StandardisedFeatures.of(features), labels, num_classes, 0.1)
    weights = reweightings(1, 40, seed)
    weights = torch.from_numpy(weights / weights.sum())
    point = torch.from_numpy(np.random.default_rng(seed).standard_normal((1, model.num_parameters)))
    bound = float(model.lower_bound(point, weights, model.evaluate(point, weights).gradients))
    head = train_head(features, labels, l2=0.1, sample_weight=weights[0].numpy())
    assert bound <= head.report.objective_value + 1e-12


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 100), count=st.integers(1, 3))
def test_certifying_two_classes_in_one_pass_says_what_single_steps_say(seed, count):
    features, labels, _ = random_problem(seed, n=40, d=4, num_classes=2)
    model = LinearModel(StandardisedFeatures.of(features), labels, 2, 0.1)
    weights = reweightings(count, 40, seed)
    weights = torch.from_numpy(weights / weights.sum(axis=1, keepdims=True))
    points = torch.from_numpy(np.random.default_rng(seed).standard_normal((count, model.num_parameters)))
    evaluated = model.evaluate(points, weights)
    certificate = model.certify(points, weights)
    np.testing.assert_allclose(certificate.values, evaluated.values, rtol=1e-12)
    np.testing.assert_allclose(certificate.gradients, evaluated.gradients, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(
        certificate.lower_bounds, model.lower_bound(points, weights, evaluated.gradients), rtol=1e-9
    )


def test_soft_maximum_has_the_gradient_of_its_value():
    features, labels, groups = random_problem(1, n=60, d=4)
    model = LinearModel(StandardisedFeatures.of(features), labels, 2, 0.1)
    risk = SoftMaximum(model, Cells(groups), np.array([0.1, 0.4, 0.2, 0.3]), 0.2)

    def value_and_gradient(parameters):
        found = risk.evaluate(torch.from_numpy(parameters)[None], [0], curvature=False)
        return float(found.values), found.gradients[0].numpy()

    start = np.random.default_rng(0).standard_normal(model.num_parameters)
    result = minimize(value_and_gradient, start, jac=True, method="BFGS", options={"gtol": 1e-9})
    for entry in range(len(start)):
        shift = 1e-5 * np.eye(len(start))[entry]
        difference = value_and_gradient(start + shift)[0] - value_and_gradient(start - shift)[0]
        assert value_and_gradient(start)[1][entry] == pytest.approx(difference / 2e-5, abs=1e-8)
    assert np.abs(value_and_gradient(result.x)[1]).max() < 1e-7


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.floats(0, 1e6, allow_subnormal=False), min_size=1, max_size=200),
    count=st.integers(1, 50),
)
def test_sampled_rows_are_distinct_and_add_up_to_the_whole(sizes, count):
    sizes = np.array(sizes)
    indices, counts = sample(sizes, count)
    assert len(np.unique(indices)) == len(indices) <= max(count + 1, len(sizes) if count >= len(sizes) else 0)
    assert (counts >= sizes[indices] * (1 - 1e-9)).all()
    if count < len(sizes) and np.count_nonzero(sizes) > count:
        surely = counts <= sizes[indices] * (1 + 1e-9)
        missed = np.delete(sizes, indices[surely])
        each = missed.sum() / max(count - surely.sum(), 1)
        assert abs(counts.sum() - sizes.sum()) <= each + 1e-6 * sizes.sum()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA card here")
@pytest.mark.parametrize("num_classes", [2, 3])
def test_a_card_gives_the_head_of_the_processor(num_classes):
    features, labels, groups = random_problem(0, num_classes=num_classes)
    for objective in ("erm", "group_dro"):
        here = train_head(features, labels, objective, groups=groups, device="cpu")
        there = train_head(features, labels, objective, groups=groups, device="cuda")
        np.testing.assert_allclose(there.weights, here.weights, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "what"),
    [({"device": "tpu"}, "device"), ({"solver": "magic"}, "solver")],
)
def test_settings_that_do_not_exist_are_one_clear_error(options, what):
    features, labels, _ = random_problem(0)
    with pytest.raises(DataError, match=what):
        train_head(features, labels, **options)


def test_the_reference_solver_is_reached_by_name_and_refuses_what_it_has_not():
    features, labels, _ = random_problem(0)
    head = train_head(features, labels, solver="reference")
    assert "step" in head.report.stopped_because
    with pytest.raises(DataError, match="recipe"):
        train_head(features, labels, solver="reference", sample_weight=np.ones(len(labels)))
    with pytest.raises(DataError, match="raw features"):
        train_head(StandardisedFeatures.of(features), labels, solver="reference")
