"""Table 3: every phrase of the paper's users, its Error Score, and the head retrained with it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from clarify_widget.concepts import error_score
from clarify_widget.encoders.embed import embed_phrase
from clarify_widget.errors import PhraseError
from clarify_widget.methods.league import judge
from clarify_widget.methods.problem import features_of
from clarify_widget.training import sample_weights, train_heads
from reproduction.page import markdown_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from clarify_widget.arrays import Float64Array, FloatArray
    from clarify_widget.concepts import ErrorScore
    from clarify_widget.concepts.published import UserPhrases
    from clarify_widget.methods.problem import Problem
    from reproduction.sources import Source

TOGETHER = 32  # reweightings that are solved at a time; of CelebA they weigh 40 MB


@dataclass(frozen=True)
class PhraseResult:
    """One phrase.

    Attributes
    ----------
    phrase
        What a user said of the class with the highest error rate.
    found
        Its Error Score on that class.
    worst_group, average
        On test, of the head retrained with this phrase alone; None when a side of it has no training image.
    """

    phrase: str
    found: ErrorScore
    worst_group: float | None = None
    average: float | None = None


def try_phrases(source: Source, phrases: Sequence[str]) -> dict[str, PhraseResult]:
    """Score phrases, and retrain with each alone (slice-balanced, Eq. 2, to the exact minimum).

    A phrase that the encoder cannot read is left out.
    """
    problem = source.feedback
    label = hardest_class(problem)
    results: dict[str, PhraseResult] = {}
    weights: dict[str, Float64Array] = {}
    for phrase in dict.fromkeys(phrases):
        try:
            row = embed_phrase(problem.encoder, phrase)
        except PhraseError:
            continue
        found = _score(problem, row, label)
        results[phrase] = PhraseResult(phrase, found)
        weighted = _weights(problem, row, label, found.threshold)
        if weighted is not None:
            weights[phrase] = weighted
    for start in range(0, len(weights), TOGETHER):
        chosen = list(weights)[start : start + TOGETHER]
        print(f"{source.name}: retraining with phrases {start + 1}-{start + len(chosen)}", flush=True)
        _retrain(problem, chosen, weights, results)
    return results


def summary_table(
    paper: UserPhrases, results: Mapping[str, PhraseResult] | None, baselines: Mapping[str, float]
) -> str:
    """Return what section 5.2 says of the users' best phrases, beside ours."""
    ours = results or {}
    lists = {
        "each user's best worst group": paper.best_worst_group,
        "each user's best Error Score": paper.best_error_score,
        "all others": paper.others,
    }
    head = [
        "phrases",
        "N",
        "worst group: paper",
        "here",
        "best here",
        *(f"above {name}" for name in baselines),
    ]
    head += ["Error Score: paper", "here", "best here"]
    lines = []
    for number, (name, phrases) in enumerate(lists.items()):
        known = [ours[phrase] for phrase in phrases if phrase in ours]
        worst = [100 * result.worst_group for result in known if result.worst_group is not None]
        scores = [result.found.score for result in known]
        above = [_share(worst, 100 * baseline) for baseline in baselines.values()]
        lines.append(
            [
                name,
                str(len(phrases)),
                _published(paper.worst_group, ".1f") if number == 0 else "",
                *_mean_and_best(worst, ".1f"),
                *above,
                _published(paper.error_score, ".2f") if number == 1 else "",
                *_mean_and_best(scores, ".2f"),
            ]
        )
    return markdown_table(head, lines, left=1)


def phrase_table(paper: UserPhrases, results: Mapping[str, PhraseResult]) -> str:
    """Return one line a phrase, the best worst group first."""
    best = set(paper.best_worst_group)
    score = set(paper.best_error_score)
    ordered = sorted(results.values(), key=lambda result: -(result.worst_group or 0))
    lines = [
        [
            result.phrase,
            ", ".join(
                name
                for name, phrases in (("worst group", best), ("Error Score", score))
                if result.phrase in phrases
            ),
            f"{result.found.score:.2f}" + (" (right)" if result.found.direction < 0 else ""),
            _p_value(result.found.p_value),
            "" if result.worst_group is None else f"{100 * result.worst_group:.1f}",
            "" if result.average is None else f"{100 * result.average:.1f}",
        ]
        for result in ordered
    ]
    head = ("phrase", "a user's best by", "Error Score", "p-value", "worst group", "average")
    return markdown_table(head, lines, left=2)


def score_sentence(results: Mapping[str, PhraseResult]) -> str:
    """Say whether the Error Score tells which phrases help."""
    from scipy.stats import spearmanr

    pairs = [(result.found.score, result.worst_group) for result in results.values() if result.worst_group]
    if len({score for score, _ in pairs}) < 2 or len({worst for _, worst in pairs}) < 2:
        return ""
    correlation = float(spearmanr(*zip(*pairs, strict=True)).statistic)
    return (
        f"Spearman's correlation of Error Score and worst group over {len(pairs)} phrases: {correlation:.2f}."
    )


def hardest_class(problem: Problem) -> int:
    """Return the class with the highest error rate on validation, which users annotated (appendix A)."""
    labels = problem.val.labels
    return int(np.argmin([problem.erm_correct[labels == label].mean() for label in np.unique(labels)]))


def _score(problem: Problem, row: FloatArray, label: int) -> ErrorScore:
    similar = problem.similarities(row, problem.val)
    members = problem.val.labels == label
    return error_score(similar[members & ~problem.erm_correct], similar[members & problem.erm_correct])


def _weights(problem: Problem, row: FloatArray, label: int, threshold: float) -> Float64Array | None:
    """Return the weights (n,) of the training images by Eq. 2; None when a side of the class is empty."""
    train = problem.train
    similar = problem.similarities(row, train)
    slices = np.where(train.labels == label, (similar > threshold).astype(np.int64), -1)
    if len(np.unique(slices[slices >= 0])) < 2:
        return None
    return sample_weights(train.labels, slices, num_classes=problem.dataset.num_classes)


def _retrain(
    problem: Problem,
    chosen: Sequence[str],
    weights: Mapping[str, Float64Array],
    results: dict[str, PhraseResult],
) -> None:
    heads = train_heads(
        features_of(problem.train),
        problem.train.labels,
        np.stack([weights[phrase] for phrase in chosen]),
        l2=problem.l2,
        num_classes=problem.dataset.num_classes,
        initial=problem.erm,
    )
    for phrase, head in zip(chosen, heads, strict=True):
        evaluation = judge(problem, head.predict(features_of(problem.test)))
        results[phrase] = replace(
            results[phrase], worst_group=evaluation.worst_group, average=evaluation.adjusted_average
        )


def _published(numbers: tuple[float, float, float], style: str) -> str:
    mean, deviation, most = (format(number, style) for number in numbers)
    return f"{mean} (SD {deviation}, max {most})"


def _mean_and_best(numbers: Sequence[float], style: str) -> tuple[str, str]:
    if not numbers:
        return "not run", "not run"
    deviation = float(np.std(numbers, ddof=1)) if len(numbers) > 1 else 0.0
    return f"{np.mean(numbers):{style}} (SD {deviation:{style}})", format(max(numbers), style)


def _share(numbers: Sequence[float], baseline: float) -> str:
    return f"{np.mean(np.array(numbers) > baseline):.0%}" if numbers and np.isfinite(baseline) else "not run"


def _p_value(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.2g}"
