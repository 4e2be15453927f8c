from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarify_widget.concepts import on_one_scale, parse_phrase
from clarify_widget.errors import PhraseError

N = 7
IMAGES = {name: np.random.default_rng(ord(name)).uniform(-1, 1, N) for name in "abcd"}
NAMES = st.sampled_from(sorted(IMAGES))


def phrases(depth=3):
    """Phrases that are written with every parenthesis."""
    if not depth:
        return NAMES
    smaller = phrases(depth - 1)
    return (
        NAMES
        | st.tuples(smaller, st.sampled_from(["AND", "OR"]), smaller).map(lambda t: f"({t[0]} {t[1]} {t[2]})")
        | smaller.map(lambda part: f"(NOT {part})")
    )


def similar(phrase):
    return parse_phrase(phrase).join(IMAGES.__getitem__)


def same(first, second):
    np.testing.assert_array_equal(similar(first), similar(second))


@given(phrases(), phrases(), phrases())
def test_laws_of_a_lattice_hold_for_every_image(a, b, c):
    for join, other in (("AND", "OR"), ("OR", "AND")):
        same(f"{a} {join} {b}", f"{b} {join} {a}")
        same(f"({a} {join} {b}) {join} {c}", f"{a} {join} ({b} {join} {c})")
        same(f"{a} {join} {a}", f"{a} OR {a}")
        same(f"{a} {join} ({a} {other} {b})", f"{a} AND {a}")
        same(f"NOT ({a} {join} {b})", f"NOT {a} {other} NOT {b}")
    same(f"NOT NOT {a}", f"{a} AND {a}")


@given(phrases(), phrases(), st.floats(-1, 1))
def test_above_a_threshold_and_has_what_both_have_and_or_what_either_has(a, b, threshold):
    has_a, has_b = similar(f"{a} OR {a}") > threshold, similar(f"{b} OR {b}") > threshold
    np.testing.assert_array_equal(similar(f"{a} AND {b}") > threshold, has_a & has_b)
    np.testing.assert_array_equal(similar(f"{a} OR {b}") > threshold, has_a | has_b)


@given(phrases())
def test_python_reads_the_same_formula_the_same_way(phrase):
    """`~`, `&` and `|` bind as NOT, AND and OR do; Python's own parser is the oracle."""

    class Value(np.lib.mixins.NDArrayOperatorsMixin):
        def __init__(self, values):
            self.values = values

        def __and__(self, other):
            return Value(np.minimum(self.values, other.values))

        def __or__(self, other):
            return Value(np.maximum(self.values, other.values))

        def __invert__(self):
            return Value(-self.values)

    bare = phrase.replace("(", "").replace(")", "")
    if not any(word in bare for word in ("AND", "OR", "NOT")):
        return
    formula = bare.replace("NOT", "~").replace("AND", "&").replace("OR", "|")
    read = eval(formula, {name: Value(values) for name, values in IMAGES.items()})  # noqa: S307  # our own text
    np.testing.assert_array_equal(similar(bare), read.values)


def test_not_after_words_means_and_not():
    same("a NOT b", "a AND NOT b")
    same("a OR b NOT c", "a OR (b AND (NOT c))")
    assert parse_phrase("a NOT b OR a").parts == ("a", "b")


@pytest.mark.parametrize(
    "phrase",
    [
        "black and white",
        "BLACK AND WHITE",
        "forest, not ocean",
        "ANDES",
        "NOT",
        "a photo (old)",
        "X",
        "salt & pepper",
    ],
)
def test_natural_phrases_stay_one_phrase(phrase):
    assert parse_phrase(f" {phrase} ").steps == (phrase,)


@pytest.mark.parametrize(
    "phrase",
    [
        "forest AND",
        "OR ice",
        "a AND OR b",
        "a NOT",
        "(a AND b",
        "a AND b)",
        "a (b) AND c",
        "() OR a",
        "((" * 150 + "a OR b",
    ],
)
def test_unfinished_combinations_are_one_clear_error(phrase):
    with pytest.raises(PhraseError, match="is not complete"):
        parse_phrase(phrase)


@given(st.lists(st.floats(-1, 1, width=32), min_size=2, max_size=20), st.floats(0.01, 5), st.floats(-3, 3))
def test_scale_keeps_the_order_and_forgets_unit_and_offset(values, unit, offset):
    given_values = np.array(values)
    scaled = on_one_scale(given_values, given_values)
    assert (np.abs(scaled) <= 1).all()
    order = np.argsort(given_values, kind="stable")
    assert (np.diff(scaled[order]) >= 0).all()
    if given_values.std() > 1e-3:
        moved = unit * given_values + offset
        np.testing.assert_allclose(on_one_scale(moved, moved), scaled, atol=1e-9)


def test_a_phrase_that_tells_no_training_images_apart_still_has_sides():
    np.testing.assert_array_equal(on_one_scale(np.array([0.1, 0.2, 0.3]), np.full(5, 0.2)), [-1, 0, 1])
