"""Small tables for people: the same cells as text and as HTML."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    Row = Sequence[str]


def text_table(titles: Row, rows: Sequence[Row], *, left: int) -> str:
    """Return rows of cells as text, the first `left` columns flush left and the others flush right."""
    lines = [titles, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    sides = [str.ljust] * left + [str.rjust] * (len(titles) - left)
    return "\n".join(
        "  ".join(side(cell, width) for side, cell, width in zip(sides, line, widths, strict=True)).rstrip()
        for line in lines
    )


def html_table(titles: Row, rows: Sequence[Row], *, left: int) -> str:
    """Return rows of cells as an HTML table, aligned as `text_table` aligns them."""
    head = "".join(f"<th>{escape(title)}</th>" for title in titles)
    body = "".join(f"<tr>{''.join(_html_cells(row, left))}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _html_cells(row: Row, left: int) -> list[str]:
    cells = (escape(cell) for cell in row)
    return [
        f"<td style='text-align:left'>{cell}</td>" if place < left else f"<td>{cell}</td>"
        for place, cell in enumerate(cells)
    ]
