"""Images from wherever people keep them, opened one at a time and always RGB."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import PIL.Image
import PIL.ImageOps

from clarify_widget.errors import DataError, ImageReadError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeGuard

    import torch

    from clarify_widget.arrays import IntArray
    from clarify_widget.datasets.dataset import ImageSequence

ImageSource: TypeAlias = (
    "str | os.PathLike[str] | PIL.Image.Image | np.ndarray[Any, Any] | torch.Tensor | bytes "
    "| Mapping[str, Any] | Callable[[], ImageSource]"
)
"""A path, PIL image, array, tensor, image file as bytes, {"bytes", "path"}, or function that returns one."""

_WHITE = (255, 255, 255, 255)


def open_image(
    source: ImageSource, name: str | None = None, *, least_side: int | None = None
) -> PIL.Image.Image:
    """Open one image as RGB, upright.

    Parameters
    ----------
    source
        A path; a PIL image of any mode; an array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), whole numbers
        0..255, uint16 0..65535, or floats 0..1; a torch tensor of such numbers, (C, H, W) or (H, W, C),
        on any device; the bytes of an image file; a dictionary {"bytes": ..., "path": ...} as Hugging Face
        data sets have them; or a function without arguments that returns any of these, such as one that
        fetches an address.
    name
        What the error message calls it; by default its path or kind.
    least_side
        The image may come smaller, but no side below this many pixels, where that is quicker: a JPEG file is
        decoded at 1/2, 1/4 or 1/8 of its size. None means as it is.

    Returns
    -------
    PIL.Image.Image
        Mode RGB, turned as its EXIF says, transparency on white, the first frame of an animation.
        16-bit and floating-point greys are scaled to 0..255.

    Raises
    ------
    ImageReadError
        When it is missing, truncated, too large for Pillow's limit or not an image; names it and says why.
    """
    name = describe(source) if name is None else name
    try:
        return _to_rgb(_opened(source, least_side))
    except ImageReadError as error:
        raise ImageReadError(f"Cannot read {name}: {reason_of(error)}") from error
    except Exception as error:  # decoders, and callables of others, fail with types of every kind
        raise ImageReadError(f"Cannot read {name}: {_reason(error)}") from error


def describe(source: ImageSource) -> str:
    """Return what people would call a source: its path, or its kind and size."""
    if isinstance(source, (str, os.PathLike)):
        return printable(os.fspath(source))
    if isinstance(source, PIL.Image.Image):
        return f"image {source.width} x {source.height}"
    if isinstance(source, Mapping):
        return describe(_from_mapping(source))
    if isinstance(source, np.ndarray) or _is_tensor(source):
        return f"array {tuple(source.shape)}"
    if isinstance(source, (bytes, bytearray, memoryview)):
        return f"image of {len(source)} bytes"
    return getattr(source, "__name__", type(source).__name__)


def printable(text: str) -> str:
    """Return a file name that any page can show: bytes that are not UTF-8 become the replacement mark."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def reason_of(error: ImageReadError) -> str:
    """Return why an image could not be read, without the image's name."""
    message = str(error)
    return message.split(": ", 1)[1] if message.startswith("Cannot read ") and ": " in message else message


class ImageList:
    """Images that stay where they are until one is asked for.

    Parameters
    ----------
    sources
        n sources, each as `open_image` takes it.
    names
        n names that people know them by; by default the paths of their files, or "image 0", "image 1", ...

    Raises
    ------
    DataError
        When the number of names differs from the number of sources.
    """

    def __init__(self, sources: Sequence[ImageSource], names: Sequence[str] | None = None) -> None:
        self._sources = tuple(sources)
        if names is not None and len(names) != len(self._sources):
            raise DataError(
                f"names has {len(names)} entries for {len(self._sources)} images; give one an image."
            )
        if names is None:
            names = [_default_name(source, index) for index, source in enumerate(self._sources)]
        self._names = tuple(printable(str(name)) for name in names)

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._sources)

    def __getitem__(self, index: int, /) -> PIL.Image.Image:
        """Open one image as RGB; raises ImageReadError when it cannot be read."""
        return open_image(self._sources[index], self._names[index])

    def reduced(self, index: int, least_side: int) -> PIL.Image.Image:
        """Open one image for a small picture of it; see `open_image`."""
        return open_image(self._sources[index], self._names[index], least_side=least_side)

    def name(self, index: int) -> str:
        """Return the image's name."""
        return self._names[index]

    def path(self, index: int) -> str | None:
        """Return the absolute path of an image that is a file; None for one that is not."""
        path = _path_of(self._sources[index])
        return None if path is None else str(path.absolute())

    def take(self, rows: IntArray) -> ImageList:
        """Return the images of these rows, still unopened."""
        return ImageList([self._sources[row] for row in rows], [self._names[row] for row in rows])

    def identity(self, index: int) -> str | None:
        """Return what changes whenever the file of an image does; None for images that are not files.

        It is made of path, inode, size and both times, so that a file which is replaced, even by one of the
        same size and modification time, counts as another.
        """
        path = _path_of(self._sources[index])
        if path is None:
            return None
        path = path.absolute()
        try:
            status = path.stat()
        except (OSError, ValueError):
            return None
        times = f"{status.st_mtime_ns} {status.st_ctime_ns}"
        return f"{printable(str(path))} {status.st_ino} {status.st_size} {times}"

    def __repr__(self) -> str:
        """Return the number of images and the first name."""
        first = f", first {self._names[0]!r}" if self._names else ""
        return f"<ImageList of {len(self):,} images{first}>"


