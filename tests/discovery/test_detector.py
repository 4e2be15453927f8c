"""OWL-ViT and OWLv2 detectors that are tiny, random, and saved to disk."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from PIL import Image

from clarify_widget.datasets.images import ImageList
from clarify_widget.discovery import detect_attributes
from clarify_widget.errors import CancelledError, DataError, EncoderError, MissingDependencyError

NAMES = ["bird", "water", "old tree", "boat"]
SMALL = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}


def saved(folder, kind):
    """Save a whole detector: a tokenizer over single letters, an image processor and random weights."""
    import torch
    import transformers

    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    words = ["!", *letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({word: i for i, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = transformers.CLIPTokenizer(
        str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=32
    )
    config = getattr(transformers, f"{kind}Config")(
        text_config={**SMALL, "vocab_size": len(words), "max_position_embeddings": 32},
        vision_config={**SMALL, "image_size": 32, "patch_size": 8},
        projection_dim=16,
    )
    torch.manual_seed(0)
    model = getattr(transformers, f"{kind}ForObjectDetection")(config)
    torch.nn.init.normal_(model.class_head.logit_shift.weight, std=0.3)
    model.save_pretrained(folder)
    size = {"height": 32, "width": 32}
    images = getattr(transformers, f"{kind}ImageProcessor")(size=size, crop_size=size)
    getattr(transformers, f"{kind}Processor")(images, tokenizer).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module", params=["OwlViT", "Owlv2"])
def model(request, tmp_path_factory):
    return saved(tmp_path_factory.mktemp(request.param), request.param)


@pytest.fixture
def pictures(tmp_path):
    rng = np.random.default_rng(0)
    drawn = [Image.fromarray(rng.integers(0, 256, (40, 30, 3), dtype=np.uint8)) for _ in range(5)]
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    return ImageList([*drawn, tmp_path / "broken.jpg"])


def best_scores(model, pictures):
    """The highest score of a box of each name, by the detector's own forward, one image and name at once."""
    import torch
    from transformers import AutoModelForZeroShotObjectDetection, AutoProcessor

    processor, detector = AutoProcessor.from_pretrained(model), None
    detector = AutoModelForZeroShotObjectDetection.from_pretrained(model).eval()
    scores = np.zeros((5, len(NAMES)))
    for row in range(5):
        for place, name in enumerate(NAMES):
            inputs = processor(text=[[f"a photo of a {name}"]], images=pictures[row], return_tensors="pt")
            with torch.no_grad():
                found = detector(**inputs)
            sizes = torch.tensor([[40, 30]])
            boxes = processor.image_processor.post_process_object_detection(found, 0.0, sizes)[0]
            scores[row, place] = boxes["scores"].max()
    return scores


def test_an_image_has_what_the_detector_itself_finds_in_it(model, pictures):
    scores = best_scores(model, pictures)
    middle = float(np.median(scores))
    attributes = detect_attributes(pictures, NAMES, model, score=middle, batch_size=2)
    np.testing.assert_array_equal(attributes.has[:5], scores >= middle)
    assert attributes.names == tuple(NAMES)
    assert attributes.thresholds == (middle,) * 4
    assert not attributes.by_phrase
    assert not attributes.has[5].any()  # the file that is no image


def test_what_is_found_depends_neither_on_the_other_names_nor_on_the_batch(model, pictures):
    together = detect_attributes(pictures, NAMES, model, score=0.5, batch_size=6)
    alone = [detect_attributes(pictures, [name], model, score=0.5, batch_size=1).has[:, 0] for name in NAMES]
    np.testing.assert_array_equal(together.has, np.stack(alone, axis=1))


def test_progress_is_told_and_cancelling_stops(model, pictures):
    told = []
    detect_attributes(pictures, NAMES, model, batch_size=4, progress=lambda *done: told.append(done))
    assert told == [(4, 6), (6, 6)]
    with pytest.raises(CancelledError):
        detect_attributes(pictures, NAMES, model, cancelled=lambda: True)


def test_a_model_that_is_not_there_or_no_detector_is_one_clear_error(tmp_path, pictures):
    with pytest.raises(EncoderError, match="cannot be loaded"):
        detect_attributes(pictures, NAMES, tmp_path)


@pytest.mark.parametrize("names", [[], "bird"])
def test_no_list_of_names_is_one_clear_error(names, pictures):
    with pytest.raises(DataError, match="list of things"):
        detect_attributes(pictures, names)


def test_without_transformers_the_way_to_get_it_is_named(pictures, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingDependencyError, match=r"clarify-widget\[detect\]"):
        detect_attributes(pictures, NAMES)
