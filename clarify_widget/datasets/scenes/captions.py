"""Sentences about scenes, drawn by lot: what the demo encoder's text tower is trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clarify_widget.datasets.scenes.phrases import CONCEPTS, Concept

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

TEMPLATES = (
    "an image of a {}",
    "an image of {}",
    "a photo of a {}",
    "a picture of a {}",
    "a drawing of a {}",
    "images that have {} in it",
)
_THINGS = ("thing", "object", "things", "objects")
_ALONE: dict[str, Sequence[str]] = {
    "colour": ("{}", "{}", "{}", "a {} thing", "{} things", "{} object", "something {}"),
    "kind": ("{}", "{}", "{}", "a {}", "the {}", "some {}"),
    "texture": ("{}", "{}", "a {} thing", "{} pattern", "{} object"),
    "outline": ("{}", "{}", "with {}", "with an {}", "a {} thing"),
    "size": ("{}", "{}", "a {} thing", "{} objects"),
    "count": ("{}", "{}", "{} things", "{} objects"),
    "position": ("{}", "{}", "on the {}", "at the {}", "in the {}", "on the {} side", "{} part"),
    "tilt": ("{}", "{}", "a {} thing", "{} objects"),
    "lighting": ("{}", "{}", "a {} image", "{} picture", "{} scene"),
    "focus": ("{}", "{}", "a {} image", "{} picture", "{} photo"),
    "grain": ("{}", "{}", "a {} image", "{} picture", "{} photo"),
    "background": (
        "{}",
        "{}",
        "{}",
        "a {} background",
        "{} in the background",
        "on {}",
        "in the {}",
        "{} background",
    ),
}
_ORDER = ("count", "size", "tilt", "outline", "texture", "colour")


def say(concept: Concept, rng: np.random.Generator) -> str:
    """Say one concept alone, in one of its words, bare or in a short sentence."""
    word = _word(concept, rng)
    way = _pick(_ALONE[concept.role], rng)
    return _framed(word if "background" in word or "backdrop" in word else way.format(word), rng)


def describe(facts: NDArray[np.bool_], rng: np.random.Generator, number: int) -> str:
    """Say up to `number` true things about the scene with these facts: "two red squares on the water"."""
    true = [concept for concept, holds in zip(CONCEPTS, facts, strict=True) if holds]
    said: dict[str, str] = {}
    for index in rng.permutation(len(true)):
        if len(said) == number:
            break
        said.setdefault(true[index].role, _word(true[index], rng))
    picture = [said[role] for role in ("lighting", "focus", "grain") if role in said]
    words = [said[role] for role in _ORDER if role in said]
    kind = said.get("kind") or (_pick(_THINGS, rng) if words and rng.random() < 0.5 else "")
    if kind:
        words.append(kind)
    if "position" in said:
        words.append(_pick(("{}", "on the {}", "at the {}", "in the {}"), rng).format(said["position"]))
    if "background" in said:
        place = said["background"]
        words.append(
            place
            if "back" in place
            else _pick(
                ("on {}", "on a {} background", "{}", "in the {}", "with {} in the background"), rng
            ).format(place)
        )
    if picture:
        words = [*picture, *words] if rng.random() < 0.5 else [*words, *picture]
    return _framed(" ".join(words), rng)


def _framed(phrase: str, rng: np.random.Generator) -> str:
    lot = rng.random()
    if lot < 0.45:
        return phrase
    return TEMPLATES[0].format(phrase) if lot < 0.85 else _pick(TEMPLATES, rng).format(phrase)


def _word(concept: Concept, rng: np.random.Generator) -> str:
    """Say the plainest word about as often as all others together, so that they do not crowd it out."""
    return concept.name if rng.random() < 0.4 else _pick(concept.words, rng)


def _pick(options: Sequence[str], rng: np.random.Generator) -> str:
    return options[int(rng.integers(len(options)))]
