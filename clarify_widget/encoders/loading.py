"""Encoders by name: the bundled one, open_clip's, Hugging Face's, and checkpoints on disk."""

from __future__ import annotations

import difflib
import importlib.util
import json
import logging
import os
import warnings
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from clarify_widget.encoders.hub import cache_only, cached_models, why_offline
from clarify_widget.encoders.inputs import usable_device
from clarify_widget.encoders.open_clip import CONFIG_FILE, OpenClipEncoder
from clarify_widget.errors import EncoderError, MissingDependencyError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clarify_widget.encoders.base import Encoder

_HUB = "hf-hub:"
_LOCAL = "local-dir:"
_CLOSE_NAMES = 5
_ON_HUB = "on the Hugging Face hub"
_LONGEST_CAUSE = 600
_KINDS = (
    '"demo", "ViT-L-14/openai" or any other pair of clarify_widget.encoders.available(), "hf-hub:org/model", '
    '"local-dir:/folder", or "ViT-L-14@/path/weights.safetensors"'
)


def load(
    name: str | Encoder,
    *,
    device: str | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
) -> Encoder:
    """Return the encoder of that name.

    Parameters
    ----------
    name
        - "demo": the bundled model, no download.
        - "ViT-L-14/openai": an architecture and one of its sets of weights, as `available()` lists them. The
          weights are downloaded on the first call. QuickGELU is used where the weights were trained with it.
        - "hf-hub:org/model": any open_clip model on the Hugging Face hub.
        - "local-dir:/folder", or the folder alone: open_clip_config.json and weights beside it.
        - "ViT-L-14@/path/weights.safetensors": an architecture and a checkpoint of it. Name the architecture
          with its suffix "-quickgelu" where the weights were trained with QuickGELU.
        - An encoder of your own passes through once it has `encode_images`, `encode_text`, `name` and `dim`.
    device
        Where it runs; by default the GPU when torch finds one, else the CPU.
    cache_dir
        Where downloads are kept; by default where Hugging Face keeps them.

    Raises
    ------
    EncoderError
        When the name is unknown, the weights cannot be had or do not fit, or an object lacks a name.
    MissingDependencyError
        When the model's tokenizer or text tower needs the package transformers and it is not installed.
    """
    if not isinstance(name, str):
        return check_encoder(name)
    if name == "demo":
        from clarify_widget.encoders.demo import load_demo

        demo: Encoder = load_demo(device=device)
        return demo
    return _load_open_clip(_recipe(name.strip(), cache_dir), device, cache_dir)


def available() -> tuple[str, ...]:
    """Return every "architecture/weights" name that the installed open_clip can download."""
    import open_clip

    return tuple(f"{architecture}/{weights}" for architecture, weights in open_clip.list_pretrained())


def cached(cache_dir: str | os.PathLike[str] | None = None) -> tuple[str, ...]:
    """Return the names whose weights the Hugging Face cache already holds, so that they load offline."""
    import open_clip
    from open_clip.pretrained import get_pretrained_cfg

    names_of: dict[str, list[str]] = {}
    for architecture, weights in open_clip.list_pretrained():
        repository = os.path.split(get_pretrained_cfg(architecture, weights).get("hf_hub", ""))[0]
        names_of.setdefault(repository, []).append(f"{architecture}/{weights}")
    found: list[str] = []
    for repository in cached_models(cache_dir):
        found += names_of.get(repository, [f"{_HUB}{repository}"])
    return tuple(found)


