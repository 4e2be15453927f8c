"""The Error Score of one phrase on one class of a session."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from clarify_widget.concepts import error_score
from clarify_widget.encoders.base import unknown_words
from clarify_widget.errors import ScoreError
from clarify_widget.session.origin import origin_of
from clarify_widget.session.results import PhraseScore
from clarify_widget.session.sharpening import unmarked

if TYPE_CHECKING:
    from clarify_widget.arrays import IntArray
    from clarify_widget.session.results import ClassMembers
    from clarify_widget.session.session import Session


def score_phrase(session: Session, class_name: str, phrase: str) -> PhraseScore:
    """Score a phrase without remembering it; see `Session.score` for the errors."""
    phrase = phrase.strip()
    members = session.members(class_name)
    check_scorable(class_name, members)
    similar = session.similarities_of_class(class_name, phrase)
    judges = _judges(session, class_name, phrase, members)
    correct, similar = members.correct[judges], similar[judges]
    wrong = ~correct
    result = error_score(similar[wrong], similar[correct])
    return PhraseScore(
        class_name=class_name,
        phrase=phrase,
        score=result.score,
        threshold=result.threshold,
        direction=result.direction,
        p_value=result.p_value,
        wrong=int(np.count_nonzero(wrong)),
        correct=int(np.count_nonzero(correct)),
        unknown_words=_unknown_words(session, phrase),
        left_out=len(members.correct) - len(correct),
        origin=origin_of(session, "val", len(correct), session.head),
    )


def _judges(session: Session, class_name: str, phrase: str, members: ClassMembers) -> IntArray | slice:
    """Return which members a phrase is judged by: all but those that it was sharpened by."""
    sharpened = session.sharpened_parts(phrase)
    if not sharpened:
        return slice(None)
    unseen = unmarked(members.indices, sharpened)
    correct = members.correct[unseen]
    if correct.all() or not correct.any():
        which = "wrong" if correct.all() else "right"
        raise ScoreError(
            f"Every {which} validation image of {class_name} is marked, so none is left to judge “{phrase}” "
            "by; leave some unmarked.",
        )
    return unseen


def _unknown_words(session: Session, phrase: str) -> tuple[str, ...]:
    """Return the words that nobody taught the encoder: marks have, for those of a sharpened phrase."""
    sharpened = {one.name for one in session.sharpened}
    parts = [part for part in session.parts(phrase) if part not in sharpened]
    return tuple(dict.fromkeys(word for part in parts for word in unknown_words(session.encoder, part)))


def check_scorable(class_name: str, members: ClassMembers) -> None:
    """Raise ScoreError for a class that the model gets all right, or all wrong."""
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
