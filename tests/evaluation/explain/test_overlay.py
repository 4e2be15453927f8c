"""The colours of maps, and maps over images."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import PIL.Image
import pytest

from clarify_widget.errors import DataError
from clarify_widget.evaluation.explain import colours, overlay


def test_colours_are_viridis():
    values = np.linspace(0, 1, 1001)
    expected = 255 * mpl.colormaps["viridis"](values)[:, :3]
    assert np.abs(colours(values) - expected).max() < 8


def test_brighter_always_means_more():
    luminance = colours(np.linspace(0, 1, 50)) @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(luminance) >= 0).all()


def test_an_overlay_blends_the_grey_image_with_the_colours():
    rng = np.random.default_rng(0)
    image = PIL.Image.fromarray(rng.integers(0, 256, (5, 7, 3), dtype=np.uint8))
    values = rng.random((5, 7))
    grey = np.asarray(image.convert("L"), dtype=float)[..., None]
    for strength in (0, 0.3, 1):
        found = np.asarray(overlay(image, values, strength), dtype=float)
        expected = (1 - strength) * grey + strength * colours(values)
        assert np.abs(found - expected).max() <= 1


@pytest.mark.parametrize(
    ("values", "strength"), [(np.zeros((7, 5)), 0.5), (np.full((5, 7), 2.0), 0.5), (np.zeros((5, 7)), 1.5)]
)
def test_what_is_no_map_of_the_image_is_one_clear_error(values, strength):
    with pytest.raises(DataError):
        overlay(PIL.Image.new("RGB", (7, 5)), values, strength)
