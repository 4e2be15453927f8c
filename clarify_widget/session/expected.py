"""What retraining would give on validation, for each phrase that was tried, before any of them is kept.

Each phrase is taken as if it were kept beside what is kept for the other classes: Eq. 2 weights, the
slice-balanced head from the present one as a warm start, the worst slice of validation before and after. The
heads differ only in their weights, so they are solved together.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from clarify_widget.concepts import Annotation, Annotations
from clarify_widget.errors import CancelledError, DataError, EmptySliceError
from clarify_widget.evaluation import CellAccuracy, accuracy_by_cell, paired_test
from clarify_widget.session.cells import Cells, slices_of, with_whole_classes
from clarify_widget.session.memory import Memory
from clarify_widget.session.origin import EXACT, Origin
from clarify_widget.session.results import Expected
from clarify_widget.training import LinearHead, sample_weights, train_heads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from clarify_widget.arrays import BoolArray, Float64Array
    from clarify_widget.datasets.dataset import Dataset
    from clarify_widget.session.results import PhraseScore
    from clarify_widget.session.session import Session
    from clarify_widget.training import StandardisedFeatures

    Key = tuple[Annotation, Annotations, float]

SOLVED_TOGETHER = 8
"""How many phrases wait for each other; more are not much cheaper, and nothing is shown meanwhile."""

MOST_NUMBERS = 200_000_000
"""Images x features x outputs up to which previews are made unasked."""

_REMEMBERED = 512


def too_much_for_previews(dataset: Dataset) -> str:
    """Return why previews are not made unasked for a data set; empty when they are."""
    assert dataset.train.features is not None
    images, width = dataset.train.features.shape
    outputs = 1 if dataset.num_classes == 2 else dataset.num_classes
    if images * width * outputs <= MOST_NUMBERS:
        return ""
    return (
        f"What retraining would give is not shown for each phrase: {images:,} images x {width:,} features"
        f"{'' if outputs == 1 else f' x {outputs:,} classes'} would keep this machine busy. "
        "Retrain to see it, or call session.expected(class_name)."
    )


class Expectations:
    """What is known of a fitted session's phrases; what was computed once is not computed again."""

    def __init__(self) -> None:
        self._known: Memory[Expected] = Memory(_REMEMBERED)

    def forget(self) -> None:
        """Forget everything, because the head or the images are others now."""
        self._known = Memory(_REMEMBERED)  # what still computes puts its results into the old one

    def known(self, session: Session, annotations: Sequence[Annotation]) -> dict[str, Expected]:
        """Return what is known already of annotations of one class, by phrase; nothing is computed."""
        found = (self._known.get(key) for key in _keys(session, annotations))
        return {expected.phrase: expected for expected in found if expected is not None}

    def find(
        self,
        session: Session,
        tried: Sequence[tuple[PhraseScore, float]],
        cancelled: Callable[[], bool] | None,
        found_more: Callable[[], None],
    ) -> tuple[Expected, ...]:
        """Return what is expected of each phrase of one class at its threshold, in their order.

        Parameters
        ----------
        found_more
            Called after every few that were computed.
        """
        memory = self._known
        features = session.training_features  # may take a moment: not while others wait for the lock
        with session.lock:
            keys = _keys(session, [_annotation(scored, threshold) for scored, threshold in tried])
            keyed = [(scored, key) for (scored, _), key in zip(tried, keys, strict=True)]
            retrainer = _Retrainer(session, features, cancelled)
        found = {key: known for _, key in keyed if (known := memory.get(key)) is not None}
        missing = [(scored, key) for scored, key in keyed if key not in found]
        for first in range(0, len(missing), SOLVED_TOGETHER):
            some = missing[first : first + SOLVED_TOGETHER]
            for (_, key), expected in zip(some, retrainer.expect(some), strict=True):
                found[key] = expected
                memory.put(key, expected)
            found_more()
        return tuple(found[key] for _, key in keyed)


def _annotation(scored: PhraseScore, threshold: float) -> Annotation:
    return Annotation(scored.class_name, scored.phrase, threshold)


def _keys(session: Session, annotations: Sequence[Annotation]) -> list[Key]:
    """Return all that what is expected of annotations of one class depends on."""
    of_class = {annotation.class_name for annotation in annotations}
    best = session.annotations.best_per_class()
    others = Annotations(kept for kept in best if kept.class_name not in of_class)
    return [(annotation, others, session.l2) for annotation in annotations]


