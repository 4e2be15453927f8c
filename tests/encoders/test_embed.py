"""Unit rows of images and phrases, whatever the images are and whatever the encoder answers."""

from __future__ import annotations

import time

import numpy as np
import PIL.Image
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from clarify_widget.datasets import ImageList, UnreadableImage
from clarify_widget.encoders import embed_images, embed_phrase, pipeline
from clarify_widget.errors import EncoderError, PhraseError


class Answers:
    """An encoder that answers what it is told to."""

    name = "answers"
    dim = 2

    def __init__(self, answer):
        self.answer = answer

    def encode_images(self, images):
        return self.answer(len(images))

    def encode_text(self, texts):
        return self.answer(len(texts))


def test_rows_are_float32_unit_rows_in_the_order_of_the_images(mean_colour, photos):
    images = ImageList(photos(10))
    done = []
    embedded = embed_images(mean_colour(), images, batch_size=4, progress=lambda *count: done.append(count))
    expected = np.stack([[i, 2 * i, 255 - i] for i in range(10)]) / 255 + 1
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    assert embedded.embeddings.dtype == np.float32
    assert np.allclose(embedded.embeddings, expected, atol=1e-6)
    assert embedded.kept.tolist() == list(range(10))
    assert done == [(4, 10), (8, 10), (10, 10)]


@settings(deadline=None, max_examples=50)
@given(broken=st.lists(st.booleans(), max_size=20), batch_size=st.integers(1, 7))
def test_unreadable_images_are_listed_and_the_others_kept(broken, batch_size):
    sources = [
        b"" if bad else PIL.Image.new("RGB", (2, 2), (9 * row, 0, 0)) for row, bad in enumerate(broken)
    ]
    images = ImageList(sources, [f"photo {row}.jpg" for row in range(len(sources))])
    encoder = Answers(lambda count: np.ones((count, 2)))
    embedded = embed_images(encoder, images, batch_size=batch_size)
    assert embedded.kept.tolist() == [row for row, bad in enumerate(broken) if not bad]
    assert embedded.embeddings.shape == (len(embedded.kept), 2)
    assert embedded.unreadable == tuple(
        UnreadableImage(f"photo {row}.jpg", "it has no bytes") for row, bad in enumerate(broken) if bad
    )


def test_torch_tensors_are_taken_from_an_encoder():
    encoder = Answers(lambda count: torch.ones((count, 2), requires_grad=True))
    assert np.allclose(embed_phrase(encoder, "red"), np.sqrt(0.5))


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda count: np.ones((count + 1, 2)), r"shape \(2, 2\); expected \(1, 2\)"),
        (lambda count: np.ones((count, 3)), r"shape \(1, 3\); expected \(1, 2\)"),
        (lambda _: np.ones(2), r"shape \(2,\); expected \(1, 2\)"),
        (lambda count: np.zeros((count, 2)), "zero row"),
        (lambda count: np.full((count, 2), np.nan), "NaN or infinity"),
        (lambda _: "red", "answered with str"),
        (lambda _: None, r"shape \(\)"),
    ],
)
def test_answers_that_are_not_rows_are_encoder_errors(answer, message):
    with pytest.raises(EncoderError, match=message):
        embed_phrase(Answers(answer), "red")
    with pytest.raises(EncoderError, match=message):
        embed_images(Answers(answer), ImageList([PIL.Image.new("RGB", (2, 2))]))


@pytest.mark.parametrize("phrase", ["", "   ", "\n\t", " "])
def test_blank_phrase_is_a_phrase_error(mean_colour, phrase):
    with pytest.raises(PhraseError, match="empty"):
        embed_phrase(mean_colour(), phrase)


@pytest.mark.parametrize("length", [301, 10_000])
def test_far_too_long_phrase_is_a_phrase_error(mean_colour, length):
    with pytest.raises(PhraseError, match=f"{length:,} characters"):
        embed_phrase(mean_colour(), "a" * length)
    assert embed_phrase(mean_colour(), "a" * 300).shape == (3,)


def test_phrase_that_is_not_text_is_a_phrase_error(mean_colour):
    with pytest.raises(PhraseError, match="got int"):
        embed_phrase(mean_colour(), 7)


def test_phrase_goes_into_the_sentence_unharmed():
    texts = []

    class Listening(Answers):
        template = "a photo of {phrase}"

        def encode_text(self, given):
            texts.extend(given)
            return np.ones((len(given), 2))

    encoder = Listening(None)
    embed_phrase(encoder, "  <b>red</b> {0} 🦆\n bird ")
    embed_phrase(encoder, "red", template="{phrase}!")
    assert texts == ["a photo of <b>red</b> {0} 🦆 bird", "red!"]
    with pytest.raises(EncoderError, match=r"has no \{phrase\}"):
        embed_phrase(encoder, "red", template="a photo")


def test_default_sentence_is_that_of_the_paper(mean_colour):
    row = embed_phrase(mean_colour(), "red")
    length = len("an image of a red")
    assert np.allclose(row, np.array([length, 1, 0]) / np.hypot(length, 1))


def test_large_images_reach_the_encoder_in_smaller_batches(monkeypatch):
    monkeypatch.setattr(pipeline, "_MOST_PIXELS", 1000)
    monkeypatch.setattr(pipeline, "_OPENERS", 2)
    batches = []

    def answer(count):
        batches.append(count)
        return np.ones((count, 2))

    embed_images(Answers(answer), ImageList([PIL.Image.new("RGB", (25, 25))] * 7), batch_size=6)
    assert batches == [2, 2, 2, 1]


class Counting:
    """A quick model, and slow to make inputs for, that counts the threads that it may use."""

    name = "counting"
    dim = 2

    def __init__(self):
        self.threads = []

    def input_of(self, image):
        began = time.thread_time()
        while time.thread_time() - began < 0.005:
            pass
        return image

    def rows_of(self, inputs):
        self.threads.append(torch.get_num_threads())
        return np.ones((len(inputs), 2))


@pytest.fixture
def four_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


def embed_counting(count):
    model = Counting()
    embed_images(model, ImageList([PIL.Image.new("RGB", (4, 4))] * count), batch_size=4)
    assert torch.get_num_threads() == 4
    return model.threads


@pytest.mark.usefixtures("four_threads")
def test_a_quick_model_leaves_the_cores_to_opening_images():
    assert embed_counting(16) == [4, 1, 1, 1]


@pytest.mark.usefixtures("four_threads")
def test_a_slow_model_keeps_the_cores(monkeypatch):
    monkeypatch.setattr(pipeline, "_QUICK_SECONDS", 0.0)
    assert embed_counting(16) == [4, 4, 4, 4]
