"""GradCAM: which places of an image speak for a text, or for a class.

Everything that is explained is a direction in the encoder's space: the score of an image is the product of
its unit row with it. The unit row of a text gives the text's similarity, column c of a linear head's weights
the logit of class c. How the score would change with each channel of one layer, averaged over places, weighs
the channels; their weighted sum, where it is positive, is the map.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import PIL.Image

from clarify_widget.arrays import check_rows
from clarify_widget.encoders.open_clip import OpenClipEncoder
from clarify_widget.errors import DataError, EncoderError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    import torch

    from clarify_widget.arrays import Float32Array, FloatArray
    from clarify_widget.encoders.base import Encoder
    from clarify_widget.encoders.inputs import Box

_BATCH = 16
_LEAST_CELLS = 4
"""Cells a side of a map; one of fewer is too coarse to point at anything."""

_STRIDES = {"layer4": 32, "layer3": 16, "layer2": 8}  # of CLIP's ResNets, pixels a cell


def can_explain(encoder: Encoder) -> bool:
    """Whether `explanation_maps` knows the layers of an encoder's image tower."""
    if not isinstance(encoder, OpenClipEncoder):
        return False
    try:
        _layer_of(encoder)
    except EncoderError:
        return False
    return True


def explanation_maps(
    encoder: Encoder, images: Sequence[PIL.Image.Image], directions: npt.ArrayLike
) -> list[Float32Array]:
    """Explain scores in the frame of each image.

    Parameters
    ----------
    encoder
        An `OpenClipEncoder`; the demo encoder is one.
    images
        n RGB images of any sizes.
    directions
        (k, e) what to explain: unit rows of texts, or columns of a linear head for unit rows.

    Returns
    -------
    n arrays (k, height, width) in 0..1, as high and wide as the image: resizing and cropping are undone. 0
    where the model does not look (outside its crop) and where nothing speaks for the score; the highest place
    of a map is 1, and a map without any is 0 everywhere.

    Raises
    ------
    EncoderError
        When the encoder has no towers of open_clip, its image tower is of another kind than ResNet or ViT, or
        its preprocessing is not made of resizing and cropping.
    DataError
        When directions are not rows of the encoder's width.

    Notes
    -----
    Selvaraju et al., "Grad-CAM" (ICCV 2017). The layer is the last before the pooling, as in the code of
    Yang et al. (ICML 2023): `layer4` of CLIP's ResNets, or for smaller input the last one with at least 4 by
    4 cells; for a ViT the normalised tokens that enter its last block, without the class token.
    """
    maps = grid_maps(encoder, images, directions)
    assert isinstance(encoder, OpenClipEncoder)
    return [
        np.stack([_in_frame(one, encoder.seen_box(image.size), image.size) for one in of_image])
        for of_image, image in zip(maps, images, strict=True)
    ]


def grid_maps(encoder: Encoder, images: Sequence[PIL.Image.Image], directions: npt.ArrayLike) -> Float32Array:
    """Explain scores on the tower's own grid.

    Parameters
    ----------
    encoder, images, directions
        As `explanation_maps` takes them.

    Returns
    -------
    (n, k, rows, columns) in 0..1, over what the model sees of each image.

    Raises
    ------
    EncoderError, DataError
        As `explanation_maps`, whatever the preprocessing.
    """
    if not isinstance(encoder, OpenClipEncoder):
        raise EncoderError(
            f"Explanation maps need the layers of an open_clip model; {encoder.name!r} is a "
            f"{type(encoder).__name__}. Load one by name, or wrap yours in OpenClipEncoder."
        )
    rows = check_rows(directions, name="directions")
    if rows.shape[1] != encoder.dim:
        raise DataError(
            f"directions must be rows of width {encoder.dim}, as {encoder.name!r} makes; got {rows.shape}."
        )
    layer = _layer_of(encoder)
    batches = (images[start : start + _BATCH] for start in range(0, len(images), _BATCH))
    maps = [_maps_of_batch(encoder, layer, batch, rows) for batch in batches]
    return np.concatenate([np.empty((0, len(rows), *layer.grid), np.float32), *maps])


@dataclass(frozen=True, eq=False)
class _Layer:
    """The layer that is looked at, and how what it puts out lies over the image.

    Attributes
    ----------
    module
        Puts out (n, channels, rows, columns), or tokens (n, prefix + rows * columns, channels).
    grid
        (rows, columns).
    prefix
        How many tokens come before those of the places; None where it does not put out tokens.
    tokens_first
        Whether tokens come before images: (tokens, n, channels).
    """

    module: torch.nn.Module
    grid: tuple[int, int]
    prefix: int | None = None
    tokens_first: bool = False

    def places(self, values: torch.Tensor) -> torch.Tensor:
        """Return what it puts out, or its gradient, as (n, channels, rows, columns)."""
        if self.prefix is None:
            return values
        tokens = values.transpose(0, 1) if self.tokens_first else values
        of_places = tokens[:, self.prefix :].transpose(1, 2)
        return of_places.reshape(*of_places.shape[:2], *self.grid)


