"""Every word that the page shows is in js/src/strings.ts or presentation.py, where a translator looks."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

SOURCES = Path(__file__).parents[1] / "js" / "src"
FILES = sorted(path for path in SOURCES.rglob("*.ts") if path.name != "strings.ts")
COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
LITERAL = re.compile(r'"([^"\n]*)"')
WORDS = re.compile(r"[A-Za-z]{2,} [A-Za-z]{2,}|^[A-Z][a-z]+ ?[.:!?…]?$")
# Classes, keys, types, and the names of errors.
NO_WORDS = re.compile(
    r"^(cw-|image/|Arrow|Escape|Enter|Home|End|Page|Tab|Shift|Timeout$|Disconnected$)|Error$"
)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(SOURCES).as_posix())
def test_no_source_has_words_of_its_own(path):
    code = COMMENT.sub("", path.read_text(encoding="utf-8"))
    found = [text for text in LITERAL.findall(code) if WORDS.search(text) and not NO_WORDS.search(text)]
    assert found == []


WIDGET = Path(__file__).parents[1] / "clarify_widget" / "widget"
# Names of threads, tags, and what errors for Python end with.
NO_WORDS_IN_PYTHON = re.compile(r"^(clarify-widget |<| Did you mean )")


def words_to_show(node: ast.AST) -> list[str]:
    """Return the texts with words in a module; not those of errors, the log, or the documentation."""
    if isinstance(node, ast.Raise | ast.Assert):
        return []
    if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("logger."):
        return []
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return []
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value] if WORDS.search(node.value) else []
    return [text for child in ast.iter_child_nodes(node) for text in words_to_show(child)]


@pytest.mark.parametrize("path", sorted(WIDGET.glob("*.py")), ids=lambda path: path.name)
def test_no_module_of_the_widget_has_words_of_its_own(path):
    found = words_to_show(ast.parse(path.read_text(encoding="utf-8")))
    assert [text for text in found if not NO_WORDS_IN_PYTHON.search(text)] == []
