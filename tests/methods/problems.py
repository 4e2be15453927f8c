"""Problems with a planted bias, said rightly and wrongly."""

from __future__ import annotations

from clarify_widget.datasets import planted
from clarify_widget.encoders import PrecomputedEncoder
from clarify_widget.methods.problem import Problem, Words


def planted_problem(num_classes=2, strength=0.95, *, seed=0, said="attribute", most=None):
    """A planted world; `said` is "attribute" for the right phrases or "noise" for meaningless ones."""
    world = planted(num_classes, strength, seed=seed)
    names = world.dataset.class_names
    phrases = {
        name: (f"{said} {number % 8}", f"noise {(number + 4) % 8}")[:most]
        for number, name in enumerate(names)
    }
    return Problem(
        world.dataset,
        PrecomputedEncoder(world.phrases, world.phrase_embeddings, name="planted words"),
        Words(class_prompts=tuple(f"attribute {number}" for number in range(num_classes)), phrases=phrases),
        seed=seed,
    )