@dataclass(frozen=True, eq=False)
class _Trial:
    """One phrase as if it were kept."""

    weights: Float64Array  # (n,) of the training images, Eq. 2
    cells: Cells  # of validation


class _Retrainer:
    """The session as it was when previews were asked for; it may change while they are made."""

    def __init__(
        self,
        session: Session,
        features: StandardisedFeatures,
        cancelled: Callable[[], bool] | None,
    ) -> None:
        self._dataset = session.dataset
        self._before = session.predictions("val")
        self._similarities_of = session.similarities
        self._train_heads = partial(
            train_heads,
            features,
            session.dataset.train.labels,
            l2=session.l2,
            num_classes=session.dataset.num_classes,
            initial=session.head if isinstance(session.head, LinearHead) else None,
            cancelled=cancelled,
        )
        self._origin = Origin(
            dataset=session.dataset.name,
            split="val",
            images=len(session.dataset.val),
            encoder=session.encoder.name,
            objective="slice_balanced",
            l2=session.l2,
            solver=EXACT,
        )
        self._cancelled = cancelled

    def expect(self, tried: Sequence[tuple[PhraseScore, Key]]) -> Iterator[Expected]:
        """Yield what is expected of each phrase."""
        trials = [self._trial(scored, key) for scored, key in tried]
        weights = [trial.weights for trial in trials if isinstance(trial, _Trial)]
        try:
            heads = iter(self._train_heads(np.stack(weights)) if weights else ())
        except DataError as error:  # nothing can be trained on these data, whatever the phrase
            trials = [str(error) if isinstance(trial, _Trial) else trial for trial in trials]
        for (_, (annotation, others, _)), trial in zip(tried, trials, strict=True):
            blank = Expected(
                annotation.class_name,
                annotation.phrase,
                annotation.threshold,
                self._origin,
                together_with=tuple(others),
            )
            if isinstance(trial, str):
                yield replace(blank, reason=trial)
            else:
                yield self._judge(blank, trial.cells, next(heads))

    def _trial(self, scored: PhraseScore, key: Key) -> _Trial | str:
        """Return the phrase as if it were kept, or why it cannot be."""
        if self._cancelled is not None and self._cancelled():
            raise CancelledError("Cancelled before the next phrase.")
        if scored.warning:
            return scored.warning
        annotation, others, _ = key
        train, val, class_names = self._dataset.train, self._dataset.val, self._dataset.class_names
        used = others.add(annotation)
        try:
            slices = slices_of(train, class_names, used, self._similarities_of)
        except EmptySliceError as error:
            return str(error)
        cells = slices_of(val, class_names, used, self._similarities_of, allow_empty=True)
        return _Trial(
            sample_weights(train.labels, slices.ids, num_classes=self._dataset.num_classes),
            with_whole_classes(cells, val, class_names),
        )

    def _judge(self, blank: Expected, cells: Cells, head: LinearHead) -> Expected:
        val = self._dataset.val
        assert val.features is not None
        right = [predicted == val.labels for predicted in (self._before, head.predict(val.features))]
        worst = [_worst(accuracy_by_cell(correct, cells.ids, cells.names)) for correct in right]
        average = [CellAccuracy("average", len(val), int(correct.sum())) for correct in right]
        return replace(
            blank,
            worst_before=worst[0],
            worst_after=worst[1],
            average_before=average[0],
            average_after=average[1],
            p_value=_chance(worst[0], worst[1], cells, right),
        )


def _worst(cells: Iterable[CellAccuracy]) -> CellAccuracy:
    return min((cell for cell in cells if cell.size), key=lambda cell: cell.accuracy)


def _chance(before: CellAccuracy, after: CellAccuracy, cells: Cells, right: list[BoolArray]) -> float:
    """Return the p-value of the change of the worst slice.

    Where it is the same slice, its images are paired (exact McNemar); where it is another one, the images are
    others too, and the two counts are independent (Fisher's exact test).
    """
    if before.name == after.name:
        members = cells.ids == cells.names.index(before.name)
        return paired_test(right[0][members], right[1][members]).p_value
    from scipy.stats import fisher_exact  # half a second that `import clarify_widget` need not pay

    counts = [[cell.correct, cell.size - cell.correct] for cell in (before, after)]
    return float(fisher_exact(counts).pvalue)
