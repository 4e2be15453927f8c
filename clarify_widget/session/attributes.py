"""Which images of a session have which attributes: by the encoder's phrases, a detector or a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from clarify_widget.concepts import calibrated_thresholds
from clarify_widget.discovery.attributes import Attributes, attributes_from_table
from clarify_widget.errors import CancelledError
from clarify_widget.session.suggestions import candidate_phrases

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from clarify_widget.arrays import BoolArray, Float64Array, FloatArray, IntArray
    from clarify_widget.session.phrases import EmbeddedPhrases
    from clarify_widget.session.session import Session

_TOGETHER = 64  # phrases
_CALIBRATED_ON = 20_000  # training images; a threshold needs no more


def attributes_of(
    session: Session,
    table: Attributes | Any | None,
    candidates: Iterable[str] | None,
    split: str,
    cancelled: Callable[[], bool] | None,
) -> Attributes:
    """Return who has what; see `Session.attributes` for the errors."""
    if isinstance(table, Attributes):
        return table
    if table is not None:
        return attributes_from_table(table)
    return _by_phrases(session, candidate_phrases(session, candidates, "look for"), split, cancelled)


def _by_phrases(
    session: Session, phrases: list[str], split: str, cancelled: Callable[[], bool] | None
) -> Attributes:
    train_rows = _evenly(len(session.dataset.train))
    has: list[BoolArray] = []
    thresholds: list[float] = []
    gaps: list[float] = []
    for first in range(0, len(phrases), _TOGETHER):
        if cancelled is not None and cancelled():
            raise CancelledError("Cancelled before all phrases were looked for.")
        embedded = session.embed_phrases(phrases[first : first + _TOGETHER], cancelled)
        found = _thresholds(session, embedded, train_rows)
        rows = np.arange(len(session.predictions(split)))
        similar = session.similarities_of_many(embedded, rows, split)
        has.append(similar > found[:, None])
        thresholds += found.tolist()
        gaps += _gaps(similar, has[-1]).tolist()
    return Attributes(
        tuple(phrases),
        np.concatenate(has).T,
        tuple(thresholds),
        tuple(gaps),
        source=f"similarity with phrases, encoder {session.encoder.name}",
        by_phrase=True,
    )


def _thresholds(session: Session, embedded: EmbeddedPhrases, train_rows: IntArray) -> FloatArray:
    """Return (m,) thresholds: the encoder's own, else calibrated on training images."""
    own = getattr(session.encoder, "threshold", None)
    if own is not None:
        return np.full(len(embedded.phrases), own, dtype=np.float32)
    return calibrated_thresholds(session.similarities_of_many(embedded, train_rows, "train"))


def _gaps(similar: FloatArray, has: BoolArray) -> Float64Array:
    """Return (m,) mean similarity of the images that have each phrase minus that of the others."""
    count = np.stack([has.sum(axis=1), (~has).sum(axis=1)])
    total = np.stack([(similar * has).sum(axis=1), (similar * ~has).sum(axis=1)])
    with_it, without = total / np.maximum(count, 1)
    gaps: Float64Array = np.where(count.all(axis=0), with_it - without, 0).astype(np.float64)
    return gaps


def _evenly(size: int) -> IntArray:
    """Return the rows of a split, or evenly spaced ones of a large one."""
    return np.unique(np.linspace(0, size - 1, min(size, _CALIBRATED_ON), dtype=np.int64))
