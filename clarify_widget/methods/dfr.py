"""Deep feature reweighting: the last layer is trained again, on data in which all groups are as large."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from clarify_widget.errors import DataError
from clarify_widget.training import FitReport, LinearHead, StandardisedFeatures, train_head
from clarify_widget.training.checks import check_groups, check_training_labels

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from clarify_widget.arrays import Float64Array, IntArray

Variant = Literal["subsample", "upsample", "reweight"]

DRAWS = 10


def train_dfr(
    features: npt.ArrayLike,
    labels: npt.ArrayLike,
    groups: npt.ArrayLike,
    variant: Variant = "subsample",
    *,
    l2: float = 1e-2,
    draws: int = DRAWS,
    seed: int = 0,
    num_classes: int | None = None,
    initial: LinearHead | None = None,
) -> LinearHead:
    """Train a head on groups made equally large.

    Parameters
    ----------
    features
        (n, d) raw features, of train or, as in the publication's better variant, of validation.
    labels
        (n,) class indices 0..C-1, each class present.
    groups
        (n,) ground-truth groups.
    variant
        "subsample": from each group as many images as the smallest has, drawn without replacement; the
        weights and biases of several draws are averaged. "upsample": each group's images are repeated until
        it is as large as the largest; what is left over by whole repetitions is drawn. "reweight": all
        images, every group of the same total weight, which no draw changes.
    l2
        Penalty; the publication has an l1 penalty and chooses its strength on validation groups.
    draws
        Heads that "subsample" averages; 10 or 20 as published.
    seed
        Of what is drawn.
    num_classes
        C, where it is known.
    initial
        A head to start from: fewer iterations, the same result.

    Returns
    -------
    LinearHead
        All variants normalise by all n rows. For averaged heads the report's objective is the mean, its
        gradient norm and duality gap the largest, of the draws, each at its own minimum.

    Raises
    ------
    DataError
        When shapes, labels or settings do not fit.

    Notes
    -----
    Kirichenko et al., "Last Layer Re-Training is Sufficient for Robustness to Spurious Correlations" (ICLR
    2023). Subsampling and upsampling as compared by Zhang and Re (NeurIPS 2022), rows of Clarify's Table 4.
    """
    if variant not in get_args(Variant):
        raise DataError(f"variant must be one of {list(get_args(Variant))}; got {variant!r}.")
    if variant == "reweight":
        return train_head(
            features, labels, "dfr", groups=groups, l2=l2, num_classes=num_classes, initial=initial
        )
    if draws < 1:
        raise DataError(f"draws must be at least 1; got {draws}.")
    rng = np.random.default_rng(seed)
    prepared = StandardisedFeatures.of(features)
    classes = check_training_labels(labels, num_classes, length=len(prepared))
    cells = check_groups(groups, classes, "dfr")
    if variant == "upsample":
        counts = upsample_counts(cells, rng)
        head = train_head(
            prepared, classes, sample_weight=counts, l2=l2, num_classes=num_classes, initial=initial
        )
        return _mean_head([head], f"upsample (seed {seed})")
    heads = []
    for _ in range(draws):
        drawn = subsample(cells, rng)
        rows, truth = prepared.take(drawn), classes[drawn]
        heads.append(train_head(rows, truth, l2=l2, num_classes=num_classes, initial=initial))
    return _mean_head(heads, f"subsample, {draws} draws (seed {seed})")


def subsample(groups: IntArray, rng: np.random.Generator) -> IntArray:
    """Return which images are drawn: of each group as many as the smallest has."""
    smallest = int(_sizes(groups).min())
    drawn = [
        rng.choice(np.flatnonzero(groups == group), smallest, replace=False) for group in np.unique(groups)
    ]
    return np.sort(np.concatenate(drawn))


def upsample_counts(groups: IntArray, rng: np.random.Generator) -> Float64Array:
    """Return (n,) how often each image is taken, so that every group is as large as the largest."""
    largest = int(_sizes(groups).max())
    counts = np.zeros(len(groups))
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        counts[members] = largest // len(members)
        counts[rng.choice(members, largest % len(members), replace=False)] += 1
    return counts


def _sizes(groups: IntArray) -> IntArray:
    sizes = np.bincount(groups)
    return sizes[sizes > 0]


def _mean_head(heads: Sequence[LinearHead], how: str) -> LinearHead:
    """Return the head of mean weights and bias; all were normalised alike."""
    reports = [head.report for head in heads]
    gaps = [report.duality_gap for report in reports if report.duality_gap is not None]
    report = FitReport(
        objective_value=float(np.mean([each.objective_value for each in reports])),
        gradient_norm=max(each.gradient_norm for each in reports),
        duality_gap=max(gaps) if len(gaps) == len(reports) else None,
        iterations=sum(each.iterations for each in reports),
        stopped_because=f"{how}: {reports[-1].stopped_because}",
    )
    return replace(
        heads[0],
        weights=np.mean([head.weights for head in heads], axis=0),
        bias=np.mean([head.bias for head in heads], axis=0),
        objective="dfr",
        report=report,
    )
