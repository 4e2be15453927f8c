"""Where a number comes from, recorded with every result."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from clarify_widget.training import LinearHead

if TYPE_CHECKING:
    from clarify_widget.session.session import Session


EXACT = "exact"
"""The solver whose heads come with a proof of how far from the optimum they can be at most."""


@dataclass(frozen=True)
class Origin:
    """What somebody else needs to know to compute a number again.

    Attributes
    ----------
    dataset, split, images
        Which images, and how many of them the number is about.
    encoder
        The space that phrases are compared in.
    objective, l2, solver
        How the head that is judged was trained; empty and None for a model from outside. The "exact" solver
        has no randomness. With an objective and no l2, how the encoder was fine-tuned.
    stopped_because
        Why the solver stopped; with the seed, where something was random.
    """

    dataset: str = ""
    split: str = ""
    images: int = 0
    encoder: str = ""
    objective: str = ""
    l2: float | None = None
    solver: str = ""
    stopped_because: str = ""

    def __str__(self) -> str:
        """Return one line for people."""
        parts = [f"{self.images:,} {self.split} images of {self.dataset}", f"encoder {self.encoder}"]
        if self.objective and self.l2 is None:
            parts.append(f"{self.objective}, {self.solver}; {self.stopped_because}")
        elif self.objective:
            parts.append(f"{self.objective} head, l2 {self.l2:g}, {self.solver} solver")
            parts.append("no randomness" if self.solver == EXACT else self.stopped_because)
        else:
            parts.append("a model from outside")
        return "; ".join(parts)


def origin_of(session: Session, split: str, images: int, head: object) -> Origin:
    """Return where a number about some images of a split under a head comes from."""
    about = Origin(session.dataset.name, split, images, session.encoder.name)
    if not isinstance(head, LinearHead):
        return about
    return replace(
        about,
        objective=head.objective,
        l2=head.l2,
        solver=EXACT if head.report.duality_gap is not None else "uncertified",
        stopped_because=head.report.stopped_because,
    )
