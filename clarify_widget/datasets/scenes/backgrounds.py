"""Backgrounds: a small bank of textures for each name, drawn once a process; a scene takes a random crop."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

if TYPE_CHECKING:
    from collections.abc import Callable

VARIANTS = 16
SIDE = 128
_WIDE = 176  # a texture is wider than the picture, so that crops differ; heights match, so that horizons stay

Pixels = NDArray[np.float64]  # (height, width, 3), 0..255


@cache
def texture(background: str, variant: int) -> Image.Image:
    """One texture of the bank, ``(176, 128)`` pixels; the caller must not draw on it."""
    # A texture depends on its own name and number only, never on which was made before.
    rng = np.random.default_rng([sum(ord(c) << (7 * i) for i, c in enumerate(background)) % 2**31, variant])
    return _PAINTERS[background](rng)


def crop(background: str, rng: np.random.Generator) -> Image.Image:
    """Return a random crop, mirrored or not, of a random texture: a fresh picture of 128 by 128 pixels."""
    picture = texture(background, int(rng.integers(VARIANTS)))
    left = int(rng.integers(_WIDE - SIDE + 1))
    picture = picture.crop((left, 0, left + SIDE, SIDE))
    return picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if rng.random() < 0.5 else picture


def _noise(rng: np.random.Generator, cells_x: int, cells_y: int) -> Pixels:
    """Return smooth noise with this many cells across and down, about -1 to 1, shape (128, 176)."""
    coarse = Image.fromarray((rng.random((cells_y, cells_x)) * 255).astype(np.uint8))
    smooth = np.asarray(coarse.resize((_WIDE, SIDE), Image.Resampling.BICUBIC), dtype=float)
    return smooth / 127.5 - 1


def _tinted(value: Pixels, low: tuple[float, ...], high: tuple[float, ...]) -> Pixels:
    """Return colours between two tones, for values between 0 and 1."""
    share = np.clip(value, 0, 1)[..., None]
    return np.asarray(np.array(low) * (1 - share) + np.array(high) * share)


def _picture(pixels: Pixels) -> Image.Image:
    return Image.fromarray(np.clip(pixels + 0.5, 0, 255).astype(np.uint8))


def _rows() -> Pixels:
    return np.linspace(0, 1, SIDE)[:, None] * np.ones((1, _WIDE))


def _jitter(
    rng: np.random.Generator, tone: tuple[float, float, float], amount: float = 8
) -> tuple[float, ...]:
    return tuple(channel + float(rng.uniform(-amount, amount)) for channel in tone)


def _flat(tone: tuple[int, int, int]) -> Callable[[np.random.Generator], Image.Image]:
    def paint(rng: np.random.Generator) -> Image.Image:
        shade = float(rng.uniform(-3, 3))
        return _picture(np.ones((SIDE, _WIDE, 1)) * (np.array(tone, dtype=float) + shade))

    return paint


def _plain(rng: np.random.Generator) -> Image.Image:
    tones = (
        (198, 190, 178),
        (176, 186, 198),
        (186, 196, 182),
        (202, 184, 190),
        (188, 186, 204),
        (186, 188, 190),
    )
    tone = np.array(_jitter(rng, tones[int(rng.integers(len(tones)))], 5)) - rng.uniform(0, 22)
    return _picture(tone + (_rows()[..., None] - 0.5) * -10)


def _ocean(rng: np.random.Generator) -> Image.Image:
    """Draw open water to a high horizon under a strip of sky; swell grows towards the viewer."""
    horizon = float(rng.uniform(0.10, 0.20))
    depth = np.clip((_rows() - horizon) / (1 - horizon), 0, 1)
    swell = 0.6 * _noise(rng, 7, 26) + 0.5 * _noise(rng, 14, 48)
    water = _tinted(
        0.42 + 0.30 * depth + 0.24 * swell * (0.4 + depth),
        _jitter(rng, (14, 62, 118)),
        _jitter(rng, (60, 146, 192)),
    )
    foam = (swell * (0.5 + depth) > 0.62) & (depth > 0.08)
    water[foam] = 0.35 * water[foam] + 0.65 * np.array([222, 238, 244])
    sky = _tinted(_rows() / horizon, _jitter(rng, (158, 196, 226)), (226, 236, 242))
    picture = _picture(np.where((_rows() < horizon)[..., None], sky, water))
    return picture.filter(ImageFilter.GaussianBlur(0.6))


def _lake(rng: np.random.Generator) -> Image.Image:
    """Draw calm water with a wooded far shore and its reflection."""
    shore = float(rng.uniform(0.17, 0.25))
    depth = np.clip((_rows() - shore) / (1 - shore), 0, 1)
    ripple = 0.7 * _noise(rng, 4, 40) + 0.3 * _noise(rng, 9, 64)
    water = _tinted(
        0.25 + 0.65 * depth + 0.14 * ripple, _jitter(rng, (62, 112, 124)), _jitter(rng, (148, 200, 208))
    )
    reflection = np.exp(-depth * 7)[..., None] * 0.6
    water = water * (1 - reflection) + np.array([52, 84, 72]) * reflection
    sky = _tinted(_rows() / shore, (214, 230, 238), (236, 240, 238))
    picture = _picture(np.where((_rows() < shore)[..., None], sky, water))
    draw = ImageDraw.Draw(picture)
    base = int(shore * SIDE)
    for x in range(-6, _WIDE + 6, 4):
        height = float(rng.uniform(5, 15))
        tone = tuple(int(c) for c in _jitter(rng, (50, 86, 66), 10))
        draw.ellipse((x - 5, base - height, x + 6, base + 3), fill=tone)
    draw.line((0, base + 2, _WIDE, base + 2), fill=(126, 132, 104), width=2)
    return picture.filter(ImageFilter.GaussianBlur(0.7))


def _sand(rng: np.random.Generator) -> Image.Image:
    bend = 1.6 * _noise(rng, 4, 5)
    ripples = np.sin(_rows() * float(rng.uniform(46, 64)) + 3.2 * bend) * 0.5
    grain = rng.normal(0, 1, (SIDE, _WIDE))
    value = 0.52 + 0.22 * ripples + 0.12 * _noise(rng, 5, 5) + 0.07 * grain
    return _picture(_tinted(value, _jitter(rng, (196, 160, 108), 6), _jitter(rng, (240, 216, 168), 6)))


def _snow(rng: np.random.Generator) -> Image.Image:
    """Draw drifts with blue shadows, and falling flakes."""
    drift = _noise(rng, 4, 6)
    value = 0.62 + 0.36 * drift + 0.05 * rng.normal(0, 1, (SIDE, _WIDE))
    picture = _picture(_tinted(value, _jitter(rng, (184, 204, 230), 5), (246, 249, 253)))
    draw = ImageDraw.Draw(picture)
    for _ in range(60):
        x, y, r = rng.uniform(0, _WIDE), rng.uniform(0, SIDE), rng.uniform(0.8, 2.2)
        draw.ellipse((x - r, y - r, x + r, y + r), fill=(255, 255, 255))
    return picture.filter(ImageFilter.GaussianBlur(0.6))


def _grass(rng: np.random.Generator) -> Image.Image:
    value = 0.45 + 0.28 * _noise(rng, 6, 6) + 0.12 * _rows()
    scale = 2
    picture = _picture(_tinted(value, _jitter(rng, (78, 142, 52), 6), _jitter(rng, (150, 198, 84), 6)))
    picture = picture.resize((_WIDE * scale, SIDE * scale), Image.Resampling.BILINEAR)
    draw = ImageDraw.Draw(picture)
    for _ in range(620):
        x, y = rng.uniform(0, _WIDE * scale), rng.uniform(0, SIDE * scale + 12)
        lean, height = rng.uniform(-4, 4), rng.uniform(9, 20)
        tone = tuple(int(c) for c in _tinted(np.array(rng.random()), (64, 122, 40), (178, 216, 106)))
        draw.line((x, y, x + lean, y - height), fill=tone, width=2)
    return picture.reduce(scale)


def _forest(rng: np.random.Generator) -> Image.Image:
    """Draw rows of trunks, paler with distance, between dark foliage and a ferny floor."""
    scale = 2
    value = 0.50 + 0.30 * _noise(rng, 8, 5) - 0.12 * np.abs(_rows() - 0.5)
    picture = _picture(_tinted(value, _jitter(rng, (28, 64, 38), 5), _jitter(rng, (92, 132, 82), 6)))
    picture = picture.resize((_WIDE * scale, SIDE * scale), Image.Resampling.BILINEAR)
    draw = ImageDraw.Draw(picture)
    for tone, width, gap in (((74, 104, 72), 5, 17), ((56, 66, 46), 9, 28), ((50, 40, 30), 14, 48)):
        x = float(rng.uniform(0, gap))
        while x < _WIDE * scale:
            w = width * float(rng.uniform(0.7, 1.3))
            lean = float(rng.uniform(-5, 5))
            shade = tuple(int(c) for c in _jitter(rng, tone, 7))
            draw.polygon(
                [
                    (x - w / 2, SIDE * scale),
                    (x + w / 2, SIDE * scale),
                    (x + w / 2.6 + lean, 0),
                    (x - w / 2.6 + lean, 0),
                ],
                fill=shade,
            )
            x += gap * float(rng.uniform(0.7, 1.5))
    for top, bottom, count in ((-10, 46, 120), (SIDE * scale - 40, SIDE * scale + 6, 110)):
        for _ in range(count):
            x, y, r = rng.uniform(0, _WIDE * scale), rng.uniform(top, bottom), rng.uniform(5, 12)
            leaf = tuple(int(c) for c in _tinted(np.array(rng.random()), (24, 62, 34), (86, 138, 66)))
            draw.ellipse((x - r, y - r * 0.7, x + r, y + r * 0.7), fill=leaf)
    return picture.reduce(scale)


def _city(rng: np.random.Generator) -> Image.Image:
    """Draw a skyline with lit windows over a street."""
    scale = 2
    picture = _picture(_tinted(_rows(), _jitter(rng, (166, 186, 204)), _jitter(rng, (214, 214, 210))))
    picture = picture.resize((_WIDE * scale, SIDE * scale))
    draw = ImageDraw.Draw(picture)
    street = int(SIDE * scale * 0.86)
    for tone, low, high in (((150, 158, 170), 0.10, 0.34), ((112, 116, 128), 0.26, 0.56)):
        x = float(rng.uniform(-30, 0))
        while x < _WIDE * scale:
            width, top = float(rng.uniform(34, 58)), float(rng.uniform(low, high)) * SIDE * scale
            wall = tuple(int(c) for c in _jitter(rng, tone, 14))
            draw.rectangle((x, top, x + width, street), fill=wall)
            for wx in np.arange(x + 6, x + width - 8, 11):
                for wy in np.arange(top + 7, street - 10, 14):
                    lit = rng.random() < 0.35
                    draw.rectangle((wx, wy, wx + 5, wy + 7), fill=(246, 220, 150) if lit else (78, 88, 104))
            x += width + float(rng.uniform(0, 6))
    draw.rectangle((0, street, _WIDE * scale, SIDE * scale), fill=(88, 88, 92))
    for x in range(int(rng.integers(-30, 0)), _WIDE * scale, 44):
        draw.rectangle((x, street + 16, x + 22, street + 19), fill=(226, 222, 206))
    return picture.reduce(scale)


def _night(rng: np.random.Generator) -> Image.Image:
    """Draw a starry sky over dark hills, with a small moon."""
    scale = 2
    picture = _picture(_tinted(_rows(), _jitter(rng, (14, 18, 46), 4), _jitter(rng, (48, 54, 104), 6)))
    picture = picture.resize((_WIDE * scale, SIDE * scale), Image.Resampling.BILINEAR)
    draw = ImageDraw.Draw(picture)
    for _ in range(130):
        x, y, r = (
            rng.uniform(0, _WIDE * scale),
            rng.uniform(0, SIDE * scale * 0.84),
            rng.choice([0.8, 1.3, 2.2]),
        )
        draw.ellipse((x - r, y - r, x + r, y + r), fill=(236, 236, 214))
    x, y = rng.uniform(30, _WIDE * scale - 30), rng.uniform(24, 44)
    draw.ellipse((x - 15, y - 15, x + 15, y + 15), fill=(244, 240, 214))
    hills = np.cumsum(rng.normal(0, 2.2, _WIDE * scale // 8 + 2))
    ridge = [(8.0 * i, SIDE * scale * 0.88 + h) for i, h in enumerate(hills - hills.mean())]
    draw.polygon([(0, SIDE * scale), *ridge, (_WIDE * scale, SIDE * scale)], fill=(10, 14, 26))
    return picture.reduce(scale)


_PAINTERS: dict[str, Callable[[np.random.Generator], Image.Image]] = {
    "black": _flat((10, 10, 12)),
    "white": _flat((251, 251, 251)),
    "plain": _plain,
    "ocean": _ocean,
    "lake": _lake,
    "sand": _sand,
    "snow": _snow,
    "grass": _grass,
    "forest": _forest,
    "city": _city,
    "night": _night,
}
