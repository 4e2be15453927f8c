from __future__ import annotations

import numpy as np
import open_clip
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ortho_group
from sklearn.metrics.pairwise import cosine_similarity
from sklearn.neighbors import KNeighborsClassifier

from clarify_widget.encoders import OpenClipEncoder, PrecomputedEncoder
from clarify_widget.errors import DataError, EncoderError, PhraseError
from clarify_widget.methods.zero_shot import ZeroShotHead, imagenet_templates, prompt_embeddings

NAMES = ["landbird", "water bird", "a duck {with} braces"]


@pytest.fixture(scope="module")
def tiny():
    torch.manual_seed(0)
    vision = {"image_size": 32, "layers": 1, "width": 16, "patch_size": 16, "head_width": 16}
    text = {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1}
    model = open_clip.model.CLIP(embed_dim=16, vision_cfg=vision, text_cfg=text)
    preprocess = open_clip.transform.image_transform(32, is_train=False)
    return OpenClipEncoder(model, preprocess, open_clip.get_tokenizer("ViT-B-32"), name="tiny")


def test_the_ensemble_is_open_clips_own_zero_shot_classifier(tiny):
    expected = open_clip.build_zero_shot_classifier(
        tiny.model, tiny.tokenizer, NAMES, open_clip.OPENAI_IMAGENET_TEMPLATES
    )
    rows = prompt_embeddings(tiny, NAMES, imagenet_templates())
    np.testing.assert_allclose(rows, expected.numpy().T, atol=1e-5)
    images = np.random.default_rng(0).normal(size=(50, 16))
    logits = torch.tensor(images, dtype=torch.float32) @ expected
    head = ZeroShotHead(rows, np.arange(3))
    np.testing.assert_array_equal(head.predict(images), logits.argmax(dim=1).numpy())


def test_there_are_eighty_templates_and_each_takes_a_phrase():
    templates = imagenet_templates()
    assert len(set(templates)) == 80
    assert all(template.count("{phrase}") == 1 for template in templates)


def test_the_encoders_own_template_is_the_default(tiny):
    rows = prompt_embeddings(tiny, NAMES)
    expected = tiny.encode_text([f"an image of a {name}" for name in NAMES])
    np.testing.assert_allclose(rows, expected, atol=1e-6)


def test_a_table_of_phrases_takes_bare_prompts():
    table = PrecomputedEncoder(["duck", "finch"], [[3.0, 4.0], [0.0, 2.0]])
    expected = [[0.0, 1.0], [0.6, 0.8]]
    np.testing.assert_allclose(prompt_embeddings(table, ["finch", "duck"]), expected, atol=1e-7)
    np.testing.assert_allclose(prompt_embeddings(table, ["finch", "duck"], ["{phrase}"]), expected, atol=1e-7)
    with pytest.raises(PhraseError, match="swan"):
        prompt_embeddings(table, ["swan"])


def test_scores_are_scikit_learns_cosines_with_the_nearest_prototype():
    rng = np.random.default_rng(0)
    prototypes, images = rng.normal(size=(5, 7)), rng.normal(size=(40, 7))
    class_of = np.array([2, 0, 1, 0, 2])
    cosines = cosine_similarity(images, prototypes)
    expected = np.stack([cosines[:, class_of == each].max(axis=1) for each in range(3)], axis=1)
    head = ZeroShotHead(prototypes, class_of)
    np.testing.assert_allclose(head.decision_function(images), expected, atol=1e-12)
    neighbour = KNeighborsClassifier(n_neighbors=1, metric="cosine").fit(prototypes, class_of)
    np.testing.assert_array_equal(head.predict(images), neighbour.predict(images))


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 999))
def test_rotating_rescaling_and_reordering_change_nothing(seed):
    rng = np.random.default_rng(seed)
    prototypes, images = rng.normal(size=(4, 6)), rng.normal(size=(20, 6))
    class_of = np.array([0, 1, 1, 0])
    plain = ZeroShotHead(prototypes, class_of).decision_function(images)
    rotation = ortho_group.rvs(6, random_state=seed)
    order, rows = rng.permutation(4), rng.permutation(20)
    scales = rng.uniform(0.1, 10, size=(4, 1))
    moved = ZeroShotHead((scales * prototypes)[order] @ rotation, class_of[order])
    np.testing.assert_allclose(moved.decision_function(3 * images[rows] @ rotation), plain[rows], atol=1e-9)


def test_no_images_get_no_predictions():
    assert ZeroShotHead(np.eye(2), np.arange(2)).predict(np.empty((0, 2))).shape == (0,)


@pytest.mark.parametrize(
    ("prototypes", "class_of", "what"),
    [
        (np.eye(2), [0], "2 prototypes and 1"),
        (np.eye(2), [0, 2], r"none of \[1\]"),
        (np.eye(2), [0, -1], "lowest is -1"),
        (np.array([[1.0, 0.0], [0.0, 0.0]]), [0, 1], "zeros, the first at row 1"),
        (np.full((2, 2), np.nan), [0, 1], "NaN"),
        (np.empty((0, 2)), [], "needs prototypes"),
        (np.ones(2), [0, 1], "2-D"),
    ],
)
def test_prototypes_that_do_not_fit_are_one_clear_error(prototypes, class_of, what):
    with pytest.raises(DataError, match=what):
        ZeroShotHead(prototypes, class_of)


def test_embeddings_of_another_width_are_one_clear_error():
    with pytest.raises(DataError, match="width 2; got 3"):
        ZeroShotHead(np.eye(2), np.arange(2)).predict(np.ones((4, 3)))


@pytest.mark.parametrize(
    ("names", "templates", "error", "what"),
    [
        ([], None, DataError, "0 names"),
        (["duck"], [], DataError, "0 templates"),
        ("duck", None, DataError, "one string"),
        (["duck"], "{phrase}", DataError, "one string"),
        (["duck"], ["a bird"], EncoderError, "no {phrase}"),
        (["duck", " "], None, PhraseError, "empty"),
    ],
)
def test_names_and_templates_that_do_not_fit_are_one_clear_error(names, templates, error, what):
    table = PrecomputedEncoder(["duck"], np.ones((1, 2)))
    with pytest.raises(error, match=what):
        prompt_embeddings(table, names, templates)
