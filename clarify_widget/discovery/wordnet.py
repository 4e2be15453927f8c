"""Nouns of WordNet for things that can be seen, where it is installed."""

from __future__ import annotations

from typing import Any

from clarify_widget.errors import MissingDependencyError

SEEN = (
    "artifact.n.01",
    "natural_object.n.01",
    "geological_formation.n.01",
    "animal.n.01",
    "plant.n.02",
    "food.n.01",
    "person.n.01",
    "body_part.n.01",
    "material.n.01",
    "chromatic_color.n.01",
    "weather.n.01",
)
"""The synsets under which things are that a photograph can show."""


def wordnet_nouns(most: int = 2000) -> tuple[str, ...]:
    """Return nouns for what photographs can show, those first that its annotated texts use most.

    Parameters
    ----------
    most
        How many to return at most.

    Raises
    ------
    MissingDependencyError
        When nltk, or its copy of WordNet, is not installed.

    Notes
    -----
    Miller, "WordNet: a lexical database for English" (1995); counts are those of its SemCor.
    """
    counts: dict[str, int] = {}
    for root in SEEN:
        for synset in _below(root):
            for lemma in synset.lemmas():
                noun = lemma.name().replace("_", " ")
                if noun == noun.casefold():  # no names of people and places
                    counts[noun] = counts.get(noun, 0) + lemma.count()
    ordered = sorted(counts, key=lambda noun: (-counts[noun], noun))
    return tuple(ordered[:most])


def _below(root: str) -> list[Any]:
    wordnet = _wordnet()
    start = wordnet.synset(root)
    return [start, *dict.fromkeys(start.closure(lambda synset: synset.hyponyms()))]


def _wordnet() -> Any:
    try:
        from nltk.corpus import wordnet

        wordnet.ensure_loaded()
    except ImportError as error:
        raise MissingDependencyError("WordNet is read with nltk; run `pip install nltk`.") from error
    except LookupError as error:
        raise MissingDependencyError(
            "nltk has no copy of WordNet; run `python -m nltk.downloader wordnet`."
        ) from error
    return wordnet
