"""Tiny open_clip models with random weights, of both kinds that can be fine-tuned."""

from __future__ import annotations

import open_clip
import torch

from clarify_widget.encoders import OpenClipEncoder

VISION = {
    "vit": {"image_size": 32, "layers": 1, "width": 32, "patch_size": 16, "head_width": 16},
    "resnet": {"image_size": 64, "layers": [1, 1, 1, 1], "width": 16, "head_width": 16},
}
TEXT = {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1}


def tiny_encoder(kind="vit", *, model_class=open_clip.model.CLIP, text=TEXT, **vision):
    torch.manual_seed(0)
    config = {"embed_dim": 16, "vision_cfg": {**VISION[kind], **vision}, "text_cfg": dict(text)}
    model = model_class(**config)
    return OpenClipEncoder(
        model,
        open_clip.transform.image_transform(VISION[kind]["image_size"], is_train=False),
        open_clip.get_tokenizer("ViT-B-32"),
        name=f"tiny {kind}",
        config={"model_cfg": config},
    )
