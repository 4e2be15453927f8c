"""Any open_clip model as an encoder."""

from __future__ import annotations

import hashlib
import os
import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from clarify_widget.encoders.base import DEFAULT_TEMPLATE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import PIL.Image
    import torch

    from clarify_widget.arrays import FloatArray

_BATCH = 64
_MAX_DECODERS = 8


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
    ) -> None:
        import torch

        self.name = name
        self.template = template
        self.device = torch.device(device)
        self.preprocess = preprocess
        self.tokenizer = tokenizer
        self.model: Any = model.to(self.device).eval()
        if self.device.type == "cpu":
            self.model.to(memory_format=torch.channels_last)

    @cached_property
    def dim(self) -> int:
        """The width of the similarity space."""
        return int(self._text_rows(["a"]).shape[1])

    @cached_property
    def fingerprint(self) -> str:
        """What tells these weights, this preprocessing and this precision from all others."""
        digest = hashlib.blake2b(digest_size=16)
        for key, tensor in sorted(self.model.state_dict().items()):
            digest.update(f"{key} {tuple(tensor.shape)} {tensor.dtype}".encode())
            digest.update(_bytes_of(tensor))
        without_addresses = re.sub(r" at 0x[0-9a-fA-F]+", "", repr(self.preprocess))
        digest.update(f"{without_addresses} {self.device.type}".encode())
        return digest.hexdigest()

    def encode_images(self, images: Sequence[PIL.Image.Image]) -> FloatArray:
        """Return (len(images), dim) float32 unit rows of RGB images."""
        import torch

        if not len(images):
            return np.empty((0, self.dim), dtype=np.float32)
        layout = torch.channels_last if self.device.type == "cpu" else torch.contiguous_format
        rows = []
        with ThreadPoolExecutor(min(_MAX_DECODERS, os.cpu_count() or 1)) as decoders:
            for start in range(0, len(images), _BATCH):
                tensors = list(decoders.map(self.preprocess, images[start : start + _BATCH]))
                batch = torch.stack(tensors).to(self.device, memory_format=layout, non_blocking=True)
                with torch.inference_mode(), self._precision():
                    rows.append(_unit(self.model.encode_image(batch)))
        return _numpy(torch.cat(rows))

    def encode_text(self, texts: Sequence[str]) -> FloatArray:
        """Return (len(texts), dim) float32 unit rows; text beyond the model's context is cut."""
        if not len(texts):
            return np.empty((0, self.dim), dtype=np.float32)
        return self._text_rows(texts)

    def _text_rows(self, texts: Sequence[str]) -> FloatArray:
        import torch

        rows = []
        for start in range(0, len(texts), _BATCH):
            tokens = self.tokenizer(list(texts[start : start + _BATCH])).to(self.device)
            with torch.inference_mode(), self._precision():
                rows.append(_unit(self.model.encode_text(tokens)))
        return _numpy(torch.cat(rows))

    def _precision(self) -> AbstractContextManager[Any]:
        import torch

        return torch.autocast("cuda", dtype=torch.float16) if self.device.type == "cuda" else nullcontext()

    def __repr__(self) -> str:
        """Return the name and the device."""
        return f"<OpenClipEncoder {self.name!r} on {self.device}>"


def _unit(rows: torch.Tensor) -> torch.Tensor:
    import torch

    return torch.nn.functional.normalize(rows.float(), dim=-1)


def _numpy(rows: torch.Tensor) -> FloatArray:
    array: FloatArray = rows.cpu().numpy()
    return array


def _bytes_of(tensor: torch.Tensor) -> memoryview:
    """Return a tensor's memory, whatever its type."""
    import torch

    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().data
