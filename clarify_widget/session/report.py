"""A Session as one HTML file that anybody can open: no kernel, no server, no network.

The tables are plain HTML. Below them the front end of the widget runs on what is embedded: the phrases that
were tried with the similarities of the images, and as many thumbnails as fit, those that are seen first
before others.
"""

from __future__ import annotations

import base64
import hashlib
import html
import itertools
import json
import platform
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

import numpy as np

import clarify_widget
from clarify_widget.encoders.base import template_of
from clarify_widget.errors import ClarifyError
from clarify_widget.session import presentation
from clarify_widget.session.origin import EXACT, origin_of
from clarify_widget.thumbnails import DETAIL, JPEG, encode_thumbnail

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from clarify_widget.session.presentation import Json
    from clarify_widget.session.results import ClassMembers, Comparison, ComparisonRow, PhraseScore
    from clarify_widget.session.session import Session
    from clarify_widget.training import FitReport

_STATIC = Path(__file__).parent.parent / "static"
_TEMPLATE = Path(__file__).with_name("report.html")

_MOST_IMAGE_BYTES = 9 * 2**19  # base64 makes 6 MB of these 4.5
_MOST_PHRASE_BYTES = 3 * 2**19
_THUMBNAIL_SIDE = 128
_SEEN_FIRST = 24
_SEEN_LATER = 120

_BOOT = """
const { modules, state, images } = JSON.parse(document.getElementById("report-data").textContent);
const urls = modules.map((text) => URL.createObjectURL(new Blob([text], { type: "text/javascript" })));
try {
  const [{ parts }, { renderReport }] = await Promise.all(urls.map((url) => import(url)));
  renderReport(parts, document.getElementById("explore"), state, images);
} catch (error) {
  document.getElementById("explore-note").textContent = `This browser cannot show the images (${error}).`;
} finally {
  urls.forEach(URL.revokeObjectURL);
}
"""

_KIND_TITLES = {"class": "Classes", "slice": "Slices", "group": "True groups"}


@dataclass(frozen=True)
class _Shown:
    """One class with one phrase, or with none, and what the page draws of it."""

    class_name: str
    members: ClassMembers
    scored: PhraseScore | None
    view: Json

    @property
    def expected(self) -> Json | None:
        """What retraining with the phrase would give, where that is known."""
        phrase = self.view["phrase"]
        return next((row.get("expected") for row in self.view["history"] if row["phrase"] == phrase), None)

    def first(self, count: int) -> Iterator[int]:
        """Yield the rows of the images at both ends: first those that are seen first."""
        rows, correct = self.members.indices, self.members.correct
        if self.scored is None:
            left, right = rows[correct], rows[~correct]
        else:
            ascending = rows[np.argsort(np.frombuffer(self.view["similarities"], "<f4"), kind="stable")]
            left, right = ascending, ascending[::-1]
        for pair in itertools.zip_longest(left[:count].tolist(), right[:count].tolist()):
            yield from (row for row in pair if row is not None)


