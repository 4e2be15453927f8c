"""Markdown tables, and the page that holds them between markers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clarify_widget.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

NOT_RUN = "Not run here."


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]], *, left: int) -> str:
    """Return a table whose first `left` columns are text and the others numbers."""
    rule = ["---"] * left + ["---:"] * (len(head) - left)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, rule, *rows))


def write_block(page: Path, key: str, body: str) -> bool:
    """Put a table between its markers; return whether it was put there.

    A table that was not run takes the place of another such only: what someone measured stays.

    Raises
    ------
    DataError
        When the page has no markers of that table.
    """
    text = page.read_text(encoding="utf-8")
    opening, closing = f"<!-- {key} -->\n", f"<!-- end of {key} -->"
    if text.count(opening) != 1 or text.count(closing) != 1:
        raise DataError(f"{page} needs the markers {opening.strip()!r} and {closing!r}, each once.")
    before, _, rest = text.partition(opening)
    old, _, after = rest.partition(closing)
    if NOT_RUN in body and old.strip() and NOT_RUN not in old:
        return False
    page.write_text(f"{before}{opening}{body.strip()}\n{closing}{after}", encoding="utf-8")
    return True
