"""Keywords of captions, by YAKE and by KeyBERT with an encoder of one's own."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from clarify_widget.discovery import bias_to_text, keywords_of
from clarify_widget.encoders import PrecomputedEncoder
from clarify_widget.errors import DataError, MissingDependencyError, PhraseError, ScoreError

CAPTIONS = (
    "a bird on a bamboo forest path",
    "a small bird in a bamboo forest.",
    "two birds near a bamboo forest",
    "",
    "a bird on the water",
)


class WordsEncoder:
    """A sentence is the sum of its words, each a direction of its own."""

    name = "words"
    dim = 64

    def encode_images(self, images):
        raise AssertionError(f"no images here; got {len(images)}")

    def encode_text(self, texts):
        return np.array([sum(self.row(word) for word in text.lower().split()) for text in texts])

    def row(self, word):
        return np.random.default_rng(sum(map(ord, word.strip(".")))).normal(size=self.dim)


@pytest.mark.parametrize("method", ["yake", "keybert"])
def test_words_that_captions_share_are_their_keywords(method):
    found = keywords_of(CAPTIONS, method, encoder=WordsEncoder())
    assert "bamboo forest" in found[:5]
    assert "the" not in found
    assert len(set(found)) == len(found)
    assert all(word == word.casefold() for word in found)


@pytest.mark.parametrize("method", ["yake", "keybert"])
def test_no_more_and_no_longer_ones_than_wanted(method):
    found = keywords_of(CAPTIONS, method, encoder=WordsEncoder(), most=3, longest=1)
    assert 1 <= len(found) <= 3
    assert all(" " not in word for word in found)


def test_keybert_ranks_by_similarity_with_the_mean_caption_as_worked_out_here():
    encoder = WordsEncoder()
    texts = [text for text in CAPTIONS if text]
    rows = encoder.encode_text(texts)
    mean = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).mean(axis=0)
    found = keywords_of(CAPTIONS, "keybert", encoder=encoder, longest=1)
    words = encoder.encode_text(found)
    cosines = words @ mean / np.linalg.norm(words, axis=1) / np.linalg.norm(mean)
    assert cosines.tolist() == sorted(cosines.tolist(), reverse=True)


@pytest.mark.parametrize("captions", [[], ["", "  "]])
def test_without_a_word_there_are_no_keywords(captions):
    assert keywords_of(captions) == ()
    assert keywords_of(captions, "keybert", encoder=WordsEncoder()) == ()
    assert keywords_of(["the of a"], "keybert", encoder=WordsEncoder()) == ()


@pytest.mark.parametrize(
    ("captions", "method", "problem"),
    [
        ("one text", "yake", "list"),
        ([None], "yake", "texts"),
        (["a"], "tfidf", "tfidf"),
        (["a"], "keybert", "encoder"),
    ],
)
def test_what_cannot_be_done_is_one_clear_error(captions, method, problem):
    with pytest.raises(DataError, match=problem):
        keywords_of(captions, method)


@pytest.mark.parametrize("method", ["yake", "keybert"])
def test_a_package_that_is_missing_is_named_with_the_way_to_get_it(method, monkeypatch):
    monkeypatch.setitem(sys.modules, method, None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'clarify-widget\[keywords\]'"):
        keywords_of(CAPTIONS, method, encoder=WordsEncoder())


def captioned_class():
    """Wrong images have a forest, in the caption and along the first axis."""
    rng = np.random.default_rng(0)
    correct = np.arange(40) % 2 == 0
    rows = rng.normal(size=(40, 16))
    rows[~correct, 0] += 3
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    captions = ["a waterbird on a lake" if right else "a waterbird in a dense forest" for right in correct]
    return captions, rows.astype(np.float32), correct


class AnyWordEncoder(WordsEncoder):
    """Knows a direction for every text; that of the forest is the first axis."""

    dim = 16

    def encode_text(self, texts):
        return np.array(
            [np.eye(16)[0] if "forest" in text else self.row(text) for text in texts], dtype=np.float32
        )


def test_bias_to_text_ranks_the_keywords_of_the_wrong_images_by_their_clip_score():
    captions, rows, correct = captioned_class()
    table = bias_to_text(captions, rows, correct, AnyWordEncoder(), class_names=["waterbird"])
    assert "forest" in table.rows[0].keyword
    assert [row.clip_score for row in table.rows] == sorted((r.clip_score for r in table.rows), reverse=True)
    assert not any("waterbird" in row.keyword or "lake" in row.keyword for row in table.rows)
    forest = next(row for row in table.rows if row.keyword == "forest")
    assert forest.subgroup.size == 20
    assert forest.subgroup.accuracy == 0
    similar = rows[:, 0]
    assert forest.clip_score == pytest.approx(similar[~correct].mean() - similar[correct].mean(), abs=1e-6)


def test_bias_to_text_without_errors_keywords_or_a_caption_an_image_says_so():
    captions, rows, correct = captioned_class()
    encoder = PrecomputedEncoder(["forest"], np.eye(16)[:1])
    with pytest.raises(ScoreError, match="right on all"):
        bias_to_text(captions, rows, np.ones(40, bool), encoder)
    with pytest.raises(PhraseError, match="no keyword"):
        bias_to_text(["waterbird"] * 40, rows, correct, encoder, class_names=["waterbird"])
    with pytest.raises(DataError, match="3 captions, 40 embeddings"):
        bias_to_text(captions[:3], rows, correct, encoder)
