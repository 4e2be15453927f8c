"""The demo encoder: a small bundled image-text model that knows the drawn world of `datasets.scenes`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clarify_widget.encoders.demo.encoder import DemoEncoder

__all__ = ["load_demo"]


def load_demo(device: str | None = None) -> DemoEncoder:
    """Load the bundled model; nothing is downloaded.

    Parameters
    ----------
    device
        Where it runs; by default the CPU, which embeds some 1,000 images a second.

    Returns
    -------
    DemoEncoder
        128-dimensional unit rows for images and texts, and `unknown_words(text)`.
    """
    from clarify_widget.encoders.demo.encoder import DemoEncoder
    from clarify_widget.encoders.inputs import usable_device

    return DemoEncoder(device=usable_device(device or "cpu"))
