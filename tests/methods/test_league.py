from __future__ import annotations

import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from scipy.stats import ttest_1samp
from sklearn.metrics import accuracy_score

from clarify_widget.errors import DataError
from clarify_widget.methods.league import League, LeagueRow, resampled, run_league
from clarify_widget.methods.problem import Words
from clarify_widget.methods.table import GROUPS, METHODS, Method
from tests.methods.problems import planted_problem

BY_NAME = {method.name: method for method in METHODS}
FEW = tuple(BY_NAME[name] for name in ("ERM", "Clarify (slice-balanced)", "DFR (reweight)"))


@pytest.fixture(scope="module")
def league():
    return run_league(lambda seed: planted_problem(seed=seed), methods=FEW, seeds=(0, 1, 2))


def test_worst_group_is_the_mean_over_seeds_of_what_scikit_learn_counts(league):
    worst = []
    for seed in range(3):
        problem = planted_problem(seed=seed)
        predicted, test = problem.erm.predict(problem.test.features), problem.test
        worst.append(
            min(
                accuracy_score(test.labels[test.groups == group], predicted[test.groups == group])
                for group in range(4)
            )
        )
    found = league.row("ERM").worst_group
    assert found.mean == pytest.approx(np.mean(worst))
    interval = ttest_1samp(worst, 0).confidence_interval()
    assert found.interval == pytest.approx((interval.low, interval.high))


def test_gap_is_adjusted_average_minus_worst_group(league):
    for row in league.rows:
        assert row.gap.mean == pytest.approx(row.adjusted_average.mean - row.worst_group.mean)


def test_recovered_share_is_zero_for_erm_and_one_for_the_oracle(league):
    assert league.recovered(league.row("ERM")) == 0
    assert league.recovered(league.row("DFR (reweight)")) == 1
    assert league.recovered(league.row("Clarify (slice-balanced)")) == pytest.approx(1, abs=0.1)


def test_one_seed_has_no_interval_and_the_table_says_only_the_number():
    single = run_league(lambda seed: planted_problem(seed=seed), methods=FEW[:1], seeds=(0,))
    assert np.isnan(single.rows[0].worst_group.interval).all()
    assert "±" not in str(single)
    assert np.isnan(single.recovered(single.rows[0]))


def test_json_holds_every_count_of_every_seed(league):
    content = json.loads(json.dumps(league.to_dict(), allow_nan=False))
    assert content["seeds"] == [0, 1, 2]
    for row in content["methods"]:
        assert len(row["runs"]) == 3
        for run in row["runs"]:
            counts = [group["correct"] / group["size"] for group in run["groups"].values()]
            assert run["worst_group"] == pytest.approx(min(counts))
            assert all(
                group["wilson_interval"][0] <= group["accuracy"] <= group["wilson_interval"][1]
                for group in run["groups"].values()
            )


def test_markdown_has_a_line_for_each_method_and_equal_columns(league):
    lines = league.to_markdown().splitlines()
    assert len(lines) == 2 + len(league.rows)
    assert len({line.count("|") for line in lines}) == 1


def test_a_method_without_its_words_says_what_it_needs():
    wordy = Method("wordy", GROUPS, "a test", lambda _problem: pytest.fail("it must not run"), ("templates",))
    found = run_league(lambda seed: planted_problem(seed=seed), methods=(wordy,), seeds=(0,))
    assert found.rows[0].missing == "needs templates"
    assert "needs templates" in str(found)
    assert "needs templates" in found.to_markdown()
    assert found.to_dict()["methods"][0]["missing"] == "needs templates"


def test_methods_for_two_classes_say_so():
    method = BY_NAME["one phrase for both classes"]
    found = run_league(lambda seed: planted_problem(3, seed=seed), methods=(method,), seeds=(0,))
    assert found.rows[0].missing == "is for two classes"


def test_a_seed_leaves_a_fifth_out_and_keeps_every_groups_share():
    problem = planted_problem(strength=0.9)
    thinned = resampled(problem, 3)
    for before, after in ((problem.train, thinned.train), (problem.val, thinned.val)):
        sizes, kept = np.bincount(before.groups), np.bincount(after.groups)
        np.testing.assert_allclose(kept, 0.8 * sizes, atol=0.5)
    assert len(thinned.test) == len(problem.test)
    assert thinned.seed == 3
    again = partial(resampled, problem)
    np.testing.assert_array_equal(again(3).train.features, thinned.train.features)
    assert not np.array_equal(again(4).train.features, thinned.train.features)


def test_progress_names_seed_and_method_and_rises():
    told = []
    run_league(
        lambda seed: planted_problem(seed=seed),
        methods=FEW,
        seeds=(0, 1),
        progress=lambda what, done: told.append((what, done)),
    )
    assert told[0] == ("seed 0: ERM", 0)
    assert [done for _, done in told] == sorted(done for _, done in told)
    assert len(told) == 6


def test_unknown_rows_and_inputs_are_one_clear_error(league):
    with pytest.raises(DataError, match="No method 'magic'"):
        league.row("magic")
    with pytest.raises(DataError, match="'prompts'"):
        league.best("prompts")
    with pytest.raises(DataError, match="at least one seed"):
        run_league(lambda seed: planted_problem(seed=seed), seeds=())


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (Words(class_prompts=("one",)), "1 class prompts for 2 classes"),
        (Words(class_prompts=("a", "b"), group_prompts=("c",)), "1 group prompts"),
        (Words(class_prompts=("a", "b"), phrases={"dog": ("x",)}), r"name \['dog'\]"),
    ],
)
def test_words_that_do_not_fit_are_one_clear_error(words, what):
    with pytest.raises(DataError, match=what):
        replace(planted_problem(), words=words)


def test_html_escapes_names():
    method = Method("<b>bold</b>", GROUPS, "a test", BY_NAME["ERM"].fit)
    shown = League("data & more", (0,), (LeagueRow(method, missing="needs <it>"),))._repr_html_()
    assert "<b>bold" not in shown
    assert "data &amp; more" in shown
