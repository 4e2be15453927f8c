"""Any timm or torchvision classifier as a backbone: what its last layer would see becomes the features."""

from __future__ import annotations

import difflib
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from clarify_widget.encoders.inputs import ImageInputs, precision, usable_device, weights_digest
from clarify_widget.errors import EncoderError, MissingDependencyError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import PIL.Image
    import torch

    from clarify_widget.arrays import FloatArray

_BATCH = 64
_CLOSE_NAMES = 5
_KINDS = (
    '"timm:resnet50" or "torchvision:resnet50", with "@/path/weights.safetensors" behind it for weights of '
    "your own"
)


class Backbone:
    """A network from images to features for the head, in evaluation mode.

    On a GPU it runs in half precision; on a CPU in float32 with channels last. Its rows are not made unit
    length, and it reads no text: phrases are compared in the space of an encoder.

    Parameters
    ----------
    model
        From (n, 3, H, W) to (n, dim).
    preprocess
        From a PIL image to a (3, H, W) tensor.
    name
        A name that tells this model and its weights from every other one.
    device
        Where the model runs, for example "cpu" or "cuda:1".
    """

    def __init__(
        self,
        model: torch.nn.Module,
        preprocess: Callable[[PIL.Image.Image], torch.Tensor],
        *,
        name: str,
        device: str | torch.device = "cpu",
    ) -> None:
        import torch

        self.name = name
        self.device = torch.device(device)
        self.model: Any = model.to(self.device).eval()
        if self.device.type == "cpu":
            self.model.to(memory_format=torch.channels_last)
        self._inputs = ImageInputs(preprocess, self.device)

    @cached_property
    def dim(self) -> int:
        """The number of features."""
        import PIL.Image

        return int(self.rows_of([self.input_of(PIL.Image.new("RGB", (256, 256)))]).shape[1])

    @cached_property
    def fingerprint(self) -> str:
        """What tells these weights, this preprocessing and this precision from all others."""
        return weights_digest(self.model, self._inputs.description)

    @property
    def least_side(self) -> int | None:
        """How many pixels the shorter side of an image must have left; None for all."""
        return self._inputs.least_side

    def encode_images(self, images: Sequence[PIL.Image.Image]) -> FloatArray:
        """Return (len(images), dim) float32 features of RGB images."""
        import torch

        if not len(images):
            return np.empty((0, self.dim), dtype=np.float32)
        batches = [images[start : start + _BATCH] for start in range(0, len(images), _BATCH)]
        rows = [self.rows_of([self._inputs.one(image) for image in batch]).cpu() for batch in batches]
        features: FloatArray = torch.cat(rows).numpy()
        return features

    def input_of(self, image: PIL.Image.Image) -> torch.Tensor:
        """Return what the model needs of one image."""
        return self._inputs.one_quickly(image)

    def rows_of(self, inputs: Sequence[torch.Tensor]) -> torch.Tensor:
        """Return (len(inputs), dim) float32 features, on the device."""
        import torch

        with torch.inference_mode(), precision(self.device):
            features: torch.Tensor = self.model(self._inputs.batch(inputs)).float()
        if features.ndim != 2:
            raise EncoderError(
                f"{self.name!r} answered with shape {tuple(features.shape)}; expected (n, dim)."
            )
        return features

    def __repr__(self) -> str:
        """Return the name and the device."""
        return f"<Backbone {self.name!r} on {self.device}>"


def load_backbone(name: str | Backbone, *, device: str | None = None) -> Backbone:
    """Return the backbone of that name.

    Parameters
    ----------
    name
        - "timm:resnet50": a model that timm has weights for, its classifier left out.
        - "torchvision:resnet50": a torchvision classifier with its default weights, up to its last linear
          layer.
        - "timm:resnet50@/path/weights.safetensors" or "torchvision:resnet50@/path/weights.pth": the same
          architecture with weights of your own: safetensors, or torch.save of a state dict.
        - A Backbone passes through.
    device
        Where it runs; by default the GPU when torch finds one, else the CPU.

    Raises
    ------
    EncoderError
        When the name is unknown, or the weights cannot be had or do not fit.
    MissingDependencyError
        When the package is not installed.
    """
    if isinstance(name, Backbone):
        return name
    package, _, rest = name.partition(":")
    architecture, _, weights = rest.partition("@")
    makers = {"timm": _timm, "torchvision": _torchvision}
    if package not in makers or not architecture:
        raise EncoderError(f"There is no backbone {name!r}. A name is {_KINDS}.")
    path = Path(weights).expanduser() if weights else None
    if path is not None and not path.is_file():
        raise EncoderError(f"There is no checkpoint {path}.")
    try:
        model, preprocess = makers[package](architecture, path)
    except ImportError as error:
        raise MissingDependencyError(
            f"{name!r} needs the package {package}, which cannot be imported ({error}); "
            f"run `pip install {package}`."
        ) from error
    except EncoderError:
        raise
    except Exception as error:  # downloads and checkpoints fail with types of every kind
        raise EncoderError(
            f"Could not load {name!r}: {' '.join(str(error).split())}. Without a connection, download the "
            f"weights elsewhere and load '{package}:{architecture}@/path/weights.safetensors'."
        ) from error
    full_name = name if path is None else f"{package}:{architecture}@{path.absolute()}"
    return Backbone(model, preprocess, name=full_name, device=usable_device(device))


def _timm(architecture: str, weights: Path | None) -> tuple[torch.nn.Module, Any]:
    import timm
    from timm.data.config import resolve_model_data_config
    from timm.data.transforms_factory import create_transform

    if not timm.is_model(architecture.split(".", maxsplit=1)[0]):
        raise EncoderError(_unknown("timm", architecture, timm.list_models()))
    model: Any = timm.create_model(architecture, pretrained=weights is None)
    if weights is not None:
        model.load_state_dict(_state_of(weights))
    model.reset_classifier(0)
    preprocess = create_transform(**resolve_model_data_config(model), is_training=False)
    return model, preprocess


def _torchvision(architecture: str, weights: Path | None) -> tuple[torch.nn.Module, Any]:
    from torchvision import models

    names = models.list_models(module=models)
    if architecture not in names:
        raise EncoderError(_unknown("torchvision", architecture, names))
    default = models.get_model_weights(architecture).DEFAULT
    model = models.get_model(architecture, weights=default if weights is None else None)
    if weights is not None:
        model.load_state_dict(_state_of(weights))
    _cut_last_linear(model, architecture)
    return model, default.transforms()


def _state_of(path: Path) -> dict[str, Any]:
    import torch
    from safetensors.torch import load_file

    if path.suffix == ".safetensors":
        return load_file(path)
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return state


def _cut_last_linear(model: torch.nn.Module, architecture: str) -> None:
    """Put the identity in place of the last linear layer."""
    import torch

    linear = [name for name, layer in model.named_modules() if isinstance(layer, torch.nn.Linear)]
    if not linear:
        raise EncoderError(
            f"torchvision's {architecture} has no linear last layer to leave out; choose another, or timm's."
        )
    parent, _, last = linear[-1].rpartition(".")
    setattr(model.get_submodule(parent), last, torch.nn.Identity())


def _unknown(package: str, architecture: str, names: Sequence[str]) -> str:
    close = difflib.get_close_matches(architecture, names, n=_CLOSE_NAMES)
    hint = f"; close ones: {', '.join(close)}" if close else ""
    return f"{package} has no model {architecture!r}{hint}. A name is {_KINDS}."
