"""What a Session answers with: plain frozen records, in the words of the papers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clarify_widget.arrays import BoolArray, FloatArray, IntArray
    from clarify_widget.evaluation import Evaluation

Interval = tuple[float, float]
RowKind = Literal["overall", "worst", "class", "slice", "group"]


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
    best, kept
        Whether this is the best phrase tried for its class, and whether it is among the annotations.
    """

    class_name: str
    phrase: str
    score: float
    threshold: float
    direction: int
    p_value: float
    wrong: int
    correct: int
    unknown_words: tuple[str, ...] = ()
    best: bool = False
    kept: bool = False
    encoder_name: str = ""

    @property
    def warning(self) -> str:
        """Why the number is not to be trusted; empty when there is no reason."""
        if not self.unknown_words:
            return ""
        words = ", ".join(f"'{word}'" for word in self.unknown_words)
        return f"The {self.encoder_name} encoder does not know {words}; load a CLIP model."

    @property
    def sentence(self) -> str:
        """The result in one sentence for people."""
        verb = "wrong" if self.direction > 0 else "right"
        doubt = " This could well be chance." if self.p_value > 0.05 else ""
        doubt += f" {self.warning}" if self.warning else ""
        return (
            f"The AI is more often {verb} on images of {self.class_name} with “{self.phrase}”: "
            f"Error Score {self.score:.2f} (p {_format_p(self.p_value)}).{doubt}"
        )


@dataclass(frozen=True)
class ComparisonRow:
    """The accuracy of one part of the images before and after retraining, with 95 % Wilson intervals."""

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
    worst_kind: Literal["group", "slice"] = "slice"
    notes: tuple[str, ...] = field(default=())

    @property
    def sentence(self) -> str:
        """The result in one sentence for people."""
        worst = next(row for row in self.rows if row.kind == "worst")
        doubt = "unlikely to be chance" if self.p_value <= 0.05 else "within what chance does"
        return (
            f"Worst {self.worst_kind} on {self.split}: {worst.before:.1%} → {worst.after:.1%}; "
            f"{len(self.fixed)} images fixed, {len(self.broken)} broken. "
            f"The change in “{self.worst_name}” is {doubt} (p {_format_p(self.p_value)})."
        )

    def of_kind(self, kind: RowKind) -> Iterator[ComparisonRow]:
        """Yield the rows of one kind."""
        return (row for row in self.rows if row.kind == kind)

    def __str__(self) -> str:
        """Return the table as text, one row a line."""
        width = max(len(row.name) for row in self.rows)
        lines = [f"{'':{width}}  {'n':>6}  {'before':>7}  {'after':>7}  {'change':>7}"]
        lines += [
            f"{row.name:{width}}  {row.size:>6}  {row.before:>7.1%}  {row.after:>7.1%}  "
            f"{100 * row.change:>+6.1f}"
            for row in self.rows
        ]
        return "\n".join([*lines, self.sentence])

    def _repr_html_(self) -> str:
        """Return the table as a notebook shows it."""
        from html import escape

        body = "".join(
            f"<tr><td style='text-align:left'>{escape(row.name)}</td><td>{row.size:,}</td>"
            f"<td>{row.before:.1%}</td><td>{row.after:.1%}</td><td>{100 * row.change:+.1f}</td></tr>"
            for row in self.rows
        )
        head = "<tr><th></th><th>images</th><th>before</th><th>after</th><th>change (points)</th></tr>"
        return f"<table><thead>{head}</thead><tbody>{body}</tbody></table><p>{escape(self.sentence)}</p>"


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


def _format_p(p_value: float) -> str:
    return "< 0.001" if p_value < 0.001 else f"= {p_value:.2g}"