def reduced_image(images: ImageSequence, index: int, least_side: int) -> PIL.Image.Image:
    """Open one image for a small picture of it, smaller than it is where that is quicker."""
    reduced = getattr(images, "reduced", None)
    return images[index] if reduced is None else reduced(index, least_side)


def _path_of(source: ImageSource) -> Path | None:
    path: Any = source
    if isinstance(source, Mapping) and source.get("bytes") is None:
        path = source.get("path")
    return Path(path) if isinstance(path, (str, os.PathLike)) else None


def _default_name(source: ImageSource, index: int) -> str:
    if isinstance(source, PIL.Image.Image):
        return os.fspath(getattr(source, "filename", "")) or f"image {index}"
    if isinstance(source, Mapping):
        return str(source.get("path") or f"image {index}")
    return os.fspath(source) if isinstance(source, (str, os.PathLike)) else f"image {index}"


def _opened(source: ImageSource, least_side: int | None) -> PIL.Image.Image:
    """Return the decoded image, upright, in whatever mode it has."""
    if isinstance(source, PIL.Image.Image):
        source.load()
        return _upright(source)
    if isinstance(source, (bytes, bytearray, memoryview)):
        if not len(source):
            raise ImageReadError("it has no bytes")
        return _decoded(io.BytesIO(bytes(source)), least_side)
    if isinstance(source, (str, os.PathLike)):
        return _from_path(Path(source), least_side)
    if isinstance(source, Mapping):
        return _opened(_from_mapping(source), least_side)
    if hasattr(source, "__array__"):
        return _from_array(_channels_last(source) if _is_tensor(source) else np.asarray(source))
    if callable(source):
        return _opened(source(), least_side)
    raise ImageReadError(
        f"a {type(source).__name__} is not an image; give a path, a PIL image, an array, bytes or a function",
    )


def _from_mapping(source: Mapping[str, Any]) -> ImageSource:
    """Return the bytes, or else the path, of an image as Hugging Face data sets keep it."""
    found: ImageSource | None = source.get("bytes") or source.get("path")
    if found is None:
        raise ImageReadError(f"a dictionary with {list(source)[:5]} has neither image bytes nor a path")
    return found


def _is_tensor(source: object) -> TypeGuard[torch.Tensor]:
    return hasattr(source, "detach") and hasattr(source, "cpu")


def _channels_last(tensor: torch.Tensor) -> np.ndarray[Any, Any]:
    """Return a tensor as an array, (C, H, W) as (H, W, C); where both are possible, channels are first."""
    tensor = tensor.detach().cpu()
    if tensor.is_floating_point():
        tensor = tensor.float()  # NumPy has no bfloat16
    array: np.ndarray[Any, Any] = tensor.numpy()
    first = array.ndim == 3 and array.shape[0] in (1, 3, 4)
    return np.moveaxis(array, 0, 2) if first else array


def _from_path(path: Path, least_side: int | None) -> PIL.Image.Image:
    if str(path).startswith(("http:/", "https:/")):
        raise ImageReadError("web addresses are not fetched; download the image first, or give a function")
    if path.is_dir():
        raise ImageReadError("it is a folder, not an image file")
    if path.stat().st_size == 0:
        raise ImageReadError("the file is empty")
    with path.open("rb") as file:
        return _decoded(file, least_side)