def _layer_of(encoder: OpenClipEncoder) -> _Layer:
    visual = encoder.model.visual
    if hasattr(visual, "attnpool") and hasattr(visual, "layer4"):
        return _convolution(visual)
    if hasattr(visual, "transformer") and hasattr(visual.transformer, "resblocks"):
        blocks = visual.transformer
        tokens_first = not getattr(blocks, "batch_first", True)
        return _Layer(blocks.resblocks[-1].ln_1, tuple(visual.grid_size), 1, tokens_first)
    trunk: Any = getattr(visual, "trunk", None)  # timm's, as in SigLIP
    if hasattr(trunk, "blocks") and hasattr(trunk, "patch_embed"):
        return _Layer(trunk.blocks[-1].norm1, tuple(trunk.patch_embed.grid_size), trunk.num_prefix_tokens)
    kind = type(visual).__name__ if trunk is None else type(trunk).__name__
    raise EncoderError(
        f"GradCAM here knows CLIP's ResNets and ViTs; the image tower of {encoder.name!r} is a {kind}."
    )


def _convolution(visual: Any) -> _Layer:
    size = visual.image_size
    height, width = (size, size) if isinstance(size, int) else size
    grids = {name: (height // stride, width // stride) for name, stride in _STRIDES.items()}
    name = next((name for name, grid in grids.items() if min(grid) >= _LEAST_CELLS), "layer2")
    return _Layer(getattr(visual, name), grids[name])


def _maps_of_batch(
    encoder: OpenClipEncoder, layer: _Layer, images: Sequence[PIL.Image.Image], directions: FloatArray
) -> Float32Array:
    """Return (b, k, rows, columns) maps in 0..1."""
    import torch

    pixels = encoder.pixels_of(images)
    wanted = torch.as_tensor(directions, dtype=torch.float32, device=pixels.device)
    out, rows = _out_and_rows(encoder.model, layer, pixels)
    scores = torch.nn.functional.normalize(rows, dim=-1) @ wanted.T
    maps = []
    for score in scores.unbind(dim=1):
        (gradient,) = torch.autograd.grad(score.sum(), out, retain_graph=True)
        weights = layer.places(gradient).mean(dim=(2, 3), keepdim=True)
        maps.append((weights * layer.places(out.detach())).sum(dim=1).relu())
    stacked: Float32Array = torch.stack(maps, dim=1).cpu().numpy()
    return _scaled(stacked)


def _out_and_rows(model: Any, layer: _Layer, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return what the layer puts out, and the rows that come of it as a function of that alone.

    In full precision, on a GPU too: these gradients are too small for half precision.
    """
    import torch

    kept: list[torch.Tensor] = []

    def cut(_module: torch.nn.Module, _given: Any, put_out: torch.Tensor) -> torch.Tensor:
        kept.append(put_out.detach().requires_grad_())
        torch.set_grad_enabled(True)  # only from here on: what comes before would fill memory for nothing
        return kept[0]

    hook = layer.module.register_forward_hook(cut)
    try:
        with torch.no_grad():
            rows = model.encode_image(pixels)
    finally:
        hook.remove()
    return kept[0], rows.float()


def _in_frame(grid: Float32Array, seen: Box, size: tuple[int, int]) -> Float32Array:
    """Return (height, width) a map (rows, columns) over the box of the image that the model saw."""
    left, top, right, bottom = seen
    across, down = grid.shape[1] / (right - left), grid.shape[0] / (bottom - top)
    image = PIL.Image.fromarray(grid)
    to_grid = (across, 0, -left * across, 0, down, -top * down)
    spread = np.asarray(
        image.transform(size, PIL.Image.Transform.AFFINE, to_grid, PIL.Image.Resampling.BILINEAR)
    )
    columns, rows = np.arange(size[0]) + 0.5, np.arange(size[1]) + 0.5
    inside = ((rows > top) & (rows < bottom))[:, None] & ((columns > left) & (columns < right))
    framed = np.zeros_like(spread)
    framed[inside] = _scaled(spread[inside][None, None])[0, 0]
    return framed


def _scaled(maps: Float32Array) -> Float32Array:
    """Return maps (..., rows, columns), or (..., places), from 0 to 1; those without a difference are 0."""
    axes = (-2, -1)
    lifted = maps - maps.min(axis=axes, keepdims=True)
    highest = lifted.max(axis=axes, keepdims=True)
    scaled: Float32Array = np.divide(lifted, highest, out=np.zeros_like(lifted), where=highest > 0)
    return scaled