def write_report(session: Session, path: Path) -> Path:
    """Write one self-contained HTML file, and return where it is.

    Raises
    ------
    NotFittedError
        Before `fit`.
    """
    with session.lock:
        shown, phrases_left_out = _choose_phrases(session)
        state = _state(session, shown)
        comparison = None if session.retraining is None else session.retraining.comparison
        wanted = dict.fromkeys(_images_by_priority(shown, comparison))
    images = _encode(session, wanted)
    left_out = _left_out(len(images), len(wanted), phrases_left_out)
    page = Template(_TEMPLATE.read_text("utf-8")).substitute(
        policy=_policy(),
        title=html.escape(f"{session.dataset.name}: what the classifier gets wrong, in words"),
        widget_style=(_STATIC / "widget.css").read_text("utf-8").replace("</", "<\\/"),
        heading=html.escape(session.dataset.name),
        subtitle="What the classifier gets wrong, in words, and what retraining made of it.",
        result=html.escape(_result(session, comparison)),
        comparison="" if comparison is None else _comparison_section(comparison),
        annotations=_annotations_section(session),
        explore=html.escape(
            "Choose a class and a phrase that was tried, and drag the threshold; everything is in this file. "
            + left_out
        ),
        facts=_facts_list(session, comparison),
        data=_script_safe({"modules": _modules(), "state": state, "images": images}),
        boot=_BOOT,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.draft")
    draft.write_text(page, "utf-8")
    return draft.replace(path)


def _choose_phrases(session: Session) -> tuple[list[_Shown], int]:
    """Return every class without a phrase, then phrases while they fit: kept ones, then by score."""
    shown = [_show(session, summary.name, None) for summary in session.classes()]
    tried = [scored for summary in session.classes() for scored in session.history(summary.name)]
    tried.sort(key=lambda scored: (not scored.kept, -scored.score))
    room = _MOST_PHRASE_BYTES
    left_out = 0
    for scored in tried:
        one = _show(session, scored.class_name, scored)
        room -= len(one.view["similarities"])
        if room < 0 and not scored.kept:
            left_out += 1
        else:
            shown.append(one)
    return shown, left_out


def _show(session: Session, class_name: str, scored: PhraseScore | None) -> _Shown:
    view = presentation.class_view(session, class_name, scored)
    return _Shown(class_name, session.members(class_name), scored, view)


def _state(session: Session, shown: list[_Shown]) -> Json:
    """Return the traits of the widget as they are when the report is opened, and every phrase in it."""
    first = next((one for one in shown if one.scored is not None), shown[0])
    view = {name: value for name, value in first.view.items() if not isinstance(value, bytes)}
    return {
        "dataset_name": session.dataset.name,
        "encoder_name": session.encoder.name,
        "theme": "auto",
        "objective": "slice_balanced" if session.retraining is None else session.retraining.head.objective,
        "status": {"state": "ready", "message": "", "fraction": None, "loss": None, "run_id": ""},
        "error": None,
        **_facts_in_short(session),
        **view,
        "can_undo": "",
        "phrases": [
            {
                "class_name": one.class_name,
                "phrase": one.view["phrase"],
                "threshold": one.view["threshold"],
                "score": one.view["score"],
                "expected": one.expected,
                "similarities_base64": _base64(one.view["similarities"]),
            }
            for one in shown
        ],
        "members": {
            one.class_name: {
                "members_base64": _base64(presentation.pack_members(one.members)),
                "confidences_base64": _base64(presentation.pack_confidences(session, one.members)),
            }
            for one in shown
            if one.scored is None
        },
    }


def _facts_in_short(session: Session) -> Json:
    """Return the facts with the two rows that matter most; the whole table stands above as plain HTML."""
    facts = presentation.facts(session)
    comparison = facts["comparison"]
    if comparison is None:
        return facts
    rows = [row for row in comparison["rows"] if row["kind"] in ("overall", "worst")]
    return {**facts, "comparison": {**comparison, "rows": rows}}


def _images_by_priority(shown: list[_Shown], comparison: Comparison | None) -> Iterator[tuple[Any, int]]:
    """Yield (split, row): what each view shows at once, fixed and broken, then what lies further down."""
    for one in shown:
        yield from (("val", row) for row in one.first(_SEEN_FIRST))
    if comparison is not None:
        for changed in (comparison.fixed, comparison.broken):
            yield from ((comparison.split, row) for row in changed[: presentation.CHANGED_SHOWN].tolist())
    for one in shown:
        yield from (("val", row) for row in one.first(_SEEN_LATER))


def _encode(session: Session, wanted: Iterable[tuple[Any, int]]) -> dict[str, Json]:
    """Return what is known of each image and its thumbnail as a data URL, while they fit."""
    images: dict[str, Json] = {}
    room = _MOST_IMAGE_BYTES
    for split, row in wanted:
        try:
            encoded = encode_thumbnail(
                session.image(row, split, least_side=DETAIL * _THUMBNAIL_SIDE), _THUMBNAIL_SIDE
            )
        except (ClarifyError, OSError):
            continue
        room -= len(encoded)
        if room < 0:
            break
        about = presentation.image_json(session, split, row)
        source = f"data:{JPEG};base64,{_base64(encoded)}"
        images[f"{split}/{row}"] = {**about, "src": source}
    return images


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _left_out(embedded: int, wanted: int, phrases: int) -> str:
    said = []
    if embedded < wanted:
        said.append(f"{wanted - embedded:,} of {wanted:,} thumbnails")
    if phrases:
        said.append(f"{phrases:,} phrase{'s' if phrases > 1 else ''} with a low score")
    return f"Left out to keep the file small: {' and '.join(said)}." if said else ""


def _result(session: Session, comparison: Comparison | None) -> str:
    if comparison is not None:
        return comparison.sentence
    evaluation = session.evaluation()
    worst = session.classes()[0]
    return (
        f"Nothing has been retrained yet. Average accuracy is {evaluation.average:.1%}; the class with most "
        f"errors is {worst.name}, wrong on {worst.wrong:,} of {worst.size:,} validation images."
    )


def _comparison_section(comparison: Comparison) -> str:
    head = (
        "<tr><th></th><th class='number'>images</th><th class='number'>before</th>"
        "<th class='number'>after</th><th class='number'>points</th><th></th></tr>"
    )
    body = []
    kind = ""
    for row in comparison.rows:
        if row.kind != kind and row.kind in _KIND_TITLES:
            body.append(f"<tr class='kind'><th colspan='6'>{_KIND_TITLES[row.kind]}</th></tr>")
        kind = row.kind
        body.append(_comparison_row(row))
    notes = "".join(f"<p class='quiet'>{html.escape(note)}</p>" for note in comparison.notes)
    return (
        f"<section class='text'><h2>Before and after, on the {html.escape(comparison.split)} images</h2>"
        f"{_table(head, ''.join(body))}"
        f"<p class='quiet'>Accuracy in percent, with 95&nbsp;% Wilson intervals.</p>{notes}</section>"
    )


def _table(head: str, body: str) -> str:
    return (
        f"<div class='scroll'><table class='plain'><thead>{head}</thead><tbody>{body}</tbody></table></div>"
    )


def _comparison_row(row: ComparisonRow) -> str:
    down = " down" if row.change < 0 else ""
    return (
        f"<tr class='{row.kind}'><td>{html.escape(row.name)}</td><td class='number'>{row.size:,}</td>"
        f"<td class='number'>{_accuracy(row.before, row.before_interval)}</td>"
        f"<td class='number'>{_accuracy(row.after, row.after_interval)}</td>"
        f"<td class='number{' fell' if down else ''}'>{_points(row.change)}</td>"
        f"<td class='change'>{_dumbbell(row, down)}</td></tr>"
    )


def _accuracy(accuracy: float, interval: tuple[float, float]) -> str:
    if not np.isfinite(accuracy):
        return "none"
    low, high = interval
    return f"{100 * accuracy:.1f}<small>{100 * low:.0f} to {100 * high:.0f}</small>"


def _points(change: float) -> str:
    return f"{100 * change:+.1f}".replace("-", "\N{MINUS SIGN}") if np.isfinite(change) else ""


def _dumbbell(row: ComparisonRow, down: str) -> str:
    if not np.isfinite(row.change):
        return ""
    before, after = 200 * row.before, 200 * row.after
    return (
        "<svg viewBox='0 0 200 14' aria-hidden='true'><path class='rail' d='M0 7H200'/>"
        f"<path class='move{down}' d='M{before:.1f} 7H{after:.1f}'/>"
        f"<circle class='was' cx='{before:.1f}' cy='7' r='4'/>"
        f"<circle class='is{down}' cx='{after:.1f}' cy='7' r='4.5'/></svg>"
    )


def _annotations_section(session: Session) -> str:
    if not session.annotations:
        return ""
    rows = "".join(
        f"<tr><td>{html.escape(kept.class_name)}</td><td>{html.escape(kept.phrase)}</td>"
        f"<td class='number'>{kept.threshold:.4f}</td>"
        f"<td class='number'>{'' if kept.score is None else f'{kept.score:.2f}'}</td></tr>"
        for kept in session.annotations
    )
    head = (
        "<tr><th>class</th><th>phrase</th><th class='number'>threshold</th>"
        "<th class='number'>Error Score</th></tr>"
    )
    return f"<section class='text'><h2>The phrases that were kept</h2>{_table(head, rows)}</section>"


def _facts_list(session: Session, comparison: Comparison | None) -> str:
    facts = {
        "Data set": session.dataset.summary(),
        "Encoder": f"{session.encoder.name}, phrases put into “{template_of(session.encoder)}”",
        "Model": _model(session),
        "Retraining": "none" if comparison is None else _retraining(session),
        "Randomness": _randomness(session),
        "Date": datetime.now().astimezone().strftime("%-d %B %Y, %H:%M %Z"),
        "Versions": ", ".join(_versions()),
    }
    for note in presentation.notes(session.unreadable()):
        facts["Images"] = note
    return "\n".join(f"<dt>{name}</dt><dd>{html.escape(fact)}</dd>" for name, fact in facts.items())


def _randomness(session: Session) -> str:
    origins = [origin_of(session, "val", len(session.dataset.val), session.head)]
    if session.retraining is not None:
        origins.append(session.retraining.comparison.origin)
    if all(origin.solver in ("", EXACT) for origin in origins):
        return "Training is deterministic: it uses no seed."
    return "; ".join(origin.stopped_because for origin in origins if origin.solver not in ("", EXACT))


def _model(session: Session) -> str:
    report = getattr(session.head, "report", None)
    if session.head is None:
        return "predictions that were given"
    if report is None:
        return "a head that was given"
    objective = getattr(session.head, "objective", "")
    return f"linear head, {objective}, l2 {session.l2:g}; {_stop(report)}"


def _retraining(session: Session) -> str:
    retraining = session.retraining
    if retraining is None:
        return "none"
    head = retraining.head
    used = ", ".join(f"“{kept.phrase}” for {kept.class_name}" for kept in retraining.annotations)
    return f"{head.objective}, l2 {head.l2:g}; {_stop(head.report)}" + (f"; with {used}" if used else "")


def _stop(report: FitReport) -> str:
    return f"{report.iterations:,} iterations, stopped because {report.stopped_because}"


def _versions() -> Iterator[str]:
    yield f"Python {platform.python_version()}"
    yield f"clarify_widget {clarify_widget.__version__}"
    yield from (f"{package} {version(package)}" for package in ("numpy", "scipy", "torch", "open_clip_torch"))


def _policy() -> str:
    """Return a Content-Security-Policy under which the page can reach nothing but itself."""
    digest = base64.b64encode(hashlib.sha256(_BOOT.encode()).digest()).decode("ascii")
    return (
        f"default-src 'none'; script-src 'sha256-{digest}' blob:; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def _modules() -> list[str]:
    return [(_STATIC / name).read_text("utf-8") for name in ("widget.js", "report.js")]


def _script_safe(value: Json) -> str:
    """Return JSON in which nothing can end a script element."""
    packed = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return packed.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
