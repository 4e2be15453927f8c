from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.distance import cdist

from clarify_widget.concepts import similarities
from clarify_widget.errors import DataError

# Halves rather than any float: rows near zero length would compare rounding, not cosines.
rows = arrays(np.float64, (5, 3), elements=st.integers(-9, 9).map(lambda k: k / 2 or 0.25))


@settings(max_examples=50, deadline=None)
@given(rows=rows)
def test_similarity_is_the_cosine_for_rows_of_any_length(rows):
    expected = 1 - cdist(rows, rows[:1], "cosine").ravel()
    np.testing.assert_allclose(similarities(rows, rows[0]), expected, atol=1e-6)


def test_similarities_are_single_precision_within_one():
    found = similarities(np.eye(3, dtype=np.float16), np.array([0, 2, 0]))
    assert found.dtype == np.float32
    assert found.tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    ("embeddings", "phrase", "what"),
    [
        (np.ones((2, 3)), np.ones(4), "width 3"),
        (np.ones((2, 3)), np.zeros(3), "zeros"),
        (np.array([[1.0, 0], [0, 0]]), np.ones(2), "row 1"),
        (np.array([[1.0, np.nan]]), np.ones(2), "NaN"),
        (np.ones((2, 3)), np.array([1, np.nan, 0]), "NaN"),
        (np.ones(3), np.ones(3), "2-D"),
    ],
)
def test_unusable_embeddings_are_one_clear_error(embeddings, phrase, what):
    with pytest.raises(DataError, match=what):
        similarities(embeddings, phrase)
