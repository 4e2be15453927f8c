"""What is known of single images, one row each: for notebooks that go on from what was seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clarify_widget.arrays import IntArray
    from clarify_widget.session.session import Session


def table_of(session: Session, rows: IntArray, split: str, phrase: str) -> dict[str, list[Any]]:
    """Return columns of equal length; see `Session.table`."""
    part = next(one for one in session.dataset.splits() if one.name == split)
    confidences = session.confidences(split)
    group_names = session.dataset.group_names
    columns: dict[str, list[Any]] = {
        "index": rows.tolist(),
        "name": [session.image_name(row, split) for row in rows.tolist()],
        "path": [session.image_path(row, split) for row in rows.tolist()],
        "label": [session.class_names[label] for label in part.labels[rows]],
        "predicted": [session.class_names[label] for label in session.predictions(split)[rows]],
    }
    if confidences is not None:
        columns["confidence"] = confidences[rows].tolist()
    columns["correct"] = session.correct(split)[rows].tolist()
    if part.groups is not None and group_names is not None:
        columns["group"] = [group_names[group] for group in part.groups[rows]]
    if phrase.strip():
        columns["similarity"] = session.similarities(phrase, split)[rows].tolist()
    return columns
