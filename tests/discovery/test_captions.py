"""Captions by a BLIP model that is tiny, random, and saved to disk."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from PIL import Image

from clarify_widget.datasets.images import ImageList
from clarify_widget.discovery import caption_images, keywords_of
from clarify_widget.errors import CancelledError, EncoderError, MissingDependencyError

MARKS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[DEC]", "[ENC]")
WORDS = ("bird", "forest", "water", "tree", "sky", "grass", "a", "on", "the", "boat")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    import torch
    from transformers import (
        BertTokenizerFast,
        BlipConfig,
        BlipForConditionalGeneration,
        BlipImageProcessor,
        BlipProcessor,
    )

    folder = tmp_path_factory.mktemp("blip")
    vocabulary = [*MARKS, *WORDS]
    (folder / "vocab.txt").write_text("\n".join(vocabulary), encoding="utf-8")
    tokenizer = BertTokenizerFast.from_pretrained(folder)
    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = {
        **small,
        "vocab_size": len(vocabulary),
        "encoder_hidden_size": 16,
        "bos_token_id": 5,
        "sep_token_id": 3,
        "eos_token_id": 3,
        "pad_token_id": 0,
    }
    config = BlipConfig(text_config=text, vision_config={**small, "image_size": 32, "patch_size": 16})
    torch.manual_seed(0)
    BlipForConditionalGeneration(config).save_pretrained(folder)
    processor = BlipProcessor(BlipImageProcessor(size={"height": 32, "width": 32}), tokenizer)
    processor.save_pretrained(folder)
    return folder


@pytest.fixture
def pictures(tmp_path):
    rng = np.random.default_rng(0)
    drawn = [Image.fromarray(rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)) for _ in range(5)]
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    return ImageList([*drawn, tmp_path / "broken.jpg"])


def test_every_image_gets_a_caption_and_one_that_cannot_be_read_an_empty_one(model, pictures):
    told = []
    captions = caption_images(pictures, model, batch_size=2, progress=lambda *done: told.append(done))
    assert len(captions) == 6
    assert captions[5] == ""
    assert all(set(caption.split()) <= {*WORDS, *MARKS} and caption for caption in captions[:5])
    assert told == [(2, 6), (4, 6), (6, 6)]


def test_captions_are_the_same_each_time_whatever_the_batch(model, pictures):
    assert caption_images(pictures, model, batch_size=2) == caption_images(pictures, model, batch_size=6)


def test_captions_go_on_to_keywords(model, pictures):
    known = {*WORDS, *(mark.strip("[]").lower() for mark in MARKS)}
    assert set(" ".join(keywords_of(caption_images(pictures, model))).split()) <= known


def test_cancelled_between_batches(model, pictures):
    told = []
    with pytest.raises(CancelledError):
        caption_images(
            pictures, model, batch_size=2, progress=lambda *d: told.append(d), cancelled=lambda: bool(told)
        )
    assert told == [(2, 6)]


def test_a_model_that_is_not_there_is_one_clear_error(tmp_path, pictures):
    with pytest.raises(EncoderError, match="cannot be loaded"):
        caption_images(pictures, tmp_path)


def test_without_transformers_the_way_to_get_it_is_named(pictures, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingDependencyError, match=r"clarify-widget\[captions\]"):
        caption_images(pictures)
