"""Products by the quickest call, and a Hessian estimate of few digits."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from clarify_widget.training import train_head
from clarify_widget.training.products import add_squares, coarse_is_quick, times
from tests.training.worlds import random_problem


@pytest.mark.parametrize("count", [1, 2, 9])
@pytest.mark.parametrize("transposed", [False, True])
def test_times_is_the_matrix_product(count, transposed):
    rng = np.random.default_rng(0)
    matrix = torch.from_numpy(rng.standard_normal((30, 20)))
    matrix = matrix.T if transposed else matrix
    columns = torch.from_numpy(rng.standard_normal((matrix.shape[1], count)))
    np.testing.assert_allclose(times(matrix, columns), matrix @ columns, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("width", [1, 3, 37])
def test_squares_are_added_to_the_lower_triangle_to_the_digits_of_their_kind(width):
    rows = torch.from_numpy(np.random.default_rng(0).standard_normal((50, width), dtype=np.float32))
    before = torch.full((width, width), 2.0)
    expected = np.tril(before + rows.T @ rows)
    size = float((rows**2).sum(dim=0).max())
    for coarse, digits in ((False, 1e-6), (True, 2**-7)):
        products = before.clone()
        add_squares(products, rows, coarse=coarse)
        np.testing.assert_allclose(np.tril(products), expected, atol=digits * size)


def test_few_digits_are_for_single_precision_on_a_processor_that_has_them(monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True}, raising=False)
    assert coarse_is_quick(torch.zeros(1))
    assert not coarse_is_quick(torch.zeros(1, dtype=torch.float64))
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": False})
    assert not coarse_is_quick(torch.zeros(1))
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    assert not coarse_is_quick(torch.zeros(1))


@pytest.mark.parametrize("broken", [False, True])
def test_an_estimate_of_few_digits_leads_to_the_same_head_also_where_it_has_no_factor(monkeypatch, broken):
    monkeypatch.setattr("clarify_widget.training.rows.DOUBLE_PRECISION_LIMIT", 0)
    features, labels, _ = random_problem(1, n=2000, d=30)
    exact = train_head(features, labels)
    added = []

    def add(products, rows, *, coarse=False):
        add_squares(products, rows, coarse=coarse)
        added.extend([len(rows)] * coarse)
        if coarse and broken:
            products.diagonal().sub_(1e6)

    monkeypatch.setattr("clarify_widget.training.preconditioner.coarse_is_quick", lambda _like: True)
    monkeypatch.setattr("clarify_widget.training.preconditioner.add_squares", add)
    found = train_head(features, labels)
    assert added
    assert found.report.duality_gap <= 1e-9
    np.testing.assert_allclose(found.weights, exact.weights, atol=1e-4)
