from __future__ import annotations

import pytest

from clarify_widget.examples import ExampleFeed
from clarify_widget.session import presentation
from tests.session.planted import corrected_session


@pytest.fixture
def session():
    return corrected_session()


@pytest.fixture
def feed(session):
    return ExampleFeed(session)


def similarities(session, class_name, phrase):
    return presentation.pack_similarities(session, class_name, phrase)


def test_another_phrase_sends_its_similarities_alone(session, feed):
    _, first = feed.take("oval", similarities(session, "oval", "red"))
    about, second = feed.take("oval", similarities(session, "oval", "noise"))

    assert (len(first), len(second)) == (3, 1)
    assert about["key"] == feed.key


def test_what_was_sent_last_is_not_sent_again(session, feed):
    feed.take("oval", similarities(session, "oval", "red"))

    assert feed.take("oval", similarities(session, "oval", "red")) is None


def test_another_class_sends_its_images_too(session, feed):
    feed.take("oval", b"")
    about, buffers = feed.take("square", b"")

    assert buffers[1] == presentation.pack_members(session.members("square"))
    assert feed.whole() == ({"key": about["key"], "members": about["members"]}, buffers)


def test_images_go_again_when_the_model_may_be_right_on_others(session, feed):
    about, _ = feed.take("oval", b"")
    session.head = None
    session.fit()

    assert feed.take("oval", b"") is None  # the same model came out: nothing changes for a page
    assert feed.key == about["key"]
