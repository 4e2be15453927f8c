from __future__ import annotations

import numpy as np
import pytest

from clarify_widget.concepts.bias_to_text import clip_score, has_keyword
from clarify_widget.errors import DataError, PhraseError, ScoreError


def test_clip_score_is_the_difference_of_means():
    assert clip_score([0.3, 0.5], [0.1, 0.2, 0.3]) == pytest.approx(0.2)
    assert clip_score([0.1], [0.4]) == pytest.approx(-0.3)


def test_clip_score_is_the_difference_of_the_similarities_to_the_mean_embeddings():
    rng = np.random.default_rng(0)
    wrong, correct, keyword = rng.normal(size=(5, 8)), rng.normal(size=(9, 8)), rng.normal(size=8)
    expected = keyword @ wrong.mean(axis=0) - keyword @ correct.mean(axis=0)
    assert clip_score(wrong @ keyword, correct @ keyword) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("keyword", "captions"),
    [
        ("bird", {"A bird.": True, "Bird": True, "two birds": False, "bird-like": True, "jailbird": False}),
        ("tall tree", {"a tall\ttree": True, "tall old tree": False, "Tall  Tree, green": True}),
        ("c++", {"about C++": True, "about C": False}),
        ("été", {"un été chaud": True, "étés": False}),
    ],
)
def test_keywords_are_matched_as_whole_words_in_any_case(keyword, captions):
    assert has_keyword(list(captions), keyword).tolist() == list(captions.values())


def test_no_captions_have_no_keyword():
    assert has_keyword([], "bird").shape == (0,)


@pytest.mark.parametrize(
    ("wrong", "correct", "error", "what"),
    [
        ([], [0.1], ScoreError, "no wrong images"),
        ([0.1], [], ScoreError, "no correct images"),
        ([np.nan], [0.1], DataError, "NaN"),
        ([[0.1]], [0.1], DataError, "1-D"),
    ],
)
def test_unusable_similarities_are_one_clear_error(wrong, correct, error, what):
    with pytest.raises(error, match=what):
        clip_score(wrong, correct)


def test_unusable_texts_are_one_clear_error():
    with pytest.raises(PhraseError, match="blank"):
        has_keyword(["a bird"], "  ")
    with pytest.raises(DataError, match="captions must be texts"):
        has_keyword(["a bird", None], "bird")
