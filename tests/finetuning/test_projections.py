"""An open_clip model cut into towers and projections is the same model."""

from __future__ import annotations

import copy

import numpy as np
import open_clip
import pytest
import torch

from clarify_widget import encoders
from clarify_widget.errors import EncoderError
from clarify_widget.finetuning.projections import (
    AttentionPooling,
    image_projection,
    image_tower,
    text_outputs,
    text_projection,
    with_projections,
)
from tests.encoders.test_open_clip import pictures
from tests.finetuning.tiny import TEXT, tiny_encoder

MODELS = {
    "resnet": lambda: tiny_encoder("resnet"),
    "vit": tiny_encoder,
    "vit, text tower apart": lambda: tiny_encoder(model_class=open_clip.model.CustomTextCLIP),
    "text projection with bias": lambda: tiny_encoder(
        model_class=open_clip.model.CustomTextCLIP, text={**TEXT, "proj_bias": True}
    ),
    "demo": lambda: encoders.load("demo"),
}
SENTENCES = ["a red bird", "", "a photo of the hard to see forest"]


@pytest.fixture(params=MODELS)
def encoder(request):
    return MODELS[request.param]()


def inputs_of(encoder, count=5):
    return torch.stack([encoder.preprocess(image) for image in pictures(count)])


@torch.no_grad()
def test_towers_and_then_projections_are_the_model(encoder):
    model, images, tokens = encoder.model, inputs_of(encoder), encoder.tokenizer(SENTENCES)
    rows = image_projection(model)(image_tower(model)(images))
    expected = model.encode_image(images)
    torch.testing.assert_close(rows, expected, rtol=1e-4, atol=1e-6 * float(expected.abs().max()))
    torch.testing.assert_close(
        text_projection(model)(text_outputs(model, tokens)), model.encode_text(tokens), rtol=1e-5, atol=1e-6
    )


def test_attention_pooling_has_the_gradients_of_the_models_own():
    own = tiny_encoder("resnet").model.visual.attnpool.double()
    for name in ("q_proj", "k_proj", "v_proj", "c_proj"):
        torch.nn.init.normal_(getattr(own, name).weight, std=0.1)
    outputs = torch.randn(3, 512, 2, 2, dtype=torch.float64)
    ours = AttentionPooling(copy.deepcopy(own))
    ours(outputs.flatten(1)).square().sum().backward()
    own(outputs).square().sum().backward()
    for (name, found), expected in zip(ours.pooling.named_parameters(), own.parameters(), strict=True):
        if name == "k_proj.bias":
            assert found.grad is None
            assert expected.grad.abs().max() < 1e-12
        else:
            torch.testing.assert_close(found.grad, expected.grad)


@torch.no_grad()
def test_model_with_other_projections_is_another_and_the_old_one_stays(encoder):
    model, images, tokens = encoder.model, inputs_of(encoder), encoder.tokenizer(SENTENCES)
    before = model.encode_image(images), model.encode_text(tokens)
    image, text = image_projection(model), text_projection(model)
    for parameter in (*image.parameters(), *text.parameters()):
        parameter.add_(0.1 * torch.randn_like(parameter))
    changed = with_projections(model, image, text, model.logit_scale)
    expected = image(image_tower(model)(images))
    torch.testing.assert_close(
        changed.encode_image(images), expected, rtol=1e-4, atol=1e-5 * float(expected.abs().max())
    )
    torch.testing.assert_close(changed.encode_text(tokens), text(text_outputs(model, tokens)))
    assert not torch.allclose(changed.encode_image(images), before[0])
    assert torch.equal(model.encode_image(images), before[0])
    assert torch.equal(model.encode_text(tokens), before[1])
    assert changed.state_dict().keys() == model.state_dict().keys()
    assert not any(
        parameter.requires_grad
        for name, parameter in changed.named_parameters()
        if "attnpool" in name or name.endswith("proj")
    )


def test_projections_of_a_model_with_frozen_ones_can_be_trained(encoder):
    model = encoder.model
    again = with_projections(model, image_projection(model), text_projection(model), model.logit_scale)
    for projection in (image_projection(again), text_projection(again)):
        assert all(parameter.requires_grad for parameter in projection.parameters())


def test_towers_are_shared_with_the_model_and_not_copied():
    model = tiny_encoder("resnet").model
    changed = with_projections(model, image_projection(model), text_projection(model), model.logit_scale)
    assert changed.visual.layer1[0].conv1.weight is model.visual.layer1[0].conv1.weight
    assert changed.visual.attnpool.q_proj.weight is not model.visual.attnpool.q_proj.weight


def test_another_temperature_leaves_the_middle_of_the_logits_where_it_was():
    model = encoders.load("demo").model
    changed = with_projections(model, image_projection(model), text_projection(model), torch.tensor(2.0))
    assert float(changed.logit_scale) == 2
    torch.testing.assert_close(
        changed.logit_bias / changed.logit_scale.exp(), model.logit_bias / model.logit_scale.exp()
    )


def test_model_without_a_projection_is_refused_with_its_name():
    class Other(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.visual = torch.nn.Linear(2, 2)

    with pytest.raises(EncoderError, match="this image tower is a Linear"):
        image_projection(Other())
    with pytest.raises(EncoderError, match="this one is a Other"):
        text_projection(Other())


def test_unit_rows_of_the_cut_model_are_those_of_the_encoder():
    encoder = tiny_encoder("resnet")
    with torch.no_grad():
        rows = image_projection(encoder.model)(image_tower(encoder.model)(inputs_of(encoder)))
    unit = torch.nn.functional.normalize(rows, dim=-1).numpy()
    assert np.allclose(unit, encoder.encode_images(pictures(5)), atol=1e-5)
