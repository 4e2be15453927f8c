"""Whether the encoder of a session can be fine-tuned, known before anybody asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clarify_widget.encoders.open_clip import OpenClipEncoder
from clarify_widget.errors import EncoderError

if TYPE_CHECKING:
    from clarify_widget.encoders.base import Encoder
    from clarify_widget.session.session import Session

_OTHER_ENCODER = (
    "Only an open_clip model with a ResNet or ViT of open_clip's own can be fine-tuned, and “{name}” is "
    "none: correct the last layer with Retrain, or open the images with such a model, as in "
    'Session(dataset, encoder="RN50/openai").'
)
_NO_IMAGES = (
    "Fine-tuning needs the images, and the {split} split has only their rows: correct the last layer with "
    "Retrain, or open a session on the images."
)


def reason_against_finetuning(session: Session) -> str:
    """Return why the encoder cannot be fine-tuned, and what to do instead; empty when it can."""
    if not _can_be_cut(session.encoder):
        return _OTHER_ENCODER.format(name=session.encoder.name)
    for split in session.dataset.splits():
        if split.images is None:
            return _NO_IMAGES.format(split=split.name)
    return ""


def _can_be_cut(encoder: Encoder) -> bool:
    if not isinstance(encoder, OpenClipEncoder):
        return False
    # Not above: who brings rows of their own need not have torch load.
    from clarify_widget.finetuning.projections import check_projections

    try:
        check_projections(encoder.model)
    except EncoderError:
        return False
    return True
