from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from clarify_widget.datasets.dataset import UnreadableImage
from clarify_widget.errors import DataError, UnknownClassError
from clarify_widget.session import ClassMembers, ClassSummary, presentation
from tests.fake_page import unpack_examples


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data(), n=st.integers(0, 200))
def test_packed_members_unpack_to_what_went_in(data, n):
    rows = data.draw(npst.arrays(np.int64, n, elements=st.integers(0, 2**31 - 1)))
    correct = data.draw(npst.arrays(np.bool_, n))

    packed = presentation.pack_members(ClassMembers(rows, correct))

    unpacked_rows, _, unpacked_correct = unpack_examples(b"", packed)
    np.testing.assert_array_equal(unpacked_rows, rows)
    np.testing.assert_array_equal(unpacked_correct, correct)


def test_class_without_a_phrase_shows_no_similarity(session):
    view = presentation.class_view(session, "oval", None)

    assert view["similarities"] == b""
    assert (view["phrase"], view["threshold"], view["score"]) == ("", None, None)


def test_phrase_view_carries_the_similarities_of_the_class(session):
    scored = session.score("oval", "red")

    view = presentation.class_view(session, "oval", scored)

    rows = session.members("oval").indices
    np.testing.assert_array_equal(
        np.frombuffer(view["similarities"], "<f4"), session.similarities("red")[rows]
    )
    assert view["threshold"] == scored.threshold
    assert view["score"]["score"] == scored.score


def test_threshold_is_that_of_the_user_then_the_kept_one_then_the_best(session):
    scored = session.score("oval", "red")
    assert presentation.class_view(session, "oval", scored)["threshold"] == scored.threshold

    session.annotate("oval", "red", 0.125)
    assert presentation.class_view(session, "oval", scored)["threshold"] == 0.125
    assert presentation.class_view(session, "oval", scored, {"red": 0.25})["threshold"] == 0.25


def test_unknown_class_is_refused(session):
    with pytest.raises(UnknownClassError, match="There is no class 'cube'"):
        presentation.class_view(session, "cube", None)


def test_everything_but_the_bytes_is_strict_json(session):
    session.annotate("oval", "red")
    session.retrain()
    view = presentation.class_view(session, "oval", session.score("oval", "crimson"))
    del view["similarities"]

    packed = json.dumps([presentation.facts(session), view], allow_nan=False)

    assert json.loads(packed) == [presentation.facts(session), view]


def test_comparison_names_the_images_that_changed(session):
    session.annotate("oval", "red")
    comparison = session.retrain()

    shown = presentation.comparison_json(comparison)

    assert shown["fixed"] == len(comparison.fixed)
    assert shown["fixed_indices"] == comparison.fixed.tolist()[: presentation.CHANGED_SHOWN]
    assert [row["name"] for row in shown["rows"]] == [row.name for row in comparison.rows]
    assert all(row["before_low"] <= row["before"] <= row["before_high"] for row in shown["rows"])


def test_class_without_validation_images_has_no_error_rate():
    star = presentation.class_json(ClassSummary("star", size=0, wrong=0, annotated=False))

    assert star["error_rate"] is None


def test_objectives_over_true_groups_are_offered_only_where_groups_are_known(session):
    offered = {choice["value"] for choice in presentation.objectives_json(session)}
    assert {"slice_balanced", "worst_slice", "dfr", "group_dro"} <= offered


def test_notes_name_a_few_unreadable_images_and_count_the_rest():
    unreadable = [UnreadableImage(f"{n}.png", "truncated") for n in range(12)]

    (note,) = presentation.notes(unreadable)

    assert note.startswith("Left out 12 images that cannot be read: 0.png: truncated;")
    assert note.endswith("and 7 more.")
    assert presentation.notes([]) == []


@pytest.mark.parametrize("row", [-1, 400])
def test_image_outside_the_split_is_refused(session, row):
    with pytest.raises(DataError, match="val has images 0 to 399"):
        presentation.image_json(session, "val", row)
