"""Fix what an image classifier gets wrong, in words, inside a notebook.

Implements Clarify (Lee et al., UIST 2024). Start with `Session` and `ClarifyWidget`::

    import clarify_widget as cw

    session = cw.Session(cw.datasets.sprites())
    cw.ClarifyWidget(session)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clarify_widget import datasets, encoders, errors
    from clarify_widget.concepts import Annotation, Annotations, ErrorScore, error_score
    from clarify_widget.datasets import Dataset, Split
    from clarify_widget.evaluation import Evaluation, evaluate
    from clarify_widget.session import Comparison, PhraseScore, Session
    from clarify_widget.training import LinearHead, sample_weights, train_head
    from clarify_widget.widget import ClarifyWidget

__version__ = "0.1.0"

__all__ = [
    "Annotation",
    "Annotations",
    "ClarifyWidget",
    "Comparison",
    "Dataset",
    "ErrorScore",
    "Evaluation",
    "LinearHead",
    "PhraseScore",
    "Session",
    "Split",
    "datasets",
    "encoders",
    "error_score",
    "errors",
    "evaluate",
    "sample_weights",
    "train_head",
]

# Loaded on first use, so that importing the package costs no more than importing anywidget.
_HOMES = {
    "Annotation": "concepts",
    "Annotations": "concepts",
    "ErrorScore": "concepts",
    "error_score": "concepts",
    "Dataset": "datasets",
    "Split": "datasets",
    "Evaluation": "evaluation",
    "evaluate": "evaluation",
    "Comparison": "session",
    "PhraseScore": "session",
    "Session": "session",
    "LinearHead": "training",
    "sample_weights": "training",
    "train_head": "training",
    "ClarifyWidget": "widget",
}
_MODULES = (
    "concepts",
    "datasets",
    "discovery",
    "encoders",
    "errors",
    "evaluation",
    "finetuning",
    "methods",
    "plots",
    "session",
    "training",
    "widget",
)


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name in _HOMES:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_MODULES})
