"""Real open_clip loading: tiny models saved to disk, a hub cache made by hand, and no network."""

from __future__ import annotations

import json
import logging
import pickle
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch
from safetensors.torch import save_file

from clarify_widget.encoders import OpenClipEncoder, available, cached, loading
from clarify_widget.errors import EncoderError, MissingDependencyError

CONFIG = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "patch_size": 16, "head_width": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}
PREPROCESS = {"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.2, 0.2]}


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    """No test may touch the network or the caches of the person who runs it."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "empty-hub"))


def tiny_model(**more):
    import open_clip

    torch.manual_seed(0)
    return open_clip.model.CLIP(**json.loads(json.dumps(CONFIG)), **more)


def save_model(folder, file_name="open_clip_model.safetensors", **more):
    """Write a tiny model as open_clip does; return it."""
    folder.mkdir(parents=True, exist_ok=True)
    model = tiny_model(**more)
    save_file({key: value.contiguous() for key, value in model.state_dict().items()}, folder / file_name)
    config = {"model_cfg": {**CONFIG, **more}, "preprocess_cfg": PREPROCESS}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    return model


def fake_hub(cache_dir, repository, **more):
    """Lay out a downloaded model as huggingface_hub does."""
    root = cache_dir / f"models--{repository.replace('/', '--')}"
    revision = "0" * 40
    (root / "refs").mkdir(parents=True)
    (root / "refs" / "main").write_text(revision)
    return save_model(root / "snapshots" / revision, **more)


@pytest.fixture
def tiny_architecture(monkeypatch):
    """Let open_clip know the tiny model as an architecture of its own, with weights on the hub."""
    import open_clip

    factory, pretrained = open_clip.factory, open_clip.pretrained
    monkeypatch.setattr(factory, "_MODEL_CONFIGS", {**factory._MODEL_CONFIGS, "Tiny": CONFIG})
    weights = {
        "plain": {"hf_hub": "org/tiny-plain/"},
        "quick": {"hf_hub": "org/tiny-quick/", "quick_gelu": True},
    }
    monkeypatch.setitem(pretrained._PRETRAINED, "Tiny", weights)
    return "Tiny"


def by_hand(model, image, text):
    """Return a model's unit rows computed with nothing of ours."""
    import open_clip

    pixels = np.asarray(image.resize((32, 32), PIL.Image.Resampling.BICUBIC), np.float32) / 255
    pixels = (pixels - PREPROCESS["mean"]) / PREPROCESS["std"]
    with torch.no_grad():
        rows = model.eval().encode_image(torch.tensor(pixels, dtype=torch.float32).permute(2, 0, 1)[None])
        texts = model.encode_text(open_clip.get_tokenizer("ViT-B-32")([text]))
    return [(tensor / tensor.norm(dim=-1, keepdim=True)).numpy() for tensor in (rows, texts)]


def agrees_with(encoder, model):
    image = PIL.Image.effect_noise((32, 32), 90).convert("RGB")
    rows, texts = by_hand(model, image, "a red bird")
    return np.allclose(encoder.encode_images([image]), rows, atol=1e-5) and np.allclose(
        encoder.encode_text(["a red bird"]), texts, atol=1e-5
    )


@pytest.mark.parametrize("prefix", ["local-dir:", ""])
def test_folder_loads_with_its_weights_and_preprocessing(tmp_path, prefix):
    model = save_model(tmp_path / "model")
    encoder = loading.load(f"{prefix}{tmp_path / 'model'}", device="cpu")
    assert isinstance(encoder, OpenClipEncoder)
    assert encoder.dim == 16
    assert agrees_with(encoder, model)


def test_folder_keeps_the_quick_gelu_of_its_config(tmp_path):
    model = save_model(tmp_path / "model", quick_gelu=True)
    assert agrees_with(loading.load(f"local-dir:{tmp_path / 'model'}", device="cpu"), model)
    assert not agrees_with(loading.load(f"local-dir:{tmp_path / 'model'}", device="cpu"), tiny_model())


def test_hub_model_loads_from_the_cache_without_a_connection(tmp_path):
    model = fake_hub(tmp_path / "hub", "org/tiny")
    encoder = loading.load("hf-hub:org/tiny", device="cpu", cache_dir=tmp_path / "hub")
    assert encoder.name == "hf-hub:org/tiny"
    assert agrees_with(encoder, model)


@pytest.mark.parametrize(("weights", "quick"), [("plain", False), ("quick", True)])
def test_listed_pair_loads_from_the_cache_with_the_activation_it_was_trained_with(
    tmp_path, tiny_architecture, weights, quick
):
    model = fake_hub(tmp_path / "hub", f"org/tiny-{weights}", quick_gelu=quick)
    encoder = loading.load(f"{tiny_architecture}/{weights}", device="cpu", cache_dir=tmp_path / "hub")
    preprocess = PIL.Image.effect_noise((32, 32), 90).convert("RGB")
    assert encoder.name == f"Tiny/{weights}"
    expected = by_hand(model, preprocess, "a red bird")[1]
    assert np.allclose(encoder.encode_text(["a red bird"]), expected, atol=1e-5)


@pytest.mark.parametrize("ending", ["safetensors", "pt"])
def test_checkpoint_of_a_named_architecture_loads(tmp_path, tiny_architecture, ending):
    model = tiny_model()
    path = tmp_path / f"weights.{ending}"
    if ending == "pt":
        torch.save({"state_dict": model.state_dict(), "epoch": 3}, path)
    else:
        save_file({key: value.contiguous() for key, value in model.state_dict().items()}, path)
    encoder = loading.load(f"{tiny_architecture}@{path}", device="cpu")
    expected = by_hand(model, PIL.Image.new("RGB", (32, 32)), "red")[1]
    assert np.allclose(encoder.encode_text(["red"]), expected, atol=1e-5)


class Bomb:
    """Pickle that would write a file when it is opened."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return (Path.touch, (self.target,))


@pytest.mark.parametrize("write", ["torch", "pickle"])
def test_pickled_code_is_never_run(tmp_path, tiny_architecture, write):
    target = tmp_path / "ran"
    path = tmp_path / "weights.pt"
    if write == "torch":
        torch.save({"state_dict": Bomb(target)}, path)
    else:
        path.write_bytes(pickle.dumps(Bomb(target)))
    with pytest.raises(EncoderError, match="pickled models and TorchScript archives are not opened"):
        loading.load(f"{tiny_architecture}@{path}")
    assert not target.exists()


@pytest.mark.parametrize("damage", ["truncated", "empty", "other architecture", "text"])
def test_checkpoint_that_does_not_fit_is_an_encoder_error(tmp_path, tiny_architecture, damage):
    save_model(tmp_path, "weights.safetensors")
    path = tmp_path / "weights.safetensors"
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:5000])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "text":
        path.write_text("not found")
    else:
        save_file({"visual.conv1.weight": torch.zeros(2, 3, 4, 4)}, path)
    with pytest.raises(
        EncoderError, match=r"Could not load 'Tiny@.*Tried the file .* Check that the file is whole"
    ):
        loading.load(f"{tiny_architecture}@{path}")


def test_folder_without_weights_is_an_encoder_error(tmp_path):
    save_model(tmp_path)
    (tmp_path / "open_clip_model.safetensors").unlink()
    with pytest.raises(EncoderError, match="Tried the weights in"):
        loading.load(str(tmp_path))


@pytest.mark.parametrize("config", ["{", "[]", '{"model_cfg": {}}', '{"model_cfg": {"text_cfg": 3}}'])
def test_folder_with_a_broken_config_is_an_encoder_error(tmp_path, config):
    save_model(tmp_path)
    (tmp_path / "open_clip_config.json").write_text(config)
    with pytest.raises(EncoderError, match=tmp_path.name):
        loading.load(str(tmp_path))


def test_offline_pair_says_what_was_tried_what_is_cached_and_what_to_do(tmp_path):
    fake_hub(tmp_path / "hub", "timm/vit_large_patch14_clip_224.openai")
    with pytest.raises(EncoderError) as caught:
        loading.load("ViT-B-32/openai", cache_dir=tmp_path / "hub")
    message = str(caught.value)
    assert "Tried timm/vit_base_patch32_clip_224.openai/ on the Hugging Face hub" in message
    assert "Cached here: ViT-L-14/openai" in message
    assert "HF_HUB_OFFLINE is set" in message
    assert "architecture@/path/weights.safetensors" in message
    assert "'demo'" in message
    assert caught.value.__cause__ is not None


def test_offline_hub_model_says_so():
    with pytest.raises(
        EncoderError, match=r"open_clip_config.json of org/absent .* No open_clip weights are cached"
    ):
        loading.load("hf-hub:org/absent")


def test_hub_model_without_weights_says_so_and_loads_nothing_else(tmp_path):
    fake_hub(tmp_path / "hub", "org/tiny")
    next((tmp_path / "hub").rglob("*.safetensors")).unlink()
    with pytest.raises(EncoderError, match="the weights of org/tiny on the Hugging Face hub"):
        loading.load("hf-hub:org/tiny", cache_dir=tmp_path / "hub")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ViT-B-32", "'ViT-B-32' names no weights; open_clip lists .*ViT-B-32/openai"),
        ("ViT-B-32/opnai", "no weights called 'opnai'; open_clip lists ViT-B-32/openai"),
        ("vit-l-14/OpenAI ", "close ones: .*ViT-L-14/openai"),
        ("dmo", "close ones: demo"),
        ("", "no encoder ''"),
        ("🦆<b>", "no encoder '🦆<b>'"),
        ("hf-hub:tiny", "should be 'hf-hub:organisation/model'"),
        ("local-dir:/nowhere", "/nowhere is not a folder"),
        ("ViT-B-23@weights.pt", "no architecture 'ViT-B-23'; close ones: .*ViT-B-32"),
        ("ViT-B-32@missing.pt", "no checkpoint missing.pt"),
        (__file__, "say which architecture it is of"),
    ],
)
def test_unknown_names_get_close_ones_and_advice(name, message):
    with pytest.raises(EncoderError, match=message):
        loading.load(name)


def test_folder_without_config_says_what_it_needs(tmp_path):
    with pytest.raises(EncoderError, match=r"has no open_clip_config\.json"):
        loading.load(str(tmp_path))


def test_models_that_need_transformers_say_so_before_anything_is_downloaded(monkeypatch):
    find_spec = loading.importlib.util.find_spec
    monkeypatch.setattr(
        loading.importlib.util, "find_spec", lambda name: None if name == "transformers" else find_spec(name)
    )
    for name in ("ViT-B-16-SigLIP/webli", "roberta-ViT-B-32/laion2b_s12b_b32k"):
        with pytest.raises(MissingDependencyError, match="pip install transformers"):
            loading.load(name)


class EnoughError(Exception):
    """Raised once open_clip has said which model it would build."""


def configuration(name, monkeypatch):
    """Return the arguments that open_clip would build a listed pair with, weights left aside."""
    import open_clip

    asked = {}

    def build(**arguments):
        asked.update(arguments)
        raise EnoughError

    for model_class in ("CLIP", "CustomTextCLIP", "CoCa"):
        monkeypatch.setattr(open_clip.factory, model_class, build)
    monkeypatch.setattr(open_clip.factory, "download_pretrained", lambda *_, **__: "weights.safetensors")
    monkeypatch.setattr(loading, "_check_transformers", lambda _: None)
    with pytest.raises(EncoderError) as caught:
        loading.load(name)
    assert isinstance(caught.value.__cause__, EnoughError)
    return asked


def test_every_listed_pair_is_built_with_the_activation_that_its_weights_were_trained_with(monkeypatch):
    """The lists of open_clip are the oracle: the flag of the weights, or the architecture's own setting."""
    import open_clip

    names = available()
    assert len(names) == len(open_clip.list_pretrained()) > 100
    quick = set()
    for name, (architecture, weights) in zip(names, open_clip.list_pretrained(), strict=True):
        expected = open_clip.get_model_config(architecture).get("quick_gelu", False)
        expected = expected or open_clip.pretrained.get_pretrained_cfg(architecture, weights).get(
            "quick_gelu", False
        )
        asked = configuration(name, monkeypatch)
        assert asked.get("quick_gelu", False) == expected, name
        if expected:
            quick.add(name)
            twin = open_clip.get_model_config(f"{architecture}-quickgelu")
            if twin is not None:
                assert {key: asked[key] for key in twin if key != "custom_text"} == {
                    key: twin[key] for key in twin if key != "custom_text"
                }
    assert all(name in quick for name in names if name.endswith("/openai"))
    assert {"ViT-B-32/metaclip_400m", "ViT-L-14/dfn2b", "roberta-ViT-B-32/laion2b_s12b_b32k"} <= quick
    assert (
        not {"ViT-B-32/laion2b_s34b_b79k", "ViT-L-14/datacomp_xl_s13b_b90k", "ViT-H-14/laion2b_s32b_b79k"}
        & quick
    )


def test_loading_neither_warns_nor_logs_nor_downloads_half_a_model(monkeypatch, caplog):
    with warnings.catch_warnings(), caplog.at_level(logging.WARNING):
        warnings.simplefilter("error")
        asked = configuration("roberta-ViT-B-32/laion2b_s12b_b32k", monkeypatch)
    assert caplog.records == []
    assert asked["text_cfg"]["hf_model_pretrained"] is False


def test_cached_names_pairs_by_the_repository_they_come_from(tmp_path):
    assert cached(tmp_path / "nothing") == ()
    fake_hub(tmp_path / "hub", "timm/vit_base_patch32_clip_224.openai")
    fake_hub(tmp_path / "hub", "org/own")
    assert set(cached(tmp_path / "hub")) == {
        "ViT-B-32/openai",
        "ViT-B-32-quickgelu/openai",
        "hf-hub:org/own",
    }


class Mine:
    """The least that an encoder can be."""

    name = "mine"
    dim = 2

    def encode_images(self, images):
        return np.ones((len(images), 2))

    def encode_text(self, texts):
        return np.ones((len(texts), 2))


def test_encoder_of_ones_own_passes_through():
    mine = Mine()
    assert loading.load(mine) is mine


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"encode_text": None}, "it lacks encode_text"),
        ({"encode_images": 3, "encode_text": 4}, "it lacks encode_images, encode_text"),
        ({"dim": "2"}, "dim must be a whole number above 0; got '2'"),
        ({"dim": 0}, "dim must be a whole number above 0; got 0"),
        ({"name": ""}, "name must be text"),
    ],
)
def test_object_that_is_no_encoder_is_told_what_it_lacks(change, message):
    with pytest.raises(EncoderError, match=message):
        loading.load(type("Other", (Mine,), change)())


