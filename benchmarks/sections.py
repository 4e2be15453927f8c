"""Sections of a documentation page that a benchmark writes, between a pair of comment lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def write_section(page: Path, name: str, text: str) -> None:
    """Put text between `<!-- name -->` and `<!-- /name -->` of a page.

    Raises
    ------
    ValueError
        When the page lacks the pair.
    """
    opening, closing = f"<!-- {name} -->", f"<!-- /{name} -->"
    content = page.read_text(encoding="utf-8")
    before, found, rest = content.partition(opening)
    _, closed, after = rest.partition(closing)
    if not (found and closed):
        raise ValueError(f"{page} needs the lines {opening} and {closing} around what is to be written.")
    page.write_text(f"{before}{opening}\n{text.strip()}\n{closing}{after}", encoding="utf-8")
