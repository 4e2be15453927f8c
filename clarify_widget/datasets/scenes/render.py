"""From a scene's specification to its picture: 128 by 128 pixels, antialiased, the same on every machine."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from clarify_widget.datasets.scenes import backgrounds, birds, shapes
from clarify_widget.datasets.scenes.scene import COLOURS, Scene

if TYPE_CHECKING:
    from collections.abc import Sequence

SIDE = backgrounds.SIDE
_FINE = 3  # masks are drawn this much larger, then reduced
_BLUR_RADIUS = 2.8  # pixels
_GRAIN = 44  # largest change of a channel
_DARK = tuple(int(v * 0.48) for v in range(256)) * 3
_BRIGHT = tuple(min(255, int(v * 1.12 + 26)) for v in range(256)) * 3

Tone = tuple[int, int, int]
Points = NDArray[np.float64]  # (n, 2)


def render(scene: Scene) -> Image.Image:
    """Draw a scene.

    Returns
    -------
    PIL.Image.Image
        RGB, 128 by 128 pixels; the same scene gives the same pixels.
    """
    rng = np.random.default_rng(scene.seed)
    picture = backgrounds.crop(scene.background, rng)
    for thing in scene.things:
        colour = _shade(COLOURS[thing.colour], rng)
        draw_thing = _draw_bird if thing.is_bird else _draw_shape
        for place in thing.places:
            draw_thing(picture, thing, place, colour)
    if scene.lighting != "normal":
        picture = picture.point(_DARK if scene.lighting == "dark" else _BRIGHT)
    if scene.blurred:
        picture = picture.filter(ImageFilter.GaussianBlur(_BLUR_RADIUS))
    return _with_grain(picture, rng) if scene.grainy else picture


def mask(scene: Scene) -> Image.Image:
    """Draw where the things of a scene are that its class is about: its own, not those of its companion.

    Returns
    -------
    PIL.Image.Image
        L, 128 by 128 pixels: 255 where `render` draws a thing, 0 elsewhere, in between at its edges. The
        trunk that a woodpecker sits on is no part of it.
    """
    picture = Image.new("L", (SIDE, SIDE))
    for place in scene.places:
        canvas = _Canvas(place, scene.size)
        fine = Image.new("L", (canvas.fine, canvas.fine))
        draw = ImageDraw.Draw(fine)
        for points in _outlines(scene):
            draw.polygon(canvas.on_grid(points), fill=255)
        covered = fine.reduce(_FINE)
        picture.paste(255, (canvas.left, canvas.top), covered)
    return picture


def _outlines(scene: Scene) -> list[Points]:
    """Return the polygons of one thing, in its unit box."""
    if scene.is_bird:
        mirror = np.array([scene.facing, 1.0])
        return [part.points * mirror for part in birds.parts(scene.kind) if part.role != "bark"]
    stretch = math.sqrt(scene.aspect)
    points = shapes.outline(scene.kind) * np.array([stretch, 1 / stretch]) / max(1.0, stretch * 0.86)
    return [_turned(points, scene.angle)]


def _shade(colour: Tone, rng: np.random.Generator) -> Tone:
    """Return the colour a little lighter or darker, and each channel a little off."""
    common = float(rng.uniform(-9, 9))
    red, green, blue = (int(np.clip(c + common + float(rng.uniform(-5, 5)), 0, 255)) for c in colour)
    return red, green, blue


def _mix(tone: Tone, other: Tone, share: float) -> Tone:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(tone, other, strict=True))
    return red, green, blue


def _luminance(tone: Tone) -> float:
    return 0.299 * tone[0] + 0.587 * tone[1] + 0.114 * tone[2]


def _with_grain(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    # Grain of two pixels survives the reduction to the encoder's 64 pixels.
    coarse = rng.integers(-_GRAIN, _GRAIN + 1, (SIDE // 2, SIDE // 2), dtype=np.int16)
    grain = coarse.repeat(2, axis=0).repeat(2, axis=1)[..., None]
    return Image.fromarray(np.clip(np.asarray(picture, dtype=np.int16) + grain, 0, 255).astype(np.uint8))


def _turned(points: Points, degrees: float) -> Points:
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    turned: Points = points @ np.array([[cosine, -sine], [sine, cosine]])
    return turned


class _Canvas:
    """A fine grid over the square part of the picture that one thing covers."""

    def __init__(self, place: tuple[float, float], size: float) -> None:
        self.half = math.ceil(size * SIDE / 2 * 1.18) + 3
        self.radius = size * SIDE / 2
        self.left = round(place[0] * SIDE) - self.half
        self.top = round(place[1] * SIDE) - self.half
        self.fine = 2 * self.half * _FINE

    def on_grid(self, points: Points) -> list[tuple[float, float]]:
        """Points of the unit box in the fine grid's coordinates."""
        grid = points * (self.radius * _FINE) + self.fine / 2
        return [(x, y) for x, y in grid.tolist()]


