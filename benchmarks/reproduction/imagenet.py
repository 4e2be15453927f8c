"""Tables 2 and 5: ImageNet from folders, its 31 annotations, and captions for the keywords."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import clarify_widget as cw
from clarify_widget.concepts import error_score
from clarify_widget.encoders.embed import embed_images, embed_phrase
from clarify_widget.errors import DataError, ScoreError
from clarify_widget.methods.zero_shot import ZeroShotHead, imagenet_templates, prompt_embeddings
from clarify_widget.training import sample_weights, train_head
from clarify_widget.training.reference import WEIGHT_DECAY
from reproduction.page import markdown_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clarify_widget.arrays import BoolArray, FloatArray, IntArray
    from clarify_widget.concepts.published import SpuriousFeature
    from clarify_widget.datasets.dataset import Split
    from clarify_widget.encoders.base import Encoder
    from clarify_widget.training import LinearHead

_KAGGLE = Path("ILSVRC", "Data", "CLS-LOC")


@dataclass(frozen=True, eq=False)
class Embedded:
    """Images of ImageNet in the encoder's space."""

    rows: FloatArray  # (n, e) unit rows
    labels: IntArray  # (n,)
    names: tuple[str, ...]  # file names


@dataclass(frozen=True, eq=False)
class ImageNet:
    """ImageNet, or as much of it as there is.

    Attributes
    ----------
    class_names
        As `cw.datasets.imagenet` has them.
    val
        The validation images.
    train
        The training images; None when there are none: then the model is the zero-shot one.
    """

    class_names: tuple[str, ...]
    val: Embedded
    train: Embedded | None

    def label_of(self, feature: SpuriousFeature) -> int | None:
        """Return the class of an annotation, None where it is not among those that were read."""
        return self.class_names.index(feature.name) if feature.name in self.class_names else None


def read_imagenet(
    root: Path, encoder: Encoder, cache: Path | None, classes: Sequence[str] | None = None
) -> ImageNet:
    """Embed ImageNet's validation images, and its training images where they are.

    Raises
    ------
    DataError
        As `cw.datasets.imagenet`; a folder without training images will do.
    """
    val = _embed(cw.datasets.imagenet_val(root, classes=classes), encoder, cache)
    if not any((root / place / "train").is_dir() for place in ("", _KAGGLE)):
        known = cw.datasets.imagenet_classes()
        names = (one.name for one in known if classes is None or {one.wordnet_id, one.name} & set(classes))
        return ImageNet(tuple(names), val, None)
    dataset = cw.datasets.imagenet(root, classes=classes)
    return ImageNet(dataset.class_names, val, _embed(dataset.train, encoder, cache))


def first_model(imagenet: ImageNet, encoder: Encoder) -> tuple[LinearHead | ZeroShotHead, str]:
    """Return the model whose errors are looked at, and what it is: ERM, or zero-shot without train."""
    if imagenet.train is not None:
        return _train(imagenet, imagenet.train, None), f"the ERM head (l2 {WEIGHT_DECAY})"
    prompts = prompt_embeddings(encoder, imagenet.class_names, imagenet_templates())
    return ZeroShotHead(
        prompts, np.arange(len(prompts))
    ), "zero-shot, 80 templates, as there is no train folder"


def read_captions(path: Path, names: Sequence[str]) -> list[str]:
    """Return one caption an image out of JSON lines with path and caption, told apart by file name.

    Raises
    ------
    DataError
        When a line does not fit, or an image has no caption.
    """
    captions: dict[str, str] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        file_name, caption = _captioned(line, f"{path}, line {number}")
        captions[file_name] = caption
    lacking = [name for name in names if Path(name).name not in captions]
    if lacking:
        raise DataError(f"{path} has no caption for {len(lacking):,} images, the first {lacking[0]}.")
    return [captions[Path(name).name] for name in names]


@dataclass(frozen=True)
class Splits:
    """One annotation: accuracy on its two sides of the class's validation images, before and after."""

    annotation: SpuriousFeature
    minority: BoolArray | None = None  # (n_class,) the side with the lower accuracy
    before: BoolArray | None = None  # (n_class,) right or wrong
    after: BoolArray | None = None
    reason: str = ""


