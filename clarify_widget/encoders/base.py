"""What an encoder is: an image tower and a text tower into one space of unit rows."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Sequence

    import PIL.Image

    from clarify_widget.arrays import FloatArray

DEFAULT_TEMPLATE = "an image of a {phrase}"

CONTRAST = re.compile(r",\s*not\s+", re.IGNORECASE)
"""What stands between a phrase and what it is meant as opposed to: "forest, not ocean"."""


class ImageModel(Protocol):
    """What makes one row of each image: an encoder, or a backbone."""

    @property
    def name(self) -> str:
        """A name that tells this model from every other one."""
        ...

    @property
    def dim(self) -> int:
        """The width of a row."""
        ...

    def encode_images(self, images: Sequence[PIL.Image.Image]) -> FloatArray:
        """Return (len(images), dim) rows."""
        ...


class PipelinedModel(ImageModel, Protocol):
    """One whose images are made ready on other threads while it works.

    One more name is used where a model has it: `least_side`, how many pixels the shorter side of an image
    must have left when that is quicker to decode.
    """

    def input_of(self, image: PIL.Image.Image) -> Any:
        """Return what the model needs of one image; called on several threads."""
        ...

    def rows_of(self, inputs: Sequence[Any]) -> Any:
        """Return (len(inputs), dim) rows, an array or a tensor on any device."""
        ...


@runtime_checkable
class Encoder(Protocol):
    """Anything with these four names can stand in for CLIP.

    Four more are used where an encoder has them: `template`, the sentence that a phrase is put into
    (default "an image of a {phrase}"), `unknown_words(phrase)`, the words of a phrase that the
    encoder never learned, `phrases`, those to suggest (default some 1,500 common ones), and
    `threshold`, the similarity above which it takes any phrase to be true of an image (default one
    a phrase, see `concepts.calibrated_thresholds`).
    """

    @property
    def name(self) -> str:
        """A name that tells this encoder from every other one."""
        ...

    @property
    def dim(self) -> int:
        """The width of the similarity space."""
        ...

    def encode_images(self, images: Sequence[PIL.Image.Image]) -> FloatArray:
        """Return (len(images), dim) unit rows."""
        ...

    def encode_text(self, texts: Sequence[str]) -> FloatArray:
        """Return (len(texts), dim) unit rows."""
        ...


def template_of(encoder: Encoder) -> str:
    """Return the sentence that this encoder wants phrases in."""
    return str(getattr(encoder, "template", DEFAULT_TEMPLATE))


def phrase_parts(phrase: str) -> tuple[str, tuple[str, ...]]:
    """Return what a phrase says and what it is opposed to: ("forest", ("ocean",)) of "forest, not ocean".

    A phrase with nothing on one side of the comma is taken as it is.
    """
    wanted, *opposed = (part.strip() for part in CONTRAST.split(phrase))
    return (wanted, tuple(opposed)) if wanted and all(opposed) else (phrase, ())


def unknown_words(encoder: Encoder, phrase: str) -> tuple[str, ...]:
    """Return the words of a phrase that the encoder says it never learned; empty when it cannot tell."""
    tell = getattr(encoder, "unknown_words", None)
    if not callable(tell):
        return ()
    wanted, opposed = phrase_parts(phrase)
    return tuple(dict.fromkeys(word for part in (wanted, *opposed) for word in tell(part)))
