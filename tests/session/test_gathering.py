"""Gathering targeted data: search a pool by phrase, accept or reject, train on both."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from clarify_widget import Session, arrays
from clarify_widget.datasets.images import ImageList
from clarify_widget.discovery.pool import BlockIndex, Pool
from clarify_widget.errors import DataError, ImageReadError, PhraseError, UnknownClassError
from clarify_widget.session.gathering import Gathering
from tests.session.planted import planted_dataset, planted_encoder, planted_rows

SIZE = 600


@pytest.fixture
def bare():
    """A session without images."""
    session = Session(planted_dataset(images=False), planted_encoder())
    session.fit()
    return session


@pytest.fixture
def pool_rows():
    """Rows of an unlabelled pool in which class and attribute are independent."""
    rng = np.random.default_rng(7)
    labels, attributes = rng.integers(0, 2, SIZE), rng.integers(0, 2, SIZE)
    return planted_rows(labels, attributes, rng), labels, attributes


def test_a_phrase_finds_the_most_similar_images_that_were_not_reviewed(bare, pool_rows):
    rows, _, attributes = pool_rows
    pool = bare.pool(rows)
    hits = pool.search("red", k=10)
    assert [hit.similarity for hit in hits.rows] == sorted((h.similarity for h in hits.rows), reverse=True)
    assert all(attributes[hit.row] for hit in hits.rows)
    first, second, third, *others = [hit.row for hit in hits.rows]
    pool.accept([first, second], "square")
    pool.reject([third])
    assert [hit.row for hit in pool.search("red", k=7).rows] == others
    assert pool.accepted == {first: "square", second: "square"}
    assert pool.rejected == {third}


def test_only_images_above_a_similarity_are_found_where_one_is_given(bare, pool_rows):
    pool = bare.pool(pool_rows[0])
    lowest = pool.search("red", k=5).rows[-1].similarity
    assert len(pool.search("red", k=100, at_least=lowest)) == 5


def test_a_changed_mind_counts(bare, pool_rows):
    pool = bare.pool(pool_rows[0])
    pool.reject([3])
    pool.accept([3], "oval")
    pool.accept([3], "square")
    assert (pool.accepted, pool.rejected) == ({3: "square"}, set())
    pool.reject([3])
    assert (pool.accepted, pool.rejected) == ({}, {3})


def test_retraining_on_both_helps_the_worst_group(bare, pool_rows):
    rows, labels, attributes = pool_rows
    before = bare.evaluation("test").worst_group
    pool = bare.pool(rows)
    rare = np.flatnonzero(labels != attributes)
    for label, name in enumerate(bare.class_names):
        pool.accept(rare[labels[rare] == label], name)
    assert pool.add() == len(rare)
    assert len(bare.dataset.train) == 1200 + len(rare)
    bare.retrain(objective="erm")
    assert bare.evaluation("test", retrained=True).worst_group > before + 0.05
    assert pool.add() == 0


def test_added_images_are_on_the_sides_of_a_phrase_like_all_others(bare, pool_rows):
    before = bare.sides("square", "red", 0.2).train
    pool = bare.pool(pool_rows[0])
    hits = pool.search("red", k=5)
    pool.accept([hit.row for hit in hits.rows], "square")
    pool.add()
    after = bare.sides("square", "red", 0.2).train
    assert (after.having, after.without) == (before.having + 5, before.without)


def test_what_was_added_is_saved_with_the_session(bare, pool_rows, tmp_path):
    pool = bare.pool(pool_rows[0])
    pool.accept([1, 2], "oval")
    pool.add()
    again = Session.load(bare.save(tmp_path / "saved"), encoder=planted_encoder())
    np.testing.assert_array_equal(again.dataset.train.labels, bare.dataset.train.labels)
    np.testing.assert_allclose(again.dataset.train.embeddings, bare.dataset.train.embeddings, atol=1e-6)


def test_images_of_both_are_opened_and_named(session, pool_rows):
    pictures = [Image.new("RGB", (8, 8), (row % 256, 0, 0)) for row in range(SIZE)]
    pool = session.pool(pool_rows[0], images=pictures)
    assert pool.image(9).getpixel((0, 0)) == (9, 0, 0)
    pool.accept([9], "oval")
    pool.add()
    assert session.image(1200, "train").getpixel((0, 0)) == (9, 0, 0)
    assert session.image_name(0, "train") == "train/0.png"


def test_the_session_tells_those_who_listen(bare, pool_rows):
    events = []
    bare.subscribe(events.append)
    pool = bare.pool(pool_rows[0])
    pool.add()
    assert events == []
    pool.accept([], "oval")
    assert events == []
    pool.accept([0], "oval")
    pool.reject([1])
    pool.undo()
    pool.add()
    assert events == ["reviewed", "reviewed", "reviewed", "gathered"]


def test_hits_can_be_read_in_a_terminal_and_in_a_notebook(bare, pool_rows):
    hits = bare.pool(pool_rows[0]).search("red", k=3)
    assert str(hits).startswith("3 images for “red”")
    assert f"<td>{hits.rows[0].row}</td>" in hits._repr_html_()
    assert repr(hits) == "<Hits for “red”: 3 images>"


def test_what_cannot_be_done_is_one_clear_error_and_changes_nothing(bare, pool_rows):
    pool = bare.pool(pool_rows[0])
    with pytest.raises(DataError, match="rows 0 to 599; got 600"):
        pool.accept([600], "oval")
    with pytest.raises(UnknownClassError):
        pool.accept([1], "circle")
    with pytest.raises(PhraseError):
        pool.search("unheard of")
    with pytest.raises(DataError, match="at least 1"):
        pool.search("red", k=0)
    with pytest.raises(DataError, match="no images, only rows"):
        pool.image(1)
    assert pool.accepted == {}
    pool.accept([1], "oval")
    pool.add()
    with pytest.raises(DataError, match="added to the training set already"):
        pool.reject([1])


def test_a_training_set_with_images_takes_no_rows_without(session, pool_rows):
    pool = session.pool(pool_rows[0])
    pool.accept([1], "oval")
    with pytest.raises(DataError, match="pass images="):
        pool.add()
    assert len(session.dataset.train) == 1200


def test_a_training_set_in_a_large_file_is_left_there(bare, pool_rows, tmp_path, monkeypatch):
    np.save(tmp_path / "rows.npy", bare.dataset.train.embeddings)
    monkeypatch.setattr(arrays, "MOST_IN_MEMORY", 100)
    from dataclasses import replace

    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
    train = replace(bare.dataset.train, embeddings=mapped, features=None)
    session = Session(replace(bare.dataset, train=train), planted_encoder())
    session.fit()
    pool = session.pool(pool_rows[0])
    pool.accept([1], "oval")
    with pytest.raises(DataError, match="too large to add to"):
        pool.add()


def test_features_of_another_backbone_cannot_be_made_of_a_pool(pool_rows):
    from dataclasses import replace

    dataset = planted_dataset(images=False)
    rng = np.random.default_rng(0)
    parts = {
        split.name: replace(split, features=rng.normal(size=(len(split), 5))) for split in dataset.splits()
    }
    session = Session(replace(dataset, **parts), planted_encoder())
    session.fit()
    pool = session.pool(pool_rows[0])
    pool.accept([1], "oval")
    with pytest.raises(DataError, match="features beside the embeddings"):
        pool.add()


DECISIONS = st.lists(
    st.tuples(st.lists(st.integers(0, 5), min_size=1, max_size=3), st.sampled_from(["square", "oval", None])),
    max_size=8,
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(DECISIONS)
def test_each_undo_returns_to_what_was_before(bare, pool_rows, decisions):
    pool = bare.pool(pool_rows[0])
    while pool.undo():
        pass
    before = []
    for rows, class_name in decisions:
        before.append((pool.accepted, pool.rejected))
        if class_name is None:
            pool.reject(rows)
        else:
            pool.accept(rows, class_name)
    for was in reversed(before):
        assert pool.undo()
        assert (pool.accepted, pool.rejected) == was
    assert pool.undo() == ""


def test_what_was_added_is_not_taken_back(bare, pool_rows):
    pool = bare.pool(pool_rows[0])
    pool.accept([1], "oval")
    pool.add()
    assert pool.undo() == ""
    pool.reject([2, 3])
    assert pool.undo() == "reject 2 images"
    assert pool.accepted == {1: "oval"}


@pytest.fixture
def added(session, pool_rows):
    """A session with images, and its pool, of which two were added; 1,202 training images."""
    pool = session.pool(pool_rows[0], images=[Image.new("RGB", (8, 8), (row, 0, 0)) for row in range(SIZE)])
    pool.accept([1, 2], "oval")
    pool.reject([3])
    pool.add()
    return session, pool


def test_adding_is_a_step_that_is_taken_back_and_done_again(added):
    session, pool = added
    own = session.dataset_alone.train
    assert (len(own), len(session.dataset.train), session.undoable) == (1200, 1202, "Add 2 training images")
    before = session.dataset.train
    assert session.undo() == "Add 2 training images"
    assert session.dataset.train is own
    assert own.groups is not None
    assert (session.gathered, pool.accepted, pool.review.waiting) == (0, {1: "oval", 2: "oval"}, (1, 2))
    assert session.redo() == "Add 2 training images"
    np.testing.assert_array_equal(session.dataset.train.embeddings, before.embeddings)
    np.testing.assert_array_equal(session.dataset.train.labels, before.labels)
    assert session.dataset.train.groups is None
    assert session.image(1201, "train").getpixel((0, 0)) == (2, 0, 0)
    assert (session.gathered, pool.review.waiting) == (2, ())


def test_steps_before_and_after_an_addition_keep_their_training_images(added, pool_rows):
    session, pool = added
    session.annotate("square", "red")
    session.retrain()
    pool.accept([4], "square")
    assert pool.add() == 1
    other = session.pool(pool_rows[0][::-1].copy(), images=[Image.new("RGB", (8, 8))] * SIZE)
    other.accept([9], "oval")
    other.add()
    sizes = [len(session.dataset.train)]
    while session.undo():
        sizes.append(len(session.dataset.train))
    assert sizes == [1204, 1203, 1202, 1202, 1202, 1200]
    assert other.review.added == pool.review.added == frozenset()
    while session.redo():
        pass
    assert (len(session.dataset.train), pool.review.added, other.review.added) == (1204, {1, 2, 4}, {9})


def test_retraining_is_on_the_images_that_an_undo_leaves(added):
    session, _ = added
    session.retrain("erm")
    with_added = session.retrained
    sides = session.sides("oval", "red", 0.2).train
    session.undo()
    session.undo()
    without = session.sides("oval", "red", 0.2).train
    assert sides.having + sides.without == without.having + without.without + 2
    session.retrain("erm")
    np.testing.assert_allclose(session.retrained.weights, session.head.weights, atol=1e-6)
    assert not np.allclose(session.retrained.weights, with_added.weights, atol=1e-6)


def test_images_taken_out_of_training_can_be_decided_about_and_then_nothing_is_done_again(added):
    session, pool = added
    session.annotate("square", "red")
    session.undo()
    pool.reject([4])
    assert session.redoable == "Keep “red”"
    session.undo()
    pool.reject([1])
    assert (session.redoable, session.redo()) == ("", "")
    assert pool.add() == 1
    assert len(session.dataset.train) == 1201


def test_additions_that_were_taken_back_are_saved_and_done_again(added, tmp_path):
    session, pool = added
    session.autosave(tmp_path / "kept")
    session.annotate("square", "red")
    session.undo()
    session.undo()
    loaded = Session.load(tmp_path / "kept", encoder=planted_encoder(), dataset=planted_dataset())
    assert loaded.dataset.train.groups is not None
    for again in (begun_again(tmp_path / "kept", images=True), loaded):
        assert (len(again.dataset.train), again.redoable) == (1200, "Add 2 training images")
        again.redo()
        np.testing.assert_array_equal(again.dataset.train.labels[-2:], [1, 1])
        assert again.redo() == "Keep “red”"
        assert again.review_of(pool.pool.key).added == {1, 2}
        assert again.undoable == "Keep “red”"
    saved = [path.name for path in (tmp_path / "kept").iterdir()]
    assert sum(name.startswith("added-") for name in saved) == 1
    assert sum(name.startswith("train-") for name in saved) == 1


def test_two_looks_at_one_pool_agree_and_another_pool_is_its_own(bare, pool_rows):
    rows = pool_rows[0]
    first, second, other = bare.pool(rows), bare.pool(rows.copy()), bare.pool(rows[::-1].copy())
    first.accept([1], "oval")
    second.reject([2])
    assert (first.accepted, first.rejected) == (second.accepted, second.rejected) == ({1: "oval"}, {2})
    assert other.accepted == {}


def begun_again(folder, *, images=False):
    """What a notebook does when its kernel was killed and its cells are run again."""
    session = Session(planted_dataset(images=images), planted_encoder())
    session.fit()
    session.autosave(folder)
    return session


def test_a_killed_kernel_loses_nothing(bare, pool_rows, tmp_path):
    rows = pool_rows[0]
    bare.autosave(tmp_path / "kept")
    pool = bare.pool(rows)
    pool.accept([5, 6], "oval")
    pool.reject([7])
    again = begun_again(tmp_path / "kept").pool(rows)
    assert (again.accepted, again.rejected) == ({5: "oval", 6: "oval"}, {7})

    pool.add()
    pool.accept([8], "square")
    session = begun_again(tmp_path / "kept")
    assert session.gathered == 2
    np.testing.assert_array_equal(session.dataset.train.labels, bare.dataset.train.labels)
    np.testing.assert_allclose(session.dataset.train.embeddings, bare.dataset.train.embeddings, atol=1e-6)
    again = session.pool(rows)
    assert again.accepted == pool.accepted
    assert again.add() == 1
    assert again.add() == 0
    assert begun_again(tmp_path / "kept").gathered == 3


def test_images_that_were_added_are_there_again_where_they_are_files(session, pool_rows, tmp_path):
    paths = [tmp_path / f"{row}.png" for row in range(3)]
    for row, path in enumerate(paths):
        Image.new("RGB", (8, 8), (row, 0, 0)).save(path)
    pictures = [*paths, *(Image.new("RGB", (8, 8)) for _ in range(SIZE - 3))]
    session.autosave(tmp_path / "kept")
    pool = session.pool(pool_rows[0], images=pictures)
    pool.accept([2, 3], "oval")
    pool.add()
    for again in (
        begun_again(tmp_path / "kept", images=True),
        Session.load(tmp_path / "kept", encoder=planted_encoder(), dataset=planted_dataset()),
    ):
        assert again.image(1200, "train").getpixel((0, 0)) == (2, 0, 0)
        assert again.image_name(1200, "train") == session.image_name(1200, "train")
        assert again.image(0, "train").size == (8, 8)
        with pytest.raises(ImageReadError, match="not saved with the session"):
            again.image(1201, "train")


def test_decisions_follow_images_whose_rows_have_moved(session, pool_rows):
    rows = pool_rows[0]
    index = BlockIndex(rows)
    names = [f"{row}.png" for row in range(SIZE)]
    pictures = ImageList([Image.new("RGB", (8, 8))] * SIZE, names)
    pool = Gathering(session, Pool("photos", index, pictures))
    pool.accept([3, 4], "oval")
    pool.reject([5])
    fewer = np.r_[4 : SIZE - 1]
    later = Gathering(session, Pool("photos", BlockIndex(rows[fewer]), pictures.take(fewer)))
    assert (later.accepted, later.rejected) == ({0: "oval"}, {1})
    later.reject([2])
    assert later.undo() == "reject 1 image"
    assert later.add() == 1
    session.undo()
    assert later.review.waiting == (0,)
    even_later = Gathering(session, Pool("photos", BlockIndex(rows[3:]), pictures.take(np.arange(3, SIZE))))
    even_later.reject([7])
    assert even_later.add() == 1
    assert (even_later.review.added, later.review.added) == ({1}, {0})
