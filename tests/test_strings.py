"""Every word that the page shows is in js/src/strings.ts, where a translator looks."""

from __future__ import annotations

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
