"""Bias-to-Text on one class of a session."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clarify_widget.discovery.bias_to_text import bias_to_text
from clarify_widget.session.phrases import rows_at

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clarify_widget.discovery.keywords import Method
    from clarify_widget.evaluation import KeywordTable
    from clarify_widget.session.session import Session


def bias_to_text_of(
    session: Session, class_name: str, captions: Sequence[str], *, method: Method, most: int, seed: int
) -> KeywordTable:
    """Rank the keywords of a class's captions; see `Session.bias_to_text` for the errors."""
    members, val = session.members(class_name), session.dataset.val
    if len(captions) == len(val):
        captions = [captions[row] for row in members.indices.tolist()]
    return bias_to_text(
        captions,
        rows_at(val, members.indices),
        members.correct,
        session.encoder,
        class_names=session.class_names,
        method=method,
        most=most,
        seed=seed,
    )
