"""Outlines of the geometric shapes, as polygons in a box from -1 to 1 with y downwards."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]  # (n, 2)


@cache
def outline(shape: str) -> Points:
    """Return the polygon of a shape that fits its box; the caller must not write to it."""
    points = _OUTLINES[shape]()
    points.setflags(write=False)
    return points


def _square() -> Points:
    return 0.82 * np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)], dtype=float)


def _circle() -> Points:
    turn = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    return 0.92 * np.stack([np.cos(turn), np.sin(turn)], axis=1)


def _triangle() -> Points:
    return np.array([(0, -0.98), (1.0, 0.78), (-1.0, 0.78)], dtype=float)


def _star() -> Points:
    turn = np.arange(10) * np.pi / 5 - np.pi / 2
    radius = np.where(np.arange(10) % 2 == 0, 1.06, 0.45)
    return np.stack([radius * np.cos(turn), radius * np.sin(turn) + 0.06], axis=1)


def _heart() -> Points:
    t = np.linspace(0, 2 * np.pi, 56, endpoint=False)
    x = 16 * np.sin(t) ** 3
    y = -(13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t))
    return np.stack([x / 16, (y - 2.5) / 15.5], axis=1)


def _cross() -> Points:
    a, b = 0.34, 0.98
    return np.array(
        [
            (-a, -b),
            (a, -b),
            (a, -a),
            (b, -a),
            (b, a),
            (a, a),
            (a, b),
            (-a, b),
            (-a, a),
            (-b, a),
            (-b, -a),
            (-a, -a),
        ],
        dtype=float,
    )


def _crescent() -> Points:
    outer = np.linspace(0.30 * np.pi, 1.70 * np.pi, 40)
    far = np.stack([np.cos(outer), np.sin(outer)], axis=1)
    tip = far[0]
    centre, radius = 0.52, float(np.hypot(tip[0] - 0.52, tip[1]))
    sweep = np.linspace(
        np.arctan2(-tip[1], tip[0] - centre) % (2 * np.pi), np.arctan2(tip[1], tip[0] - centre), 30
    )
    near = np.stack([centre + radius * np.cos(sweep), radius * np.sin(sweep)], axis=1)
    points: Points = np.concatenate([far, near]) * 0.98 + np.array([0.2, 0.0])
    return points


_OUTLINES = {
    "square": _square,
    "circle": _circle,
    "oval": _circle,
    "triangle": _triangle,
    "star": _star,
    "heart": _heart,
    "cross": _cross,
    "crescent": _crescent,
}
