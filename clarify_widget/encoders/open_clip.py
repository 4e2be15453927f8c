"""Any open_clip model as an encoder."""

from __future__ import annotations

import copy
import json
import os
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from clarify_widget.encoders.base import DEFAULT_TEMPLATE
from clarify_widget.encoders.inputs import ImageInputs, precision, weights_digest
from clarify_widget.errors import EncoderError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import PIL.Image
    import torch

    from clarify_widget.arrays import FloatArray
    from clarify_widget.encoders.inputs import Box

_BATCH = 64
_MAX_DECODERS = 8

CONFIG_FILE = "open_clip_config.json"
WEIGHTS_FILE = "open_clip_model.safetensors"


class OpenClipEncoder:
    """The two towers of an open_clip model, in evaluation mode.

    On a GPU the towers run in half precision; on a CPU in float32 with channels last.

    Parameters
    ----------
    model
        What `open_clip.create_model` returns.
    preprocess
        From a PIL image to a (3, H, W) tensor: open_clip's transform for inference.
    tokenizer
        From a list of texts to a (n, context) tensor: what `open_clip.get_tokenizer` returns.
    name
        A name that tells this model and its weights from every other one.
    device
        Where the model runs, for example "cpu" or "cuda:1".
    template
        The sentence that phrases are put into.
    config
        What open_clip's open_clip_config.json says of the model: model_cfg and preprocess_cfg. Only `save`
        needs it.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        preprocess: Callable[[PIL.Image.Image], torch.Tensor],
        tokenizer: Callable[[list[str]], torch.Tensor],
        *,
        name: str,
        device: str | torch.device = "cpu",
        template: str = DEFAULT_TEMPLATE,
        config: Mapping[str, Any] | None = None,
    ) -> None:
        import torch

        self.name = name
        self.config = config
        self.template = template
        self.device = torch.device(device)
        self.tokenizer = tokenizer
        self.model: Any = model.to(self.device).eval()
        if self.device.type == "cpu":
            self.model.to(memory_format=torch.channels_last)
        self.preprocess = preprocess

    @property
    def preprocess(self) -> Callable[[PIL.Image.Image], torch.Tensor]:
        """From a PIL image to a (3, H, W) tensor."""
        return self._inputs.preprocess

    @preprocess.setter
    def preprocess(self, preprocess: Callable[[PIL.Image.Image], torch.Tensor]) -> None:
        self._inputs = ImageInputs(preprocess, self.device)

    @cached_property
    def dim(self) -> int:
        """The width of the similarity space."""
        return int(self._text_rows(["a"]).shape[1])

    @cached_property
    def fingerprint(self) -> str:
        """What tells these weights, this preprocessing and this precision from all others."""
        return weights_digest(self.model, self._inputs.description)

    @property
    def least_side(self) -> int | None:
        """How many pixels the shorter side of an image must have left; None for all."""
        return self._inputs.least_side

    def seen_box(self, size: tuple[int, int]) -> Box:
        """Return the box (left, top, right, bottom) of an image of this (width, height) that the model sees.

        Raises
        ------
        EncoderError
            When the preprocessing is not made of resizing and cropping.
        """
        return self._inputs.seen_box(size)

    def pixels_of(self, images: Sequence[PIL.Image.Image]) -> torch.Tensor:
        """Return (len(images), 3, H, W) what the image tower is given, on the device."""
        return self._inputs.batch([self._inputs.one(image) for image in images])

    def encode_images(self, images: Sequence[PIL.Image.Image]) -> FloatArray:
        """Return (len(images), dim) float32 unit rows of RGB images."""
        import torch

        if not len(images):
            return np.empty((0, self.dim), dtype=np.float32)
        batches = [images[start : start + _BATCH] for start in range(0, len(images), _BATCH)]
        with ThreadPoolExecutor(min(_MAX_DECODERS, os.cpu_count() or 1)) as decoders:
            rows = [self.rows_of(list(decoders.map(self._inputs.one, batch))) for batch in batches]
        return _numpy(torch.cat(rows))

    def input_of(self, image: PIL.Image.Image) -> torch.Tensor:
        """Return what the image tower needs of one RGB image."""
        return self._inputs.one_quickly(image)

    def rows_of(self, inputs: Sequence[torch.Tensor]) -> torch.Tensor:
        """Return (len(inputs), dim) float32 unit rows, on the device."""
        import torch

        with torch.inference_mode(), precision(self.device):
            return _unit(self.model.encode_image(self._inputs.batch(inputs)))

    def encode_text(self, texts: Sequence[str]) -> FloatArray:
        """Return (len(texts), dim) float32 unit rows; text beyond the model's context is cut."""
        if not len(texts):
            return np.empty((0, self.dim), dtype=np.float32)
        return self._text_rows(texts)

    def with_model(self, model: torch.nn.Module, *, name: str) -> OpenClipEncoder:
        """Return this encoder with other weights of the same architecture, under another name."""
        changed = copy.copy(self)
        changed.name = name
        changed.model = model.to(self.device).eval()
        changed.__dict__.pop("fingerprint", None)
        return changed

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write the model as open_clip does, so that `encoders.load(folder)` and open_clip itself load it.

        Parameters
        ----------
        folder
            Where open_clip_config.json and open_clip_model.safetensors are written; made when missing.

        Raises
        ------
        EncoderError
            When the encoder was made without `config`, or the folder cannot be written to.
        """
        from safetensors.torch import save_file

        if self.config is None:
            raise EncoderError(
                f"{self.name!r} does not know its architecture, so it cannot be saved; make it by "
                "encoders.load, or give OpenClipEncoder its config=."
            )
        path = Path(folder).expanduser()
        weights = {key: tensor.detach().cpu().contiguous() for key, tensor in self.model.state_dict().items()}
        try:
            path.mkdir(parents=True, exist_ok=True)
            (path / CONFIG_FILE).write_text(json.dumps(self.config, indent=2), encoding="utf-8")
            save_file(weights, path / WEIGHTS_FILE, metadata={"format": "pt"})
        except OSError as error:
            raise EncoderError(f"{path} cannot be written to: {error}. Choose another folder.") from error
        return path

    def _text_rows(self, texts: Sequence[str]) -> FloatArray:
        import torch

        rows = []
        for start in range(0, len(texts), _BATCH):
            tokens = self.tokenizer(list(texts[start : start + _BATCH])).to(self.device)
            with torch.inference_mode(), precision(self.device):
                rows.append(_unit(self.model.encode_text(tokens)))
        return _numpy(torch.cat(rows))

    def __repr__(self) -> str:
        """Return the name and the device."""
        return f"<OpenClipEncoder {self.name!r} on {self.device}>"


def _unit(rows: torch.Tensor) -> torch.Tensor:
    import torch

    return torch.nn.functional.normalize(rows.float(), dim=-1)


def _numpy(rows: torch.Tensor) -> FloatArray:
    array: FloatArray = rows.cpu().numpy()
    return array
