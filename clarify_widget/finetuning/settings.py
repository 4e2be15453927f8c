"""What is minimised, and by which steps: the paper's combinations of losses and the published settings."""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from clarify_widget.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Losses:
    """The weight of each loss; 0 leaves it out.

    Attributes
    ----------
    clip
        L_CLIP (Eq. 1).
    vc, lc
        L_vc (Eq. 2) and L_lc (Eq. 3): images, and prompts, of one class together and of others apart.
    vs
        L_vs (Eq. 4): images of one group (a class with, or without, the attribute) together and of others
        apart. Needs groups.
    ls
        L_ls (Eq. 5): prompts of classes apart from those of attributes. Needs the attributes' names only.
    variant
        "paper": the equations. "released": the cosine forms of the code published with the paper.
    temperature
        Tau of Eq. 2-5; None takes that of the model, as the paper does. The higher, the more evenly all pairs
        count; the released forms are the limit of that.

    Raises
    ------
    DataError
        When a weight is negative or not finite, all are 0, or the temperature is not above 0.
    """

    clip: float = 1.0
    vc: float = 0.0
    lc: float = 0.0
    vs: float = 0.0
    ls: float = 0.0
    variant: Literal["paper", "released"] = "paper"
    temperature: float | None = None

    def __post_init__(self) -> None:
        """Check the weights."""
        weights = (self.clip, self.vc, self.lc, self.vs, self.ls)
        if not all(math.isfinite(weight) and weight >= 0 for weight in weights) or not any(weights):
            raise DataError(f"Weights of losses must be at least 0, and one above it; got {weights}.")
        if self.variant not in ("paper", "released"):
            raise DataError(f'variant must be "paper" or "released"; got {self.variant!r}.')
        if self.temperature is not None and not 0 < self.temperature < math.inf:
            raise DataError(f"temperature must be above 0; got {self.temperature}.")

    def __str__(self) -> str:
        """Return the sum as people write it: "L_CLIP + L_vc + 5 L_ls"."""
        named = (
            ("CLIP", self.clip),
            ("vc", self.vc),
            ("lc", self.lc),
            ("vs", self.vs),
            ("ls", self.ls),
        )
        terms = [f"{'' if weight == 1 else f'{weight:g} '}L_{name}" for name, weight in named if weight]
        return " + ".join(terms) + (" (released)" if self.variant == "released" else "")


FINE_TUNED_CLIP = Losses()
SPURIOUS_LANGUAGE = Losses(vc=1, lc=1, ls=1)
SPURIOUS_IMAGE = Losses(vc=1, lc=1, vs=1)

Objective = Losses | Literal["erm", "group_dro"]
"""What fine-tuning minimises: a sum of losses, or a baseline on the cross-entropy of the class prompts."""


@dataclass(frozen=True)
class Settings:
    """How SGD steps.

    Attributes
    ----------
    learning_rate, momentum, weight_decay
        Of torch's SGD.
    batch_size
        Images a step.
    epochs
        Passes over the training images; the best epoch on validation is kept.
    text_projection
        Whether the text projection is trained as well as the image projection. Without it L_lc and L_ls have
        nothing to change.
    temperature
        Tau at the start; None takes that of the model.
    train_temperature
        Whether tau is trained as well, as in CLIP's own training. It stays at 1/100 or above, as there.
    seed
        Of the order of images, and of the templates they are paired with.

    Raises
    ------
    DataError
        When a number is out of its range.
    """

    learning_rate: float = 1e-4
    momentum: float = 0.9
    weight_decay: float = 1e-5
    batch_size: int = 128
    epochs: int = 300
    text_projection: bool = True
    temperature: float | None = None
    train_temperature: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the numbers."""
        if not 0 < self.learning_rate < math.inf:
            raise DataError(f"learning_rate must be above 0; got {self.learning_rate}.")
        if not 0 <= self.momentum < 1:
            raise DataError(f"momentum must be in 0..1, below 1; got {self.momentum}.")
        if not 0 <= self.weight_decay < math.inf:
            raise DataError(f"weight_decay must be at least 0; got {self.weight_decay}.")
        if self.batch_size < 2:
            raise DataError(f"batch_size must be at least 2, as images are compared; got {self.batch_size}.")
        if self.temperature is not None and not 0 < self.temperature < math.inf:
            raise DataError(f"temperature must be above 0; got {self.temperature}.")
        if self.epochs < 1:
            raise DataError(f"epochs must be at least 1; got {self.epochs}.")


PUBLISHED: Mapping[str, Settings] = MappingProxyType(
    {
        "RN50": Settings(batch_size=128, temperature=0.07, train_temperature=True),
        "ViT-L-14-336": Settings(batch_size=32, temperature=0.07, train_temperature=True),
    }
)
"""The settings of the code published with Yang et al. (2023). The paper prints learning rate and weight decay
the other way round (section 5.4). The temperature starts where CLIP's own training started, not where it
ended."""

DRAWN = Settings(learning_rate=1e-3, epochs=20)
"""For the demo encoder: at the published learning rate hardly anything happens in so few epochs."""
DRAWN_SPURIOUS_LANGUAGE = Losses(vc=1, lc=30, ls=100, variant="released")
"""L_lc + L_vc + L_ls for the demo encoder; docs/finetuning.md says what other weights give."""
