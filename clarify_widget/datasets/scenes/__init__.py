"""The drawn world: scenes, their pictures, and what is true of them."""

from __future__ import annotations

from clarify_widget.datasets.scenes.render import render
from clarify_widget.datasets.scenes.scene import Scene, sample_scene

__all__ = ["Scene", "render", "sample_scene"]