def _decoded(file: Any, least_side: int | None) -> PIL.Image.Image:
    """Return the first frame, decoded to its end so that the file can be closed, and upright."""
    image = PIL.Image.open(file)
    if least_side is not None:
        image.draft(None, (least_side, least_side))
    image.load()
    with suppress(Exception):  # as in _upright; in place, since a copy takes a third of decoding's time
        PIL.ImageOps.exif_transpose(image, in_place=True)
    return image


def _from_array(array: np.ndarray[Any, Any]) -> PIL.Image.Image:
    """Return the array as a PIL image, once its shape and range make sense."""
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim == 3 and array.shape[2] not in (3, 4) and array.shape[0] in (1, 3, 4):
        raise ImageReadError(f"array of shape {array.shape} has its channels first; move them last (H, W, 3)")
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)):
        raise ImageReadError(f"array of shape {array.shape} is not (H, W), (H, W, 3) or (H, W, 4)")
    if array.size == 0:
        raise ImageReadError(f"array of shape {array.shape} has no pixels")
    return PIL.Image.fromarray(np.ascontiguousarray(_as_bytes(array)))


def _as_bytes(array: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return pixel values as uint8."""
    if array.dtype == np.uint8:
        return array
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * np.uint8(255)
    if array.dtype == np.uint16:
        return (array // 257).astype(np.uint8)
    if array.dtype.kind == "f":
        return _floats_as_bytes(array)
    if array.dtype.kind in "iu":
        if array.min() < 0 or array.max() > 255:
            raise ImageReadError(f"whole numbers must be 0..255; got {array.min()}..{array.max()}")
        return array.astype(np.uint8)
    raise ImageReadError(f"array of {array.dtype} is not an image; give uint8, or floats 0..1")


def _floats_as_bytes(array: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.uint8]]:
    if not np.isfinite(array).all():
        raise ImageReadError("array has NaN or infinity")
    rounding = 1e-3
    low, high = array.min(), array.max()
    if low < -rounding:
        raise ImageReadError(
            f"floats must be 0..1; got {low:g}..{high:g}; if they were normalised, give the images from "
            "before that, or multiply by the standard deviation and add the mean",
        )
    if high > 1 + rounding:
        raise ImageReadError(f"floats must be 0..1; got {low:g}..{high:g}; divide by 255, or give uint8")
    pixels: np.ndarray[Any, np.dtype[np.uint8]] = np.rint(np.clip(array, 0, 1) * 255).astype(np.uint8)
    return pixels


def _to_rgb(image: PIL.Image.Image) -> PIL.Image.Image:
    if image.mode in ("F", "I") or image.mode.startswith("I;16"):
        return _scaled_grey(image).convert("RGB")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        white = PIL.Image.new("RGBA", rgba.size, _WHITE)
        return PIL.Image.alpha_composite(white, rgba).convert("RGB")
    if image.mode == "RGB":
        return image
    return image.convert("RGB")


def _upright(image: PIL.Image.Image) -> PIL.Image.Image:
    """Return a copy that is turned as its EXIF says."""
    try:
        return PIL.ImageOps.exif_transpose(image)
    except Exception:  # noqa: BLE001 - pixels that decoded are worth more than EXIF that did not
        return image


def _scaled_grey(image: PIL.Image.Image) -> PIL.Image.Image:
    """Return deep greys as 8 bits: by their type's range where it is known, else by what they hold."""
    values = np.asarray(image, dtype=np.float64)
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    if image.mode.startswith("I;16"):
        low, high = 0.0, 65535.0
    elif low >= 0:
        whole_range = 1.0 if image.mode == "F" else 255.0
        low, high = 0.0, next((top for top in (whole_range, 255.0, 65535.0) if high <= top), high)
    scaled = (values - low) / (high - low or 1.0) * 255
    return PIL.Image.fromarray(np.clip(np.nan_to_num(scaled), 0, 255).astype(np.uint8))


def _reason(error: Exception) -> str:
    """Return a decoder's complaint as part of a sentence."""
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    if isinstance(error, PermissionError):
        return "permission denied"
    if isinstance(error, PIL.UnidentifiedImageError):
        return "it is not an image that Pillow knows"
    if isinstance(error, (PIL.Image.DecompressionBombError, PIL.Image.DecompressionBombWarning)):
        return "it has more pixels than Pillow's limit; shrink it, or raise PIL.Image.MAX_IMAGE_PIXELS"
    text = printable(str(error).strip())
    return text or type(error).__name__
