"""What a page asks for, `{id, type, ...}`, read with its mistakes named."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from clarify_widget.errors import ClarifyError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from clarify_widget.session.presentation import Json


@dataclass(frozen=True)
class Request:
    """What a page asks for; its fields raise ClarifyError where they are not what the request needs."""

    id: str
    type: str
    fields: Mapping[str, Any]

    def text(self, name: str) -> str:
        """Return a text."""
        value = self.fields.get(name)
        if not isinstance(value, str):
            raise ClarifyError(f"A {self.type} request needs {name!r} as text; got {value!r}.")
        return value

    def text_or_none(self, name: str) -> str | None:
        """Return a text, or None where the page says null."""
        return None if self.fields.get(name) is None else self.text(name)

    def number(self, name: str) -> float:
        """Return a finite number."""
        value = self.fields.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise ClarifyError(f"A {self.type} request needs {name!r} as a finite number; got {value!r}.")
        return float(value)

    def texts(self, name: str) -> list[str]:
        """Return a list of texts, which the page may leave out."""
        values = self.fields.get(name, [])
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            raise ClarifyError(f"A {self.type} request needs {name!r} as a list of texts; got {values!r}.")
        return values

    def whole_numbers(self, name: str, most: int) -> list[int]:
        """Return a list of whole numbers, not longer than `most`."""
        values = self.fields.get(name)
        if not isinstance(values, list) or not all(type(value) is int for value in values):
            raise ClarifyError(f"A {self.type} request needs {name!r} as a list of whole numbers.")
        if len(values) > most:
            raise ClarifyError(f"A {self.type} request may name {most} images; got {len(values)}.")
        return values


if TYPE_CHECKING:
    Answer = tuple[Json, list[bytes]]
    Handler = Callable[[Request], Answer]