def check_encoder(encoder: object) -> Encoder:
    """Return an encoder of the user's own; raises EncoderError naming what it lacks."""
    wanted = ("encode_images", "encode_text", "name", "dim")
    if isinstance(encoder, type):
        raise EncoderError(f"Got the class {encoder.__name__}; give an object of it.")
    missing = [part for part in wanted if not hasattr(encoder, part)]
    missing += [part for part in wanted[:2] if part not in missing and not callable(getattr(encoder, part))]
    if missing:
        raise EncoderError(
            f"A {type(encoder).__name__} is not an encoder: it lacks {', '.join(missing)}. An encoder has "
            f"{', '.join(wanted)}; or give a name: {_KINDS}.",
        )
    checked = cast("Encoder", encoder)
    if not isinstance(checked.dim, (int, np.integer)) or checked.dim < 1:
        raise EncoderError(f"The encoder's dim must be a whole number above 0; got {checked.dim!r}.")
    if not isinstance(checked.name, str) or not checked.name:
        raise EncoderError(f"The encoder's name must be text; got {checked.name!r}.")
    return checked


@dataclass(frozen=True)
class _Recipe:
    """What open_clip must be asked for."""

    name: str
    model_name: str
    weights: str | None
    quick_gelu: bool
    config: dict[str, Any]


def _recipe(name: str, cache_dir: str | os.PathLike[str] | None) -> _Recipe:
    if name.startswith(_HUB):
        return _hub_recipe(name, cache_dir)
    if name.startswith(_LOCAL):
        return _folder_recipe(name, Path(name.removeprefix(_LOCAL)))
    if "@" in name:
        return _checkpoint_recipe(name)
    if name and Path(name).expanduser().is_dir():
        return _folder_recipe(name, Path(name))
    if Path(name).expanduser().is_file():
        raise EncoderError(f"{name} is a file; say which architecture it is of: 'ViT-L-14@{name}'.")
    return _listed_recipe(name, cache_dir)


def _listed_recipe(name: str, cache_dir: str | os.PathLike[str] | None) -> _Recipe:
    """Return the recipe of an architecture/weights pair that open_clip lists."""
    import open_clip
    from open_clip.pretrained import get_pretrained_cfg

    before, _, weights = name.rpartition("/")
    architecture = before.replace("/", "-")
    pretrained = get_pretrained_cfg(architecture, weights)
    if not pretrained:
        raise EncoderError(_unknown_name(name, cache_dir))
    config = open_clip.get_model_config(architecture)
    return _Recipe(
        name=f"{architecture}/{weights}",
        model_name=architecture,
        weights=weights,
        quick_gelu=bool(config.get("quick_gelu", False) or pretrained.get("quick_gelu", False)),
        config=config,
    )


def _checkpoint_recipe(name: str) -> _Recipe:
    """Return the recipe of architecture@path."""
    import open_clip

    architecture, _, given = name.partition("@")
    path = Path(given).expanduser()
    config = open_clip.get_model_config(architecture)
    if config is None:
        close = difflib.get_close_matches(architecture, open_clip.list_models(), n=_CLOSE_NAMES)
        raise EncoderError(
            f"open_clip has no architecture {architecture!r}{_or(close)}. "
            "Put the model's open_clip_config.json beside its weights and load the folder instead.",
        )
    if not path.is_file():
        raise EncoderError(f"There is no checkpoint {path}.")
    return _Recipe(
        name=f"{architecture}@{path.absolute()}",
        model_name=architecture,
        weights=str(path),
        quick_gelu=bool(config.get("quick_gelu", False)),
        config=config,
    )


def _folder_recipe(name: str, folder: Path) -> _Recipe:
    """Return the recipe of a folder with open_clip_config.json and weights."""
    folder = folder.expanduser()
    if not (folder / CONFIG_FILE).is_file():
        found = f"has no {CONFIG_FILE}" if folder.is_dir() else "is not a folder"
        raise EncoderError(f"{folder} {found}; {name!r} needs {CONFIG_FILE} with the weights beside it.")
    config = _model_config(folder / CONFIG_FILE)
    quick_gelu = bool(config.get("quick_gelu", False))
    return _Recipe(f"{_LOCAL}{folder.absolute()}", f"{_LOCAL}{folder}", None, quick_gelu, config)


