"""The words for what a scene shows, and the truth of a phrase.

A phrase is read as a conjunction: every concept that its words name has to hold. Words that only carry the
sentence ("an image of a", "on the", "background") say nothing. Any other word is unknown, and the caller is
told.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from clarify_widget.datasets.scenes.scene import (
    BIRDS,
    COLOURS,
    LAND_BIRDS,
    LANDS,
    LARGE,
    SHAPES,
    SMALL,
    WATER_BIRDS,
    WATERS,
    Scene,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True)
class Concept:
    """One thing that can be true of a scene.

    Attributes
    ----------
    name
        The plainest word for it.
    role
        Its part in a sentence: two concepts of one role are not said together.
    words
        Every way to say it, singular forms before plural ones; the first is the name.
    holds
        Whether it is true of a scene.
    """

    name: str
    role: str
    words: tuple[str, ...]
    holds: Callable[[Scene], bool]


def _on(*backgrounds: str) -> Callable[[Scene], bool]:
    return lambda scene: scene.background in backgrounds


def _of(*kinds: str) -> Callable[[Scene], bool]:
    return lambda scene: any(thing.kind in kinds for thing in scene.things)


def _coloured(colour: str) -> Callable[[Scene], bool]:
    return lambda scene: any(thing.colour == colour for thing in scene.things)


def _numbering(*counts: int) -> Callable[[Scene], bool]:
    return lambda scene: len(scene.places) in counts


def _at(low: tuple[float, float], high: tuple[float, float]) -> Callable[[Scene], bool]:
    """Return whether a single thing has its centre in this box."""

    def holds(scene: Scene) -> bool:
        x, y = scene.places[0]
        return len(scene.places) == 1 and low[0] <= x <= high[0] and low[1] <= y <= high[1]

    return holds


_COLOUR_WORDS = {
    "red": ("crimson", "scarlet"),
    "orange": ("tangerine",),
    "yellow": ("golden", "gold"),
    "green": ("emerald",),
    "blue": ("cobalt", "azure"),
    "turquoise": ("cyan", "teal"),
    "purple": ("violet",),
    "pink": ("rose",),
    "brown": ("chocolate",),
    "white": ("ivory",),
    "grey": ("gray",),
    "black": ("ebony",),
}
_KIND_WORDS = {
    "square": ("squares",),
    "circle": ("disc", "disk", "circles"),
    "oval": ("ellipse", "ovals", "ellipses"),
    "triangle": ("triangles",),
    "star": ("stars",),
    "heart": ("hearts",),
    "cross": ("plus", "crosses"),
    "crescent": ("crescents",),
    "duck": ("mallard", "ducks"),
    "gull": ("seagull", "gulls", "seagulls"),
    "heron": ("egret", "herons"),
    "finch": ("sparrow", "finches"),
    "owl": ("owls",),
    "woodpecker": ("woodpeckers",),
}

CONCEPTS: tuple[Concept, ...] = (
    *(Concept(name, "colour", (name, *_COLOUR_WORDS[name]), _coloured(name)) for name in COLOURS),
    *(Concept(name, "kind", (name, *_KIND_WORDS[name]), _of(name)) for name in (*SHAPES, *BIRDS)),
    Concept("bird", "kind", ("bird", "birds"), _of(*BIRDS)),
    Concept(
        "water bird",
        "kind",
        ("water bird", "waterbird", "seabird", "waterfowl", "water birds", "waterbirds", "seabirds"),
        _of(*WATER_BIRDS),
    ),
    Concept("land bird", "kind", ("land bird", "landbird", "land birds", "landbirds"), _of(*LAND_BIRDS)),
    Concept("shape", "kind", ("shape", "shapes"), _of(*SHAPES)),
    Concept("striped", "texture", ("striped", "stripes", "stripy"), lambda scene: scene.texture == "striped"),
    Concept(
        "dotted", "texture", ("dotted", "spotted", "dots", "spots"), lambda scene: scene.texture == "dotted"
    ),
    Concept(
        "checked",
        "texture",
        ("checked", "checkered", "chequered", "checkerboard"),
        lambda scene: scene.texture == "checked",
    ),
    Concept(
        "outlined", "outline", ("outlined", "outline", "border", "bordered"), lambda scene: scene.outlined
    ),
    Concept("small", "size", ("small", "little", "tiny"), lambda scene: scene.size <= SMALL[1]),
    Concept("large", "size", ("large", "big", "huge"), lambda scene: scene.size >= LARGE[0]),
    Concept("one", "count", ("one", "single"), _numbering(1)),
    Concept("two", "count", ("two", "pair", "couple"), _numbering(2)),
    Concept("three", "count", ("three", "trio"), _numbering(3)),
    Concept("four", "count", ("four",), _numbering(4)),
    Concept("several", "count", ("several", "many", "multiple"), _numbering(3, 4)),
    Concept("left", "position", ("left",), _at((0, 0), (0.36, 1))),
    Concept("right", "position", ("right",), _at((0.64, 0), (1, 1))),
    Concept("top", "position", ("top", "upper"), _at((0, 0), (1, 0.36))),
    Concept("bottom", "position", ("bottom", "lower"), _at((0, 0.64), (1, 1))),
    Concept("centre", "position", ("centre", "center", "middle"), _at((0.44, 0.44), (0.56, 0.56))),
    Concept("tilted", "tilt", ("tilted", "rotated", "slanted", "diagonal"), lambda scene: scene.tilted),
    Concept(
        "dark",
        "lighting",
        ("dark", "dim", "gloomy"),
        lambda scene: scene.lighting == "dark" or scene.background in ("black", "night"),
    ),
    Concept(
        "bright",
        "lighting",
        ("bright", "overexposed"),
        lambda scene: scene.lighting == "bright" or scene.background in ("white", "snow"),
    ),
    Concept("blurry", "focus", ("blurry", "blurred", "fuzzy", "out of focus"), lambda scene: scene.blurred),
    Concept("grainy", "grain", ("grainy", "noisy", "grain", "noise"), lambda scene: scene.grainy),
    Concept("black background", "background", ("black background", "black backdrop"), _on("black")),
    Concept("white background", "background", ("white background", "white backdrop"), _on("white")),
    Concept("plain", "background", ("plain",), _on("plain")),
    Concept("water", "background", ("water",), _on(*WATERS)),
    Concept("ocean", "background", ("ocean", "sea", "waves"), _on("ocean")),
    Concept("lake", "background", ("lake", "pond"), _on("lake")),
    Concept("land", "background", ("land",), _on(*LANDS)),
    Concept("sand", "background", ("sand", "beach", "desert", "sandy"), _on("sand")),
    Concept("snow", "background", ("snow", "winter", "snowy"), _on("snow")),
    Concept("grass", "background", ("grass", "meadow", "lawn", "field", "grassy"), _on("grass")),
    Concept("forest", "background", ("forest", "woods", "trees", "woodland", "jungle"), _on("forest")),
    Concept("city", "background", ("city", "town", "buildings", "skyline", "street", "urban"), _on("city")),
    Concept("night", "background", ("night", "night sky", "nighttime", "starry sky"), _on("night")),
)
CONCEPT_NAMES: tuple[str, ...] = tuple(concept.name for concept in CONCEPTS)
_CARRIERS = """
    a an the this that which it its is are was be has have there with and of in on at to by near
    over against from image images picture pictures photo photos photograph photographs drawing
    drawings illustration painting scene scenes view showing shows shown drawn background
    backgrounds backdrop side part half corner colour color coloured colored pattern patterned thing
    things object objects something some very standing swimming sitting front
