"""Phrases of the package, of WordNet, and those that name a class."""

from __future__ import annotations

import sys

import pytest

from clarify_widget.discovery import vocabulary, without_class_names, wordnet, wordnet_nouns
from clarify_widget.errors import MissingDependencyError


def test_the_vocabulary_is_a_few_hundred_plain_phrases():
    assert 300 < len(vocabulary()) < 1000
    assert len(set(vocabulary())) == len(vocabulary())
    assert all(phrase == " ".join(phrase.split()) for phrase in vocabulary())
    assert {"forest background", "red", "wood", "blurry"} <= set(vocabulary())


def test_phrases_that_name_a_class_are_left_out():
    phrases = [
        "water bird",
        "Waterbirds",
        "white water-bird",
        "water",
        "bird",
        "landbird background",
        "forest",
    ]
    left = without_class_names([*phrases, "forest"], ["waterbird", "land_bird"])
    assert left == ["water", "bird", "forest"]


class Synset:
    """A synset as nltk's reader gives it."""

    def __init__(self, lemmas, below=()):
        self._lemmas, self.below = lemmas, below

    def lemmas(self):
        return [Lemma(*lemma) for lemma in self._lemmas]

    def hyponyms(self):
        return list(self.below)

    def closure(self, step):
        for one in step(self):
            yield one
            yield from one.closure(step)


class Lemma:
    """A word of a synset and how often it was met in that sense."""

    def __init__(self, name, count):
        self._name, self._count = name, count

    def name(self):
        return self._name

    def count(self):
        return self._count


class Reader:
    """A WordNet of a few words: everything is an artifact."""

    def ensure_loaded(self):
        pass

    def synset(self, name):
        boat = Synset([("boat", 4), ("row_boat", 0)], [Synset([("Titanic", 9)])])
        return (
            Synset([("artifact", 1)], [boat, Synset([("car", 9), ("boat", 1)])])
            if "artifact" in name
            else Synset([])
        )


def test_nouns_of_wordnet_come_by_how_often_they_are_used_without_names(monkeypatch):
    monkeypatch.setattr(wordnet, "_wordnet", Reader)
    assert wordnet_nouns() == ("car", "boat", "artifact", "row boat")
    assert wordnet_nouns(2) == ("car", "boat")


def test_without_nltk_or_its_wordnet_the_way_to_get_it_is_named(monkeypatch, tmp_path):
    import nltk

    monkeypatch.setattr(nltk.data, "path", [str(tmp_path)])
    with pytest.raises(MissingDependencyError, match=r"nltk\.downloader wordnet"):
        wordnet_nouns()
    monkeypatch.setitem(sys.modules, "nltk.corpus", None)
    with pytest.raises(MissingDependencyError, match="pip install nltk"):
        wordnet_nouns()
