"""Attributes by an open-vocabulary detector: OWL-ViT or OWLv2 looks for a box of each name in each image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from clarify_widget.discovery.attributes import Attributes
from clarify_widget.discovery.opened import opened_batches
from clarify_widget.errors import DataError, EncoderError, MissingDependencyError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import PIL.Image
    import torch

    from clarify_widget.arrays import Float32Array
    from clarify_widget.datasets.dataset import ImageSequence

MODEL = "google/owlvit-base-patch32"
"""The published code's."""

SCORE = 0.1
"""The published code's: a box with a lower score counts for nothing."""

_TEMPLATE = "a photo of a {name}"  # the published code's
_NAMES_TOGETHER = 64


def detect_attributes(
    images: ImageSequence,
    names: Sequence[str],
    model: str | Path = MODEL,
    *,
    score: float = SCORE,
    batch_size: int = 8,
    device: str = "cpu",
    progress: Callable[[int, int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Attributes:
    """Look for things in images: an image has an attribute where some box of it scores high enough.

    Each name is looked for by itself, so what is found does not depend on the other names.

    Parameters
    ----------
    images
        n images; each is opened once.
    names
        S things to look for; `vocabulary()` without the classes, or a list of your own.
    model
        An OWL-ViT or OWLv2 model: its name on the Hugging Face hub, or the folder that it was saved to.
    score
        From which score on, 0..1, a box counts.
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
    The attributes of n images; an image that cannot be read has none.

    Raises
    ------
    MissingDependencyError
        When transformers is not installed.
    EncoderError
        When the model cannot be loaded.
    DataError
        When there are no names.
    CancelledError
        When `cancelled` said so.

    Notes
    -----
    Minderer et al., "Simple Open-Vocabulary Object Detection with Vision Transformers" (ECCV 2022), as in
    Yang et al. (ICML 2023), section 4.1. Their code lets the names compete for each box; here "forest" and
    "trees" may both have it.
    """
    if isinstance(names, str) or not len(names):
        raise DataError(f"names must be a list of things to look for; got {names!r}.")
    processor, detector = _load(str(model), device)
    queries = _queries([_TEMPLATE.format(name=name) for name in names], processor, detector)
    has = np.zeros((len(images), len(names)), dtype=np.bool_)
    for rows, opened in opened_batches(images, batch_size, progress, cancelled):
        has[rows] = _best_scores(opened, queries, processor, detector) >= score
    return Attributes(tuple(names), has, (score,) * len(names), source=f"boxes of {model}")


def _load(model: str, device: str) -> tuple[Any, Any]:
    try:
        from transformers import AutoModelForZeroShotObjectDetection, AutoProcessor
    except ImportError as error:
        raise MissingDependencyError(
            "Attributes are detected by OWL-ViT, which needs the package transformers; run "
            "`pip install 'clarify-widget[detect]'`, or give a table of attributes of your own.",
        ) from error
    try:
        processor: Any = AutoProcessor.from_pretrained(model)  # type: ignore[no-untyped-call]
        detector: Any = AutoModelForZeroShotObjectDetection.from_pretrained(model)
    except (OSError, ValueError) as error:
        raise EncoderError(
            f"The detector {model!r} cannot be loaded: {error} Give the folder of an OWL-ViT or OWLv2 model "
            "that was saved, or a name on the hub where it can be reached.",
        ) from error
    if not hasattr(detector, "class_predictor"):
        raise EncoderError(f"{model!r} is a {type(detector).__name__}; give an OWL-ViT or OWLv2 model.")
    return processor, detector.to(device).eval()


def _queries(sentences: list[str], processor: Any, detector: Any) -> torch.Tensor:
    """Return (1, S, width) text rows; made once, where the detector's own forward makes them an image."""
    import torch

    rows = []
    for first in range(0, len(sentences), _NAMES_TOGETHER):
        tokens = processor.tokenizer(
            sentences[first : first + _NAMES_TOGETHER],
            padding="max_length",
            truncation=True,
            max_length=detector.config.text_config.max_position_embeddings,
            return_tensors="pt",
        ).to(detector.device)
        with torch.inference_mode():
            features = _text_model(detector).get_text_features(tokens.input_ids, tokens.attention_mask)
        rows.append(getattr(features, "pooler_output", features))  # an array before transformers 5
    return torch.cat(rows)[None]


def _text_model(detector: Any) -> Any:
    return getattr(detector, detector.base_model_prefix)


def _best_scores(
    opened: list[PIL.Image.Image], queries: torch.Tensor, processor: Any, detector: Any
) -> Float32Array:
    """Return (b, S) the score of the best box of each name in each image."""
    import torch

    if not opened:
        return np.empty((0, queries.shape[1]), dtype=np.float32)
    pixels = processor(images=opened, return_tensors="pt")["pixel_values"].to(detector.device)
    with torch.inference_mode():
        boxes = detector.image_embedder(pixel_values=pixels)[0].flatten(1, 2)
        logits = detector.class_predictor(boxes, queries)[0]
    scores: Float32Array = logits.amax(dim=1).float().sigmoid().cpu().numpy()
    return scores
