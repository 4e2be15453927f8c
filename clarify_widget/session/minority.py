"""The two sides of each annotation, the harder one apart, before and after retraining."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from clarify_widget.evaluation import CellAccuracy
from clarify_widget.session.predictions import features_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clarify_widget.arrays import BoolArray
    from clarify_widget.concepts import Annotation
    from clarify_widget.session.session import Session


@dataclass(frozen=True)
class SideAccuracies:
    """How right a model is on the images of one class: on all, and on the two sides of an annotation."""

    average: CellAccuracy
    majority: CellAccuracy
    minority: CellAccuracy


@dataclass(frozen=True)
class MinoritySplit:
    """One annotation on the images of its class in one split (Clarify, section 5.3).

    Attributes
    ----------
    annotation, split
        What the images are divided by, and which.
    has_phrase
        Whether the minority is the side with the phrase: the side on which the model under review is less
        often right on validation, whichever split this is about.
    before, after
        Of the model under review, and of the retrained one; None where nothing has been retrained.
    """

    annotation: Annotation
    split: str
    has_phrase: bool
    before: SideAccuracies
    after: SideAccuracies | None


def minority_split(session: Session, annotation: Annotation, split: str) -> MinoritySplit:
    """Divide the images of an annotation's class in a split; see `Session.minority_splits`."""
    on_val = session.split(annotation.class_name, annotation.phrase, annotation.threshold)
    has_phrase = _share(on_val.correct[on_val.has]) < _share(on_val.correct[~on_val.has])
    here = session.split(annotation.class_name, annotation.phrase, annotation.threshold, split)
    minority: BoolArray = here.has == has_phrase
    after = None
    if session.retrained is not None:
        part = next(part for part in session.dataset.splits() if part.name == split)
        predicted = session.retrained.predict(features_of(part)[here.indices])
        after = _accuracies(predicted == part.labels[here.indices], minority)
    return MinoritySplit(annotation, split, has_phrase, _accuracies(here.correct, minority), after)


def mean_accuracy(splits: Sequence[MinoritySplit], side: str, *, after: bool = False) -> float:
    """Return the mean over annotations of the accuracy on a side that has images; nan where none has.

    Parameters
    ----------
    splits
        Of `Session.minority_splits`.
    side
        "average", "majority" or "minority".
    after
        Whether of the retrained model.
    """
    models = [split.after if after else split.before for split in splits]
    cells = [getattr(model, side) for model in models if model is not None]
    known = [cell.accuracy for cell in cells if cell.size]
    return float(np.mean(known)) if known else float("nan")


def _accuracies(correct: BoolArray, minority: BoolArray) -> SideAccuracies:
    return SideAccuracies(
        *(
            CellAccuracy(name, len(side), int(side.sum()))
            for name, side in (
                ("average", correct),
                ("majority", correct[~minority]),
                ("minority", correct[minority]),
            )
        )
    )


def _share(correct: BoolArray) -> float:
    """Return the share that is right; of no images 1, as nobody would call them hard."""
    return float(correct.mean()) if len(correct) else 1.0
