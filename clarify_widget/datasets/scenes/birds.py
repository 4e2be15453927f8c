"""Outlines of the birds: each a list of parts, from back to front, in a box from -1 to 1 with y downwards.

All birds look to the right. A part is a closed outline through a few points, smoothed where that suits it,
and has a role that decides its shade: the plumage colour itself, a darker or lighter tone of it, or the
fixed colours of bills, legs and eyes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Sequence

Points = NDArray[np.float64]  # (n, 2)


@dataclass(frozen=True)
class Part:
    """One filled outline and the role that gives its colour."""

    role: str
    points: Points


@cache
def parts(bird: str) -> tuple[Part, ...]:
    """Return the parts of a bird, from back to front."""
    return tuple(_BIRDS[bird]())


def _smooth(*corners: tuple[float, float]) -> Points:
    """Return a closed Catmull-Rom curve through the given points."""
    knots = np.array(corners, dtype=float)
    t = np.linspace(0, 1, 7, endpoint=False)[:, None]
    before, start, end, after = (np.roll(knots, shift, axis=0)[:, None, :] for shift in (1, 0, -1, -2))
    curve = start + 0.5 * t * (
        end
        - before
        + t * (2 * before - 5 * start + 4 * end - after + t * (3 * (start - end) + after - before))
    )
    return np.asarray(curve.reshape(-1, 2))


def _sharp(*corners: tuple[float, float]) -> Points:
    return np.array(corners, dtype=float)


def _disc(x: float, y: float, radius: float, height: float | None = None) -> Points:
    turn = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    return np.stack([x + radius * np.cos(turn), y + (height or radius) * np.sin(turn)], axis=1)


def _limb(width: float, *path: tuple[float, float]) -> Points:
    """Return a band of constant width along a path."""
    line = np.array(path, dtype=float)
    along = np.gradient(line, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    side = np.stack([-along[:, 1], along[:, 0]], axis=1) * width / 2
    return np.concatenate([line + side, (line - side)[::-1]])


def _eye(x: float, y: float, radius: float) -> Sequence[Part]:
    return (
        Part("eye", _disc(x, y, radius)),
        Part("glint", _disc(x + radius * 0.3, y - radius * 0.3, radius * 0.35)),
    )


def _duck() -> Sequence[Part]:
    return (
        Part(
            "bill",
            _smooth((0.66, -0.44), (0.82, -0.40), (1.0, -0.30), (0.96, -0.22), (0.78, -0.24), (0.64, -0.26)),
        ),
        Part(
            "body",
            _smooth(
                (-0.98, -0.16),
                (-0.72, -0.06),
                (-0.40, -0.10),
                (-0.05, -0.06),
                (0.22, -0.10),
                (0.28, -0.34),
                (0.30, -0.58),
                (0.46, -0.74),
                (0.64, -0.68),
                (0.74, -0.50),
                (0.70, -0.30),
                (0.60, -0.10),
                (0.66, 0.16),
                (0.56, 0.44),
                (0.20, 0.58),
                (-0.30, 0.58),
                (-0.70, 0.40),
                (-0.90, 0.14),
            ),
        ),
        Part(
            "collar",
            _smooth((0.28, -0.24), (0.46, -0.20), (0.66, -0.24), (0.62, -0.13), (0.46, -0.08), (0.26, -0.12)),
        ),
        Part(
            "wing",
            _smooth(
                (-0.86, 0.02),
                (-0.40, -0.02),
                (0.10, 0.02),
                (0.28, 0.18),
                (0.10, 0.36),
                (-0.35, 0.36),
                (-0.70, 0.20),
            ),
        ),
        Part("light", _smooth((-0.52, 0.44), (-0.1, 0.46), (0.38, 0.44), (0.2, 0.56), (-0.3, 0.56))),
        *_eye(0.56, -0.50, 0.075),
    )


def _gull() -> Sequence[Part]:
    return (
        Part("leg", _limb(0.07, (-0.02, 0.42), (0.0, 0.92), (0.16, 0.95))),
        Part("leg", _limb(0.07, (0.20, 0.42), (0.24, 0.92), (0.40, 0.95))),
        Part(
            "bill",
            _smooth((0.72, -0.54), (0.88, -0.52), (1.0, -0.42), (0.98, -0.34), (0.86, -0.40), (0.70, -0.40)),
        ),
        Part("tip", _sharp((-1.0, 0.46), (-0.62, 0.06), (-0.40, 0.30))),
        Part(
            "body",
            _smooth(
                (-0.84, 0.26),
                (-0.48, -0.02),
                (-0.06, -0.24),
                (0.22, -0.42),
                (0.34, -0.66),
                (0.52, -0.76),
                (0.70, -0.68),
                (0.76, -0.50),
                (0.70, -0.30),
                (0.62, -0.04),
                (0.52, 0.26),
                (0.22, 0.48),
                (-0.16, 0.50),
                (-0.52, 0.40),
            ),
        ),
        Part(
            "wing",
            _smooth(
                (-0.98, 0.36),
                (-0.50, 0.0),
                (-0.06, -0.20),
                (0.24, -0.16),
                (0.30, 0.06),
                (0.06, 0.26),
                (-0.40, 0.34),
            ),
        ),
        Part("tip", _smooth((-1.0, 0.40), (-0.66, 0.16), (-0.46, 0.20), (-0.60, 0.34))),
        *_eye(0.58, -0.54, 0.075),
    )


def _heron() -> Sequence[Part]:
    return (
        Part("leg", _limb(0.07, (-0.18, 0.30), (-0.22, 0.62), (-0.14, 0.98))),
        Part("leg", _limb(0.07, (0.02, 0.30), (0.06, 0.62), (0.02, 0.98))),
        Part("bill", _sharp((0.44, -0.93), (0.98, -0.72), (0.42, -0.74))),
        Part(
            "body",
            _smooth(
                (-0.72, 0.40),
                (-0.46, 0.04),
                (-0.10, -0.12),
                (0.14, -0.20),
                (0.26, -0.36),
                (0.10, -0.56),
                (0.10, -0.82),
                (0.28, -0.98),
                (0.48, -0.92),
                (0.52, -0.78),
                (0.36, -0.72),
                (0.28, -0.64),
                (0.44, -0.42),
                (0.46, -0.18),
                (0.34, 0.14),
                (0.12, 0.34),
                (-0.30, 0.40),
            ),
        ),
        Part(
            "wing",
            _smooth((-0.78, 0.48), (-0.44, 0.06), (-0.08, -0.06), (0.16, 0.0), (0.12, 0.20), (-0.24, 0.32)),
        ),
        Part("tip", _sharp((0.30, -0.97), (-0.16, -0.80), (0.22, -0.86))),
        *_eye(0.36, -0.85, 0.06),
    )


def _finch() -> Sequence[Part]:
    return (
        Part("leg", _limb(0.07, (-0.06, 0.60), (-0.02, 0.90), (0.14, 0.93))),
        Part("leg", _limb(0.07, (0.18, 0.60), (0.24, 0.90), (0.40, 0.93))),
        Part("darker", _sharp((-0.52, 0.20), (-1.0, 0.62), (-0.84, 0.78), (-0.36, 0.48))),
        Part("bill", _sharp((0.74, -0.46), (1.0, -0.24), (0.70, -0.14))),
        Part(
            "body",
            _smooth(
                (-0.62, 0.32),
                (-0.44, -0.08),
                (-0.10, -0.34),
                (0.06, -0.66),
                (0.34, -0.86),
                (0.64, -0.76),
                (0.80, -0.46),
                (0.76, -0.14),
                (0.72, 0.20),
                (0.52, 0.54),
                (0.14, 0.68),
                (-0.30, 0.58),
            ),
        ),
        Part(
            "light",
            _smooth((0.66, -0.02), (0.66, 0.24), (0.46, 0.52), (0.14, 0.62), (0.22, 0.30), (0.44, 0.06)),
        ),
        Part(
            "wing",
            _smooth((-0.80, 0.46), (-0.44, 0.0), (-0.08, -0.18), (0.20, -0.02), (0.18, 0.28), (-0.16, 0.46)),
        ),
        *_eye(0.50, -0.44, 0.09),
    )


def _owl() -> Sequence[Part]:
    return (
        Part("leg", _disc(-0.20, 0.92, 0.13, 0.08)),
        Part("leg", _disc(0.20, 0.92, 0.13, 0.08)),
        Part(
            "body",
            _smooth(
                (-0.56, -0.98),
                (-0.30, -0.80),
                (0.0, -0.78),
                (0.30, -0.80),
                (0.56, -0.98),
                (0.62, -0.60),
                (0.60, -0.24),
                (0.70, 0.20),
                (0.58, 0.66),
                (0.28, 0.92),
                (-0.28, 0.92),
                (-0.58, 0.66),
                (-0.70, 0.20),
                (-0.60, -0.24),
                (-0.62, -0.60),
            ),
        ),
        Part("wing", _smooth((-0.62, -0.10), (-0.42, 0.10), (-0.40, 0.52), (-0.54, 0.80), (-0.74, 0.40))),
        Part("wing", _smooth((0.62, -0.10), (0.42, 0.10), (0.40, 0.52), (0.54, 0.80), (0.74, 0.40))),
        Part("light", _disc(0.0, 0.36, 0.34, 0.42)),
        Part("pale", _disc(-0.27, -0.44, 0.28)),
        Part("pale", _disc(0.27, -0.44, 0.28)),
        Part("bill", _sharp((-0.10, -0.34), (0.10, -0.34), (0.0, -0.08))),
        *_eye(-0.25, -0.44, 0.15),
        *_eye(0.25, -0.44, 0.15),
    )


def _woodpecker() -> Sequence[Part]:
    return (
        Part("bark", _sharp((0.52, -1.0), (0.84, -1.0), (0.82, 1.0), (0.50, 1.0))),
        Part("leg", _limb(0.08, (0.14, 0.22), (0.40, 0.14), (0.58, 0.04))),
        Part("leg", _limb(0.08, (0.08, 0.40), (0.36, 0.40), (0.56, 0.32))),
        Part("darker", _sharp((-0.36, 0.36), (-0.12, 0.98), (0.10, 0.96), (0.06, 0.40))),
        Part("bill", _sharp((0.14, -0.66), (0.60, -0.56), (0.14, -0.46))),
        Part(
            "body",
            _smooth(
                (-0.34, 0.56),
                (-0.50, 0.16),
                (-0.44, -0.22),
                (-0.34, -0.52),
                (-0.22, -0.80),
                (0.04, -0.84),
                (0.22, -0.66),
                (0.20, -0.42),
                (0.14, -0.20),
                (0.26, 0.08),
                (0.20, 0.40),
                (-0.02, 0.62),
            ),
        ),
        Part(
            "tip",
            _smooth(
                (0.22, -0.72), (0.04, -0.92), (-0.26, -0.92), (-0.56, -0.74), (-0.30, -0.66), (-0.02, -0.70)
            ),
        ),
        Part(
            "wing",
            _smooth((-0.40, -0.16), (-0.16, -0.10), (0.0, 0.16), (-0.10, 0.50), (-0.28, 0.74), (-0.46, 0.34)),
        ),
        *_eye(0.02, -0.58, 0.08),
    )


_BIRDS = {
    "duck": _duck,
    "gull": _gull,
    "heron": _heron,
    "finch": _finch,
    "owl": _owl,
    "woodpecker": _woodpecker,
}
