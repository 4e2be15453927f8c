"""The built front end, as a widget carries it."""

from __future__ import annotations

import base64
import gzip
from pathlib import Path

STATIC = Path(__file__).parent / "static"

_UNPACK = """\
const packed = Uint8Array.from(atob("%s"), (character) => character.charCodeAt(0));
const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
const module = new Blob([await new Response(stream).arrayBuffer()], { type: "text/javascript" });
const url = URL.createObjectURL(module);
const { default: widget } = await import(url);
URL.revokeObjectURL(url);
export default widget;
"""


def packed_module() -> str:
    """Return the front end as a module that unpacks itself.

    The module is part of the widget's state, which JupyterLab can save with every notebook: packed it takes
    less than half of the room.
    """
    packed = gzip.compress((STATIC / "widget.js").read_bytes(), mtime=0)
    return _UNPACK % base64.b64encode(packed).decode("ascii")


def panels() -> bytes:
    """Return the module with the panels that a page asks for when one is first opened."""
    return (STATIC / "panels.js").read_bytes()


def styles() -> str:
    """Return the style sheet."""
    return (STATIC / "widget.css").read_text(encoding="utf-8")
