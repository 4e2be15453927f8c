"""Maps over images: viridis, which people with any colour vision read alike, blended over the picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import PIL.Image

from clarify_widget.errors import DataError

if TYPE_CHECKING:
    import numpy.typing as npt

    from clarify_widget.arrays import FloatArray

STRENGTH = 0.5
"""How much of the picture the colours cover."""

# Seventeen of the 256 colours of matplotlib's viridis, evenly spaced; straight lines between them will do.
_VIRIDIS = np.array(
    [
        (68, 1, 84),
        (72, 24, 106),
        (71, 45, 123),
        (66, 64, 134),
        (59, 82, 139),
        (51, 99, 141),
        (44, 114, 142),
        (38, 130, 142),
        (33, 145, 140),
        (31, 160, 136),
        (40, 174, 128),
        (63, 188, 115),
        (94, 201, 98),
        (132, 212, 75),
        (173, 220, 48),
        (216, 226, 25),
        (253, 231, 37),
    ]
)


def colours(values: FloatArray) -> npt.NDArray[np.uint8]:
    """Return the colours (..., 3) of values (...) in 0..1, from dark blue over green to yellow."""
    places = np.linspace(0, 1, len(_VIRIDIS))
    channels = [np.interp(values, places, channel) for channel in _VIRIDIS.T]
    return np.round(np.stack(channels, axis=-1)).astype(np.uint8)


def overlay(image: PIL.Image.Image, values: FloatArray, strength: float = STRENGTH) -> PIL.Image.Image:
    """Lay a map over its image.

    Parameters
    ----------
    image
        The image; it becomes grey, so that all colour is the map's.
    values
        (height, width) in 0..1, as `explanation_maps` makes them.
    strength
        How much of the result is the map, 0..1.

    Returns
    -------
    An RGB image of the same size.

    Raises
    ------
    DataError
        When sizes differ, or values or strength leave 0..1.
    """
    if values.shape != (image.height, image.width):
        raise DataError(
            f"The map is {values.shape} for an image of {image.height} by {image.width} pixels; "
            "give the map of this image."
        )
    if not (0 <= strength <= 1 and ((values >= 0) & (values <= 1)).all()):
        raise DataError(
            f"A map and its strength are in 0..1; got {values.min()} to {values.max()}, {strength}."
        )
    grey = image.convert("L").convert("RGB")
    return PIL.Image.blend(grey, PIL.Image.fromarray(colours(values)), strength)
