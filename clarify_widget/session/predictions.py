"""What the model under review predicts: a head of ours, a head from outside, or class indices alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from clarify_widget.arrays import FloatArray, IntArray, check_labels
from clarify_widget.datasets.columns import read_predictions
from clarify_widget.errors import DataError

if TYPE_CHECKING:
    from clarify_widget.datasets.dataset import Dataset, Split
    from clarify_widget.training import Head


def is_model(predictions: object) -> bool:
    """Tell a model, which predicts when it is given features, from what a model predicted."""
    return callable(predictions) or hasattr(predictions, "predict")


def with_predictions(dataset: Dataset, predictions: Mapping[str, Any] | Any) -> Dataset:
    """Return the data set with predictions by split, or for validation alone; see `read_predictions`."""
    by_split = dict(predictions) if isinstance(predictions, Mapping) else {"val": predictions}
    names = [split.name for split in dataset.splits()]
    unknown = sorted(set(by_split) - set(names))
    if unknown or "val" not in by_split:
        raise DataError(f"predictions= needs 'val' and may have {names}; got {sorted(by_split)}.")
    replaced = {split.name: split for split in dataset.splits()}
    for name, values in by_split.items():
        classes, confidences = read_predictions(values, dataset.class_names, f"{name} predictions")
        replaced[name] = replace(replaced[name], predictions=classes, confidences=confidences)
    return replace(
        dataset,
        train=replaced["train"],
        val=replaced["val"],
        test=replaced.get("test"),
    )


def predict(split: Split, head: Head | None, num_classes: int) -> IntArray:
    """Return (n,) class indices: those that came with the split, else the head's."""
    if split.predictions is not None:
        return split.predictions
    assert head is not None
    return check_labels(
        head.predict(features_of(split)), num_classes=num_classes, name=f"{split.name} predictions"
    )


def confidences_of(split: Split, head: Head | None, predictions: IntArray) -> FloatArray | None:
    """Return (n,) probabilities of the predicted classes; None where only the classes are known."""
    if split.predictions is not None:
        return split.confidences
    assert head is not None
    try:
        probabilities = head.predict_proba(features_of(split))
    except DataError:  # a model that says which class, but not how sure it is
        return None
    confidences: FloatArray = probabilities[np.arange(len(split)), predictions].astype(np.float32)
    return confidences


def features_of(split: Split) -> FloatArray:
    """Return what `Session.fit` made sure that every split has."""
    assert split.features is not None
    return split.features
