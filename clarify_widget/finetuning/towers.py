"""What the frozen towers make of a data set and of its words, computed once for all fine-tunings."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from clarify_widget.encoders.backbones import Backbone
from clarify_widget.encoders.embed import check_phrase, embed_images
from clarify_widget.encoders.open_clip import OpenClipEncoder
from clarify_widget.errors import DataError, EncoderError
from clarify_widget.finetuning.projections import (
    check_projections,
    image_tower,
    text_outputs,
)
from clarify_widget.methods.zero_shot import imagenet_templates

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from clarify_widget.datasets.dataset import Dataset, Split
    from clarify_widget.encoders.base import Encoder
    from clarify_widget.encoders.preparation import Progress

_TEXTS_AT_ONCE = 256


@dataclass(frozen=True, eq=False)
class CachedTowers:
    """A data set as the projections see it.

    Attributes
    ----------
    encoder
        Whose towers these are.
    dataset
        Without the images that could not be read.
    images
        For each split (n, width) float32 outputs of the image tower before its projection; for a ResNet
        channels * height * width.
    class_prompts
        (T, C, w) outputs of the text tower for every template and class.
    attributes
        A names of spurious attributes.
    attribute_prompts
        (T, A, w) likewise.
    """

    encoder: OpenClipEncoder
    dataset: Dataset
    images: Mapping[str, Tensor]
    class_prompts: Tensor
    attributes: tuple[str, ...]
    attribute_prompts: Tensor


def cache_towers(
    encoder: Encoder,
    dataset: Dataset,
    attributes: Sequence[str] = (),
    *,
    templates: Sequence[str] | None = None,
    class_nouns: Sequence[str] | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> CachedTowers:
    """Run both towers of an encoder, up to their projections, over images and prompts.

    Parameters
    ----------
    encoder
        An `OpenClipEncoder`, as `encoders.load` returns it, with a ResNet or ViT of open_clip's own.
    dataset
        With images in every split.
    attributes
        Phrases for the spurious attributes, such as ("water", "land").
    templates
        Sentences with {phrase} in them; by default the 80 of CLIP's ImageNet prompts, as in the paper.
    class_nouns
        What the templates are filled with, one a class; by default the names of the classes.
    cache_dir
        Where the image tower's outputs are kept between runs, as `embed_images` keeps rows. For RN50 an image
        has 100,352 of them, 0.4 MB.
    progress
        Called with what is being done and the fraction done.

    Raises
    ------
    EncoderError
        When the encoder is no OpenClipEncoder, or of an architecture that cannot be cut.
    DataError
        When a split has no images, none of them can be read, there are no templates, or nouns and classes
        differ in number.
    PhraseError
        When an attribute or noun is blank or too long.
    """
    if not isinstance(encoder, OpenClipEncoder):
        raise EncoderError(
            f"Fine-tuning changes the weights of an open_clip model, and {encoder.name!r} is a "
            f"{type(encoder).__name__}; load one, for example encoders.load('demo')."
        )
    check_projections(encoder.model)
    sentences = imagenet_templates() if templates is None else tuple(templates)
    if not sentences or any("{phrase}" not in sentence for sentence in sentences):
        raise DataError(f"Templates are sentences with {{phrase}} in them; got {list(sentences)[:3]}.")
    nouns = tuple(check_phrase(noun) for noun in class_nouns or dataset.class_names)
    if len(nouns) != dataset.num_classes:
        raise DataError(f"There are {len(nouns)} class_nouns for {dataset.num_classes} classes.")
    phrases = tuple(check_phrase(attribute) for attribute in attributes)
    tower = Backbone(
        image_tower(encoder.model),
        encoder.preprocess,
        name=f"{encoder.name} before its projection",
        device=encoder.device,
    )
    splits, images = {}, {}
    for split in dataset.splits():
        splits[split.name], images[split.name] = _cache_images(tower, split, cache_dir, progress)
    return CachedTowers(
        encoder,
        replace(
            dataset,
            train=splits[dataset.train.name],
            val=splits[dataset.val.name],
            test=None if dataset.test is None else splits[dataset.test.name],
        ),
        images,
        _prompts(encoder, sentences, nouns),
        phrases,
        _prompts(encoder, sentences, phrases),
    )


def _cache_images(
    tower: Backbone,
    split: Split,
    cache_dir: str | os.PathLike[str] | None,
    progress: Progress | None,
) -> tuple[Split, Tensor]:
    if split.images is None:
        raise DataError(
            f"{split.name} has no images, only arrays; fine-tuning needs what the image tower makes of them."
        )

    def report(done: int, of: int) -> None:
        if progress is not None:
            progress(f"Running the image tower over {split.name}", done / of)

    embedded = embed_images(tower, split.images, progress=report, cache_dir=cache_dir)
    if not len(embedded.kept):
        raise DataError(f"None of the {len(split)} images of {split.name} can be read.")
    kept = split if len(embedded.kept) == len(split) else split.take(embedded.kept)
    readable = replace(kept, unreadable=(*split.unreadable, *embedded.unreadable))
    return readable, torch.from_numpy(embedded.embeddings)


def _prompts(encoder: OpenClipEncoder, templates: Sequence[str], names: Sequence[str]) -> Tensor:
    """Return (T, len(names), w) outputs of the text tower, on the encoder's device."""
    texts = [template.replace("{phrase}", name) for template in templates for name in names]
    if not texts:
        return torch.empty(len(templates), 0, 0, device=encoder.device)
    parts = []
    with torch.no_grad():
        for start in range(0, len(texts), _TEXTS_AT_ONCE):
            tokens = encoder.tokenizer(texts[start : start + _TEXTS_AT_ONCE]).to(encoder.device)
            parts.append(text_outputs(encoder.model, tokens).float())
    return torch.cat(parts).view(len(templates), len(names), -1)