def _draw_shape(picture: Image.Image, scene: Scene, place: tuple[float, float], colour: Tone) -> None:
    canvas = _Canvas(place, scene.size)
    (points,) = _outlines(scene)
    corners = canvas.on_grid(points)
    inside = Image.new("L", (canvas.fine, canvas.fine))
    ImageDraw.Draw(inside).polygon(corners, fill=255)
    fill = _textured(scene.texture, colour, canvas, scene.angle)
    picture.paste(fill, (canvas.left, canvas.top), inside.reduce(_FINE))
    if scene.outlined:
        edge = Image.new("L", inside.size)
        width = round((2.6 + 0.045 * canvas.radius) * 2 * _FINE / 2)
        ImageDraw.Draw(edge).line([*corners, corners[0], corners[1]], fill=255, width=width, joint="curve")
        line: Tone = (18, 18, 22) if _luminance(colour) > 62 else (250, 250, 250)
        picture.paste(line, (canvas.left, canvas.top), edge.reduce(_FINE))


def _second_tone(colour: Tone) -> Tone:
    """Return the tone of stripes, dots and checks: clearly another one, and still of the colour's name."""
    light = _luminance(colour)
    if light > 175:
        return _mix(colour, (0, 0, 0), 0.42)
    return _mix(colour, (255, 255, 255), 0.62 if light > 60 else 0.5)


def _textured(texture: str, colour: Tone, canvas: _Canvas, angle: float) -> Image.Image:
    side = 2 * canvas.half
    fill = Image.new("RGB", (side, side), colour)
    if texture == "solid":
        return fill
    pattern = Image.new("L", (canvas.fine, canvas.fine))
    draw = ImageDraw.Draw(pattern)
    for polygon in _PATTERNS[texture](canvas.radius):
        draw.polygon(canvas.on_grid(_turned(polygon, angle)), fill=255)
    fill.paste(_second_tone(colour), (0, 0), pattern.reduce(_FINE))
    return fill


def _stripes(radius: float) -> Sequence[Points]:
    step = max(0.26, 9.0 / radius)
    starts = np.arange(-1.5, 1.5, step)
    return [np.array([(-1.6, y), (1.6, y), (1.6, y + step / 2), (-1.6, y + step / 2)]) for y in starts]


def _dots(radius: float) -> Sequence[Points]:
    step = max(0.36, 10.5 / radius)
    turn = np.linspace(0, 2 * np.pi, 14, endpoint=False)
    disc = step * 0.29 * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    reach = math.ceil(1.3 / step)
    return [
        disc + np.array([(i + (j % 2) / 2) * step, j * step * 0.86])
        for i in range(-reach, reach + 1)
        for j in range(-reach, reach + 1)
    ]


def _checks(radius: float) -> Sequence[Points]:
    step = max(0.30, 7.5 / radius)
    cell = step * np.array([(0, 0), (1, 0), (1, 1), (0, 1)])
    reach = math.ceil(1.3 / step)
    return [
        cell + np.array([i * step, j * step])
        for i in range(-reach, reach)
        for j in range(-reach, reach)
        if (i + j) % 2 == 0
    ]


_PATTERNS = {"striped": _stripes, "dotted": _dots, "checked": _checks}


def _plumage(role: str, colour: Tone) -> Tone:
    fixed: dict[str, Tone] = {
        "bill": (240, 158, 40),
        "leg": (214, 132, 52),
        "eye": (18, 18, 20),
        "glint": (255, 255, 255),
        "pale": (244, 238, 222),
        "bark": (104, 78, 54),
        "collar": (248, 246, 240),
    }
    if role in fixed:
        return fixed[role]
    dark = _luminance(colour) < 60
    tones: dict[str, Tone] = {
        "body": colour,
        "wing": _mix(colour, (255, 255, 255), 0.16) if dark else _mix(colour, (20, 24, 36), 0.26),
        "darker": _mix(colour, (255, 255, 255), 0.10) if dark else _mix(colour, (20, 24, 36), 0.42),
        "tip": _mix(colour, (255, 255, 255), 0.28) if dark else _mix(colour, (16, 18, 24), 0.72),
        "light": _mix(colour, (255, 255, 255), 0.20 if dark else 0.42),
    }
    return tones[role]


def _draw_bird(picture: Image.Image, scene: Scene, place: tuple[float, float], colour: Tone) -> None:
    canvas = _Canvas(place, scene.size)
    box = (canvas.left, canvas.top, canvas.left + 2 * canvas.half, canvas.top + 2 * canvas.half)
    # Drawing over an enlarged copy of what lies behind smooths every edge in one reduction.
    fine = picture.crop(box).resize((canvas.fine, canvas.fine), Image.Resampling.NEAREST)
    draw = ImageDraw.Draw(fine)
    mirror = np.array([scene.facing, 1.0])
    for part in birds.parts(scene.kind):
        draw.polygon(canvas.on_grid(part.points * mirror), fill=_plumage(part.role, colour))
    picture.paste(fine.reduce(_FINE), (canvas.left, canvas.top))