def _hub_recipe(name: str, cache_dir: str | os.PathLike[str] | None) -> _Recipe:
    """Return the recipe of a model on the Hugging Face hub; its small config is fetched for that."""
    from open_clip.pretrained import download_pretrained_from_hf

    model_id = name.removeprefix(_HUB)
    if model_id.count("/") != 1 or not all(model_id.split("/")):
        raise EncoderError(f"{name!r} should be 'hf-hub:organisation/model'.")
    with _trying(name, f"{CONFIG_FILE} of {model_id} {_ON_HUB}", cache_dir):
        path = download_pretrained_from_hf(model_id, filename=CONFIG_FILE, cache_dir=_text(cache_dir))
    config = _model_config(Path(path))
    return _Recipe(name, name, None, bool(config.get("quick_gelu", False)), config)


def _model_config(path: Path) -> dict[str, Any]:
    """Return the architecture that an open_clip_config.json describes."""
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EncoderError(f"{path} cannot be read: {error}.") from error
    model: Any = config.get("model_cfg") if isinstance(config, dict) else None
    towers = ("vision_cfg", "text_cfg")
    if not isinstance(model, dict) or not all(isinstance(model.get(tower), dict) for tower in towers):
        raise EncoderError(
            f"{path} is no open_clip config: it needs model_cfg with vision_cfg and text_cfg in it."
        )
    return model


def _load_open_clip(
    recipe: _Recipe, device: str | None, cache_dir: str | os.PathLike[str] | None
) -> OpenClipEncoder:
    """Build the model, load its weights and wrap both."""
    import open_clip
    from open_clip.transform import PreprocessCfg, image_transform_v2

    _check_transformers(recipe)
    with _trying(recipe.name, _source(recipe), cache_dir):
        _fetch_hub_weights(recipe, cache_dir)
        model = open_clip.create_model(
            recipe.model_name,
            pretrained=recipe.weights,
            force_quick_gelu=recipe.quick_gelu,
            require_pretrained=True,
            pretrained_text=False,
            weights_only=True,
            cache_dir=_text(cache_dir),
        )
        tokenizer = open_clip.get_tokenizer(recipe.model_name, cache_dir=_text(cache_dir))
    return OpenClipEncoder(
        model,
        image_transform_v2(PreprocessCfg(**model.visual.preprocess_cfg), is_train=False),
        tokenizer,
        name=recipe.name,
        device=usable_device(device),
        config={
            "model_cfg": {**recipe.config, "quick_gelu": recipe.quick_gelu},
            "preprocess_cfg": dict(model.visual.preprocess_cfg),
        },
    )


def _fetch_hub_weights(recipe: _Recipe, cache_dir: str | os.PathLike[str] | None) -> None:
    """Download the weights first: where that fails open_clip only logs why and goes on without them."""
    from open_clip.pretrained import download_pretrained_from_hf

    if recipe.model_name.startswith(_HUB):
        download_pretrained_from_hf(recipe.model_name.removeprefix(_HUB), cache_dir=_text(cache_dir))


def _check_transformers(recipe: _Recipe) -> None:
    """Ask for transformers where open_clip will: by the config, or for SigLIP by the architecture's name."""
    text = recipe.config["text_cfg"]
    by_config = any(text.get(key) for key in ("hf_tokenizer_name", "hf_model_name"))
    by_name = not recipe.model_name.startswith((_HUB, _LOCAL)) and "siglip" in recipe.model_name.lower()
    if (by_config or by_name) and importlib.util.find_spec("transformers") is None:
        raise MissingDependencyError(
            f"{recipe.name!r} reads text with the package transformers, which is not installed; "
            "run `pip install transformers sentencepiece`, or choose a model such as 'ViT-L-14/openai'.",
        )


@contextmanager
def _trying(name: str, source: str, cache_dir: str | os.PathLike[str] | None) -> Iterator[None]:
    """Turn whatever fails inside into an EncoderError; without a connection use the hub's cache at once."""
    offline = why_offline() if _ON_HUB in source else ""
    try:
        with _quiet_open_clip(), cache_only() if offline else nullcontext():
            yield
    except Exception as error:  # downloads and checkpoints fail with types of every kind
        raise EncoderError(_not_to_be_had(name, source, error, offline, cache_dir)) from error


