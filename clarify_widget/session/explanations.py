"""Where the model of a session looks in an image, for a class or for any text."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from clarify_widget.errors import DataError
from clarify_widget.evaluation.explain import alignment, explanation_maps, overlay
from clarify_widget.session.phrases import embeddings_of
from clarify_widget.session.predictions import features_of
from clarify_widget.training import LinearHead
from clarify_widget.training.outside import ForeignHead

if TYPE_CHECKING:
    from collections.abc import Iterator

    import PIL.Image

    from clarify_widget.arrays import BoolArray, Float32Array, FloatArray
    from clarify_widget.datasets.dataset import Split
    from clarify_widget.evaluation.explain import Alignment
    from clarify_widget.session.session import Session

_TOGETHER = 16  # images
_COMPARED = 64  # rows that tell features from embeddings
_QUALITY = 90  # of a JPEG


@dataclass(frozen=True, eq=False)
class Explanation:
    """Which places of one image speak for a class or a text.

    Attributes
    ----------
    image
        RGB, as it is.
    values
        (height, width) in 0..1 over the image.
    target
        What is explained, for people: "logit of land bird", or "similarity with “forest”".
    """

    image: PIL.Image.Image
    values: Float32Array
    target: str

    @cached_property
    def overlay(self) -> PIL.Image.Image:
        """The map over the image."""
        return overlay(self.image, self.values)

    def jpeg(self) -> bytes:
        """Return the overlay as a JPEG file."""
        return self._as("JPEG", quality=_QUALITY)

    def _repr_png_(self) -> bytes:
        """Return the overlay as a notebook shows it."""
        return self._as("PNG")

    def _as(self, kind: str, **settings: int) -> bytes:
        file = io.BytesIO()
        self.overlay.save(file, kind, **settings)
        return file.getvalue()

    def __repr__(self) -> str:
        """Return what is explained."""
        return f"<Explanation of {self.target}>"


def explain_image(session: Session, index: int, about: str, split: str, *, retrained: bool) -> Explanation:
    """Explain one image; see `Session.explain` for the errors."""
    image = session.image(index, split)
    direction, target = _direction(session, about.strip(), retrained=retrained)
    (maps,) = explanation_maps(session.encoder, [image], direction[None])
    return Explanation(image, maps[0], target)


def alignment_of(session: Session, split: str, *, retrained: bool) -> Alignment:
    """Compare maps of all classes with masks; see `Session.alignment` for the errors."""
    part = next((one for one in session.dataset.splits() if one.name == split), None)
    if part is None or part.images is None or part.masks is None:
        raise DataError(
            f"{session.dataset.name} has no images with masks in {split!r}; give a Split with masks=, white "
            "where the thing is."
        )
    rows = [_direction(session, name, retrained=retrained)[0] for name in session.class_names]
    directions: FloatArray = np.concatenate([row[None] for row in rows])
    masks = (_mask(part, row) for row in range(len(part)))
    names = session.dataset.group_names or ()
    return alignment(_maps(session, part, directions), masks, part.labels, part.groups, names)


def _maps(session: Session, split: Split, directions: FloatArray) -> Iterator[FloatArray]:
    images = split.images
    assert images is not None
    for first in range(0, len(split), _TOGETHER):
        some = [images[row] for row in range(first, min(first + _TOGETHER, len(split)))]
        yield from explanation_maps(session.encoder, some, directions)


def _mask(split: Split, row: int) -> BoolArray:
    assert split.masks is not None
    inside: BoolArray = np.asarray(split.masks[row].convert("L")) > 127
    return inside


def _weights_for_unit_rows(head: object) -> FloatArray | None:
    """Return (e, C) the weights of a linear head, ours or from elsewhere; None for any other model."""
    if isinstance(head, LinearHead):
        return head.for_unit_rows()[0]
    return head.weights if isinstance(head, ForeignHead) else None


def _reads_embeddings(split: Split) -> bool:
    """Whether what a head is given are the encoder's rows, and not features from elsewhere."""
    features, embeddings = features_of(split)[:_COMPARED], embeddings_of(split)[:_COMPARED]
    return features.shape == embeddings.shape and np.allclose(features, embeddings, atol=1e-3)


def _direction(session: Session, about: str, *, retrained: bool) -> tuple[FloatArray, str]:
    """Return the direction (e,) of a class or a phrase, and what its score is called."""
    if about in session.class_names:
        head = session.retrained if retrained else session.head
        weights = _weights_for_unit_rows(head)
        if weights is not None and _reads_embeddings(session.dataset.val):
            return weights[:, session.class_names.index(about)], f"logit of {about}"
    return session.direction(about), f"similarity with “{about}”"
