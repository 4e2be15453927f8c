"""What a drawn scene is made of, and how one is drawn by lot.

A scene shows one to four things of one kind and colour on one background. Everything that a phrase can
name is a field of :class:`Scene`; only what no phrase can name (the crop of a texture, the exact shade) is
left to its ``seed``. So the truth of a phrase is read off the specification and never off the pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np

WATER_BIRDS = ("duck", "gull", "heron")
LAND_BIRDS = ("finch", "owl", "woodpecker")
BIRDS = WATER_BIRDS + LAND_BIRDS
SHAPES = ("square", "circle", "oval", "triangle", "star", "heart", "cross", "crescent")
KINDS = SHAPES + BIRDS

COLOURS: Mapping[str, tuple[int, int, int]] = MappingProxyType(
    {
        "red": (212, 38, 44),
        "orange": (242, 132, 24),
        "yellow": (248, 212, 44),
        "green": (44, 150, 66),
        "blue": (38, 92, 208),
        "turquoise": (44, 192, 190),
        "purple": (122, 58, 168),
        "pink": (244, 142, 184),
        "brown": (122, 76, 44),
        "white": (246, 246, 244),
        "grey": (132, 135, 140),
        "black": (28, 28, 32),
    }
)
PLUMAGES = ("white", "grey", "brown", "black", "blue", "yellow", "red")

TEXTURES = ("solid", "striped", "dotted", "checked")
WATERS = ("ocean", "lake")
LANDS = ("forest", "grass", "sand")
BACKGROUNDS = (
    "black",
    "white",
    "plain",
    "ocean",
    "lake",
    "sand",
    "snow",
    "grass",
    "forest",
    "city",
    "night",
)
LIGHTINGS = ("normal", "dark", "bright")

SMALL = (0.27, 0.33)
MEDIUM = (0.40, 0.48)
LARGE = (0.62, 0.78)

# Pairs in which the thing would vanish, or could not be named with confidence.
_UNSEEN_ON: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "black": frozenset({"black"}),
        "white": frozenset({"white"}),
        "plain": frozenset(),
        "ocean": frozenset({"blue", "turquoise"}),
        "lake": frozenset({"turquoise", "blue", "grey"}),
        "sand": frozenset({"yellow", "orange"}),
        "snow": frozenset({"white"}),
        "grass": frozenset({"green"}),
        "forest": frozenset({"green", "black"}),
        "city": frozenset({"grey"}),
        "night": frozenset({"black", "purple", "blue"}),
    }
)
_UNSURE_WHEN_DARK = frozenset({"black", "grey", "brown", "orange"})
_UNSURE_WHEN_BRIGHT = frozenset({"white", "grey", "pink"})
# Angles, in degrees, at which a shape looks turned; shapes that look the same at every angle have none.
_TILTS: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "square": (30, 60),
        "oval": (30, 60),
        "triangle": (30, 90),
        "star": (28, 44),
        "heart": (35, 100),
        "cross": (30, 60),
        "crescent": (40, 90),
    }
)


@dataclass(frozen=True)
class Scene:
    """The full specification of one picture.

    Lengths are fractions of the picture's side; ``places`` are centres ``(x, y)`` with ``y`` downwards;
    ``angle`` is in degrees, counter-clockwise; ``aspect`` is width over height; ``seed`` fixes what no phrase
    can name. A ``companion`` is a thing of another kind beside these, in the same place and light: of its own
    scene only what describes the thing itself counts.
    """

    kind: str
    colour: str
    background: str
    places: tuple[tuple[float, float], ...] = ((0.5, 0.5),)
    size: float = 0.45
    angle: float = 0.0
    aspect: float = 1.0
    texture: str = "solid"
    outlined: bool = False
    facing: int = 1
    lighting: str = "normal"
    blurred: bool = False
    grainy: bool = False
    seed: int = 0
    companion: Scene | None = None

    @property
    def things(self) -> tuple[Scene, ...]:
        """What is drawn: the scene's own things and then their companion."""
        return (self,) if self.companion is None else (self, self.companion)

    @property
    def is_bird(self) -> bool:
        """Whether the things are birds and not shapes."""
        return self.kind in BIRDS

    @property
    def tilted(self) -> bool:
        """Whether the things look turned."""
        return self.kind in _TILTS and abs(self.angle) >= _TILTS[self.kind][0]


def _is_visible(colour: str, background: str, lighting: str = "normal") -> bool:
    """Whether a thing of this colour stands out, and keeps its name, on this background in this light."""
    if colour in _UNSEEN_ON[background]:
        return False
    if lighting == "dark":
        return colour not in _UNSURE_WHEN_DARK
    return lighting != "bright" or colour not in _UNSURE_WHEN_BRIGHT