@contextmanager
def _quiet_open_clip() -> Iterator[None]:
    """Keep open_clip from logging what our errors say anyway, and from giving the root logger a handler.

    Its warning of QuickGELU is answered too: one text tower (roberta) has the setting in its
    architecture and not in its list of weights.
    """

    def from_elsewhere(record: logging.LogRecord) -> bool:
        return "open_clip" not in Path(record.pathname).parts

    root = logging.getLogger()
    handler = logging.NullHandler()
    root.addFilter(from_elsewhere)
    root.addHandler(handler)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="QuickGELU mismatch", category=UserWarning)
            yield
    finally:
        root.removeHandler(handler)
        root.removeFilter(from_elsewhere)


def _source(recipe: _Recipe) -> str:
    """Return where the weights of a recipe come from, in words."""
    from open_clip.pretrained import get_pretrained_cfg

    if recipe.model_name.startswith(_HUB):
        return f"the weights of {recipe.model_name.removeprefix(_HUB)} {_ON_HUB}"
    if recipe.model_name.startswith(_LOCAL):
        return f"the weights in {recipe.model_name.removeprefix(_LOCAL)}"
    pretrained = get_pretrained_cfg(recipe.model_name, recipe.weights)
    if not pretrained:
        return f"the file {recipe.weights} as a {recipe.model_name}"
    return f"{pretrained.get('hf_hub') or pretrained.get('url')} {_ON_HUB}"


def _unknown_name(name: str, cache_dir: str | os.PathLike[str] | None) -> str:
    """Return what to say about a name that open_clip does not list."""
    import open_clip

    architecture, _, weights = name.rpartition("/")
    architecture = (architecture or weights).replace("/", "-")
    tags = open_clip.list_pretrained_tags_by_model(architecture)
    if tags:
        said = (
            f"{architecture} has no weights called {weights!r}"
            if "/" in name
            else f"{name!r} names no weights"
        )
        close = difflib.get_close_matches(weights, tags, n=_CLOSE_NAMES)
        ordered = [*close, *(tag for tag in tags if tag not in close)]
        choices = ", ".join(f"{architecture}/{tag}" for tag in ordered)
        return f"{said}; open_clip lists {choices}. {_cached_sentence(cache_dir)}"
    names = {known.casefold(): known for known in ("demo", *available())}
    close = difflib.get_close_matches(name.casefold(), names, n=_CLOSE_NAMES)
    return (
        f"There is no encoder {name!r}{_or([names[key] for key in close])}. "
        f"A name is {_KINDS}. {_cached_sentence(cache_dir)}"
    )


def _not_to_be_had(
    name: str, source: str, error: Exception, offline: str, cache_dir: str | os.PathLike[str] | None
) -> str:
    """Return what was tried, why it failed, what is cached, and what to do."""
    cause = " ".join(str(error).split()) or type(error).__name__
    if len(cause) > _LONGEST_CAUSE:
        cause = f"{cause[:_LONGEST_CAUSE]} ..."
    if _ON_HUB in source:
        advice = (
            f"{offline} {_cached_sentence(cache_dir)} "
            "Without a connection, load a cached model or 'demo', or download the weights elsewhere and load "
            "'architecture@/path/weights.safetensors'."
        )
    else:
        advice = (
            "Check that the file is whole, holds weights alone (safetensors, or torch.save of a state dict; "
            "pickled models and TorchScript archives are not opened), and is of that architecture."
        )
    return f"Could not load {name!r}. Tried {source}: {cause.rstrip('.')}. {advice.strip()}"


def _cached_sentence(cache_dir: str | os.PathLike[str] | None) -> str:
    names = cached(cache_dir)
    return f"Cached here: {', '.join(names)}." if names else "No open_clip weights are cached here."


def _or(close: list[str]) -> str:
    return f"; close ones: {', '.join(close)}" if close else ""


def _text(path: str | os.PathLike[str] | None) -> str | None:
    return None if path is None else os.fspath(path)
