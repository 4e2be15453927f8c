"""From images to a model's batches: geometry image by image, arithmetic batch by batch on the device."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np
import PIL.Image

from clarify_widget.errors import EncoderError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch
    from torchvision.transforms import CenterCrop, Resize

_Step = Callable[[Any], Any]

Box = tuple[float, float, float, float]
"""Left, top, right and bottom in pixels of an image, which it may go beyond."""

_MARGIN = 2  # so much larger than the model's input an image stays when it is decoded at a part of its size


class ImageInputs:
    """A preprocessing for inference, cut where pixels turn into floats.

    Resizing and cropping are done for one image at a time and leave bytes, a quarter of the floats to copy
    to a device; scaling and normalising are done there, for the whole batch, with the same numbers. A
    preprocessing that cannot be cut is done whole, image by image.

    Parameters
    ----------
    preprocess
        From a PIL image to a (3, H, W) tensor.
    device
        Where the batches go.
    """

    def __init__(self, preprocess: Callable[[PIL.Image.Image], torch.Tensor], device: torch.device) -> None:
        self.preprocess = preprocess
        self._device = device
        self._geometry, self._normalise = _cut(preprocess)
        self._quickly = _QuickGeometry.of(self._geometry)

    @property
    def least_side(self) -> int | None:
        """How many pixels the shorter side must have left when decoding fewer is quicker; None for all."""
        from torchvision.transforms import Resize

        steps = [step for step in self._geometry if isinstance(step, Resize)]
        return _MARGIN * _longest(steps[0]) if len(steps) == 1 else None

    @property
    def description(self) -> str:
        """What tells this preprocessing from others."""
        without_addresses = re.sub(r" at 0x[0-9a-fA-F]+", "", repr(self.preprocess))
        resized = "by Pillow" if self._quickly is None else "by torch"
        return (
            f"{without_addresses} decoded at {self.least_side} or more, resized {resized}, "
            f"on {self._device.type}"
        )

    def seen_box(self, size: tuple[int, int]) -> Box:
        """Return the box of an image of this (width, height) that the model sees.

        Raises
        ------
        EncoderError
            When the preprocessing cannot be cut, so that nothing is known of its geometry.
        """
        if self._normalise is None:
            raise EncoderError(
                "What this preprocessing does to the places of an image is not known; make it a torchvision "
                "Compose of resizing and cropping, ToTensor and Normalize."
            )
        image = PIL.Image.new("L", size)
        origin, scale = np.zeros(2), np.ones(2)  # of the pixels so far, in pixels of the image
        for step in self._geometry:
            before, image = np.array(image.size), step(image)
            if "Crop" in type(step).__name__:
                origin += scale * [_margin(*sides) for sides in zip(before, image.size, strict=True)]
            else:
                scale *= before / image.size
        left, top = origin.tolist()
        right, bottom = (origin + scale * image.size).tolist()
        return left, top, right, bottom

    def one(self, image: PIL.Image.Image) -> torch.Tensor:
        """Return one image: (H, W, 3) bytes, or (3, H, W) floats where the preprocessing cannot be cut."""
        if self._normalise is None:
            return self.preprocess(image)
        return _in_steps(self._geometry, image)

    def one_quickly(self, image: PIL.Image.Image) -> torch.Tensor:
        """Return the same in less time where this processor can; a few bytes are rounded otherwise."""
        return self.one(image) if self._quickly is None else self._quickly(image)

    def batch(self, inputs: Sequence[torch.Tensor]) -> torch.Tensor:
        """Return (n, 3, H, W) floats on the device."""
        import torch

        stacked = torch.stack(list(inputs))
        if self._device.type == "cuda":
            stacked = stacked.pin_memory()
        moved = stacked.to(self._device, non_blocking=True)
        if self._normalise is not None:
            moved = self._normalise(moved.permute(0, 3, 1, 2).float().div_(255))
        layout = torch.channels_last if self._device.type == "cpu" else torch.contiguous_format
        return moved.contiguous(memory_format=layout)


def usable_device(device: str | None) -> str:
    """Return the device, or the default for None; raises EncoderError when torch cannot use it."""
    import torch

    if device is None:
        return default_device()
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:  # the latter where torch was built without it
        reason = str(error).strip().splitlines()[0].rstrip(".")
        raise EncoderError(
            f"The device {device!r} cannot be used: {reason}. Give another one, or none for "
            f"{default_device()!r}."
        ) from error
    return device


def _margin(before: int, after: int) -> int:
    """Return how many pixels torchvision's CenterCrop leaves out before a side, negative where it pads."""
    return round((before - after) / 2) if after <= before else -((after - before) // 2)


def default_device() -> str:
    """Return the GPU when torch finds one, else the CPU."""
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def precision(device: torch.device) -> AbstractContextManager[Any]:
    """Return what makes a model run in half precision on a GPU."""
    import torch

    if device.type in ("cuda", "mps"):
        return torch.autocast(device.type, dtype=torch.float16)
    return nullcontext()


def weights_digest(model: torch.nn.Module, *settings: str) -> str:
    """Return what tells a model's weights, and the settings that it runs with, from all others."""
    import hashlib

    digest = hashlib.blake2b(digest_size=16)
    for key, tensor in sorted(model.state_dict().items()):
        digest.update(f"{key} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(_bytes_of(tensor))
    digest.update(" ".join(settings).encode())
    return digest.hexdigest()


def _cut(preprocess: Any) -> tuple[list[_Step], _Step | None]:
    """Return the steps before bytes become floats and the normalisation after, or neither."""
    from torchvision.transforms import Normalize

    steps = list(getattr(preprocess, "transforms", ()))
    if len(steps) < 2 or not isinstance(steps[-1], Normalize):
        return [], None
    if type(steps[-2]).__name__ not in ("ToTensor", "MaybeToTensor"):
        return [], None
    return steps[:-2], Normalize(steps[-1].mean, steps[-1].std, inplace=True)


def _in_steps(steps: Sequence[_Step], image: PIL.Image.Image) -> torch.Tensor:
    """Return the (H, W, 3) bytes of an image after some steps."""
    import torch

    for step in steps:
        image = step(image)
    return torch.from_numpy(np.array(image))


class _QuickGeometry:
    """Resizing an RGB image to a smaller one and cropping it, by torch's vector instructions for bytes.

    It takes a third of Pillow's time. The filters are the same: in photographs a few bytes differ by 1 or 2,
    and more do only where edges as sharp as noise's go beyond black or white.

    Parameters
    ----------
    given
        What is done to all other images.
    resize, crop
        The steps among them that change an RGB image; without a crop all of it is left.
    """

    def __init__(self, given: Sequence[_Step], resize: Resize, crop: CenterCrop | None) -> None:
        self._given = given
        self._resize = resize
        self._crop = crop

    @classmethod
    def of(cls, steps: Sequence[_Step]) -> _QuickGeometry | None:
        """Return what does the same as some steps; None where they are others, or nothing is gained."""
        import torch
        from torchvision.transforms import CenterCrop, InterpolationMode, Resize

        if torch.backends.cpu.get_cpu_capability() not in ("AVX2", "AVX512"):
            return None
        changing = [step for step in steps if not _keeps_rgb(step)]
        resize, crop = (*changing, None, None)[:2]
        if len(changing) > 2 or not isinstance(resize, Resize) or not isinstance(crop, CenterCrop | None):
            return None
        if resize.interpolation not in (InterpolationMode.BILINEAR, InterpolationMode.BICUBIC):
            return None
        return cls(steps, resize, crop)

    def __call__(self, image: PIL.Image.Image) -> torch.Tensor:
        """Return (H, W, 3) bytes."""
        import torch
        from torchvision.transforms.v2.functional import center_crop, resize

        if image.mode != "RGB" or min(image.size) < _longest(self._resize):
            return _in_steps(self._given, image)
        pixels: torch.Tensor = resize(
            torch.from_numpy(np.array(image)).permute(2, 0, 1),
            self._resize.size,
            interpolation=self._resize.interpolation,
            max_size=self._resize.max_size,
            antialias=True,  # as Pillow always does
        )
        if self._crop is not None:
            pixels = center_crop(pixels, self._crop.size)
        return pixels.permute(1, 2, 0)


def _longest(step: Resize) -> int:
    return step.size if isinstance(step.size, int) else max(step.size)


def _keeps_rgb(step: _Step) -> bool:
    """Return whether a step does nothing to an RGB image, as open_clip's conversions."""
    if getattr(step, "__name__", "") == "_convert_to_rgb":
        return True
    return type(step).__name__ == "MaybeConvertMode" and getattr(step, "mode", None) == "RGB"


def _bytes_of(tensor: torch.Tensor) -> memoryview:
    """Return a tensor's memory, whatever its type."""
    import torch

    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().data