"""
CARRIERS: frozenset[str] = frozenset(_CARRIERS.split())

_BY_NAME: Mapping[str, Concept] = MappingProxyType({concept.name: concept for concept in CONCEPTS})
_BY_WORDS: Mapping[tuple[str, ...], str] = MappingProxyType(
    {tuple(way.split()): concept.name for concept in CONCEPTS for way in concept.words}
)
_LONGEST = max(len(way) for way in _BY_WORDS)
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")


@dataclass(frozen=True)
class Reading:
    """What a phrase says: its words, the concepts that it names, and the words that mean nothing here."""

    words: tuple[str, ...]
    concepts: tuple[str, ...]
    unknown: tuple[str, ...]


@lru_cache(maxsize=65536)
def read(phrase: str) -> Reading:
    """Read a phrase from left to right, always taking the longest name that fits."""
    words = [word.lower() for word in _WORD.findall(phrase)]
    concepts: list[str] = []
    unknown: list[str] = []
    start = 0
    while start < len(words):
        length = next((n for n in range(_LONGEST, 0, -1) if tuple(words[start : start + n]) in _BY_WORDS), 0)
        if length:
            concepts.append(_BY_WORDS[tuple(words[start : start + length])])
        elif words[start] not in CARRIERS:
            unknown.append(words[start])
        start += max(1, length)
    return Reading(tuple(words), tuple(dict.fromkeys(concepts)), tuple(dict.fromkeys(unknown)))


def is_true(phrase: str, scene: Scene) -> bool:
    """Whether every concept that a phrase names holds of a scene.

    Raises
    ------
    ValueError
        When the phrase names nothing, or uses a word that means nothing here.
    """
    reading = read(phrase)
    if reading.unknown or not reading.concepts:
        names, unknown = list(reading.concepts), list(reading.unknown)
        raise ValueError(
            f"{phrase!r} has no truth here: it names {names} and has the unknown words {unknown}."
        )
    return all(_BY_NAME[name].holds(scene) for name in reading.concepts)


def facts(scene: Scene) -> NDArray[np.bool_]:
    """Which concepts hold of a scene: (number of concepts,), in the order of `CONCEPTS`."""
    return np.array([concept.holds(scene) for concept in CONCEPTS])


def truth(phrases: Sequence[str], facts_of: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Truth of phrases on many scenes at once: (n, number of concepts) facts to (n, number of phrases)."""
    columns = {name: i for i, name in enumerate(CONCEPT_NAMES)}
    answer = np.ones((len(facts_of), len(phrases)), dtype=bool)
    for j, phrase in enumerate(phrases):
        for name in read(phrase).concepts:
            answer[:, j] &= facts_of[:, columns[name]]
    return answer
