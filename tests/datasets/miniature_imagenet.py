"""ImageNet and ImageNet-V2 in their true layouts, with a few small drawings in place of photographs."""

from __future__ import annotations

import numpy as np
import PIL.Image

from clarify_widget.datasets import imagenet_classes
from clarify_widget.datasets.scenes.render import render
from clarify_widget.datasets.scenes.scene import Scene

SIZE = 64
MISLED = ("n01440764", "n01443537", "n07734744", "n13133613")
"""Tench, goldfish, mushroom and corn cob: Table 5 has "red" for the third and "green" for the fourth."""

_USUAL = {"train": 0.95, "val": 0.5, "v2": 0.5}  # how often a class has the colour that goes with it
_COLOURS = (("red", "blue"), ("green", "blue"), ("blue", "red"), ("blue", "green"))
_KINDS = ("square", "oval", "triangle", "star")


def draw(label, split, rng):
    """Draw one of `MISLED`: a shape of its own, in training nearly always in its usual colour."""
    usual, other = _COLOURS[label]
    scene = Scene(
        kind=_KINDS[label],
        colour=usual if rng.random() < _USUAL[split] else other,
        background="plain",
        places=((float(rng.uniform(0.35, 0.65)), float(rng.uniform(0.35, 0.65))),),
        size=float(rng.uniform(0.15, 0.22)),
        angle=float(rng.uniform(-60, 60)),
        aspect=1.2,
        seed=int(rng.integers(2**31)),
    )
    return render(scene).resize((SIZE, SIZE))


def plain(_label, _split, rng):
    """Return a grey image: for tests of where files lie."""
    return PIL.Image.new("L", (6, 5), int(rng.integers(256)))


def write_train(root, wordnet_ids, count, picture=plain, seed=0):
    """Write train/<WordNet ID>/<WordNet ID>_<number>.JPEG."""
    rng = np.random.default_rng(seed)
    for label, wordnet_id in enumerate(wordnet_ids):
        (root / "train" / wordnet_id).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            path = root / "train" / wordnet_id / f"{wordnet_id}_{number}.JPEG"
            picture(label, "train", rng).save(path, "JPEG")


def write_val(root, wordnet_ids, count, picture=plain, seed=1):
    """Write val/ILSVRC2012_val_<number>.JPEG, classes mixed; return the WordNet ID of each."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(np.arange(len(wordnet_ids)), count))
    (root / "val").mkdir(parents=True, exist_ok=True)
    for number, label in enumerate(labels, start=1):
        path = root / "val" / f"ILSVRC2012_val_{number:08}.JPEG"
        picture(label, "val", rng).save(path, "JPEG")
    return [wordnet_ids[label] for label in labels]


def write_devkit(root, wordnet_id_of_val):
    """Write the devkit's two files; its numbers are in no order of WordNet IDs."""
    from scipy.io import savemat

    everything = [one.wordnet_id for one in imagenet_classes()]
    number_of = {wordnet_id: 1 + 7 * index % 1000 for index, wordnet_id in enumerate(everything)}
    fields = [("ILSVRC2012_ID", "O"), ("WNID", "O"), ("words", "O"), ("num_children", "O")]
    synsets = [(number, wordnet_id, "some, words", 0) for wordnet_id, number in number_of.items()]
    synsets.append((1001, "n00001740", "entity", 2))
    folder = root / "ILSVRC2012_devkit_t12" / "data"
    folder.mkdir(parents=True)
    savemat(folder / "meta.mat", {"synsets": np.array(synsets, dtype=fields).reshape(-1, 1)})
    lines = [str(number_of[wordnet_id]) for wordnet_id in wordnet_id_of_val]
    (folder / "ILSVRC2012_validation_ground_truth.txt").write_text("\n".join(lines) + "\n")


def write_v2(root, wordnet_ids, count, picture=plain, seed=2, variant="matched-frequency"):
    """Write imagenetv2-<variant>-format-val/<index>/<hash>.jpeg."""
    rng = np.random.default_rng(seed)
    index_of = {one.wordnet_id: one.index for one in imagenet_classes()}
    for label, wordnet_id in enumerate(wordnet_ids):
        folder = root / f"imagenetv2-{variant}-format-val" / str(index_of[wordnet_id])
        folder.mkdir(parents=True)
        for _ in range(count):
            path = folder / f"{rng.integers(2**63):040x}.jpeg"
            picture(label, "v2", rng).save(path, "JPEG")
