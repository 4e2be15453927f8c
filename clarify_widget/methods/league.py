"""The league: every method on the same problems, judged on the same test images, with intervals."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from clarify_widget.datasets.splitting import stratified_split
from clarify_widget.errors import DataError
from clarify_widget.evaluation import Evaluation, evaluate, mean_interval
from clarify_widget.methods.table import METHODS, missing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from clarify_widget.datasets.dataset import Split
    from clarify_widget.methods.problem import Problem
    from clarify_widget.methods.table import Method

BASELINE = "ERM"
ORACLE = "DFR (reweight)"

_LEFT_OUT = 0.2


@dataclass(frozen=True)
class Estimate:
    """A number measured once a seed.

    Attributes
    ----------
    mean
        Over the seeds.
    interval
        Student's 95% interval of that mean; (nan, nan) for one seed.
    """

    mean: float
    interval: tuple[float, float]

    def __str__(self) -> str:
        """Return percent, with half the width of the interval."""
        half = 100 * (self.interval[1] - self.interval[0]) / 2
        return f"{100 * self.mean:.1f}" if math.isnan(half) else f"{100 * self.mean:.1f} ± {half:.1f}"


@dataclass(frozen=True, eq=False)
class LeagueRow:
    """One method over all seeds.

    Attributes
    ----------
    method
        What was run.
    evaluations
        One a seed, on the test split; () when it could not run.
    missing
        What it needs and was not given; "" when it ran.
    """

    method: Method
    evaluations: tuple[Evaluation, ...] = ()
    missing: str = ""

    @property
    def worst_group(self) -> Estimate:
        """Worst-group accuracy."""
        return _estimate([_known(evaluation.worst_group) for evaluation in self.evaluations])

    @property
    def adjusted_average(self) -> Estimate:
        """Average accuracy, groups weighted by their sizes in training."""
        return _estimate([_known(evaluation.adjusted_average) for evaluation in self.evaluations])

    @property
    def gap(self) -> Estimate:
        """Adjusted average minus worst group."""
        return _estimate([_known(evaluation.gap) for evaluation in self.evaluations])


@dataclass(frozen=True, eq=False, repr=False)
class League:
    """What `run_league` found.

    Attributes
    ----------
    dataset
        Its name and sizes.
    seeds
        The seeds that were run; `resampled` says what a seed changes on a fixed data set.
    rows
        One a method, in the order given.
    """

    dataset: str
    seeds: tuple[int, ...]
    rows: tuple[LeagueRow, ...]

    def row(self, name: str) -> LeagueRow:
        """Return the row of a method; raises DataError when there is none of that name."""
        for row in self.rows:
            if row.method.name == name:
                return row
        raise DataError(
            f"No method {name!r} in this league; it has {[row.method.name for row in self.rows]}."
        )

    def recovered(self, row: LeagueRow) -> float:
        """Return the share of the oracle's gain over ERM that a method makes; nan when it cannot be told.

        The oracle is the head that is balanced over the true groups of train, with the same penalty.
        """
        ran = {other.method.name for other in self.rows if other.evaluations}
        if not row.evaluations or not {BASELINE, ORACLE} <= ran:
            return math.nan
        low = self.row(BASELINE).worst_group.mean
        gain = self.row(ORACLE).worst_group.mean - low
        return (row.worst_group.mean - low) / gain if gain > 0 else math.nan

    def best(self, assumes: str) -> LeagueRow:
        """Return the row with the highest worst-group accuracy among those with the same inputs."""
        rows = [row for row in self.rows if row.evaluations and row.method.assumes == assumes]
        if not rows:
            raise DataError(f"No method that assumes {assumes!r} was run.")
        return max(rows, key=lambda row: row.worst_group.mean)

    def to_markdown(self) -> str:
        """Return the table, percentages, one method a line."""
        head = ["inputs", "method", "worst group", "adjusted average", "gap", "of the oracle's gain"]
        lines = [head, ["---"] * 2 + ["---:"] * 4, *(self._cells(row) for row in self.rows)]
        return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"

    def to_dict(self) -> dict[str, Any]:
        """Return everything, each seed's accuracy of each group included, ready for JSON."""
        return {
            "dataset": self.dataset,
            "seeds": list(self.seeds),
            "methods": [self._row_dict(row) for row in self.rows],
        }

    def __str__(self) -> str:
        """Return the table as text."""
        cells = [self._cells(row) for row in self.rows]
        cells.insert(0, ["inputs", "method", "worst group", "adj. average", "gap", "recovered"])
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in cells)

    def __repr__(self) -> str:
        """Return what it was played on instead of every count."""
        return f"<League of {len(self.rows)} methods on {self.dataset}; {len(self.seeds)} seeds>"

    def _repr_html_(self) -> str:
        """Return the table as a notebook shows it."""
        from html import escape

        head = ("inputs", "method", "worst group", "adjusted average", "gap", "of the oracle's gain")
        lines = ["".join(f"<th style='text-align:left'>{name}</th>" for name in head)]
        lines += [
            "".join(f"<td style='text-align:left'>{escape(cell)}</td>" for cell in self._cells(row))
            for row in self.rows
        ]
        caption = (
            f"<caption>{escape(self.dataset)}; test accuracy in percent, {len(self.seeds)} seeds</caption>"
        )
        return f"<table>{caption}{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"

    def _cells(self, row: LeagueRow) -> list[str]:
        name = [row.method.assumes, row.method.name]
        if not row.evaluations:
            return [*name, row.missing, "", "", ""]
        share = self.recovered(row)
        told = "" if math.isnan(share) else f"{share:.0%}"
        return [*name, str(row.worst_group), str(row.adjusted_average), str(row.gap), told]

    def _row_dict(self, row: LeagueRow) -> dict[str, Any]:
        facts: dict[str, Any] = {
            "method": row.method.name,
            "assumes": row.method.assumes,
            "source": row.method.source,
        }
        if not row.evaluations:
            return {**facts, "missing": row.missing}
        for name in ("worst_group", "adjusted_average", "gap"):
            estimate: Estimate = getattr(row, name)
            interval = None if math.isnan(estimate.interval[0]) else list(estimate.interval)
            facts[name] = {"mean": estimate.mean, "interval": interval}
        share = self.recovered(row)
        facts["recovered"] = None if math.isnan(share) else share
        facts["runs"] = [_run_dict(evaluation) for evaluation in row.evaluations]
        return facts


