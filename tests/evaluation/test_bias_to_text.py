from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest, ks_2samp

from clarify_widget.concepts import best_of_random
from clarify_widget.errors import DataError, PhraseError, ScoreError
from clarify_widget.evaluation.bias_to_text import keyword_table

CORRECT = np.array([True] * 6 + [False] * 4)
CAPTIONS = [
    "a goat on a hill",
    "a sheep",
    "a sheep on grass",
    "A herd",
    "a goat",
    "grass",
    "a goat on rocks",
    "goats",
    "two goat kids",
    "the goat, asleep",
]


def similarities(rows):
    return np.random.default_rng(0).normal(size=(rows, len(CORRECT))).astype(np.float32)


def test_subgroups_are_counted_from_whole_words_of_the_captions():
    table = keyword_table(["goat", "herd", "whale"], similarities(3), CORRECT, CAPTIONS)
    subgroups = {row.keyword: (row.subgroup.size, row.subgroup.correct) for row in table.rows}
    assert subgroups == {"goat": (5, 2), "herd": (1, 1), "whale": (0, 0)}
    assert table.membership == "captions"
    assert (table.overall.size, table.overall.correct) == (10, 6)
    goat = next(row.subgroup for row in table.rows if row.keyword == "goat")
    assert goat.accuracy == 0.4
    expected = binomtest(2, 5).proportion_ci(0.95, method="wilson")
    assert goat.interval == pytest.approx((expected.low, expected.high))


def test_without_captions_an_image_has_a_keyword_above_the_threshold_of_its_error_score():
    similar = similarities(4)
    similar[0] += 3 * ~CORRECT
    table = keyword_table(["a", "b", "c", "d"], similar, CORRECT)
    assert table.membership == "similarity"
    for row in table.rows:
        of_row = similar["abcd".index(row.keyword)]
        has = of_row > row.error_score.threshold
        assert (row.subgroup.size, row.subgroup.correct) == (has.sum(), (has & CORRECT).sum())
        expected = ks_2samp(of_row[~CORRECT], of_row[CORRECT])
        assert row.error_score.score == pytest.approx(expected.statistic)
        assert row.error_score.p_value == pytest.approx(expected.pvalue)


def test_p_values_are_also_corrected_for_the_number_of_keywords():
    similar = similarities(6)
    table = keyword_table(list("abcdef"), similar, CORRECT, permutations=199, seed=3)
    chance = best_of_random(similar, CORRECT, permutations=199, seed=3)
    assert (table.chance.seed, table.chance.permutations) == (3, 199)
    for row in table.rows:
        assert row.corrected_p_value == chance.p_values["abcdef".index(row.keyword)]
    assert chance.sentence in str(table)


def test_rows_come_by_falling_clip_score():
    similar = similarities(5)
    table = keyword_table(list("abcde"), similar, CORRECT)
    scores = similar[:, ~CORRECT].mean(axis=1) - similar[:, CORRECT].mean(axis=1)
    order = np.argsort(-scores)
    assert [row.keyword for row in table.rows] == ["abcde"[i] for i in order]
    np.testing.assert_allclose([row.clip_score for row in table.rows], scores[order], atol=1e-6)


def test_printed_and_in_a_notebook_it_shows_what_table_2_shows_and_the_error_score():
    similar = np.where(CORRECT, 0.2, 0.25)[None] + np.zeros((2, 1))
    similar[1] = np.where(CORRECT, 0.25, 0.2)
    table = keyword_table(["goat", "<herd>"], similar, CORRECT, CAPTIONS)
    lines = str(table).splitlines()
    corrected = f"{table.chance.p_values[0]:.2g}"
    assert lines[1].split() == ["goat", "5.00", "40.0%", "11.8-76.9", "5", "1.00", "0.0095", corrected]
    assert lines[2].split() == ["<herd>", "-5.00", "-", "-", "0", "1.00", "(right)", "0.0095", corrected]
    assert "60.0% of the 10 images" in lines[3]
    html = table._repr_html_()
    assert "&lt;herd&gt;" in html
    assert "<herd>" not in html
    assert html.count("<tr>") == 3


@pytest.mark.parametrize(
    ("changed", "error", "what"),
    [
        ({"keywords": "ab"}, DataError, "list of texts"),
        ({"keywords": ["a", "a"]}, DataError, "more than once"),
        ({"keywords": ["a", " "], "captions": CAPTIONS}, PhraseError, "blank"),
        ({"keywords": ["a"]}, DataError, "one row a keyword"),
        ({"permutations": 3}, DataError, "at least 19"),
        ({"correct": CORRECT[:-1]}, DataError, "one row a keyword"),
        ({"correct": CORRECT.astype(int)}, DataError, "one boolean an image"),
        ({"correct": np.ones(10, dtype=bool)}, ScoreError, "no wrong images"),
        ({"captions": CAPTIONS[1:]}, DataError, "9 captions for 10 images"),
        ({"similarities": np.full((2, 10), np.nan)}, DataError, "NaN"),
    ],
)
def test_input_that_does_not_fit_is_one_clear_error(changed, error, what):
    with pytest.raises(error, match=what):
        keyword_table(
            **{"keywords": ["a", "b"], "similarities": similarities(2), "correct": CORRECT, **changed}
        )
