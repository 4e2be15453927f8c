"""Kinds of traits that traitlets does not have, and the sentence for a value that is not on a list."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

import traitlets

from clarify_widget.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    _NumberOrNone = traitlets.Float[float | None, float | None]
    _WholeNumbers = traitlets.List[int]
else:  # traitlets before 5.10 does not take types in brackets
    _NumberOrNone = traitlets.Float
    _WholeNumbers = traitlets.List


class Threshold(_NumberOrNone):
    """A number or None; with `allow_none` instead, None would pass by the validator below."""

    def validate(self, obj: Any, value: Any) -> float | None:
        """Let None pass, and check any other value as a number."""
        return None if value is None else super().validate(obj, value)


class Rows(_WholeNumbers):
    """Validation rows; arrays and whatever else can be gone through become a list, ascending, each once."""

    def validate(self, obj: Any, value: Any) -> list[int]:
        """Return the rows, ascending; TraitError when there is no such image."""
        try:
            return sorted(obj.session.check_rows(value))
        except (DataError, TypeError) as error:
            raise traitlets.TraitError(f"selected is a list of validation rows: {error}") from error


def one_of(value: str, name: str, choices: Sequence[str]) -> str:
    """Return a value that is one of the choices; TraitError names the closest to any other."""
    if value not in choices:
        raise traitlets.TraitError(
            f"{name} is one of {', '.join(choices)}; got {value!r}.{close_to(value, choices)}"
        )
    return value


def close_to(value: str, choices: Sequence[str]) -> str:
    """Return a question that names the closest choice; empty where none is close."""
    close = difflib.get_close_matches(value, choices, n=1)
    return f" Did you mean {close[0]!r}?" if close else ""
