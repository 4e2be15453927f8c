"""Zero-shot classification: an image belongs to the class whose prompt it is most similar to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from clarify_widget.arrays import FloatArray, IntArray, check_labels, check_rows
from clarify_widget.encoders.base import template_of
from clarify_widget.encoders.embed import check_phrase, unit_rows_of
from clarify_widget.errors import DataError, EncoderError
from clarify_widget.training.head import unit_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from clarify_widget.arrays import Float64Array
    from clarify_widget.encoders.base import Encoder

CLIP_LOGIT_SCALE = 100.0
"""What CLIP multiplies cosines by to make logits of them (Radford et al., ICML 2021, section 2.5)."""


@dataclass(frozen=True, eq=False)
class ZeroShotHead:
    """The nearest prompt decides.

    One prompt a class is the class prompt (or its ensemble over templates) of the papers; several are their
    group prompts: whichever group is nearest, its class is the answer.

    Attributes
    ----------
    prototypes
        (P, e) text embeddings; scaled to unit rows.
    class_of
        (P,) class of each prototype, 0..C-1, each class with at least one.

    Raises
    ------
    DataError
        When numbers of prototypes and classes differ, a class has none, or a row is zero or not finite.

    Notes
    -----
    Radford et al., "Learning transferable visual models from natural language supervision" (ICML 2021); group
    prompts as in Zhang and Re, "Contrastive adapters" (NeurIPS 2022).
    """

    prototypes: FloatArray
    class_of: IntArray

    def __post_init__(self) -> None:
        """Check, and scale the prototypes to unit rows."""
        classes = check_labels(self.class_of, name="class_of")
        rows = check_rows(self.prototypes, name="prototypes")
        if len(rows) != len(classes):
            raise DataError(f"There are {len(rows)} prototypes and {len(classes)} classes for them.")
        if not len(rows):
            raise DataError("A zero-shot head needs prototypes; there are none.")
        counts = np.bincount(classes)
        if not counts.all():
            raise DataError(
                f"class_of must be 0..{len(counts) - 1}, each at least once; "
                f"there are none of {np.flatnonzero(counts == 0).tolist()}.",
            )
        object.__setattr__(self, "class_of", classes)
        object.__setattr__(self, "prototypes", check_directions(rows, "prototypes"))

    @property
    def num_classes(self) -> int:
        """C."""
        return int(self.class_of.max()) + 1

    def decision_function(self, embeddings: npt.ArrayLike) -> Float64Array:
        """Return the cosine with the nearest prototype of each class.

        Parameters
        ----------
        embeddings
            (n, e) image embeddings; scaled to unit rows.

        Returns
        -------
        (n, C) float64 in -1..1.

        Raises
        ------
        DataError
            When the width differs from the prototypes', or a number is NaN.
        """
        rows = check_rows(embeddings, name="embeddings")
        if rows.shape[1] != self.prototypes.shape[1]:
            raise DataError(
                f"These prototypes take embeddings of width {self.prototypes.shape[1]}; got {rows.shape[1]}."
            )
        cosines = unit_rows(rows) @ self.prototypes.T
        nearest = np.full((len(rows), self.num_classes), -np.inf)
        np.maximum.at(nearest.T, self.class_of, cosines.T)
        return nearest

    def predict(self, embeddings: npt.ArrayLike) -> IntArray:
        """Return (n,) class indices of embeddings (n, e)."""
        classes: IntArray = np.argmax(self.decision_function(embeddings), axis=1)
        return classes


def prompt_embeddings(
    encoder: Encoder,
    names: Sequence[str],
    templates: Sequence[str] | None = None,
) -> Float64Array:
    """Embed names, each put into every template and averaged.

    Parameters
    ----------
    encoder
        Its `encode_text` gets the whole sentences.
    names
        Class or group names, or whole prompts where the template is "{phrase}" alone.
    templates
        Sentences with {phrase} in them, such as `imagenet_templates()`; by default the encoder's own one.
        An encoder over a fixed list of phrases takes ("{phrase}",).

    Returns
    -------
    (len(names), e) unit rows: the mean of the unit rows of all templates, scaled to unit length again.

    Raises
    ------
    DataError
        When there are no names or no templates.
    PhraseError
        When a name is blank or too long, or the encoder does not know it.
    EncoderError
        When a template lacks {phrase}, or the encoder answers with another shape, NaN or zero.

    Notes
    -----
    The ensemble in embedding space of Radford et al. (ICML 2021), section 3.1.4.
    """
    sentences = (template_of(encoder),) if templates is None else tuple(templates)
    if isinstance(names, str) or isinstance(templates, str):
        raise DataError("names and templates must be lists of strings; got one string.")
    if not len(names) or not sentences:
        raise DataError(
            f"There are {len(names)} names and {len(sentences)} templates; give at least one of both."
        )
    for sentence in sentences:
        if "{phrase}" not in sentence:
            raise EncoderError(f"The template {sentence!r} has no {{phrase}} to put a name into.")
    means = []
    for name in names:
        texts = [sentence.replace("{phrase}", check_phrase(name)) for sentence in sentences]
        rows = unit_rows_of(encoder, encoder.encode_text(texts), len(texts))
        means.append(rows.astype(np.float64).mean(axis=0))
    return unit_rows(np.stack(means))


def imagenet_templates() -> tuple[str, ...]:
    """Return the 80 templates of CLIP's ImageNet prompts, as open_clip has them, with {phrase} in them.

    Notes
    -----
    Radford et al. (ICML 2021), section 3.1.4.
    """
    from open_clip import OPENAI_IMAGENET_TEMPLATES  # takes seconds to import

    return tuple(template("{phrase}") for template in OPENAI_IMAGENET_TEMPLATES)


def check_directions(rows: FloatArray, name: str) -> Float64Array:
    """Return rows scaled to unit length in float64; raises DataError where one is all zeros."""
    zeros = np.flatnonzero(~rows.any(axis=1))
    if len(zeros):
        raise DataError(
            f"{name} has rows of zeros, the first at row {zeros[0]}; a zero row has no direction."
        )
    return unit_rows(rows)
