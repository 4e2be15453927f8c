"""The losses against loops written from the equations of Yang et al. (ICML 2023), in double precision."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from clarify_widget.finetuning.losses import (
    clip_loss,
    cross_group_similarity,
    released_group_contrast,
    released_spurious_image,
    released_spurious_language,
    spurious_language,
)

TEMPERATURES = st.floats(0.05, 2.0)


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def drawn_rows(seed, count, width=4):
    return unit(np.random.default_rng(seed).normal(size=(count, width)))


def equation_1(images, texts, tau):
    n = len(images)
    of_images = of_texts = 0.0
    for j in range(n):
        of_images += math.log(
            math.exp(images[j] @ texts[j] / tau) / sum(math.exp(images[j] @ texts[k] / tau) for k in range(n))
        )
        of_texts += math.log(
            math.exp(images[j] @ texts[j] / tau) / sum(math.exp(images[i] @ texts[j] / tau) for i in range(n))
        )
    return -of_images / n / 2 - of_texts / n / 2


def cross_similarity(rows, groups, tau):
    means = []
    for i in range(len(rows)):
        own = [p for p in range(len(rows)) if groups[p] == groups[i] and p != i]
        other = [q for q in range(len(rows)) if groups[q] != groups[i]]
        if not own:
            continue
        total = sum(math.exp(rows[i] @ rows[p] / tau) for p in own)
        total += sum(math.exp(rows[i] @ rows[q] / tau) for q in other)
        means.append(-sum(math.log(math.exp(rows[i] @ rows[p] / tau) / total) for p in own) / len(own))
    return sum(means) / len(means) if means else 0.0


@st.composite
def problems(draw):
    count = draw(st.integers(2, 9))
    rows = drawn_rows(draw(st.integers(0, 10_000)), count)
    groups = np.array(draw(st.lists(st.integers(0, 3), min_size=count, max_size=count)))
    return rows, groups, draw(TEMPERATURES)


def tensors(*arrays):
    return [torch.from_numpy(np.asarray(array)) for array in arrays]


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 8), TEMPERATURES)
def test_clip_loss_is_equation_1(seed, count, tau):
    images, texts = drawn_rows(seed, count), drawn_rows(seed + 1, count)
    assert clip_loss(*tensors(images, texts), tau).item() == pytest.approx(equation_1(images, texts, tau))


@settings(deadline=None)
@given(problems())
def test_cross_group_similarity_is_that_of_equations_2_to_5(problem):
    rows, groups, tau = problem
    found = cross_group_similarity(*tensors(rows, groups), tau)
    assert found.item() == pytest.approx(cross_similarity(rows, groups, tau), abs=1e-12)


def equation_5(classes, attributes, tau):
    """Prompts as (what they name, the spurious attribute in them or None, row)."""
    templates = range(classes.shape[0])
    prompts = [(("class", c), None, classes[t, c]) for t in templates for c in range(classes.shape[1])]
    prompts += [
        (("attribute", a), a, attributes[t, a]) for t in templates for a in range(attributes.shape[1])
    ]
    means = []
    for i, (name, attribute, row) in enumerate(prompts):
        own = [p for j, (other, _, p) in enumerate(prompts) if other == name and j != i]
        different = [q for _, other, q in prompts if other != attribute]
        if own:
            total = sum(math.exp(row @ one / tau) for one in own + different)
            means.append(-np.mean([math.log(math.exp(row @ p / tau) / total) for p in own]))
    return np.mean(means) if means else 0.0


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), TEMPERATURES)
def test_spurious_language_loss_is_equation_5_over_prompts(seed, templates, n, m, tau):
    classes = drawn_rows(seed, templates * n).reshape(templates, n, 4)
    attributes = drawn_rows(seed + 1, templates * m).reshape(templates, m, 4)
    found = spurious_language(*tensors(classes, attributes), tau)
    assert found.item() == pytest.approx(equation_5(classes, attributes, tau), abs=1e-12)


def test_spurious_language_loss_leaves_classes_where_they_are_to_each_other():
    """Turning one class within what is at right angles to the attribute changes nothing."""
    attribute, first, second, third = torch.eye(4)

    def loss(other_class):
        classes = torch.stack([first, other_class]).expand(3, 2, 4)
        return spurious_language(classes, attribute.expand(3, 1, 4), 0.3)

    torch.testing.assert_close(loss(second), loss(first))
    torch.testing.assert_close(loss(second), loss((second + third) / math.sqrt(2)))


@settings(deadline=None)
@given(problems())
def test_released_contrast_is_the_mean_cosine_apart_minus_that_together(problem):
    rows, groups, _ = problem
    n = len(rows)
    expected = sum(
        (-1 if groups[i] == groups[j] else 1) * (rows[i] @ rows[j]) for i in range(n) for j in range(n)
    )
    assert released_group_contrast(*tensors(rows, groups)).item() == pytest.approx(expected / n**2, abs=1e-12)


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 6), st.integers(1, 6), TEMPERATURES)
def test_released_spurious_losses_are_absolute_cosines_and_a_cross_entropy(seed, n, m, tau):
    first, second = drawn_rows(seed, n), drawn_rows(seed + 1, m)
    cosines = [abs(a @ b) for a in first for b in second]
    assert released_spurious_language(*tensors(first, second)).item() == pytest.approx(np.mean(cosines))
    shown = np.random.default_rng(seed).integers(-1, m, n)
    expected = [
        -math.log(math.exp(a @ second[s] / tau) / sum(math.exp(a @ b / tau) for b in second))
        for a, s in zip(first, shown, strict=True)
        if s >= 0
    ]
    found = released_spurious_image(*tensors(first, second, shown), tau)
    assert found.item() == pytest.approx(np.mean(expected) if expected else 0, abs=1e-12)


@settings(deadline=None, max_examples=30)
@given(problems(), st.randoms(use_true_random=False))
def test_no_loss_depends_on_the_order_of_the_batch(problem, random):
    rows, groups, tau = problem
    order = random.sample(range(len(rows)), len(rows))
    texts = drawn_rows(7, len(rows))
    for loss in (
        lambda rows, groups, _: cross_group_similarity(rows, groups, tau),
        lambda rows, groups, _: released_group_contrast(rows, groups),
        lambda rows, _, texts: clip_loss(rows, texts, tau),
        lambda rows, groups, _: released_spurious_image(rows, torch.from_numpy(texts), groups % 2, tau),
    ):
        as_given = loss(*tensors(rows, groups, texts))
        shuffled = loss(*tensors(rows[order], groups[order], texts[order]))
        assert shuffled.item() == pytest.approx(as_given.item(), abs=1e-12)


def test_gradients_are_those_of_finite_differences():
    rows, texts = (torch.from_numpy(drawn_rows(seed, 6)).requires_grad_() for seed in (0, 1))
    groups = torch.tensor([0, 0, 1, 1, 1, 2])
    tau = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(clip_loss, (rows, texts, tau))
    assert torch.autograd.gradcheck(lambda r, t: cross_group_similarity(r, groups, t), (rows, tau))
    assert torch.autograd.gradcheck(
        lambda r, a, t: spurious_language(r.view(2, 3, 4), a.view(2, 3, 4), t), (rows, texts, tau)
    )
    assert torch.autograd.gradcheck(lambda r: released_group_contrast(r, groups), (rows,))
    assert torch.autograd.gradcheck(released_spurious_language, (rows, texts))
    assert torch.autograd.gradcheck(
        lambda r, t, tau: released_spurious_image(r, t, groups - 1, tau), (rows, texts, tau)
    )


def test_gradient_is_finite_where_all_rows_are_the_same():
    rows = torch.ones(5, 3, dtype=torch.float64, requires_grad=True)
    for groups in (torch.zeros(5, dtype=torch.int64), torch.arange(5), torch.tensor([0, 0, 1, 1, 1])):
        (gradient,) = torch.autograd.grad(cross_group_similarity(rows / 3**0.5, groups, 0.01), rows)
        assert gradient.isfinite().all()


@given(st.integers(2, 9), TEMPERATURES)
def test_identical_rows_cannot_be_told_apart(count, tau):
    rows = torch.ones(count, 1, dtype=torch.float64)
    one_class = torch.zeros(count, dtype=torch.int64)
    assert clip_loss(rows, rows, tau).item() == pytest.approx(math.log(count))
    assert cross_group_similarity(rows, one_class, tau).item() == pytest.approx(
        math.log(count - 1), abs=1e-12
    )
    assert released_group_contrast(rows, one_class).item() == pytest.approx(-1)


def test_pair_without_others_is_at_its_best():
    rows = torch.from_numpy(drawn_rows(0, 2))
    assert cross_group_similarity(rows, torch.tensor([3, 3]), 0.1).item() == pytest.approx(0, abs=1e-12)


def test_rows_that_are_all_of_different_groups_have_nothing_to_pull_together():
    rows = torch.from_numpy(drawn_rows(0, 4)).requires_grad_()
    loss = cross_group_similarity(rows, torch.arange(4), 0.1)
    assert loss.item() == 0
    (gradient,) = torch.autograd.grad(loss, rows)
    assert not gradient.any()


def test_no_image_that_shows_an_attribute_costs_nothing():
    images, prototypes = tensors(drawn_rows(0, 3), drawn_rows(1, 2))
    assert released_spurious_image(images, prototypes, torch.tensor([-1, -1, -1]), 0.1).item() == 0


def test_groups_that_are_apart_cost_less_than_groups_that_mix():
    apart = torch.tensor([[1.0, 0], [1, 0], [0, 1], [0, 1]])
    right, mixed = torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 0, 1])
    assert cross_group_similarity(apart, right, 0.1) < 0.01 < cross_group_similarity(apart, mixed, 0.1)
    assert released_group_contrast(apart, right) < released_group_contrast(apart, mixed)
