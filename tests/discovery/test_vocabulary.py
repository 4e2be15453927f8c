"""Phrases of the package, of WordNet, and those that name a class."""

from __future__ import annotations

import re
import sys

import numpy as np
import pytest

from clarify_widget.concepts.published import IMAGENET_FEATURES, USER_PHRASES
from clarify_widget.discovery import vocabulary, without_class_names, wordnet, wordnet_nouns
from clarify_widget.errors import MissingDependencyError


def singular(word):
    for plural, one in (("ies", "y"), ("ches", "ch"), ("shes", "sh"), ("s", "")):
        if word.endswith(plural) and len(word) > 4:
            return word.removesuffix(plural) + one
    return word


def words_of(phrases):
    return {singular(word) for phrase in phrases for word in re.findall("[a-z]+", phrase.casefold())}


def test_the_vocabulary_is_some_1500_plain_phrases_each_once():
    assert 1500 <= len(vocabulary()) <= 2000
    assert {"forest background", "red", "wood", "blurry"} <= set(vocabulary())
    assert len({phrase.casefold() for phrase in vocabulary()}) == len(vocabulary())
    odd = [phrase for phrase in vocabulary() if not re.fullmatch(r"[\wé'-]+( [\wé'-]+){0,4}", phrase)]
    assert odd == []
    assert not [phrase for phrase in vocabulary() if phrase.startswith(("a ", "an ", "the "))]


def test_the_vocabulary_has_almost_every_object_of_coco():
    from torchvision.models.detection import FasterRCNN_ResNet50_FPN_Weights

    objects = FasterRCNN_ResNet50_FPN_Weights.DEFAULT.meta["categories"]
    objects = [name for name in objects if name not in ("__background__", "N/A")]
    lacking = {name for name in objects if not words_of([name]) <= words_of(vocabulary())}
    american = {"airplane", "cell phone", "couch", "donut", "hair drier", "refrigerator", "tv"}
    assert lacking == american


def test_the_vocabulary_has_nine_of_ten_words_that_users_of_clarify_wrote():
    written = [
        *(phrase for users in USER_PHRASES.values() for phrase in (*users.best_error_score, *users.others)),
        *(feature.phrase for feature in IMAGENET_FEATURES),
    ]
    grammar = words_of(["a the of or and in on to with that is their no not than more any other lot lots"])
    words = [word for phrase in written for word in words_of([phrase]) - grammar]
    known = words_of(vocabulary())
    assert np.mean([word in known for word in words]) > 0.85


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
