"""Fine-tuning from what was kept: the other remedy beside retraining the last layer.

It changes the space that phrases are compared in. Every similarity is another one then, and the thresholds
that were kept belong to the old space: so it does not go on in the same session as a step that `undo` takes
back, but gives a new one, and the old one stays as it is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from clarify_widget.encoders.base import phrase_parts
from clarify_widget.errors import CancelledError, DataError, NotFittedError
from clarify_widget.finetuning import (
    DRAWN,
    DRAWN_SPURIOUS_LANGUAGE,
    PUBLISHED,
    SPURIOUS_LANGUAGE,
    cache_towers,
    finetune,
)
from clarify_widget.session.cells import Cells, with_whole_classes
from clarify_widget.session.comparison import compare
from clarify_widget.session.origin import Origin

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from clarify_widget.arrays import IntArray
    from clarify_widget.concepts import Annotations
    from clarify_widget.datasets.dataset import Dataset, Split
    from clarify_widget.encoders.base import Encoder
    from clarify_widget.encoders.open_clip import OpenClipEncoder
    from clarify_widget.encoders.preparation import Progress
    from clarify_widget.finetuning import FineTuned, FinetuneProgress, Losses, Settings
    from clarify_widget.session.results import Comparison
    from clarify_widget.session.session import Session


@dataclass(frozen=True, eq=False)
class Finetuning:
    """A fine-tuned encoder, what it changed, and a session to go on with.

    Attributes
    ----------
    comparison
        The model under review before; after, the fine-tuned encoder's own zero-shot predictions.
    tuned
        The projections, with validation after every epoch.
    session
        A fitted session over the same images in the new space, with those predictions under review; nothing
        is kept in it yet.
    """

    comparison: Comparison
    tuned: FineTuned
    session: Session

    @property
    def encoder(self) -> OpenClipEncoder:
        """The fine-tuned model."""
        return self.tuned.encoder

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write the fine-tuned model to a folder that `encoders.load` and open_clip open.

        From then on the encoder is called by that folder, so that the session, saved after this, opens again
        in another process by itself.

        Raises
        ------
        EncoderError
            As `OpenClipEncoder.save`.
        """
        path = self.encoder.save(folder).absolute()
        self.encoder.name = f"local-dir:{path}"
        return path

    def __str__(self) -> str:
        """Return the comparison as text."""
        return str(self.comparison)

    def _repr_html_(self) -> str:
        """Return the comparison as a notebook shows it."""
        return self.comparison._repr_html_()


def finetune_session(
    session: Session,
    objective: Losses | None,
    settings: Settings | None,
    annotations: Annotations,
    *,
    slices_of: Callable[[Split], Cells],
    cache_dir: Path | None,
    embedding: Progress | None,
    progress: Callable[[FinetuneProgress], None] | None,
    cancelled: Callable[[], bool] | None,
) -> Finetuning:
    """Fine-tune the encoder of a session; see `Session.finetune`."""
    dataset = session.dataset
    towers = cache_towers(
        session.encoder,
        dataset,
        tuple(_attributes(session, annotations)),
        cache_dir=cache_dir,
        progress=_until(cancelled, embedding),
    )
    _check_same_images(dataset, towers.dataset)
    usual_objective, usual_settings = _usual(session.encoder)
    tuned = finetune(
        towers,
        usual_objective if objective is None else objective,
        usual_settings if settings is None else settings,
        groups=with_whole_classes(slices_of(dataset.train), dataset.train, dataset.class_names).ids,
        val_cells=_cells_to_judge(dataset, slices_of(dataset.val)),
        progress=progress,
        cancelled=cancelled,
    )
    split = session.comparison_split
    comparison = compare(
        dataset,
        split,
        session.predictions(split.name),
        tuned.predictions(split.name),
        origin=_origin(session, split, tuned),
        slices=slices_of(split),
    )
    return Finetuning(comparison, tuned, _session_of(session, tuned))


def _until(cancelled: Callable[[], bool] | None, embedding: Progress | None) -> Progress:
    """Return what stops the towers once `cancelled` says so, and else tells of them."""

    def report(what: str, fraction: float) -> None:
        if cancelled is not None and cancelled():
            raise CancelledError("Fine-tuning was cancelled; the model from before is unchanged.")
        if embedding is not None:
            embedding(what, fraction)

    return report


def _usual(encoder: Encoder) -> tuple[Losses, Settings]:
    """Return what an encoder is fine-tuned with unless told otherwise."""
    from clarify_widget.encoders.demo.encoder import DemoEncoder

    if isinstance(encoder, DemoEncoder):
        return DRAWN_SPURIOUS_LANGUAGE, DRAWN
    return SPURIOUS_LANGUAGE, PUBLISHED["RN50"]


def _attributes(session: Session, annotations: Annotations) -> Iterator[str]:
    """Yield what the kept phrases name, each once: "forest" and "ocean" of "forest, not ocean"."""
    names: dict[str, None] = {}
    for annotation in annotations:
        begun_with = {sharpened.name: sharpened.phrase for sharpened in annotation.sharpened}
        for part in session.parts(annotation.phrase):
            wanted, opposed = phrase_parts(begun_with.get(part, part))
            names.update(dict.fromkeys((wanted, *opposed)))
    return iter(names)


def _cells_to_judge(dataset: Dataset, slices: Cells) -> IntArray:
    """Return the validation groups where they are known, as a comparison has them; else the slices."""
    val = dataset.val
    if val.groups is not None and dataset.group_names is not None:
        return val.groups
    return with_whole_classes(slices, val, dataset.class_names).ids


def _check_same_images(before: Dataset, after: Dataset) -> None:
    for old, new in zip(before.splits(), after.splits(), strict=True):
        if len(old) != len(new):
            missing = new.unreadable[-1]
            raise DataError(
                f"{len(old) - len(new)} images of {old.name} can no longer be read, such as {missing.name} "
                f"({missing.reason}); bring them back, or open a new session without them."
            )


def _origin(session: Session, split: Split, tuned: FineTuned) -> Origin:
    return Origin(
        session.dataset.name,
        split.name,
        len(split),
        session.encoder.name,
        objective=tuned.objective,
        solver="SGD on the projections",
        stopped_because=tuned.stopped_because,
    )


def _session_of(session: Session, tuned: FineTuned) -> Session:
    dataset = session.dataset

    def embedded(split: Split) -> Split:
        rows = tuned.embeddings(split.name)
        return replace(split, embeddings=rows, features=rows, predictions=None, confidences=None)

    test = dataset.test
    changed = replace(
        dataset,
        train=embedded(dataset.train),
        val=embedded(dataset.val),
        test=None if test is None else embedded(test),
    )
    tuned_session = type(session)(changed, tuned.encoder, head=tuned.head(), l2=session.l2)
    tuned_session.fit()
    return tuned_session


def need_annotations(annotations: Annotations) -> None:
    """Raise NotFittedError when nothing was kept that says what is spurious."""
    if not annotations:
        raise NotFittedError(
            "Fine-tuning needs at least one kept phrase that is switched on: it says what is spurious; type "
            "one, then press Keep."
        )
