"""Tables 1, 4 and 6: worst group, average and gap of each method, beside the paper's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clarify_widget.errors import ClarifyError
from clarify_widget.methods.league import League, LeagueRow, run_league
from clarify_widget.methods.table import METHODS
from reproduction.page import markdown_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from paper_tables import Accuracies, PaperRow

    from clarify_widget.methods.league import Estimate
    from clarify_widget.methods.table import Method
    from reproduction.sources import Source

HEAD = (
    "inputs",
    "method",
    "worst group: paper",
    "recipe",
    "exact",
    "average: paper",
    "recipe",
    "exact",
    "gap: paper",
    "recipe",
    "exact",
)
_METRICS = ("worst_group", "adjusted_average", "gap")
_FEWEST_RANKS = 4
_ROUNDING = 1e-9  # of a method without chance, whose seeds differ in the last bits at most


def run_methods(source: Source, names: Sequence[str], seeds: int) -> dict[str, LeagueRow]:
    """Run the methods of these names, one after another; what one of them raises is its row's reason."""
    methods = {method.name: method for method in METHODS}
    found: dict[str, LeagueRow] = {}
    for name in dict.fromkeys(names):
        if name in methods:
            print(f"{source.name}: {name}", flush=True)
            found[name] = _run(source, methods[name], seeds)
    return found


def names_of(rows: Sequence[PaperRow]) -> tuple[str, ...]:
    """Return the methods here that stand for rows of the paper."""
    return tuple(name for row in rows for name in (row.recipe, row.exact) if name)


def published(row: PaperRow, dataset: str) -> Accuracies:
    """Return the paper's numbers for one data set."""
    return row.celeba if dataset == "CelebA" else row.waterbirds


def accuracy_table(
    rows: Sequence[PaperRow], dataset: str, found: Mapping[str, LeagueRow] | None = None
) -> str:
    """Return the paper's numbers beside ours; without ours, the columns stay empty."""
    lines = []
    for row in rows:
        paper = published(row, dataset)
        cells = [row.assumes, row.method]
        for metric, number in zip(_METRICS, (paper.worst_group, paper.average, paper.gap), strict=True):
            cells += [f"{number:.1f}", *(_cell(name, metric, found) for name in (row.recipe, row.exact))]
        lines.append(cells)
    return "\n\n".join([markdown_table(HEAD, lines, left=2), *_reasons(rows, found)])


def order_sentence(rows: Sequence[PaperRow], dataset: str, found: Mapping[str, LeagueRow]) -> str:
    """Say how alike the paper and we order the methods by worst group."""
    from scipy.stats import spearmanr

    sentences = []
    for column in ("recipe", "exact"):
        pairs = [
            (published(row, dataset).worst_group, found[name].worst_group.mean)
            for row in rows
            if (name := getattr(row, column)) in found and found[name].evaluations
        ]
        if len(pairs) >= _FEWEST_RANKS and len({ours for _, ours in pairs}) > 1:
            correlation = float(spearmanr(*zip(*pairs, strict=True)).statistic)
            sentences.append(f"{correlation:.2f} for {column} ({len(pairs)} rows)")
    told = " and ".join(sentences)
    return f"Spearman's correlation of the worst groups with the paper's: {told}." if told else ""


def worst_group_noise(found: Mapping[str, LeagueRow]) -> str:
    """Say how wide the Wilson interval of a worst group is: as wide as the widest in the table."""
    intervals = [
        min((cell for cell in evaluation.per_group if cell.size), key=lambda cell: cell.accuracy).interval
        for row in found.values()
        for evaluation in row.evaluations
    ]
    if not intervals:
        return ""
    half = max(high - low for low, high in intervals) / 2
    return (
        f"For the size of its test group alone a worst group here is uncertain by up to ± {100 * half:.1f}."
    )


def _run(source: Source, method: Method, seeds: int) -> LeagueRow:
    try:
        league: League = run_league(
            lambda seed: source.problem_of(method, seed), methods=[method], seeds=range(seeds)
        )
    except ClarifyError as error:
        return LeagueRow(method, missing=str(error))
    return league.row(method.name)


def _cell(name: str, metric: str, found: Mapping[str, LeagueRow] | None) -> str:
    if not name:
        return ""
    if found is None or name not in found or not found[name].evaluations:
        return "not run"
    estimate: Estimate = getattr(found[name], metric)
    low, high = estimate.interval
    return str(estimate) if high - low > _ROUNDING else f"{100 * estimate.mean:.1f}"


def _reasons(rows: Sequence[PaperRow], found: Mapping[str, LeagueRow] | None) -> list[str]:
    """Return why rows were not run, where something here was."""
    if found is None:
        return []
    names_by_reason: dict[str, list[str]] = {}
    for name in dict.fromkeys(names_of(rows)):
        if name not in found:
            names_by_reason.setdefault("no method of the league", []).append(name)
        elif not found[name].evaluations:
            names_by_reason.setdefault(found[name].missing.rstrip("."), []).append(name)
    told = "; ".join(f"{', '.join(names)} ({reason})" for reason, names in names_by_reason.items())
    return [f"Not run: {told}."] if told else []
