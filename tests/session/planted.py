"""A small world with a planted spurious attribute, in which every number can be worked out."""

from __future__ import annotations

import numpy as np
from PIL import Image

from clarify_widget import Session
from clarify_widget.datasets import Dataset, Split
from clarify_widget.datasets.images import ImageList
from clarify_widget.encoders import PrecomputedEncoder

WIDTH = 24
PHRASES = ("red", "crimson", "round", "noise")
GROUPS = ("square blue", "square red", "oval blue", "oval red")


def planted_rows(labels, attributes, rng):
    """Rows in which the attribute is easy to read, the class is hard, and the rest is noise."""
    rows = rng.normal(size=(len(labels), WIDTH)) * 0.6
    rows[:, 0] += 2.0 * (2 * attributes - 1)
    rows[:, 1] += 0.9 * (2 * labels - 1)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows.astype(np.float32)


def planted_split(name, size, correlation, rng, *, images=True):
    labels = rng.integers(0, 2, size)
    attributes = np.where(rng.random(size) < correlation, labels, 1 - labels)
    sources = [Image.new("RGB", (8, 8), ("blue", "red")[attribute]) for attribute in attributes]
    return Split(
        name,
        labels,
        images=ImageList(sources, names=[f"{name}/{row}.png" for row in range(size)]) if images else None,
        groups=2 * labels + attributes,
        embeddings=planted_rows(labels, attributes, rng),
    )


def planted_dataset(seed=0, *, images=True):
    rng = np.random.default_rng(seed)
    return Dataset(
        "planted",
        ("square", "oval"),
        planted_split("train", 1200, 0.95, rng, images=images),
        planted_split("val", 400, 0.5, rng, images=images),
        planted_split("test", 800, 0.5, rng, images=images),
        group_names=GROUPS,
    )


def planted_encoder():
    rows = np.zeros((len(PHRASES), WIDTH), dtype=np.float32)
    rows[0, 0] = 1
    rows[1, 0], rows[1, 5] = 1, 0.2
    rows[2, 1] = 1
    rows[3, 9] = 1
    return PrecomputedEncoder(
        PHRASES, rows / np.linalg.norm(rows, axis=1, keepdims=True), name="planted words"
    )


def corrected_session():
    """A session that went through the whole loop."""
    session = Session(planted_dataset(), planted_encoder())
    session.fit()
    session.score("square", "noise")
    session.annotate("oval", "red")
    session.annotate("square", "red", 0.125)
    session.retrain()
    return session
