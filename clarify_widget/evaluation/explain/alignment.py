"""How well explanation maps agree with where the thing is: AIoU and pointing, on average and by group."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from clarify_widget.arrays import check_labels
from clarify_widget.errors import DataError
from clarify_widget.evaluation.intervals import wilson_interval

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt

    from clarify_widget.arrays import BoolArray, Float64Array, FloatArray


def mask_of_boxes(boxes: Iterable[Sequence[float]], size: tuple[int, int]) -> BoolArray:
    """Return (height, width) which pixels have their middle in any of some boxes.

    Parameters
    ----------
    boxes
        (left, top, right, bottom) in pixels, as detectors and annotations have them.
    size
        (width, height) of the image.

    Raises
    ------
    DataError
        When a box has no inside.
    """
    across, down = np.arange(size[0]) + 0.5, np.arange(size[1]) + 0.5
    mask = np.zeros((size[1], size[0]), dtype=np.bool_)
    for left, top, right, bottom in boxes:
        if not (left < right and top < bottom):
            raise DataError(
                f"A box is left, top, right, bottom in rising pixels; got {(left, top, right, bottom)}."
            )
        mask |= ((down > top) & (down < bottom))[:, None] & ((across > left) & (across < right))
    return mask


def iou(maps: npt.ArrayLike, mask: npt.ArrayLike) -> Float64Array:
    """Return the overlap of maps with where the thing is, without a threshold (Yang et al., Eq. 8).

    Parameters
    ----------
    maps
        (..., height, width) in 0..1.
    mask
        (height, width) booleans.

    Returns
    -------
    (...) sum of the smaller over sum of the larger of both, pixel by pixel, 0..1; 0 where both are empty.

    Raises
    ------
    DataError
        When sizes differ, or maps leave 0..1.
    """
    values, there = _check(maps, mask)
    smaller = np.minimum(values, there).sum(axis=(-2, -1))
    larger = np.maximum(values, there).sum(axis=(-2, -1))
    overlaps: Float64Array = np.divide(smaller, larger, out=np.zeros_like(smaller), where=larger > 0)
    return overlaps


def adjusted_iou(maps: npt.ArrayLike, mask: npt.ArrayLike, label: int) -> float:
    """Return the AIoU of one image: the overlap of its class's map beside the best of the others' (Eq. 9).

    Parameters
    ----------
    maps
        (C, height, width) in 0..1: the map of each class, at least two.
    mask
        (height, width) booleans.
    label
        The true class.

    Returns
    -------
    0..1: above one half where the map of the true class overlaps most. 0 where no map overlaps at all.

    Raises
    ------
    DataError
        When sizes differ, maps leave 0..1, or there are not at least two classes with this one among them.

    Notes
    -----
    Yang et al., "Mitigating Spurious Correlations in Multi-modal Models during Fine-tuning" (ICML 2023),
    section 5.3. Where no map overlaps, Eq. 9 is 0 / 0.
    """
    overlaps = np.atleast_1d(iou(maps, mask))
    if overlaps.ndim != 1 or len(overlaps) < 2 or not 0 <= label < len(overlaps):
        raise DataError(
            f"AIoU needs the maps of at least two classes, with class {label} among them; "
            f"got maps of shape {np.shape(maps)}."
        )
    own, other = float(overlaps[label]), float(np.delete(overlaps, label).max())
    return own / (own + other) if own + other else 0.0


def points_inside(values: npt.ArrayLike, mask: npt.ArrayLike) -> bool:
    """Whether the highest place of a map (height, width) is in a mask; never for a map that is 0 everywhere.

    Notes
    -----
    The pointing game of Zhang et al., "Top-down neural attention by excitation backprop" (2018), without its
    margin of 15 pixels. Of equally high places the first counts.
    """
    found, there = _check(values, mask)
    return bool(found.max() > 0 and there.ravel()[found.argmax()])


@dataclass(frozen=True)
class GroupAlignment:
    """How well the maps of some images agree with where the thing is.

    Attributes
    ----------
    name
        What the images are called.
    size
        How many there are.
    aiou
        Their mean AIoU, 0..1; nan without images.
    pointing
        How many of their maps point at the thing.
    """

    name: str
    size: int
    aiou: float
    pointing: int

    @property
    def pointing_accuracy(self) -> float:
        """The share of maps that point at the thing, 0..1; nan without images."""
        return self.pointing / self.size if self.size else math.nan

    @property
    def pointing_interval(self) -> tuple[float, float]:
        """Its Wilson 95% interval."""
        return wilson_interval(self.pointing, self.size)


@dataclass(frozen=True, eq=False)
class Alignment:
    """How well the maps of a model agree with where the thing is.

    Attributes
    ----------
    average
        All images.
    per_group
        One a group, those without images included; () when groups are not known.
    chance
        Mean share of an image that the thing covers: how often a place at random points at it.
    aiou, pointing
        (n,) of each image.
    """

    average: GroupAlignment
    per_group: tuple[GroupAlignment, ...]
    chance: float
    aiou: Float64Array
    pointing: BoolArray

    @property
    def worst_group(self) -> GroupAlignment | None:
        """The group with the lowest AIoU; None when groups are not known.

        The paper's "worst" is the group with the lowest accuracy instead: take that one from `per_group`.
        """
        filled = [group for group in self.per_group if group.size]
        return min(filled, key=lambda group: group.aiou) if filled else None

    def __str__(self) -> str:
        """Return AIoU and pointing as lines of text."""
        cells = (self.average, *self.per_group)
        width = max(len(cell.name) for cell in cells)
        lines = [
            f"{cell.name:{width}}  AIoU {cell.aiou:.3f}  pointing {cell.pointing_accuracy:6.1%} "
            f"({100 * low:.0f}-{100 * high:.0f}) of {cell.size:,}"
            for cell in cells
            if cell.size
            for low, high in [cell.pointing_interval]
        ]
        return "\n".join([*lines, f"A place at random points at the thing in {self.chance:.1%}."])


def alignment(
    maps: Iterable[FloatArray],
    masks: Iterable[npt.ArrayLike],
    labels: npt.ArrayLike,
    groups: npt.ArrayLike | None = None,
    group_names: Sequence[str] = (),
) -> Alignment:
    """Compare maps with where the thing is.

    Parameters
    ----------
    maps
        n arrays (C, height, width) in 0..1, as `explanation_maps` makes them of C class directions.
    masks
        n arrays (height, width) of booleans; see `mask_of_boxes`.
    labels
        (n,) true classes.
    groups, group_names
        (n,) group indices 0..G-1, and G names.

    Raises
    ------
    DataError
        When numbers of images differ or there are none, or as `adjusted_iou`.
    """
    truth = check_labels(labels)
    pairs = list(zip(maps, masks, strict=False))
    if not len(truth) == len(pairs) > 0:
        raise DataError(f"There are {len(truth)} labels for {len(pairs)} images with both maps and masks.")
    of_images = list(zip(pairs, truth.tolist(), strict=True))
    aiou = np.array([adjusted_iou(of_image, mask, label) for (of_image, mask), label in of_images])
    pointing = np.array([points_inside(of_image[label], mask) for (of_image, mask), label in of_images])
    everything = _of_group("all images", np.ones(len(truth), dtype=np.bool_), aiou, pointing)
    cells: tuple[GroupAlignment, ...] = ()
    if groups is not None:
        ids = check_labels(groups, num_classes=len(group_names), name="groups")
        cells = tuple(_of_group(name, ids == group, aiou, pointing) for group, name in enumerate(group_names))
    chance = float(np.mean([np.mean(np.asarray(mask, dtype=np.bool_)) for _, mask in pairs]))
    return Alignment(everything, cells, chance, aiou, pointing)


def _of_group(name: str, inside: BoolArray, aiou: Float64Array, pointing: BoolArray) -> GroupAlignment:
    mean = float(aiou[inside].mean()) if inside.any() else math.nan
    return GroupAlignment(name, int(inside.sum()), mean, int(pointing[inside].sum()))


def _check(maps: npt.ArrayLike, mask: npt.ArrayLike) -> tuple[Float64Array, Float64Array]:
    values, there = np.asarray(maps, dtype=np.float64), np.asarray(mask)
    if there.dtype != np.bool_ or there.ndim != 2 or values.shape[-2:] != there.shape:
        raise DataError(
            f"A mask must be booleans (height, width) as its maps are; got {there.dtype} of shape "
            f"{there.shape} for maps of shape {values.shape}."
        )
    if not ((values >= 0) & (values <= 1)).all():
        raise DataError(f"Maps must be in 0..1; got {values.min()} to {values.max()}.")
    return values, there.astype(np.float64)
