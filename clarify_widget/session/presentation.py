"""What a Session knows, as JSON and bytes: the one form that the widget and the report both show.

Pure functions from a Session and its records to plain values. JSON has no nan, so a rate that does not exist
is null.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any

from clarify_widget.errors import DataError
from clarify_widget.session.curve import MOST_POINTS
from clarify_widget.session.suggestions import known_phrases

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from clarify_widget.arrays import IntArray
    from clarify_widget.concepts import Annotations
    from clarify_widget.datasets.dataset import UnreadableImage
    from clarify_widget.discovery.discrepancy import Discrepancies, Discrepancy
    from clarify_widget.finetuning import Epoch, FinetuneProgress
    from clarify_widget.session.autosave import Saved
    from clarify_widget.session.curve import CurvePoint, RetrainProgress
    from clarify_widget.session.finetuning import Finetuning
    from clarify_widget.session.gathering import Gathering, Hit
    from clarify_widget.session.phrase_comparison import PhraseComparison
    from clarify_widget.session.results import (
        ClassMembers,
        ClassSummary,
        Comparison,
        ComparisonRow,
        Expected,
        PhraseScore,
        RowKind,
    )
    from clarify_widget.session.session import Session
    from clarify_widget.session.sides import Sides

Json = dict[str, Any]

CHANGED_SHOWN = 60
"""How many fixed, and how many broken, images a comparison names."""

UNREADABLE_SHOWN = 5

STOPPING = "Stopping"
RETRAINS = "The last layer is being retrained; wait until that has ended, or cancel it, and ask again."
FINETUNES = "The encoder is being fine-tuned; wait until that has ended, or cancel it, and ask again."
CANCELLED = "Cancelled; the model is as it was."
FINETUNING_CANCELLED = "Cancelled; the encoder and this session are as they were."

_OBJECTIVES = {
    "slice_balanced": "Slice-balanced",
    "worst_slice": "Worst-slice",
    "erm": "ERM, every image the same",
    "class_balanced": "Class-balanced",
    "worst_class": "Worst-class",
    "dfr": "DFR, true groups",
    "group_dro": "Group DRO",
}
_NEEDS_GROUPS = frozenset({"dfr", "group_dro"})
_NEEDS_GATHERED = frozenset({"erm"})  # on the same images it would be the same model again


def facts(session: Session) -> Json:
    """Return what is true of the whole session, whichever class and phrase are shown."""
    retraining = session.retraining
    off = session.previews_off
    return {
        "classes": [class_json(summary) for summary in session.classes()],
        "annotations": annotations_json(session.annotations),
        "comparison": None if retraining is None else comparison_json(retraining.comparison),
        "can_undo": session.undoable,
        "can_redo": session.redoable,
        "models": models_json(session),
        "objectives": objectives_json(session),
        "notes": notes(session.unreadable()) + ([off] if off else []),
    }


def without_page(session: Session) -> list[str]:
    """Return what stands in the place of a widget where no kernel runs: what it was, and how to see it."""
    kept = len(session.annotations)
    corrections = "1 correction kept" if kept == 1 else f"{kept:,} corrections kept"
    lines = [f"Clarify: {session.dataset.name}, encoder {session.encoder.name}, {corrections}."]
    if session.retraining is not None:
        lines.append(session.retraining.comparison.sentence)
    how = "This is a widget, and it needs a kernel: open the notebook and run this cell to see it."
    instead = 'session.report("report.html") writes a page that works without one.'
    return [*lines, f"{how} {instead}"]


def unexpected(error: Exception) -> str:
    """Return what the page says of an error that nobody foresaw."""
    return f"Something unexpected went wrong ({error or type(error).__name__}); nothing was lost."


def class_view(
    session: Session,
    class_name: str,
    scored: PhraseScore | None,
    thresholds: Mapping[str, float] | None = None,
) -> Json:
    """Return everything that changes with the class and phrase that are shown.

    `sides` is left open: it looks at the training images, of which there may be many; see `sides_json`.

    Parameters
    ----------
    scored
        The phrase that is shown; None shows the class without one.
    thresholds
        Where the user put them, by phrase; for the others see `Session.threshold_of`.
    """
    return {
        "class_name": class_name,
        "phrase": "" if scored is None else scored.phrase,
        "threshold": None if scored is None else session.threshold_of(scored, thresholds),
        "similarities": pack_similarities(session, class_name, "" if scored is None else scored.phrase),
        "score": None if scored is None else score_json(scored),
        "history": history(session, class_name, thresholds),
        "sides": None,
    }


def history(session: Session, class_name: str, thresholds: Mapping[str, float] | None = None) -> list[Json]:
    """Return the phrases that were tried for a class, newest first.

    `accuracies` are those without and with the phrase; null while the phrase is still to be compared.
    `expected` is what retraining with each would give; null while that is not known, and not there at all
    where it will not be worked out unasked.
    """
    known = session.expected_already(class_name, thresholds=thresholds)
    rows = []
    for tried in session.history(class_name):
        row = tried_json(tried)
        threshold = session.threshold_of(tried, thresholds)
        parts = session.accuracies_already(class_name, tried.phrase, threshold)
        row["accuracies"] = None if parts is None else [_number(part.accuracy) for part in parts]
        if tried.phrase in known:
            row["expected"] = expected_json(known[tried.phrase])
        elif not session.previews_off:
            row["expected"] = None
        rows.append(row)
    return rows


def suggestions(session: Session, class_name: str, *, asked: bool = False) -> Json:
    """Return the phrases to suggest for a class.

    `state` is "ready"; "pending" while they are looked for; "ask" where that takes long and nobody asked for
    it yet; or "none" where there is nothing to describe.
    """
    found = session.suggested_already(class_name)
    if found is not None:
        return {
            "state": "ready",
            "noise_line": found.chance.noise_line,
            "sentence": found.sentence,
            "phrases": [
                {"phrase": row.scored.phrase, "score": row.scored.score, "above_noise": row.above_noise}
                for row in found.rows
            ],
        }
    correct = session.members(class_name).correct
    if not known_phrases(session.encoder) or correct.all() or not correct.any():
        state = "none"
    else:
        state = "pending" if asked or session.suggests_unasked(class_name) else "ask"
    return {"state": state, "noise_line": None, "sentence": "", "phrases": []}


def phrase_comparison_json(comparison: PhraseComparison) -> Json:
    """Return two phrases beside each other; cells row by row, with the first phrase, then without it."""
    return {
        "first": {"phrase": comparison.first.phrase, "score": comparison.first.score},
        "second": {"phrase": comparison.second.phrase, "score": comparison.second.score},
        "cells": [
            {"name": cell.name, "size": cell.size, "accuracy": _number(cell.accuracy)}
            for cell in comparison.cells
        ],
        "agreement": comparison.agreement,
        "correlation": _number(comparison.correlation),
        "sentence": comparison.sentence,
    }


def kept_threshold(annotations: Annotations, class_name: str, phrase: str) -> float | None:
    """Return the threshold that a phrase was kept with; None when it is not kept."""
    return next((kept.threshold for kept in annotations.of_class(class_name) if kept.phrase == phrase), None)


def tried_phrase(session: Session, class_name: str, phrase: str) -> PhraseScore | None:
    """Return the score of a phrase that was tried for a class, with its marks as they are now."""
    if not phrase or class_name not in session.class_names:
        return None
    return next((tried for tried in session.history(class_name) if tried.phrase == phrase), None)


def pack_members(members: ClassMembers) -> bytes:
    """Return n int32 rows, then n uint8 flags that say which the model gets right, little-endian."""
    return members.indices.astype("<i4").tobytes() + members.correct.astype("u1").tobytes()


def pack_similarities(session: Session, class_name: str, phrase: str) -> bytes:
    """Return n little-endian float32, of the images of `pack_members`; nothing without a phrase."""
    if not phrase:
        return b""
    similar = session.similarities_of_class(class_name, phrase)
    return similar.astype("<f4", copy=False).tobytes()


def pack_confidences(session: Session, members: ClassMembers) -> bytes:
    """Return n little-endian float32, of the images of `pack_members`; nothing where they are not known."""
    confidences = session.confidences()
    return b"" if confidences is None else confidences[members.indices].astype("<f4").tobytes()


def class_json(summary: ClassSummary) -> Json:
    """Return one class of the picker."""
    return {
        "name": summary.name,
        "size": summary.size,
        "wrong": summary.wrong,
        "error_rate": _number(summary.error_rate),
        "annotated": summary.annotated,
    }


def score_json(scored: PhraseScore) -> Json:
    """Return the Error Score of the phrase that is shown."""
    return {
        "class_name": scored.class_name,
        "phrase": scored.phrase,
        "score": scored.score,
        "threshold": scored.threshold,
        "direction": scored.direction,
        "p_value": _number(scored.p_value),
        "wrong": scored.wrong,
        "correct": scored.correct,
        "unknown_words": list(scored.unknown_words),
        "left_out": scored.left_out,
        "sentence": scored.sentence,
        "warning": scored.warning,
    }


def sides_json(sides: Sides) -> Json:
    """Return what a threshold does to training and validation images; pairs are without, with."""
    return {
        "class_name": sides.class_name,
        "phrase": sides.phrase,
        "threshold": sides.threshold,
        "train": [sides.train.without, sides.train.having],
        "val": [sides.val.without, sides.val.having],
        "low": sides.grid.low,
        "high": sides.grid.high,
        "at_or_below": list(sides.grid.at_or_below),
        "warnings": list(sides.warnings),
    }


def tried_json(tried: PhraseScore) -> Json:
    """Return one phrase of the history."""
    return {
        "phrase": tried.phrase,
        "score": tried.score,
        "threshold": tried.threshold,
        "direction": tried.direction,
        "p_value": _number(tried.p_value),
        "best": tried.best,
        "kept": tried.kept,
    }


def expected_json(expected: Expected) -> Json:
    """Return what retraining with a phrase would do to the worst slice; null with a reason."""
    return {
        "before": None if expected.worst_before is None else expected.worst_before.accuracy,
        "after": None if expected.worst_after is None else expected.worst_after.accuracy,
        "within_noise": expected.within_noise,
        "sentence": expected.sentence,
        "reason": expected.reason,
    }


def annotations_json(annotations: Annotations) -> list[Json]:
    """Return the annotations that were kept, in their order.

    Of those of one class that are `active`, retraining uses only the best; it is `used`.
    """
    used = set(annotations.best_per_class())
    return [
        {
            "class_name": kept.class_name,
            "phrase": kept.phrase,
            "threshold": kept.threshold,
            "score": None if kept.score is None else _number(kept.score),
            "active": kept.active,
            "used": kept in used,
        }
        for kept in annotations
    ]


def models_json(session: Session) -> list[Json]:
    """Return every retrained model, oldest first, with what it was compared to be worth."""
    return [
        {
            "number": model.number,
            "objective": model.comparison.objective,
            "phrases": [kept.phrase for kept in model.annotations],
            "worst": _headline(model.comparison, "worst"),
            "average": _headline(model.comparison, "overall"),
            "curve": curve_json(model.curve),
            "in_use": model is session.retraining,
        }
        for model in session.models
    ]


def progress_json(progress: RetrainProgress | None) -> Json:
    """Return where a retraining stands; None before its first iteration."""
    if progress is None:
        return {"message": "", "fraction": None, "loss": None, "seconds_left": None, "curve": []}
    return {
        "message": "",
        "fraction": progress.fit.fraction,
        "loss": progress.fit.loss,
        "seconds_left": progress.seconds_left,
        "curve": curve_json(progress.curve),
    }


def curve_json(curve: Iterable[CurvePoint]) -> list[list[float]]:
    """Return iteration, loss, average and worst validation accuracy of each point."""
    return [
        [point.iteration, _brief(point.loss), _brief(point.average), _brief(point.worst)] for point in curve
    ]


def finetune_progress_json(progress: FinetuneProgress, epochs: Sequence[Epoch]) -> Json:
    """Return where a fine-tuning stands; `epochs` are those that are over."""
    return {
        "epoch": progress.epoch,
        "epochs": progress.epochs,
        "loss": progress.loss,
        "fraction": progress.fraction,
        "seconds_left": progress.seconds_left,
        **epochs_json(epochs),
    }


def epochs_json(epochs: Sequence[Epoch]) -> Json:
    """Return validation before any training, as average and worst, and the curve of the epochs."""
    trained = [epoch for epoch in epochs if epoch.number]
    every = -(-len(trained) // MOST_POINTS) or 1
    return {
        "before": [_brief(epochs[0].average), _brief(epochs[0].worst)] if epochs else None,
        "curve": [
            [epoch.number, _brief(epoch.loss), _brief(epoch.average), _brief(epoch.worst)]
            for epoch in trained[::-every][::-1]
        ],
    }


def finetuning_json(finetuning: Finetuning) -> Json:
    """Return what came of a fine-tuning."""
    tuned = finetuning.tuned
    return {
        "phrases": list(tuned.towers.attributes),
        "kept_epoch": f"{tuned.stopped_because.capitalize()}.",
        "comparison": comparison_json(finetuning.comparison),
        **epochs_json(tuned.history),
    }


def judged_by(session: Session) -> str:
    """Return whether the epochs of a fine-tuning are judged by true groups or by slices."""
    dataset = session.dataset
    return "slice" if dataset.val.groups is None or dataset.group_names is None else "group"


def comparison_json(comparison: Comparison) -> Json:
    """Return a before/after table and the first images that changed sides."""
    return {
        "objective": comparison.objective,
        "split": comparison.split,
        "rows": [_row_json(row) for row in comparison.rows],
        "fixed": len(comparison.fixed),
        "broken": len(comparison.broken),
        "fixed_indices": comparison.fixed[:CHANGED_SHOWN].tolist(),
        "broken_indices": comparison.broken[:CHANGED_SHOWN].tolist(),
        "p_value": _number(comparison.p_value),
        "sentence": comparison.sentence,
        "notes": list(comparison.notes),
    }


def saved_json(saved: Saved | None) -> Json | None:
    """Return where the session is kept; the minute is enough for people and is not sent at every change."""
    if saved is None:
        return None
    minute = saved.at.replace(second=0, microsecond=0)
    return {"folder": str(saved.folder), "at": minute.timestamp(), "error": saved.error}


def objectives_json(session: Session) -> list[Json]:
    """Return the objectives that the training set allows.

    Those over true groups only where groups are known, ERM only where images were gathered.
    """
    left_out: set[str] = set()
    if session.dataset.train.groups is None:
        left_out |= _NEEDS_GROUPS
    if not session.gathered:
        left_out |= _NEEDS_GATHERED
    return [{"value": value, "label": label} for value, label in _OBJECTIVES.items() if value not in left_out]


def attributes_json(session: Session, found: Discrepancies, number: int) -> Json:
    """Return what was tested, and which attributes people judged; `attribute_json` has one attribute."""
    return {
        "number": number,
        "sentence": found.sentence,
        "judgements": [
            {"class_name": one.class_name, "attribute": one.attribute, "verdict": one.verdict}
            for one in session.judgements
        ],
    }


def attribute_json(row: Discrepancy) -> Json:
    """Return how the accuracy on one class differs with one attribute."""
    low, high = row.interval
    return {
        "attribute": row.attribute,
        "with": {"size": row.present.size, "accuracy": _number(row.present.accuracy)},
        "without": {"size": row.absent.size, "accuracy": _number(row.absent.accuracy)},
        "difference": _number(row.difference),
        "low": _number(low),
        "high": _number(high),
        "p_value": row.corrected_p_value,
        "significant": row.significant,
        "confused_with": row.confused_with,
        "threshold": row.threshold,
        "sentence": row.sentence,
    }


def pool_json(gathering: Gathering, split: str, phrase: str, hits: Sequence[Hit]) -> Json:
    """Return a pool under review, and the hits that nobody decided about yet, the most similar first."""
    review = gathering.review
    accepted = Counter(review.accepted.values())
    return {
        "name": gathering.pool.name,
        "size": len(gathering.pool),
        "split": split,
        "has_images": gathering.pool.images is not None,
        "phrase": phrase,
        "rows": [hit.row for hit in hits],
        "similarities": [_brief(hit.similarity) for hit in hits],
        "accepted": [[name, count] for name, count in accepted.most_common()],
        "rejected": len(review.rejected),
        "waiting": len(review.waiting),
        "added": len(review.added),
        "undo": "" if review.last is None else str(review.last),
    }


def pool_image_json(gathering: Gathering, row: int) -> Json:
    """Return what is known of one image of a pool: nobody said its class; DataError when there is no such."""
    return {
        "index": row,
        "name": gathering.image_name(row),
        "label": gathering.review.accepted.get(row, ""),
        "predicted": "",
        "correct": True,
        "confidence": None,
    }


def image_json(session: Session, split: str, index: int) -> Json:
    """Return what is known of one image beside its pixels.

    Raises
    ------
    DataError
        When there is no such split, or no such image in it.
    """
    labels = _labels(session, split)
    if not 0 <= index < len(labels):
        raise DataError(f"{split} has images 0 to {len(labels) - 1}; got {index}.")
    label, predicted = int(labels[index]), int(session.predictions(split)[index])
    confidences = session.confidences(split)
    return {
        "index": index,
        "name": session.image_name(index, split),
        "label": session.class_names[label],
        "predicted": session.class_names[predicted],
        "correct": label == predicted,
        "confidence": None if confidences is None else _brief(confidences[index]),
    }


def notes(unreadable: Sequence[UnreadableImage]) -> list[str]:
    """Return what people should know about the data before they look at it."""
    if not unreadable:
        return []
    named = "; ".join(f"{image.name}: {image.reason}" for image in unreadable[:UNREADABLE_SHOWN])
    more = f"; and {len(unreadable) - UNREADABLE_SHOWN:,} more" if len(unreadable) > UNREADABLE_SHOWN else ""
    what = "1 image" if len(unreadable) == 1 else f"{len(unreadable):,} images"
    return [f"Left out {what} that cannot be read: {named}{more}."]


def _row_json(row: ComparisonRow) -> Json:
    return {
        "kind": row.kind,
        "name": row.name,
        "size": row.size,
        "before": _number(row.before),
        "before_low": _number(row.before_interval[0]),
        "before_high": _number(row.before_interval[1]),
        "after": _number(row.after),
        "after_low": _number(row.after_interval[0]),
        "after_high": _number(row.after_interval[1]),
    }


def _headline(comparison: Comparison, kind: RowKind) -> list[float | None]:
    """Return before and after of the one row of its kind."""
    return next([_number(row.before), _number(row.after)] for row in comparison.rows if row.kind == kind)


def _brief(value: float) -> float:
    """Return a number that takes few characters in JSON."""
    return float(f"{value:.4g}")


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _labels(session: Session, name: str) -> IntArray:
    for split in session.dataset.splits():
        if split.name == name:
            return split.labels
    raise DataError(f"{session.dataset.name} has no {name!r} split.")
