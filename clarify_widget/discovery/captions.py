"""Captions of images by BLIP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clarify_widget.discovery.opened import opened_batches
from clarify_widget.errors import EncoderError, MissingDependencyError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import PIL.Image

    from clarify_widget.datasets.dataset import ImageSequence

MODEL = "Salesforce/blip-image-captioning-base"

_LONGEST = 24  # tokens
_BEAMS = 3  # as in the published code of BLIP


def caption_images(
    images: ImageSequence,
    model: str | Path = MODEL,
    *,
    batch_size: int = 16,
    device: str = "cpu",
    progress: Callable[[int, int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> tuple[str, ...]:
    """Describe every image in a sentence; no randomness.

    Parameters
    ----------
    images
        n images; each is opened once.
    model
        A BLIP captioning model: its name on the Hugging Face hub, or the folder that it was saved to.
    batch_size
        How many images the model gets at a time.
    device
        "cpu", "cuda" or "mps".
    progress
        Called with (images done, n) after each batch.
    cancelled
        Asked before each batch; a true answer stops.

    Returns
    -------
    n captions; empty for an image that cannot be read.

    Raises
    ------
    MissingDependencyError
        When transformers is not installed.
    EncoderError
        When the model cannot be loaded.
    CancelledError
        When `cancelled` said so.

    Notes
    -----
    Li et al., "BLIP: Bootstrapping Language-Image Pre-training" (ICML 2022), as in Lee et al., "Clarify"
    (UIST 2024), section 4.1.
    """
    processor, captioner = _load(str(model), device)
    captions = [""] * len(images)
    for rows, opened in opened_batches(images, batch_size, progress, cancelled):
        for row, caption in zip(rows, _describe(opened, processor, captioner), strict=True):
            captions[row] = caption
    return tuple(captions)


def _load(model: str, device: str) -> tuple[Any, Any]:
    try:
        from transformers import BlipForConditionalGeneration, BlipProcessor
    except ImportError as error:
        raise MissingDependencyError(
            "Captions are made by BLIP, which needs the package transformers; run "
            "`pip install 'clarify-widget[captions]'`, or give captions of your own.",
        ) from error
    try:
        processor: Any = BlipProcessor.from_pretrained(model)
        captioner: Any = BlipForConditionalGeneration.from_pretrained(model)
    except (OSError, ValueError) as error:
        raise EncoderError(
            f"The captioning model {model!r} cannot be loaded: {error} Give the folder of a BLIP model that "
            "was saved, or a name on the hub where it can be reached.",
        ) from error
    return processor, captioner.to(device).eval()


def _describe(images: list[PIL.Image.Image], processor: Any, captioner: Any) -> list[str]:
    import torch

    if not images:
        return []
    pixels = processor(images=images, return_tensors="pt")["pixel_values"].to(captioner.device)
    with torch.inference_mode():
        tokens = captioner.generate(
            pixel_values=pixels, max_new_tokens=_LONGEST, num_beams=_BEAMS, do_sample=False
        )
    return [text.strip() for text in processor.batch_decode(tokens, skip_special_tokens=True)]