def run_league(
    problem_of: Callable[[int], Problem],
    *,
    methods: Sequence[Method] = METHODS,
    seeds: Sequence[int] = tuple(range(5)),
    progress: Callable[[str, float], None] | None = None,
) -> League:
    """Run every method on the problem of every seed.

    Parameters
    ----------
    problem_of
        The problem of a seed: another draw of a generated data set, or `resampled(problem, seed)`.
    methods
        Rows of the league, in their order.
    seeds
        At least one; two or more give intervals.
    progress
        Called with what is being run and the fraction done.

    Raises
    ------
    DataError
        When there is no seed, or the groups to judge by are not known.
    """
    if not seeds:
        raise DataError("A league needs at least one seed.")
    problem = problem_of(seeds[0])
    if problem.test.groups is None or problem.train_group_sizes() is None:
        raise DataError(f"{problem.dataset.name} has no groups, so there is no worst group to judge by.")
    found: dict[str, list[Evaluation]] = {method.name: [] for method in methods}
    lacking = {method.name: missing(method, problem) for method in methods}
    for number, seed in enumerate(seeds):
        problem = problem_of(seed) if number else problem
        for place, method in enumerate(methods):
            if progress is not None:
                done = (number * len(methods) + place) / (len(seeds) * len(methods))
                progress(f"seed {seed}: {method.name}", done)
            if not lacking[method.name]:
                found[method.name].append(judge(problem, method.fit(problem)(problem.test)))
    rows = (LeagueRow(method, tuple(found[method.name]), lacking[method.name]) for method in methods)
    return League(problem.dataset.summary(), tuple(seeds), tuple(rows))


def judge(problem: Problem, predictions: Any) -> Evaluation:
    """Evaluate predictions (n_test,) on the test split, by true group."""
    return evaluate(
        predictions,
        problem.test.labels,
        problem.test.groups,
        problem.train_group_sizes(),
        class_names=problem.dataset.class_names,
        group_names=problem.dataset.group_names,
    )


def resampled(problem: Problem, seed: int) -> Problem:
    """Return the problem with a fifth of the training and of the validation images left out by chance.

    Every group keeps its share. So the spread over seeds shows what other people's data would have done to a
    method, also to one without chance in it. The test split stays whole.
    """
    dataset = problem.dataset
    return replace(
        problem,
        dataset=replace(dataset, train=_thinned(dataset.train, seed), val=_thinned(dataset.val, seed)),
        seed=seed,
    )


def _thinned(split: Split, seed: int) -> Split:
    strata = split.labels if split.groups is None else split.groups
    parts = stratified_split(strata, val_fraction=_LEFT_OUT, test_fraction=0.0, seed=seed)
    return split.take(parts == 0)


def _estimate(values: Sequence[float]) -> Estimate:
    return Estimate(float(np.mean(values)), mean_interval(values))


def _known(value: float | None) -> float:
    assert value is not None
    return value


def _run_dict(evaluation: Evaluation) -> dict[str, Any]:
    return {
        "average": evaluation.average,
        "worst_group": evaluation.worst_group,
        "adjusted_average": evaluation.adjusted_average,
        "groups": {cell.name: dict(_cell_facts(cell)) for cell in evaluation.per_group if cell.size},
    }


def _cell_facts(cell: Any) -> Iterator[tuple[str, Any]]:
    yield "size", cell.size
    yield "correct", cell.correct
    yield "accuracy", cell.accuracy
    yield "wilson_interval", list(cell.interval)
