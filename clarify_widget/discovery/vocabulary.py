"""Phrases that come with the package, and those that must not be suggested because they name a class."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


@cache
def vocabulary() -> tuple[str, ...]:
    """Return phrases for what photographs often show beside their subject, one a line of vocabulary.txt.

    Colours, materials, backgrounds, nouns, how a photograph was taken; the file says how they were chosen.
    """
    text = resources.files("clarify_widget.discovery").joinpath("vocabulary.txt").read_text(encoding="utf-8")
    return tuple(line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#"))


def without_class_names(phrases: Iterable[str], class_names: Iterable[str]) -> list[str]:
    """Return the phrases that name no class, whatever the case, the plural or the space in a name."""
    names = {form for name in class_names for form in _forms(name)}
    return [phrase for phrase in dict.fromkeys(phrases) if not _runs_of_words(phrase) & names]


def _forms(name: str) -> set[str]:
    words = _words(name)
    return {"".join(words), "".join(words) + "s"} - {"", "s"}


def _runs_of_words(phrase: str) -> set[str]:
    """Return every run of neighbouring words, written as one: "white water birds" has "waterbirds"."""
    words = _words(phrase)
    return {"".join(words[i:j]) for i in range(len(words)) for j in range(i + 1, len(words) + 1)}


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text.casefold())