def annotate(
    imagenet: ImageNet,
    encoder: Encoder,
    model: LinearHead | ZeroShotHead,
    annotations: Sequence[SpuriousFeature],
) -> tuple[list[Splits], str]:
    """Split each annotated class at the best threshold, and retrain with all annotations at once.

    Returns
    -------
    One entry an annotation, and a sentence on the accuracy over all validation images.
    """
    val, train = imagenet.val, imagenet.train
    before = model.predict(val.rows) == val.labels
    slices = np.full(0 if train is None else len(train.labels), -1, dtype=np.int64)
    found: list[Splits] = []
    for annotation in annotations:
        label = imagenet.label_of(annotation)
        if label is None:
            found.append(Splits(annotation, reason="not among the classes that were read"))
            continue
        phrase = embed_phrase(encoder, annotation.phrase)
        members = val.labels == label
        similar, right = val.rows[members] @ phrase, before[members]
        try:
            threshold = error_score(similar[~right], similar[right]).threshold
        except ScoreError:
            found.append(Splits(annotation, reason=f"all {members.sum()} images right, or all wrong"))
            continue
        side = similar > threshold
        found.append(Splits(annotation, side if right[side].mean() < right[~side].mean() else ~side, right))
        if train is not None:
            _slice(slices, train, label, train.rows @ phrase > threshold)
    told = f"Over all {len(before):,} validation images: {100 * before.mean():.2f} % right before"
    if train is None or not (slices >= 0).any():
        return found, f"{told}; to retrain, a train folder is needed."
    after = _train(imagenet, train, slices).predict(val.rows) == val.labels
    retrained = [
        entry
        if entry.before is None
        else Splits(entry.annotation, entry.minority, entry.before, after[_members(imagenet, entry)])
        for entry in found
    ]
    return retrained, f"{told}, {100 * after.mean():.2f} % after."


def annotation_table(found: Sequence[Splits], published: tuple[float, float]) -> str:
    """Return one line an annotation, and the mean over the annotations beside the paper's."""
    lines = [
        [
            entry.annotation.class_name,
            entry.annotation.phrase,
            *(_accuracy(entry, which, minority=True) for which in ("before", "after")),
            *(_accuracy(entry, which, minority=False) for which in ("before", "after")),
        ]
        for entry in found
    ]
    means = [
        _mean_accuracy(found, which, minority=minority)
        for minority in (True, False)
        for which in ("before", "after")
    ]
    lines.append(["**mean here**", "", *means])
    lines.append(["**mean in the paper**", "", *(f"{number:.1f}" for number in published), "", ""])
    reasons = [f"{entry.annotation.class_name} ({entry.reason})" for entry in found if entry.reason]
    head = ("class", "spurious feature", "minority: before", "after", "majority: before", "after")
    table = markdown_table(head, lines, left=2)
    return "\n\n".join([table, *([f"Not run: {'; '.join(reasons)}."] if reasons else [])])


def _captioned(line: str, where: str) -> tuple[str, str]:
    """Return the file name and the caption of one line."""
    try:
        entry = json.loads(line)
        return Path(str(entry["path"]).replace("\\", "/")).name, str(entry["caption"])
    except (ValueError, TypeError, KeyError) as error:
        raise DataError(f'{where}: expected {{"path": ..., "caption": ...}}; got {line[:80]!r}.') from error


def _embed(split: Split, encoder: Encoder, cache: Path | None) -> Embedded:
    assert split.images is not None
    print(f"ImageNet: embedding {len(split):,} images", flush=True)
    embedded = embed_images(encoder, split.images, cache_dir=cache)
    names = tuple(split.images.name(int(row)) for row in embedded.kept)
    return Embedded(embedded.embeddings.astype(np.float32, copy=False), split.labels[embedded.kept], names)


def _train(imagenet: ImageNet, train: Embedded, slices: IntArray | None) -> LinearHead:
    num_classes = len(imagenet.class_names)
    if slices is None:
        return train_head(train.rows, train.labels, l2=WEIGHT_DECAY, num_classes=num_classes)
    weights = sample_weights(train.labels, slices, num_classes=num_classes)
    return train_head(
        train.rows, train.labels, sample_weight=weights, l2=WEIGHT_DECAY, num_classes=num_classes
    )


def _slice(slices: IntArray, train: Embedded, label: int, similar: BoolArray) -> None:
    """Cut one class of train, unless all of it lies on one side."""
    members = train.labels == label
    if len(np.unique(similar[members])) == 2:
        slices[members] = slices.max() + 1 + similar[members]


def _members(imagenet: ImageNet, entry: Splits) -> BoolArray:
    label = imagenet.label_of(entry.annotation)
    members: BoolArray = imagenet.val.labels == label
    return members


def _side(entry: Splits, which: str, *, minority: bool) -> BoolArray | None:
    right: BoolArray | None = getattr(entry, which)
    if right is None or entry.minority is None:
        return None
    side: BoolArray = right[entry.minority == minority]
    return side


def _accuracy(entry: Splits, which: str, *, minority: bool) -> str:
    side = _side(entry, which, minority=minority)
    return "not run" if side is None else f"{100 * side.mean():.1f} (N={len(side)})"


def _mean_accuracy(found: Sequence[Splits], which: str, *, minority: bool) -> str:
    sides = [_side(entry, which, minority=minority) for entry in found]
    means = [side.mean() for side in sides if side is not None]
    return f"{100 * np.mean(means):.1f}" if means else "not run"
