"""What a Session answers with: plain frozen records, in the words of the papers."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clarify_widget.arrays import BoolArray, FloatArray, IntArray
    from clarify_widget.concepts import Annotation
    from clarify_widget.evaluation import CellAccuracy, Evaluation
    from clarify_widget.session.origin import Origin

Interval = tuple[float, float]
RowKind = Literal["overall", "worst", "class", "slice", "group"]

SIGNIFICANT = 0.05
"""p-values above this are called noise."""


@dataclass(frozen=True)
class ClassSummary:
    """How the model does on the validation images of one class."""

    name: str
    size: int
    wrong: int
    annotated: bool

    @property
    def error_rate(self) -> float:
        """The share of wrong images; nan for a class without validation images."""
        return self.wrong / self.size if self.size else float("nan")

    @property
    def accuracy(self) -> float:
        """The share of right images."""
        return 1 - self.error_rate


@dataclass(frozen=True, eq=False)
class ClassMembers:
    """The validation images of one class and which of them the model gets right."""

    indices: IntArray  # (n,) rows of the validation split
    correct: BoolArray  # (n,)


@dataclass(frozen=True)
class PhraseScore:
    """What one phrase says about the errors of one class.

    Attributes
    ----------
    score, threshold, direction, p_value
        The Error Score and where it is reached; see `error_score`.
    wrong, correct
        How many validation images of the class the model gets wrong and right.
    unknown_words
        Words of the phrase that the encoder never learned; with any of them the score means little.
    left_out
        How many images of the class it is not judged by, because it was sharpened by them.
    best, kept
        Whether this is the best phrase tried for its class, and whether it is among the annotations.
    origin
        The images, the encoder and the model that it was scored on.
    """

    class_name: str
    phrase: str
    score: float
    threshold: float
    direction: int
    p_value: float
    wrong: int
    correct: int
    origin: Origin
    unknown_words: tuple[str, ...] = ()
    left_out: int = 0
    best: bool = False
    kept: bool = False

    @property
    def warning(self) -> str:
        """Why the number is not to be trusted; empty when there is no reason."""
        if not self.unknown_words:
            return ""
        words = ", ".join(f"'{word}'" for word in self.unknown_words)
        return f"The {self.origin.encoder} encoder does not know {words}; load a CLIP model."

    @property
    def sentence(self) -> str:
        """The result in one sentence for people."""
        verb = "wrong" if self.direction > 0 else "right"
        doubt = " This could well be chance." if self.p_value > SIGNIFICANT else ""
        doubt += f" {self.warning}" if self.warning else ""
        return (
            f"The AI is more often {verb} on images of {self.class_name} with “{self.phrase}”: "
            f"Error Score {self.score:.2f} (p {_format_p(self.p_value)}).{doubt}"
        )


@dataclass(frozen=True)
class Expected:
    """What retraining with one phrase would give on validation; nothing is kept for it.

    Attributes
    ----------
    class_name, phrase, threshold
        What would be kept.
    together_with
        What is kept for the other classes, and retrained with as well.
    worst_before, worst_after
        The worst slice under the model under review, and under the retrained one, where it may be another. A
        class without an annotation is one slice. None when there is a `reason`.
    average_before, average_after
        All validation images, likewise.
    p_value
        How likely chance changes the worst slice as much: exact McNemar test on its images, or, where another
        slice is the worst one after, Fisher's exact test of the two. nan when there is a `reason`.
    reason
        Why there is nothing to expect, such as a side without training images; else empty.
    origin
        What it was computed on; nothing is random.
    """

    class_name: str
    phrase: str
    threshold: float
    origin: Origin
    together_with: tuple[Annotation, ...] = ()
    worst_before: CellAccuracy | None = None
    worst_after: CellAccuracy | None = None
    average_before: CellAccuracy | None = None
    average_after: CellAccuracy | None = None
    p_value: float = math.nan
    reason: str = ""

    @property
    def change(self) -> float:
        """Accuracy of the worst slice after minus before, as a fraction; nan when there is a `reason`."""
        if self.worst_before is None or self.worst_after is None:
            return math.nan
        return self.worst_after.accuracy - self.worst_before.accuracy

    @property
    def within_noise(self) -> bool:
        """Whether chance alone changes the worst slice as much more often than one time in twenty."""
        return self.p_value > SIGNIFICANT

    @property
    def sentence(self) -> str:
        """The result in one sentence for people."""
        worst, average = (self.worst_before, self.worst_after), (self.average_before, self.average_after)
        if worst[0] is None or worst[1] is None or average[0] is None or average[1] is None:
            return f"Retraining with “{self.phrase}” cannot be tried. {self.reason}"
        with_ = " and ".join(
            f"“{phrase}” for {class_name}"
            for class_name, phrase in [
                (self.class_name, self.phrase),
                *((kept.class_name, kept.phrase) for kept in self.together_with),
            ]
        )
        return (
            f"Slice-balanced retraining with {with_}, on "
            f"{self.origin.split}: worst slice {_of_cell(worst[0])} → {_of_cell(worst[1])}, "
            f"{_verdict(self.p_value)}; average {average[0].accuracy:.1%} → {average[1].accuracy:.1%}."
        )


@dataclass(frozen=True)
class ComparisonRow:
    """The accuracy of one part of the images before and after retraining, with 95% Wilson intervals."""

    kind: RowKind
    name: str
    size: int
    before: float
    before_interval: Interval
    after: float
    after_interval: Interval

    @property
    def change(self) -> float:
        """After minus before, as a fraction."""
        return self.after - self.before


@dataclass(frozen=True, eq=False)
class Comparison:
    """The same images under the model before and after retraining.

    Attributes
    ----------
    objective
        What the second model was trained for.
    split
        "test", or "val" where there is no test split.
    before, after
        Evaluations by ground-truth group where groups are known, else by slice.
    rows
        Overall, worst, then every class, slice and group.
    fixed, broken
        Rows of the split that became right, and that became wrong.
    worst_name, p_value
        The part that was worst before, and the exact McNemar p-value of its change.
    average_p_value
        The exact McNemar p-value of the change over all images of the split.
    origin
        The images, and how the second model was trained.
    """

    objective: str
    split: str
    before: Evaluation
    after: Evaluation
    rows: tuple[ComparisonRow, ...]
    fixed: IntArray
    broken: IntArray
    worst_name: str
    p_value: float
    average_p_value: float
    origin: Origin
    worst_kind: Literal["group", "slice"] = "slice"
    notes: tuple[str, ...] = field(default=())

    @property
    def sentence(self) -> str:
        """The result in one sentence for people."""
        overall, worst = (next(self.of_kind(kind)) for kind in ("overall", "worst"))
        return (
            f"Worst {self.worst_kind} on {self.split}: {worst.before:.1%} → {worst.after:.1%}; "
            f"the change in “{self.worst_name}”, the worst before, is {_verdict(self.p_value)}. "
            f"Average: {overall.before:.1%} → {overall.after:.1%}; {len(self.fixed)} images fixed, "
            f"{len(self.broken)} broken, {_verdict(self.average_p_value)}."
        )

    def of_kind(self, kind: RowKind) -> Iterator[ComparisonRow]:
        """Yield the rows of one kind."""
        return (row for row in self.rows if row.kind == kind)

    def __str__(self) -> str:
        """Return the table as text, one row a line."""
        width = max(len(row.name) for row in self.rows)
        lines = [
            f"{'':{width}}  {'n':>6}  {'before':>7} {'(95%)':8}  {'after':>7} {'(95%)':8}  {'change':>6}"
        ]
        lines += [
            f"{row.name:{width}}  {row.size:>6}  {row.before:>7.1%} {_bounds(row.before_interval):8}  "
            f"{row.after:>7.1%} {_bounds(row.after_interval):8}  {100 * row.change:>+6.1f}"
            for row in self.rows
        ]
        return "\n".join([*lines, self.sentence, f"{self.origin}."])

    def _repr_html_(self) -> str:
        """Return the table as a notebook shows it."""
        from html import escape

        body = "".join(
            f"<tr><td style='text-align:left'>{escape(row.name)}</td><td>{row.size:,}</td>"
            f"<td>{row.before:.1%} <small>{_bounds(row.before_interval)}</small></td>"
            f"<td>{row.after:.1%} <small>{_bounds(row.after_interval)}</small></td>"
            f"<td>{100 * row.change:+.1f}</td></tr>"
            for row in self.rows
        )
        head = "<tr><th></th><th>images</th><th>before</th><th>after</th><th>change (points)</th></tr>"
        return (
            f"<table><thead>{head}</thead><tbody>{body}</tbody></table><p>{escape(self.sentence)}</p>"
            f"<p><small>In small: 95% Wilson intervals. {escape(str(self.origin))}.</small></p>"
        )


@dataclass(frozen=True, eq=False)
class PhraseSplit:
    """The images of one class, apart by a phrase and a threshold."""

    indices: IntArray  # (n,) rows of the split
    similarities: FloatArray  # (n,)
    correct: BoolArray  # (n,)
    threshold: float

    @property
    def has(self) -> BoolArray:
        """(n,) which images have the phrase: similarity strictly above the threshold."""
        has: BoolArray = self.similarities > self.threshold
        return has


def _of_cell(cell: CellAccuracy) -> str:
    return f"{cell.accuracy:.1%} {_bounds(cell.interval)} (“{cell.name}”, {cell.size:,} images)"


def _bounds(interval: Interval) -> str:
    low, high = interval
    return f"({100 * low:.0f}-{100 * high:.0f})" if math.isfinite(low) else ""


def _verdict(p_value: float) -> str:
    chance = "within noise" if p_value > SIGNIFICANT else "unlikely to be chance"
    return f"{chance} (p {_format_p(p_value)})"


def _format_p(p_value: float) -> str:
    return "< 0.001" if p_value < 0.001 else f"= {p_value:.2g}"
