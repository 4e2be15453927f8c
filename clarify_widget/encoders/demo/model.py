"""The demo encoder's architecture and files, in open_clip's own format."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import open_clip
import torch
from safetensors.torch import load_file, save_file

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

FOLDER = Path(__file__).parent
WEIGHTS = FOLDER / "open_clip_model.safetensors"
_SETTINGS = json.loads((FOLDER / "open_clip_config.json").read_text())
SIDE = 64


def build_model() -> open_clip.CLIP:
    """Return the model with random weights."""
    return open_clip.CLIP(**_SETTINGS["model_cfg"])


def load_model(weights: Path = WEIGHTS) -> open_clip.CLIP:
    """Return the trained model, in single precision, ready to embed."""
    model = build_model()
    model.load_state_dict({name: tensor.float() for name, tensor in load_file(weights).items()}, strict=False)
    return model.eval()


def save_weights(model: open_clip.CLIP, met: torch.Tensor, path: Path) -> None:
    """Write the weights in half precision.

    Parameters
    ----------
    met
        (vocabulary,) bool: the tokens that training met. All others get a zero row: the model knows nothing
        of them, so they must not pull a phrase anywhere.
    """
    tensors = {name: tensor for name, tensor in model.state_dict().items() if tensor.is_floating_point()}
    state = {name: tensor.detach().half().contiguous() for name, tensor in tensors.items()}
    state["token_embedding.weight"] *= met[:, None]
    save_file(state, path, metadata={"format": "pt"})


def normalise(pictures: NDArray[np.uint8]) -> torch.Tensor:
    """Scale pixels (n, 64, 64, 3) to the image tower's input (n, 3, 64, 64), as open_clip does."""
    mean, deviation = (
        torch.tensor(values) * 255 for values in (open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD)
    )
    rows = (torch.from_numpy(pictures).float() - mean) / deviation
    return rows.permute(0, 3, 1, 2)


def settings() -> dict[str, Any]:
    """Return what open_clip_config.json says of this model."""
    return dict(_SETTINGS)


def preprocess_settings() -> dict[str, object]:
    """How open_clip is to prepare an image for this model."""
    return {"size": SIDE, **_SETTINGS["preprocess_cfg"]}


@lru_cache(maxsize=1)
def tokenizer() -> open_clip.SimpleTokenizer:
    """open_clip's own tokenizer, with this model's context length."""
    return open_clip.SimpleTokenizer(context_length=_SETTINGS["model_cfg"]["text_cfg"]["context_length"])


def tokenize(texts: Sequence[str]) -> torch.Tensor:
    """Texts to (n, context length) token ids."""
    tokens: torch.Tensor = tokenizer()(list(texts))
    return tokens
