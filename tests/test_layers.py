"""The layers of docs/development.md: each imports from those before it and never from those behind."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "clarify_widget"
LAYERS = (
    ("errors",),
    ("arrays",),
    ("tables",),
    ("datasets",),
    ("encoders",),
    ("concepts",),
    ("evaluation",),
    ("training",),
    ("methods",),
    ("finetuning",),
    ("discovery",),
    ("thumbnails",),
    ("background",),
    ("session",),
    ("plots",),
    ("front_end",),
    ("widget", "cli"),
)
# The package itself only forwards names, on first use.
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}


def layer_of(module):
    """Return the first name below the package: `clarify_widget.session.saved` is in `session`."""
    return module.split(".")[1]


def imported_modules(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None and node.level == 0:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_module_imports_only_from_its_own_layer_and_those_above(path):
    module = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
    own = RANK[layer_of(module)]
    used = {
        layer_of(name)
        for name in imported_modules(ast.parse(path.read_text(encoding="utf-8")))
        if name.startswith("clarify_widget.") and layer_of(name) in RANK
    }
    below = sorted(name for name in used if RANK[name] > own)
    assert not below, f"{module} imports from {below}, which lie below it"


def test_every_module_has_a_layer():
    names = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or path.is_dir()}
    assert names - {"__init__", "static", "__pycache__"} == set(RANK)
