"""The two towers of an open_clip model, tiny and with random weights."""

from __future__ import annotations

import numpy as np
import open_clip
import PIL.Image
import pytest
import torch

from clarify_widget.encoders import Encoder, OpenClipEncoder, load, template_of
from clarify_widget.encoders.cache import fingerprint_of
from clarify_widget.errors import EncoderError

VISION = {
    "vit": {"image_size": 32, "layers": 1, "width": 32, "patch_size": 16, "head_width": 16},
    "resnet": {"image_size": 64, "layers": [1, 1, 1, 1], "width": 16, "head_width": 16},
}


def make(kind="vit", seed=0, **options):
    torch.manual_seed(seed)
    text = {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1}
    model = open_clip.model.CLIP(embed_dim=16, vision_cfg=dict(VISION[kind]), text_cfg=text)
    preprocess = open_clip.transform.image_transform(VISION[kind]["image_size"], is_train=False)
    return OpenClipEncoder(model, preprocess, open_clip.get_tokenizer("ViT-B-32"), name="tiny", **options)


def pictures(count):
    noise = np.random.default_rng(0).integers(0, 256, (count, 40, 50, 3), dtype=np.uint8)
    return [PIL.Image.fromarray(pixels) for pixels in noise]


@pytest.mark.parametrize("kind", VISION)
def test_rows_are_float32_unit_rows_that_do_not_depend_on_the_batch(kind):
    encoder = make(kind)
    images = pictures(70)
    rows = encoder.encode_images(images)
    assert isinstance(encoder, Encoder)
    assert rows.dtype == np.float32
    assert rows.shape == (70, encoder.dim)
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
    assert np.allclose(rows[66:], encoder.encode_images(images[66:]), atol=1e-5)


@pytest.mark.parametrize("kind", VISION)
def test_channels_last_changes_nothing(kind):
    encoder = make(kind)
    images = pictures(3)
    plain = encoder.model.to(memory_format=torch.contiguous_format)
    with torch.no_grad():
        expected = plain.encode_image(
            torch.stack([encoder.preprocess(image) for image in images]), normalize=True
        )
    assert np.allclose(make(kind).encode_images(images), expected.numpy(), atol=1e-5)


def test_text_of_any_length_and_script_gets_a_unit_row():
    rows = make().encode_text(["red", "a " * 500, "émoji 🦆", "<b>html</b>", ""])
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
    assert rows.dtype == np.float32


def test_nothing_in_nothing_out():
    encoder = make()
    assert encoder.encode_images([]).shape == (0, 16)
    assert encoder.encode_text([]).shape == (0, 16)


def test_model_is_left_in_evaluation_mode_and_takes_no_gradients():
    encoder = make()
    assert not encoder.model.training
    encoder.encode_text(["red"])
    assert all(parameter.grad is None for parameter in encoder.model.parameters())


def test_template_is_that_of_the_paper_unless_another_is_given():
    assert template_of(make()) == "an image of a {phrase}"
    assert template_of(make(template="{phrase}")) == "{phrase}"


def test_fingerprint_tells_weights_and_preprocessing_apart():
    assert fingerprint_of(make()) == fingerprint_of(make())
    assert fingerprint_of(make()) != fingerprint_of(make(seed=1))
    other = make()
    other.preprocess = open_clip.transform.image_transform(32, is_train=False, resize_mode="squash")
    assert fingerprint_of(make()) != fingerprint_of(other)
    nudged = make()
    with torch.no_grad():
        nudged.model.logit_scale += 1e-6
    assert fingerprint_of(make()) != fingerprint_of(nudged)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_gpu_agrees_with_cpu_to_half_precision():
    images = pictures(5)
    assert np.allclose(make(device="cuda").encode_images(images), make().encode_images(images), atol=5e-3)
    assert np.allclose(make(device="cuda").encode_text(["red"]), make().encode_text(["red"]), atol=5e-3)


@pytest.mark.parametrize("kind", VISION)
def test_saved_model_loads_again_and_answers_the_same(kind, tmp_path):
    text = {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1}
    model_cfg = {"embed_dim": 16, "vision_cfg": VISION[kind], "text_cfg": text}
    encoder = make(kind, config={"model_cfg": model_cfg})
    again = load(str(encoder.save(tmp_path / "new" / "folder")), device="cpu")
    assert np.allclose(again.encode_images(pictures(3)), encoder.encode_images(pictures(3)), atol=1e-6)
    assert np.array_equal(again.encode_text(["a red bird"]), encoder.encode_text(["a red bird"]))
    once_more = load(str(again.save(tmp_path / "copy")), device="cpu")
    assert np.array_equal(once_more.encode_images(pictures(3)), again.encode_images(pictures(3)))


def test_encoder_that_cannot_be_saved_says_what_to_do(tmp_path):
    with pytest.raises(EncoderError, match="give OpenClipEncoder its config="):
        make().save(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(EncoderError, match="Choose another folder"):
        make(config={}).save(tmp_path / "file")


def test_encoder_with_other_weights_leaves_this_one_as_it_was():
    encoder = make()
    before = encoder.encode_images(pictures(2)), encoder.fingerprint
    other = encoder.with_model(make(seed=1).model, name="other")
    assert other.name == "other"
    assert other.fingerprint != encoder.fingerprint
    assert np.array_equal(other.encode_images(pictures(2)), make(seed=1).encode_images(pictures(2)))
    assert np.array_equal(encoder.encode_images(pictures(2)), before[0])
    assert encoder.fingerprint == before[1]