def sample_scene(rng: np.random.Generator) -> Scene:
    """Draw one scene of the world that the demo encoder learns.

    Parameters
    ----------
    rng
        Source of chance; the same state gives the same scene on every machine.
    """
    kind = _choice(rng, SHAPES if rng.random() < 0.57 else BIRDS)
    bird = kind in BIRDS
    background = _choice(rng, BACKGROUNDS)
    lighting = _lighting(rng, background)
    colours = [c for c in (PLUMAGES if bird else COLOURS) if _is_visible(c, background, lighting)]
    blurred = bool(rng.random() < 0.14)
    count = int(rng.choice([1, 2, 3, 4], p=[0.52, 0.16, 0.16, 0.16]))
    size = _size(rng, count, bird)
    tilts = _TILTS.get(kind)
    tilted = tilts is not None and rng.random() < 0.4
    angle = rng.uniform(*tilts) if tilted and tilts is not None else rng.uniform(0, 8)
    textured = not bird and not blurred and rng.random() < 0.5
    return Scene(
        kind=kind,
        colour=_choice(rng, colours),
        background=background,
        places=_places(rng, count, size),
        size=size,
        angle=float(angle if rng.random() < 0.5 else -angle),
        aspect=_aspect(rng, kind),
        texture=_choice(rng, TEXTURES[1:]) if textured else "solid",
        outlined=bool(not bird and not blurred and rng.random() < 0.25),
        facing=1 if rng.random() < 0.5 else -1,
        lighting=lighting,
        blurred=blurred,
        grainy=bool(rng.random() < 0.12),
        seed=int(rng.integers(2**31)),
    )


def _choice(rng: np.random.Generator, options: Sequence[str]) -> str:
    return options[int(rng.integers(len(options)))]


def _lighting(rng: np.random.Generator, background: str) -> str:
    if background in ("black", "white", "night", "snow"):
        return "normal"
    return LIGHTINGS[int(rng.choice(3, p=[0.7, 0.16, 0.14]))]


def _size(rng: np.random.Generator, count: int, bird: bool) -> float:
    # Birds carry fine detail, so a small bird is drawn at the upper end of small.
    ranges = {1: (SMALL, MEDIUM, LARGE), 2: (SMALL, MEDIUM), 3: (SMALL, SMALL, MEDIUM), 4: (SMALL,)}[count]
    low, high = ranges[int(rng.integers(len(ranges)))]
    if bird and (low, high) == SMALL:
        low = high - 0.03
    return float(rng.uniform(low, min(high, 0.43) if count > 1 else high))


def _aspect(rng: np.random.Generator, kind: str) -> float:
    if kind == "oval":
        return float(rng.uniform(1.45, 2.1))
    return float(rng.uniform(0.92, 1.08)) if kind == "square" else 1.0


def _places(rng: np.random.Generator, count: int, size: float) -> tuple[tuple[float, float], ...]:
    if count == 1:
        return (_single_place(rng, size),)
    slots = {
        2: (
            ((0.27, 0.5), (0.73, 0.5)),
            ((0.5, 0.27), (0.5, 0.73)),
            ((0.28, 0.28), (0.72, 0.72)),
            ((0.72, 0.28), (0.28, 0.72)),
        ),
        3: (((0.5, 0.26), (0.26, 0.72), (0.74, 0.72)), ((0.5, 0.74), (0.26, 0.28), (0.74, 0.28))),
        4: (((0.27, 0.27), (0.73, 0.27), (0.27, 0.73), (0.73, 0.73)),),
    }[count]
    chosen = slots[int(rng.integers(len(slots)))]
    slack = max(0.0, 0.46 - size) / 2
    return tuple(
        (x + float(rng.uniform(-slack, slack)), y + float(rng.uniform(-slack, slack))) for x, y in chosen
    )


def _single_place(rng: np.random.Generator, size: float) -> tuple[float, float]:
    """In the middle, at one side or in one corner, and never in between."""
    if size >= LARGE[0]:
        x, y = rng.uniform(0.46, 0.54, 2)
        return float(x), float(y)
    edge = max(0.22, size / 2 + 0.01)

    def coordinate() -> float:
        where = int(rng.integers(3))
        if where == 1:
            return float(rng.uniform(0.45, 0.55))
        near = float(rng.uniform(edge, edge + 0.05))
        return near if where == 0 else 1 - near

    return coordinate(), coordinate()
