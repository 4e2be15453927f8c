"""GradCAM against the grad-cam package and a tower whose gradient is known, and back in the image's frame."""

from __future__ import annotations

import numpy as np
import open_clip
import PIL.Image
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pytorch_grad_cam import GradCAM
from torchvision import transforms

import clarify_widget as cw
from clarify_widget.encoders import OpenClipEncoder, PrecomputedEncoder
from clarify_widget.errors import DataError, EncoderError
from clarify_widget.evaluation.explain import explanation_maps, grid_maps

TOWERS = {
    "vit": {"image_size": 64, "layers": 2, "width": 32, "patch_size": 16, "head_width": 16},
    "resnet": {"image_size": 128, "layers": [1, 1, 1, 1], "width": 16, "head_width": 16},
    "small resnet": {"image_size": 64, "layers": [1, 1, 1, 1], "width": 16, "head_width": 16},
    "timm vit": {"image_size": 224, "timm_model_name": "vit_tiny_patch16_224", "timm_proj": "linear"},
}
LAYERS = {
    "vit": lambda visual: visual.transformer.resblocks[-1].ln_1,
    "resnet": lambda visual: visual.layer4,
    "small resnet": lambda visual: visual.layer3,
    "timm vit": lambda visual: visual.trunk.blocks[-1].norm1,
    "demo": lambda visual: visual.layer3,
}


def make(kind, mode="shortest"):
    if kind == "demo":
        return cw.encoders.load("demo", device="cpu")
    torch.manual_seed(1)
    text = {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1}
    model = open_clip.model.CLIP(embed_dim=16, vision_cfg=dict(TOWERS[kind]), text_cfg=text)
    preprocess = open_clip.transform.image_transform(
        TOWERS[kind]["image_size"], is_train=False, resize_mode=mode
    )
    return OpenClipEncoder(model, preprocess, open_clip.get_tokenizer("ViT-B-32"), name=kind)


def pictures(count, width=64, height=64, seed=0):
    rng = np.random.default_rng(seed)
    coarse = [PIL.Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)) for _ in range(count)]
    return [image.resize((width, height)) for image in coarse]


