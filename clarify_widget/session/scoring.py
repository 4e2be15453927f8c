"""The Error Score of one phrase on one class of a session."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clarify_widget.concepts import error_score
from clarify_widget.encoders.base import unknown_words
from clarify_widget.errors import ScoreError
from clarify_widget.session.origin import origin_of
from clarify_widget.session.results import PhraseScore

if TYPE_CHECKING:
    from clarify_widget.session.results import ClassMembers
    from clarify_widget.session.session import Session


def score_phrase(session: Session, class_name: str, phrase: str) -> PhraseScore:
    """Score a phrase without remembering it; see `Session.score` for the errors."""
    members = session.members(class_name)
    _check_scorable(class_name, members)
    phrase = phrase.strip()
    similar = session.similarities(phrase)[members.indices]
    result = error_score(similar[~members.correct], similar[members.correct])
    return PhraseScore(
        class_name=class_name,
        phrase=phrase,
        score=result.score,
        threshold=result.threshold,
        direction=result.direction,
        p_value=result.p_value,
        wrong=int((~members.correct).sum()),
        correct=int(members.correct.sum()),
        unknown_words=unknown_words(session.encoder, phrase),
        origin=origin_of(session, "val", len(members.indices), session.head),
    )


def _check_scorable(class_name: str, members: ClassMembers) -> None:
    if not len(members.indices):
        raise ScoreError(f"{class_name} has no validation images, so there is nothing to describe.")
    if members.correct.all():
        raise ScoreError(
            f"The model is right on all {len(members.indices)} validation images of {class_name}: "
            "there are no errors to describe. Choose another class.",
        )
    if not members.correct.any():
        raise ScoreError(
            f"The model is wrong on all {len(members.indices)} validation images of {class_name}: "
            "there are no right images to compare with. Choose another class.",
        )
