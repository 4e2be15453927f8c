"""Backbones by name: the features are what the classifier's last layer would see."""

from __future__ import annotations

import numpy as np
import PIL.Image
import pytest
import torch
from safetensors.torch import save_file

from clarify_widget.datasets import ImageList, from_arrays
from clarify_widget.encoders import embed_images, embed_with, load_backbone
from clarify_widget.errors import EncoderError
from clarify_widget.session import Session


def pictures(count):
    noise = np.random.default_rng(0).integers(0, 256, (count, 70, 90, 3), dtype=np.uint8)
    return [PIL.Image.fromarray(pixels) for pixels in noise]


def saved(model, path):
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, path)
    return path


def test_timm_features_are_those_of_timm(tmp_path):
    import timm

    torch.manual_seed(0)
    model = timm.create_model("test_resnet", pretrained=False).eval()
    path = saved(model, tmp_path / "weights.safetensors")
    backbone = load_backbone(f"timm:test_resnet@{path}", device="cpu")
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(model), is_training=False)
    images = pictures(5)
    with torch.no_grad():
        batch = torch.stack([transform(image) for image in images])
        expected = model.forward_head(model.forward_features(batch), pre_logits=True).numpy()
    assert backbone.dim == expected.shape[1]
    assert np.allclose(backbone.encode_images(images), expected, atol=1e-5)
    assert np.allclose(embed_images(backbone, ImageList(images)).embeddings, expected, atol=1e-5)


def test_torchvision_features_give_the_classifiers_logits(tmp_path):
    import torchvision

    torch.manual_seed(0)
    model = torchvision.models.get_model("shufflenet_v2_x0_5", weights=None).eval()
    path = saved(model, tmp_path / "weights.safetensors")
    backbone = load_backbone(f"torchvision:shufflenet_v2_x0_5@{path}", device="cpu")
    transform = torchvision.models.get_model_weights("shufflenet_v2_x0_5").DEFAULT.transforms()
    images = pictures(3)
    features = torch.from_numpy(backbone.encode_images(images))
    with torch.no_grad():
        expected = model(torch.stack([transform(image) for image in images]))
        assert torch.allclose(model.fc(features), expected, atol=1e-5)


def test_encoder_and_backbone_share_one_pass(mean_colour, photos, tmp_path):
    import timm

    path = saved(timm.create_model("test_resnet", pretrained=False), tmp_path / "weights.safetensors")
    backbone = load_backbone(f"timm:test_resnet@{path}", device="cpu")
    images = ImageList(photos(6))
    similar, features = embed_with([mean_colour(), backbone], images, batch_size=4)
    assert np.allclose(np.linalg.norm(similar.embeddings, axis=1), 1)
    assert features.embeddings.shape == (6, backbone.dim)
    assert np.allclose(
        features.embeddings, backbone.encode_images([images[row] for row in range(6)]), atol=1e-5
    )


def test_session_trains_on_the_backbones_features_and_compares_with_the_encoders(mean_colour, photos):
    class Wide:
        name = "wide"
        dim = 6

        def encode_images(self, images):
            return np.tile(mean_colour().encode_images(images), 2) * 5

    images = ImageList(photos(40))
    dataset = from_arrays(images=images, labels=np.arange(40) // 2 % 2, split=["train", "val"] * 20)
    session = Session(dataset, mean_colour(), backbone=Wide())
    session.fit()
    for split in session.dataset.splits():
        assert split.embeddings.shape == (20, 3)
        assert np.array_equal(split.features[:, :3], split.features[:, 3:])
        assert np.linalg.norm(split.features, axis=1).min() > 5


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet50", 'A name is "timm:resnet50"'),
        ("timm:resnet5O", "close ones: .*resnet50"),
        ("torchvision:resnet5O", "close ones: .*resnet50"),
        ("timm:resnet50@/nowhere.safetensors", "There is no checkpoint"),
    ],
)
def test_wrong_names_are_encoder_errors(name, message):
    with pytest.raises(EncoderError, match=message):
        load_backbone(name)


def test_weights_of_another_architecture_are_an_encoder_error(tmp_path):
    path = saved(torch.nn.Linear(2, 2), tmp_path / "weights.safetensors")
    with pytest.raises(EncoderError, match="Could not load"):
        load_backbone(f"timm:test_resnet@{path}")
