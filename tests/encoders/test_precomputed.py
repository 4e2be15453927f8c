"""A table of phrases as a text tower."""

from __future__ import annotations

import numpy as np
import PIL.Image
import pytest

from clarify_widget.datasets import ImageList
from clarify_widget.encoders import PrecomputedEncoder, embed_images, embed_phrase, load
from clarify_widget.encoders.base import phrase_parts
from clarify_widget.errors import DataError, EncoderError, PhraseError

PHRASES = ["red", "Forest Background", "near forest", "ocean"]
ROWS = np.eye(4, 3) + 1


def test_known_phrases_give_their_unit_rows_whatever_their_case_and_space():
    encoder = PrecomputedEncoder(PHRASES, ROWS, name="table")
    row = embed_phrase(encoder, "  forest   background ")
    assert np.allclose(row, ROWS[1] / np.linalg.norm(ROWS[1]))
    assert encoder.encode_text(PHRASES).shape == (4, encoder.dim)
    assert encoder.encode_text([]).shape == (0, 3)


def test_phrases_are_found_inside_the_template_and_bare():
    encoder = PrecomputedEncoder(PHRASES, ROWS, template="a photo of a {phrase}.")
    assert np.allclose(embed_phrase(encoder, "red"), encoder.encode_text(["red"])[0])


def test_unknown_phrase_names_close_ones():
    encoder = PrecomputedEncoder(PHRASES, ROWS, name="table")
    with pytest.raises(
        PhraseError, match=r"'table' knows 4 phrases, and 'forest' is not among them; .*near forest"
    ):
        embed_phrase(encoder, "forest")
    with pytest.raises(PhraseError, match="one that it knows: red"):
        embed_phrase(encoder, "zzzz")
    with pytest.raises(PhraseError, match="<b>"):
        embed_phrase(encoder, "<b>ocean</b> 🌊🌊🌊🌊🌊")


def test_images_are_refused_in_a_sentence():
    encoder = PrecomputedEncoder(PHRASES, ROWS)
    with pytest.raises(EncoderError, match=r"no image tower.*give their embeddings"):
        embed_images(encoder, ImageList([PIL.Image.new("RGB", (2, 2))]))


def test_table_is_an_encoder_like_any_other():
    encoder = PrecomputedEncoder(PHRASES, ROWS)
    assert load(encoder) is encoder


@pytest.mark.parametrize(
    ("phrases", "rows", "message"),
    [
        (PHRASES[:3], ROWS, "4 rows for 3 phrases"),
        (PHRASES, np.vstack([ROWS[:3], np.zeros(3)]), "all zero for 'ocean'"),
        (PHRASES, np.vstack([ROWS[:3], np.full(3, np.nan)]), "NaN or infinity"),
        (PHRASES, ROWS[:, 0], "2-D"),
        ([], np.empty((0, 3)), "at least one"),
    ],
)
def test_table_that_does_not_fit_is_a_data_error(phrases, rows, message):
    with pytest.raises(DataError, match=message):
        PrecomputedEncoder(phrases, rows)


def test_a_phrase_opposed_to_another_is_the_direction_between_them():
    rows = np.random.default_rng(0).normal(size=(3, 8))
    encoder = PrecomputedEncoder(("forest", "ocean", "sky"), rows)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    for phrase, difference in {
        "forest, not ocean": unit[0] - unit[1],
        "Ocean,  NOT forest": unit[1] - unit[0],
        "sky, not forest, not ocean": unit[2] - (unit[0] + unit[1]) / 2,
    }.items():
        np.testing.assert_allclose(
            embed_phrase(encoder, phrase), difference / np.linalg.norm(difference), atol=1e-6
        )


def test_a_phrase_opposed_to_itself_or_to_an_unknown_one_is_one_clear_error():
    encoder = PrecomputedEncoder(("forest", "ocean"), np.eye(2))
    with pytest.raises(PhraseError, match="the same on both sides"):
        embed_phrase(encoder, "forest, not Forest")
    with pytest.raises(PhraseError, match="'desert' is not among them"):
        embed_phrase(encoder, "forest, not desert")


@pytest.mark.parametrize("phrase", ["not blond", "no, not", ", not red", "red, not ", "red, nothing"])
def test_a_phrase_without_two_sides_is_taken_as_it_is(phrase):
    assert phrase_parts(phrase) == (phrase, ())
