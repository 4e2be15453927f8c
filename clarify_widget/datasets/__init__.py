"""Splits of images and labels: ready-made ones, folders, arrays and benchmarks."""

from __future__ import annotations

from clarify_widget.datasets.arrays import from_arrays
from clarify_widget.datasets.celeba import celeba
from clarify_widget.datasets.companions import companions
from clarify_widget.datasets.dataset import Dataset, ImageSequence, Split, UnreadableImage
from clarify_widget.datasets.folders import from_folder
from clarify_widget.datasets.frames import from_dataframe
from clarify_widget.datasets.huggingface import from_huggingface
from clarify_widget.datasets.imagenet import (
    ImageNetClass,
    imagenet,
    imagenet_classes,
    imagenet_v2,
    imagenet_val,
)
from clarify_widget.datasets.images import ImageList, open_image
from clarify_widget.datasets.planted import PlantedBias, planted
from clarify_widget.datasets.shorebirds import shorebirds
from clarify_widget.datasets.sprites import sprites
from clarify_widget.datasets.torchvision import from_torchvision
from clarify_widget.datasets.waterbirds import waterbirds
from clarify_widget.datasets.wilds import wilds

__all__ = [
    "Dataset",
    "ImageList",
    "ImageNetClass",
    "ImageSequence",
    "PlantedBias",
    "Split",
    "UnreadableImage",
    "celeba",
    "companions",
    "from_arrays",
    "from_dataframe",
    "from_folder",
    "from_huggingface",
    "from_torchvision",
    "imagenet",
    "imagenet_classes",
    "imagenet_v2",
    "imagenet_val",
    "open_image",
    "planted",
    "shorebirds",
    "sprites",
    "waterbirds",
    "wilds",
]