def directions_of(encoder, count=3):
    rows = np.random.default_rng(5).normal(size=(count, encoder.dim)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


class Similarity:
    """What grad-cam is to explain; it adds 1e-7 to what it divides by, so the score is made large."""

    def __init__(self, direction):
        self.direction = torch.as_tensor(direction)

    def __call__(self, row):
        return 1e6 * torch.nn.functional.normalize(row, dim=-1) @ self.direction


def by_grad_cam(encoder, kind, pixels, direction):
    def places(tokens):
        side = int((tokens.shape[1] - 1) ** 0.5)
        return tokens[:, 1:].transpose(1, 2).unflatten(2, (side, side))

    tower = torch.nn.Module()
    tower.visual = encoder.model.visual
    tower.forward = tower.visual.forward
    layers = [LAYERS[kind](encoder.model.visual)]
    with GradCAM(tower, layers, reshape_transform=places if "vit" in kind else None) as cam:
        return cam(pixels, [Similarity(direction)] * len(pixels))


@pytest.mark.parametrize("kind", [*TOWERS, "demo"])
def test_maps_are_those_of_the_grad_cam_package(kind):
    encoder = make(kind)
    side = 64 if kind == "demo" else TOWERS[kind]["image_size"]
    images = pictures(5, side, side)
    directions = directions_of(encoder)
    maps = explanation_maps(encoder, images, directions)
    assert {one.shape for one in maps} == {(3, side, side)}
    for place, direction in enumerate(directions):
        expected = by_grad_cam(encoder, kind, encoder.pixels_of(images), direction)
        assert expected.max() > 0.99
        np.testing.assert_allclose(np.stack([one[place] for one in maps]), expected, atol=2e-3)


class MeanTower(torch.nn.Module):
    """A tower whose pooling is the mean, so that every gradient can be written down."""

    image_size = 128

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layer2 = torch.nn.Identity()
        self.layer3 = torch.nn.Identity()
        self.layer4 = torch.nn.Conv2d(3, 6, 32, stride=32)
        self.attnpool = torch.nn.Identity()

    def forward(self, pixels):
        return self.layer4(pixels).mean(dim=(2, 3))


class MeanModel(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.visual = MeanTower()

    def encode_image(self, pixels):
        return self.visual(pixels)

    def encode_text(self, tokens):
        return torch.ones(len(tokens), 6)


def test_maps_of_a_tower_with_a_known_gradient_are_what_the_formula_says():
    preprocess = open_clip.transform.image_transform(128, is_train=False)
    encoder = OpenClipEncoder(MeanModel(), preprocess, lambda texts: torch.zeros(len(texts), 1), name="mean")
    images = pictures(4, 128, 128)
    directions = directions_of(encoder)
    with torch.no_grad():
        out = encoder.model.visual.layer4(encoder.pixels_of(images)).double().numpy()
    rows = out.mean(axis=(2, 3))
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    unit = rows / lengths
    for place, direction in enumerate(directions.astype(np.float64)):
        slopes = (direction - unit * (unit @ direction)[:, None]) / lengths / 16
        found = np.maximum((slopes[:, :, None, None] * out).sum(axis=1), 0)
        found -= found.min(axis=(1, 2), keepdims=True)
        highest = found.max(axis=(1, 2), keepdims=True)
        expected = np.where(highest > 0, found / np.where(highest > 0, highest, 1), 0)
        np.testing.assert_allclose(grid_maps(encoder, images, directions)[:, place], expected, atol=1e-4)


@pytest.mark.parametrize("kind", ["vit", "small resnet"])
def test_maps_depend_neither_on_the_batch_nor_on_the_length_of_the_direction(kind):
    encoder = make(kind)
    images = pictures(18)
    directions = directions_of(encoder)
    together = grid_maps(encoder, images, directions)
    assert together.shape == (18, 3, 4, 4)
    np.testing.assert_allclose(grid_maps(encoder, images[17:], 7 * directions), together[17:], atol=1e-4)
    assert grid_maps(encoder, [], directions).shape == (0, 3, 4, 4)


def test_explaining_leaves_the_model_as_it_was():
    encoder = make("vit")
    images = pictures(3)
    before = encoder.encode_images(images)
    grid_maps(encoder, images, directions_of(encoder))
    assert torch.is_grad_enabled()
    assert not encoder.model.visual.transformer.resblocks[-1].ln_1._forward_hooks
    assert all(parameter.grad is None for parameter in encoder.model.parameters())
    np.testing.assert_array_equal(encoder.encode_images(images), before)


@settings(max_examples=25, deadline=None)
@given(st.integers(40, 300), st.integers(40, 300), st.sampled_from(["shortest", "longest", "squash"]))
def test_the_box_that_the_model_sees_is_where_its_pixels_come_from(width, height, mode):
    encoder = make_geometry(mode)
    across = np.broadcast_to(np.arange(width) + 0.5, (height, width))
    down = np.broadcast_to(np.arange(height)[:, None] + 0.5, (height, width))
    left, top, right, bottom = encoder.seen_box((width, height))
    for values, low, high, axis in ((across, left, right, 1), (down, top, bottom, 0)):
        image = PIL.Image.fromarray(np.ascontiguousarray(values, dtype=np.float32))
        for step in encoder._inputs._geometry:
            moved = step(image)
            image = moved if moved.mode == "F" else image  # not what only turns it into RGB
        line = np.asarray(image).take(32, axis=1 - axis)
        expected = low + (np.arange(64) + 0.5) * (high - low) / 64
        step = (high - low) / 64
        inner = (expected > 3 * step) & (expected < values.max() - 3 * step)  # not at an edge nor in padding
        np.testing.assert_allclose(line[inner], expected[inner], atol=0.6)


def make_geometry(mode):
    encoder = object.__new__(OpenClipEncoder)
    encoder.device = torch.device("cpu")
    encoder.preprocess = open_clip.transform.image_transform(64, is_train=False, resize_mode=mode)
    return encoder


@pytest.mark.parametrize("size", [(64, 64), (128, 64), (60, 150), (333, 77)])
def test_maps_lie_over_the_image_and_are_nothing_where_the_model_does_not_look(size):
    encoder = make("vit")
    images = pictures(2, *size)
    maps = explanation_maps(encoder, images, directions_of(encoder))
    left, top, right, bottom = encoder.seen_box(size)
    assert min(right - left, bottom - top) == pytest.approx(min(size), rel=0.03)
    for one in maps:
        assert one.shape == (3, size[1], size[0])
        assert one.min() == 0
        assert one.max() == 1
        inside = np.zeros(one.shape[1:], dtype=bool)
        inside[round(top) : round(bottom), round(left) : round(right)] = True
        assert not one[:, ~inside].any()


@pytest.mark.parametrize("size", [(64, 64), (300, 100), (90, 210)])
def test_the_highest_place_of_a_map_lies_in_the_highest_cell_of_the_grid(size):
    encoder = make("vit")
    images = pictures(6, *size)
    directions = directions_of(encoder)
    left, top, right, bottom = encoder.seen_box(size)
    for maps, grids in zip(
        explanation_maps(encoder, images, directions), grid_maps(encoder, images, directions), strict=True
    ):
        for values, grid in zip(maps, grids, strict=True):
            down, across = np.unravel_index(values.argmax(), values.shape)
            row, column = (down + 0.5 - top) / (bottom - top), (across + 0.5 - left) / (right - left)
            assert grid[int(row * 4), int(column * 4)] > 0.9


def test_what_cannot_be_explained_is_one_clear_error():
    encoder = make("vit")
    words = PrecomputedEncoder(["red"], np.eye(1, 16))
    with pytest.raises(EncoderError, match="layers of an open_clip model"):
        explanation_maps(words, pictures(1), np.eye(1, 16))
    with pytest.raises(DataError, match="width 16"):
        explanation_maps(encoder, pictures(1), np.eye(1, 15))
    encoder.preprocess = transforms.Lambda(lambda _image: torch.zeros(3, 64, 64))
    with pytest.raises(EncoderError, match="not known"):
        explanation_maps(encoder, pictures(1), np.eye(1, 16))
    encoder.model.visual = torch.nn.Linear(1, 1)
    with pytest.raises(EncoderError, match="is a Linear"):
        grid_maps(encoder, pictures(1), np.eye(1, 16))
