"""A linear head as a torch module and as a fitted scikit-learn pipeline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from clarify_widget.errors import MissingDependencyError

if TYPE_CHECKING:
    import torch

    from clarify_widget.training.head import LinearHead


def to_torch(head: LinearHead) -> torch.nn.Sequential:
    """Return `UnitRows` and a `torch.nn.Linear`; see `LinearHead.to_torch`."""
    import torch

    from clarify_widget.training.unit_rows import UnitRows

    linear = torch.nn.Linear(len(head.mean), len(head.bias), dtype=torch.float64)
    weights, bias = head.for_unit_rows()
    with torch.no_grad():
        linear.weight.copy_(torch.from_numpy(weights.T.copy()))
        linear.bias.copy_(torch.from_numpy(bias))
    return torch.nn.Sequential(UnitRows(torch.float64), linear)


def to_sklearn(head: LinearHead) -> Any:
    """Return a fitted pipeline; see `LinearHead.to_sklearn`."""
    try:
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import FunctionTransformer, Normalizer, StandardScaler
    except ImportError as error:
        raise MissingDependencyError("to_sklearn needs scikit-learn: pip install scikit-learn.") from error
    width, classes = head.weights.shape
    # In single precision the two steps of normalisation would cost six digits of the probabilities.
    double = FunctionTransformer(np.asarray, kw_args={"dtype": "float64"})
    scaler, model = StandardScaler(), LogisticRegression()
    scaler.mean_, scaler.scale_, scaler.var_ = head.mean, head.scale, head.scale**2
    scaler.n_features_in_ = model.n_features_in_ = width
    model.classes_ = np.arange(classes)
    model.coef_, model.intercept_ = head.weights.T, head.bias
    if classes == 2:  # one row: the second class against the first
        model.coef_, model.intercept_ = np.diff(model.coef_, axis=0), np.diff(model.intercept_)
    model.n_iter_ = np.array([head.report.iterations])
    return make_pipeline(double, Normalizer(), scaler, model)
