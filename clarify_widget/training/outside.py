"""Models that others trained, as heads: linear layers by their weights, any other model by asking it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from clarify_widget.arrays import check_rows, to_array
from clarify_widget.datasets.columns import indices_of
from clarify_widget.errors import DataError
from clarify_widget.training.head import Head, LinearHead, most_likely, softmax
from clarify_widget.training.rows import blocks

if TYPE_CHECKING:
    import numpy.typing as npt

    from clarify_widget.arrays import Float64Array, FloatArray, IntArray

Ask = Callable[["FloatArray"], Any]

_ASKED_AT_ONCE = 1 << 22  # numbers


@dataclass(frozen=True, eq=False)
class ForeignHead:
    """A linear layer that was trained elsewhere, on features as they are.

    Attributes
    ----------
    weights
        W (d, C).
    bias
        b (C,).
    says_how_sure
        Whether the softmax of its outputs means probabilities; that of a support vector machine's does not.
    """

    weights: Float64Array
    bias: Float64Array
    says_how_sure: bool = True

    def decision_function(self, features: npt.ArrayLike) -> Float64Array:
        """Return (n, C) logits of features (n, d); raises DataError when the width differs."""
        rows = check_rows(features)
        if rows.shape[1] != len(self.weights):
            raise DataError(f"This layer takes features of width {len(self.weights)}; got {rows.shape[1]}.")
        logits: Float64Array = rows @ self.weights + self.bias
        return logits

    def predict_proba(self, features: npt.ArrayLike) -> Float64Array:
        """Return (n, C) class probabilities of features (n, d); raises DataError when it has none."""
        _check_sure(self.says_how_sure)
        return softmax(self.decision_function(features))

    def predict(self, features: npt.ArrayLike) -> IntArray:
        """Return (n,) class indices of features (n, d)."""
        return most_likely(self.decision_function(features))


@dataclass(frozen=True, eq=False)
class ForeignModel:
    """Any model that was trained elsewhere, on features as they are; it is asked a block of rows at a time.

    Attributes
    ----------
    ask
        From features (b, d) to logits (b, C), to one logit (b, 1) of the second of two classes, or to class
        indices or names (b,).
    class_names
        C names.
    ask_scores
        From features (b, d) to logits (b, C), for a model whose `ask` says classes only.
    says_how_sure
        As of a `ForeignHead`.
    """

    ask: Ask
    class_names: tuple[str, ...]
    ask_scores: Ask | None = None
    says_how_sure: bool = True

    def decision_function(self, features: npt.ArrayLike) -> Float64Array:
        """Return (n, C) logits of features (n, d); raises DataError when the model gives classes only."""
        answers = self._answers(features, self.ask_scores or self.ask)
        if answers.ndim != 2:
            raise DataError("This model says which class, but not how sure it is; there are no logits.")
        return answers

    def predict_proba(self, features: npt.ArrayLike) -> Float64Array:
        """Return (n, C) class probabilities of features (n, d); raises DataError when it has none."""
        _check_sure(self.says_how_sure)
        return softmax(self.decision_function(features))

    def predict(self, features: npt.ArrayLike) -> IntArray:
        """Return (n,) class indices of features (n, d)."""
        answers = self._answers(features, self.ask)
        return most_likely(answers) if answers.ndim == 2 else answers.astype(np.int64)

    def _answers(self, features: npt.ArrayLike, ask: Ask) -> npt.NDArray[Any]:
        """Return logits (n, C), or class indices (n,)."""
        rows = check_rows(features)
        parts = blocks(len(rows), rows.shape[1], _ASKED_AT_ONCE)
        return np.concatenate([self._answers_for(rows[part], ask) for part in parts])

    def _answers_for(self, rows: FloatArray, ask: Ask) -> npt.NDArray[Any]:
        answers = to_array(ask(rows), "The answers of the model")
        num_classes = len(self.class_names)
        if answers.shape == (len(rows), 1) and num_classes == 2:
            answers = np.hstack([-answers, answers]) / 2
        if answers.shape == (len(rows), num_classes):
            return check_rows(answers, name="The answers of the model").astype(np.float64)
        if answers.shape == (len(rows),):
            named = indices_of({"all": answers}, self.class_names, "The answers of the model", "class")[0]
            return np.asarray(named["all"])
        raise DataError(
            f"The model answered {len(rows)} rows of features with an array of shape {answers.shape}; "
            f"expected ({len(rows)},) classes or ({len(rows)}, {num_classes}) scores."
        )


def head_from(model: Any, num_classes: int, class_names: Sequence[str] | None = None) -> Head:
    """Return a head over a model that was trained elsewhere.

    Parameters
    ----------
    model
        A LinearHead (returned as it is); a fitted scikit-learn classifier or pipeline, on class indices or
        on `class_names`; a `torch.nn.Linear` or any torch module that returns logits; or a function from
        features (n, d), a NumPy array, to logits (n, C), class indices or class names. Features reach it as
        they are, without normalisation.
    num_classes
        C.
    class_names
        C names, where the model may know the classes by them.

    Raises
    ------
    DataError
        When it is none of these, is not fitted, or does not have C outputs.
    """
    names = tuple(class_names or map(str, range(num_classes)))
    if isinstance(model, (LinearHead, ForeignHead, ForeignModel)):
        head: Head = model
    elif hasattr(model, "coef_") and hasattr(model, "intercept_"):
        layer = _in_order(_from_rows(np.asarray(model.coef_), model.intercept_), _order(model, names))
        head = replace(layer, says_how_sure=_has_probabilities(model))
    elif hasattr(model, "weight") and hasattr(model, "in_features"):
        head = _from_rows(*_layer_rows(model))
    elif hasattr(model, "parameters") and hasattr(model, "eval"):
        head = ForeignModel(_ask_torch(model), names)
    elif hasattr(model, "predict"):
        head = ForeignModel(model.predict, names, _ask_for_scores(model, names), _has_probabilities(model))
    elif callable(model):
        head = ForeignModel(model, names)
    else:
        raise DataError(
            f"A head is a LinearHead, a fitted scikit-learn classifier, a torch module, or a function of "
            f"features; got {type(model).__name__}. Of any other model pass what it predicts: predictions=.",
        )
    if isinstance(head, (LinearHead, ForeignHead)) and head.weights.shape[1] != len(names):
        raise DataError(f"The head has {head.weights.shape[1]} outputs for {len(names)} classes.")
    return head


def _has_probabilities(model: Any) -> bool:
    """Whether a scikit-learn classifier has probabilities; what has not its methods is taken at its word."""
    return hasattr(model, "predict_proba") or not hasattr(model, "decision_function")


def _check_sure(says_how_sure: bool) -> None:
    if not says_how_sure:
        raise DataError("This model's scores are margins, not probabilities: it does not say how sure it is.")


def _layer_rows(layer: Any) -> tuple[Float64Array, Float64Array | None]:
    weight, bias = layer.weight.detach().cpu().double().numpy(), layer.bias
    return weight, None if bias is None else bias.detach().cpu().double().numpy()


def _from_rows(rows: Float64Array, bias: npt.ArrayLike | None) -> ForeignHead:
    rows = np.atleast_2d(rows).astype(np.float64)
    offsets = np.zeros(len(rows)) if bias is None else np.ravel(np.asarray(bias, dtype=np.float64))
    offsets = np.broadcast_to(offsets, (len(rows),))
    if len(rows) == 1:  # one row is the second class against the first
        rows, offsets = np.vstack([-rows, rows]) / 2, np.array([-offsets[0], offsets[0]]) / 2
    return ForeignHead(np.ascontiguousarray(rows.T), offsets)


def _in_order(head: ForeignHead, order: list[int]) -> ForeignHead:
    return ForeignHead(head.weights[:, order], head.bias[order])


def _order(model: Any, names: tuple[str, ...]) -> list[int]:
    """Return which output of a scikit-learn classifier is each class."""
    fitted = np.asarray(getattr(model, "classes_", np.arange(len(names)))).tolist()
    for classes in (list(range(len(names))), list(names)):
        if sorted(map(str, fitted)) == sorted(map(str, classes)):
            return [fitted.index(one) for one in classes]
    raise DataError(
        f"The classifier was fitted on labels {fitted[:10]}; expected 0..{len(names) - 1} or "
        f"{list(names)[:10]}, so that its outputs mean the same classes.",
    )


def _ask_for_scores(model: Any, names: tuple[str, ...]) -> Ask | None:
    """Return how to ask a scikit-learn classifier for probabilities or else scores, where it has them."""
    if hasattr(model, "fit") and not hasattr(model, "classes_"):
        raise DataError(f"The {type(model).__name__} is not fitted, or is no classifier; fit it first.")
    order = _order(model, names)
    if hasattr(model, "predict_proba"):
        tiny = np.finfo(np.float64).tiny
        return lambda rows: np.log(np.maximum(np.asarray(model.predict_proba(rows))[:, order], tiny))
    if hasattr(model, "decision_function"):
        return lambda rows: _all_columns(np.asarray(model.decision_function(rows)))[:, order]
    return None


def _all_columns(scores: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return (n, C) scores; scikit-learn gives (n,) of the second class against the first for two."""
    return scores if scores.ndim == 2 else np.column_stack([-scores, scores]) / 2


def _ask_torch(module: Any) -> Ask:
    """Return how to ask a torch module, on its own device and in its own precision, in evaluation mode."""

    def ask(rows: FloatArray) -> Any:
        import torch

        training, parameter = module.training, next(module.parameters(), torch.empty(0))
        module.eval()
        try:
            with torch.no_grad():
                return module(torch.tensor(rows, dtype=parameter.dtype, device=parameter.device))
        finally:
            module.train(training)

    return ask
