"""From images and texts into one space: encoders by name, of your own, or from a table."""

from __future__ import annotations

from clarify_widget.encoders.backbones import Backbone, load_backbone
from clarify_widget.encoders.base import DEFAULT_TEMPLATE, Encoder, template_of, unknown_words
from clarify_widget.encoders.embed import (
    CachedImages,
    EmbeddedImages,
    check_phrase,
    embed_images,
    embed_phrase,
    embed_to_cache,
    embed_with,
)
from clarify_widget.encoders.loading import available, cached, check_encoder, load
from clarify_widget.encoders.open_clip import OpenClipEncoder
from clarify_widget.encoders.precomputed import PrecomputedEncoder

__all__ = [
    "DEFAULT_TEMPLATE",
    "Backbone",
    "CachedImages",
    "EmbeddedImages",
    "Encoder",
    "OpenClipEncoder",
    "PrecomputedEncoder",
    "available",
    "cached",
    "check_encoder",
    "check_phrase",
    "embed_images",
    "embed_phrase",
    "embed_to_cache",
    "embed_with",
    "load",
    "load_backbone",
    "template_of",
    "unknown_words",
]
