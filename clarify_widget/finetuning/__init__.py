"""Spurious-aware fine-tuning of the projections into the joint space (Yang et al., ICML 2023)."""

from clarify_widget.finetuning.fit import Epoch, FineTuned, FinetuneProgress, finetune, pretrained
from clarify_widget.finetuning.settings import (
    DRAWN,
    DRAWN_SPURIOUS_LANGUAGE,
    FINE_TUNED_CLIP,
    PUBLISHED,
    SPURIOUS_IMAGE,
    SPURIOUS_LANGUAGE,
    Losses,
    Settings,
)
from clarify_widget.finetuning.towers import CachedTowers, cache_towers

__all__ = [
    "DRAWN",
    "DRAWN_SPURIOUS_LANGUAGE",
    "FINE_TUNED_CLIP",
    "PUBLISHED",
    "SPURIOUS_IMAGE",
    "SPURIOUS_LANGUAGE",
    "CachedTowers",
    "Epoch",
    "FineTuned",
    "FinetuneProgress",
    "Losses",
    "Settings",
    "cache_towers",
    "finetune",
    "pretrained",
]
