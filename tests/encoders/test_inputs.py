"""What models see of an image, however quickly it was made."""

from __future__ import annotations

import numpy as np
import PIL.Image
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from open_clip.transform import MaybeConvertMode
from torchvision.transforms import (
    CenterCrop,
    Compose,
    InterpolationMode,
    Normalize,
    RandomInvert,
    Resize,
    ToTensor,
)

from clarify_widget.encoders.inputs import ImageInputs

SIDES = st.integers(1, 400)


def inputs_of(interpolation=InterpolationMode.BICUBIC, side=64, **options):
    steps = [Resize(side, interpolation=interpolation, **options), CenterCrop(64), ToTensor()]
    return ImageInputs(Compose([*steps, Normalize([0.5] * 3, [0.25] * 3)]), torch.device("cpu"))


def noise(width, height, mode="RGB", low=0, high=256):
    pixels = np.random.default_rng(0).integers(low, high, (height, width, 3), dtype=np.uint8)
    return PIL.Image.fromarray(pixels).convert(mode)


@settings(max_examples=60, deadline=None)
@given(
    width=SIDES,
    height=SIDES,
    interpolation=st.sampled_from([InterpolationMode.BICUBIC, InterpolationMode.BILINEAR]),
    side=st.sampled_from([64, [64, 80]]),
)
def test_bytes_made_quickly_are_the_same_but_for_rounding(width, height, interpolation, side):
    inputs = inputs_of(interpolation, side)
    within = noise(width, height, low=64, high=192)  # too flat to overshoot
    exact, quick = inputs.one(within), inputs.one_quickly(within)
    assert exact.shape == quick.shape
    assert exact.dtype == quick.dtype == torch.uint8
    assert (exact.int() - quick.int()).abs().max() <= 2
    harsh = noise(width, height)
    assert (inputs.one(harsh).float() - inputs.one_quickly(harsh).float()).abs().mean() <= 0.5


@pytest.mark.parametrize(
    ("steps", "is_quick"),
    [
        ([Resize(64, InterpolationMode.BICUBIC)], True),
        ([Resize(64, InterpolationMode.BICUBIC), MaybeConvertMode("RGB"), CenterCrop(64)], True),
        ([Resize(64, InterpolationMode.BICUBIC), CenterCrop(64), MaybeConvertMode("L")], False),
        ([CenterCrop(64), Resize(64, InterpolationMode.BICUBIC)], False),
        ([Resize(64, InterpolationMode.BICUBIC), CenterCrop(64), RandomInvert(1.0)], False),
    ],
)
def test_only_steps_that_are_known_have_a_quick_way(steps, is_quick):
    preprocess = Compose([*steps, ToTensor(), Normalize([0.5] * 3, [0.25] * 3)])
    inputs, image = ImageInputs(preprocess, torch.device("cpu")), noise(90, 120, low=64, high=192)
    assert ("by torch" in inputs.description) == is_quick
    assert (inputs.one(image).int() - inputs.one_quickly(image).int()).abs().max() <= 2 * is_quick


def test_the_quick_way_keeps_to_the_longest_side():
    inputs, image = inputs_of(max_size=70), noise(300, 100)
    assert (inputs.one(image).int() - inputs.one_quickly(image).int()).abs().max() <= 2


@pytest.mark.parametrize(
    ("interpolation", "width", "mode"),
    [
        (InterpolationMode.NEAREST, 90, "RGB"),
        (InterpolationMode.BICUBIC, 90, "L"),
        (InterpolationMode.BICUBIC, 63, "RGB"),
    ],
)
def test_what_has_no_quick_way_is_done_as_given(interpolation, width, mode):
    inputs, image = inputs_of(interpolation), noise(width, 70, mode)
    assert torch.equal(inputs.one(image), inputs.one_quickly(image))


def test_rows_made_the_other_way_are_never_found(monkeypatch):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    quick = inputs_of().description
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "DEFAULT")
    assert inputs_of().description != quick
