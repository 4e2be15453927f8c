from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import center_of_mass, label

from clarify_widget.datasets.scenes import Scene, render, sample_scene
from clarify_widget.datasets.scenes.backgrounds import texture
from clarify_widget.datasets.scenes.captions import describe, say
from clarify_widget.datasets.scenes.phrases import CONCEPT_NAMES, CONCEPTS, facts, is_true, read, truth
from clarify_widget.datasets.scenes.render import SIDE, mask
from clarify_widget.datasets.scenes.scene import BACKGROUNDS, COLOURS, KINDS

seeds = st.integers(0, 2**32 - 1)
some = settings(deadline=None, max_examples=30)


def scene_of(seed: int) -> Scene:
    return sample_scene(np.random.default_rng(seed))


def pixels(scene: Scene) -> np.ndarray:
    return np.asarray(render(scene), dtype=float)


def roughness(scene: Scene) -> float:
    return sum(float((np.diff(pixels(scene), axis=axis) ** 2).mean()) for axis in (0, 1))


def covered(scene: Scene) -> np.ndarray:
    """Which pixels the things cover: the ones that a change of colour changes, on a flat background."""
    flat = replace(scene, background="white", lighting="normal", blurred=False, grainy=False, texture="solid")
    return np.abs(pixels(replace(flat, colour="red")) - pixels(replace(flat, colour="blue"))).sum(axis=2) > 60


@some
@given(seeds)
def test_a_scene_is_drawn_the_same_every_time_in_any_order(seed: int) -> None:
    scene, other = scene_of(seed), scene_of(seed + 1)
    first = render(scene)
    render(other)
    assert render(scene).tobytes() == first.tobytes()
    assert first.size == (SIDE, SIDE)
    assert first.mode == "RGB"


def test_textures_do_not_depend_on_which_was_made_first() -> None:
    first = texture("forest", 3).tobytes()
    texture.cache_clear()
    texture("ocean", 0)
    assert texture("forest", 3).tobytes() == first


@some
@given(seeds)
def test_the_picture_shows_as_many_shapes_as_the_scene_says(seed: int) -> None:
    scene = replace(scene_of(seed), kind="circle", aspect=1.0, outlined=False)
    _, count = label(covered(scene), structure=np.ones((3, 3)))
    assert count == len(scene.places)


@some
@given(seeds)
def test_a_shape_lies_where_and_is_as_large_as_the_scene_says(seed: int) -> None:
    scene = replace(scene_of(seed), kind="circle", aspect=1.0, outlined=False)
    scene = replace(scene, places=scene.places[:1])
    mask = covered(scene)
    y, x = center_of_mass(mask)
    assert (x / SIDE, y / SIDE) == pytest.approx(scene.places[0], abs=0.02)
    assert np.sqrt(mask.sum() / np.pi) * 2 / SIDE == pytest.approx(0.92 * scene.size, rel=0.1)


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("background", BACKGROUNDS)
def test_a_thing_has_the_colour_that_the_scene_says(colour: str, background: str) -> None:
    middle = pixels(Scene("circle", colour, background, seed=3))[SIDE // 2, SIDE // 2]
    nearest = min(COLOURS, key=lambda name: float(np.abs(middle - COLOURS[name]).sum()))
    assert nearest == colour


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_drawn_inside_its_picture_and_unlike_the_others(kind: str) -> None:
    scenes = {
        other: Scene(other, "red", "white", size=0.7, aspect=1.7 if other == "oval" else 1.0)
        for other in KINDS
    }
    mask = covered(scenes.pop(kind))
    assert 0.08 * SIDE**2 < mask.sum() < 0.5 * SIDE**2
    assert min((mask ^ covered(other)).sum() for other in scenes.values()) > 100


@some
@given(seeds)
def test_lighting_blur_and_grain_do_what_their_words_say(seed: int) -> None:
    scene = replace(scene_of(seed), background="forest", lighting="normal", blurred=False, grainy=False)
    plain = pixels(scene)
    assert pixels(replace(scene, lighting="dark")).mean() < 0.6 * plain.mean()
    assert pixels(replace(scene, lighting="bright")).mean() > 1.1 * plain.mean()
    assert roughness(replace(scene, blurred=True)) < 0.6 * roughness(scene)
    assert roughness(replace(scene, grainy=True)) > 1.1 * roughness(scene)


@some
@given(seeds, st.integers(1, 3))
def test_what_is_said_of_a_scene_is_true_of_it(seed: int, number: int) -> None:
    scene, rng = scene_of(seed), np.random.default_rng(seed)
    sentence = describe(facts(scene), rng, number)
    assert is_true(sentence, scene)
    assert len(read(sentence).concepts) >= number


@some
@given(seeds)
def test_saying_one_concept_names_that_concept_only(seed: int) -> None:
    rng = np.random.default_rng(seed)
    assert [read(say(concept, rng)).concepts for concept in CONCEPTS] == [(name,) for name in CONCEPT_NAMES]


@some
@given(seeds)
def test_truth_of_many_is_truth_of_each(seed: int) -> None:
    scenes = [scene_of(seed + i) for i in range(4)]
    phrases = ["red", "a small bird", "ocean", "two squares on water", "water", "dark"]
    expected = [[is_true(phrase, scene) for phrase in phrases] for scene in scenes]
    assert truth(phrases, np.stack([facts(scene) for scene in scenes])).tolist() == expected


def test_words_of_one_concept_mean_the_same() -> None:
    for concept in CONCEPTS:
        for word in concept.words:
            assert read(word).concepts == (concept.name,)


@pytest.mark.parametrize(
    ("phrase", "concepts"),
    [
        ("a crimson square", ("red", "square")),
        ("black background", ("black background",)),
        ("a black bird on a white background", ("black", "bird", "white background")),
        ("two water birds on the water", ("two", "water bird", "water")),
        ("Out of focus, and DARK!", ("blurry", "dark")),
        ("an image of a", ()),
    ],
)
def test_phrases_are_read_by_their_longest_names(phrase: str, concepts: tuple[str, ...]) -> None:
    assert read(phrase).concepts == concepts
    assert read(phrase).unknown == ()


def test_the_truth_of_a_phrase_with_unknown_words_is_refused() -> None:
    with pytest.raises(ValueError, match="velvet"):
        is_true("a red velvet square", scene_of(0))
    with pytest.raises(ValueError, match="no truth"):
        is_true("an image of a", scene_of(0))


def test_every_concept_is_true_of_some_scenes_and_false_of_others() -> None:
    share = np.stack([facts(scene_of(seed)) for seed in range(3000)]).mean(axis=0)
    assert share.min() > 0.01
    assert share.max() < 0.7


@some
@given(seeds)
def test_a_mask_is_white_where_the_picture_shows_a_thing(seed: int) -> None:
    scene = replace(scene_of(seed), lighting="normal", blurred=False, grainy=False)
    shown = np.abs(pixels(scene) - pixels(replace(scene, places=()))).sum(axis=2) > 0
    inside = np.asarray(mask(scene)) > 127
    assert mask(scene).size == (SIDE, SIDE)
    # The trunk that a woodpecker sits on, and the outer half of an outline, are no part of the mask.
    if scene.kind != "woodpecker" and not scene.outlined:
        assert (inside & ~shown).sum() <= 0.1 * inside.sum()
        assert (shown & ~inside).sum() <= 0.35 * shown.sum() + 20
    assert inside.any()