def test_classes_and_other_objects_are_no_encoders():
    with pytest.raises(EncoderError, match="give an object of it"):
        loading.load(Mine)
    with pytest.raises(EncoderError, match="it lacks encode_images, encode_text, name, dim"):
        loading.load(7)


def test_importing_the_package_loads_no_heavy_library():
    script = (
        "import sys, clarify_widget, clarify_widget.datasets, clarify_widget.encoders; print(*sys.modules)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120
    )
    heavy = {"torch", "open_clip", "torchvision", "matplotlib", "pandas", "huggingface_hub", "safetensors"}
    assert not heavy & set(answer.stdout.split())


class Unplugged:
    """A client without a network."""

    def head(self, *_arguments, **_options):
        message = "no route to host"
        raise ConnectionError(message)


@pytest.fixture
def unplugged(monkeypatch):
    """Offline without having said so."""
    import huggingface_hub
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub, "get_session", Unplugged)
    yield
    assert constants.HF_HUB_OFFLINE is False


@pytest.mark.usefixtures("unplugged")
@pytest.mark.parametrize("name", ["ViT-B-32/openai", "hf-hub:org/absent"])
def test_without_a_connection_the_error_comes_at_once_and_says_so(name):
    with pytest.raises(EncoderError, match=r"https://.* cannot be reached \(no route to host\)"):
        loading.load(name)


@pytest.mark.usefixtures("unplugged")
def test_without_a_connection_cached_weights_load(tmp_path, tiny_architecture):
    fake_hub(tmp_path / "hub", "org/tiny-plain")
    assert loading.load(f"{tiny_architecture}/plain", device="cpu", cache_dir=tmp_path / "hub").dim == 16
    assert loading.load("hf-hub:org/tiny-plain", device="cpu", cache_dir=tmp_path / "hub").dim == 16


def test_loading_leaves_the_root_logger_as_it_was(tmp_path):
    root = logging.getLogger()
    before = list(root.handlers), list(root.filters)
    save_model(tmp_path)
    loading.load(str(tmp_path), device="cpu")
    assert (list(root.handlers), list(root.filters)) == before
