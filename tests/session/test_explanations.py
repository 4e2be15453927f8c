"""Where the model of a session looks, on drawn birds whose place is known."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import PIL.Image
import pytest
from sklearn.linear_model import LogisticRegression

import clarify_widget as cw
from clarify_widget import Session, plots
from clarify_widget.errors import DataError, EncoderError, PhraseError
from clarify_widget.evaluation.explain import explanation_maps, overlay, points_inside
from clarify_widget.methods.zero_shot import ZeroShotHead
from clarify_widget.widget.images import Images
from clarify_widget.widget.requests import Request

ROWS = 64


@pytest.fixture(scope="module")
def birds():
    """A fitted session over some of the shorebirds."""
    whole = cw.datasets.shorebirds()
    some = np.arange(ROWS)
    part = replace(whole, train=whole.train.take(np.arange(120)), val=whole.val.take(some), test=None)
    session = Session(part)
    session.fit()
    return session


def test_a_class_is_explained_by_its_logit_and_any_text_by_its_similarity(birds):
    head = birds.head.for_unit_rows()[0]
    for about, direction, target in (
        ("land bird", head[:, 1], "logit of land bird"),
        ("forest", birds.direction("forest"), "similarity with “forest”"),
    ):
        found = birds.explain(5, about)
        assert found.target == target
        (expected,) = explanation_maps(birds.encoder, [birds.image(5)], direction[None])
        np.testing.assert_array_equal(found.values, expected[0])


def test_an_explanation_is_an_overlay_a_jpeg_and_a_png(birds):
    found = birds.explain(2, " bird ")
    assert found.overlay.tobytes() == overlay(birds.image(2), found.values).tobytes()
    for encoded in (found.jpeg(), found._repr_png_()):
        opened = PIL.Image.open(io.BytesIO(encoded))
        assert opened.size == birds.image(2).size


def test_a_model_that_is_no_head_on_the_embeddings_is_explained_by_its_class_names(birds):
    prompts = np.stack([birds.direction(name) for name in birds.class_names])
    zero_shot = Session(birds.dataset, birds.encoder, head=ZeroShotHead(prompts, np.array([0, 1])))
    zero_shot.fit()
    assert zero_shot.explain(0, "land bird").target == "similarity with “land bird”"


def test_a_linear_layer_from_elsewhere_is_explained_by_its_logits_too(birds):
    train = birds.dataset.train
    foreign = Session(birds.dataset, birds.encoder, LogisticRegression().fit(train.embeddings, train.labels))
    foreign.fit()
    found = foreign.explain(0, "land bird")
    assert found.target == "logit of land bird"
    direction = foreign.head.weights[:, 1][None]
    (expected,) = explanation_maps(birds.encoder, [birds.image(0)], direction)
    np.testing.assert_array_equal(found.values, expected[0])


def test_the_retrained_head_is_explained_when_asked(birds):
    session = Session(birds.dataset, birds.encoder)
    session.fit()
    session.annotate("water bird", "forest")
    session.retrain()
    before, after = session.explain(0, "water bird"), session.explain(0, "water bird", retrained=True)
    assert not np.array_equal(before.values, after.values)


def test_maps_of_bird_point_at_the_bird_far_more_often_than_chance(birds):
    images = [birds.image(row) for row in range(ROWS)]
    masks = [np.asarray(birds.dataset.val.masks[row].convert("L")) > 127 for row in range(ROWS)]
    maps = [one[0] for one in explanation_maps(birds.encoder, images, birds.direction("bird")[None])]
    chance = np.mean([mask.mean() for mask in masks])
    assert np.mean([points_inside(*pair) for pair in zip(maps, masks, strict=True)]) > 5 * chance
    here = np.mean([values[mask].mean() for values, mask in zip(maps, masks, strict=True)])
    elsewhere = np.mean([values[mask].mean() for values in maps for mask in masks])
    assert here > 1.2 * elsewhere  # all birds are near the middle; the maps know more than that


def test_alignment_compares_the_maps_of_all_classes_with_the_masks(birds):
    found = birds.alignment()
    assert found.average.size == ROWS
    assert sum(group.size for group in found.per_group) == ROWS
    assert 0 < found.average.aiou < 1
    assert found.worst_group.aiou <= found.average.aiou
    maps = [birds.explain(7, name).values for name in birds.class_names]
    mask = np.asarray(birds.dataset.val.masks[7].convert("L")) > 127
    label = birds.dataset.val.labels[7]
    overlaps = [np.minimum(one, mask).sum() / np.maximum(one, mask).sum() for one in maps]
    assert found.aiou[7] == pytest.approx(overlaps[label] / sum(overlaps), rel=1e-4)


def test_a_figure_shows_each_image_beside_its_maps(birds, tmp_path):
    figure = plots.explanations(birds, [3, 5], ["bird", "land bird"])
    cells = figure.axes
    assert [axes.get_title() for axes in cells[1:3]] == ["similarity with “bird”", "logit of land bird"]
    assert cells[3].get_title() == birds.image_name(5)
    shown = cells[4].get_images()[0].get_array()
    np.testing.assert_array_equal(shown, np.asarray(birds.explain(5, "bird").overlay))
    figure.savefig(tmp_path / "figure.png")
    with pytest.raises(DataError, match="at least one"):
        plots.explanations(birds, [], ["bird"])


def test_a_page_gets_the_overlay_of_one_image_and_text(birds):
    asked = Request("1", "explanation", {"split": "val", "index": 4, "about": "forest"})
    told, (encoded,) = Images(birds).answer_explanation(asked)
    assert (told["target"], told["width"], told["height"]) == ("similarity with “forest”", 128, 128)
    assert PIL.Image.open(io.BytesIO(encoded)).size == (128, 128)


def test_masks_come_back_with_the_data_set_and_leave_with_more_training_images(birds, tmp_path):
    folder = birds.save(tmp_path / "saved")
    assert Session.load(folder).dataset.val.masks is None
    again = Session.load(folder, dataset=birds.dataset)
    assert again.dataset.val.masks[3].tobytes() == birds.dataset.val.masks[3].tobytes()


def test_what_cannot_be_explained_is_one_clear_error(session, birds):
    with pytest.raises(EncoderError, match="open_clip"):
        session.explain(0, "red")
    with pytest.raises(PhraseError):
        birds.explain(0, " ")
    with pytest.raises(DataError, match="0 to 63"):
        birds.explain(ROWS, "bird")
    with pytest.raises(DataError, match="masks"):
        session.alignment()
    with pytest.raises(DataError, match="'test'"):
        birds.alignment("test")
