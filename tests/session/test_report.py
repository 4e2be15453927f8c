from __future__ import annotations

import base64
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from clarify_widget import Session
from clarify_widget.datasets.images import ImageList
from clarify_widget.errors import NotFittedError
from clarify_widget.session import report
from clarify_widget.training import train_head
from tests.fake_page import unpack_examples
from tests.session.planted import corrected_session, planted_dataset, planted_encoder


class Page(HTMLParser):
    """What a browser would find in a report before any script runs."""

    def __init__(self, path):
        super().__init__()
        self.text, self.data, self.policy, self.addresses = "", "", "", []
        self._inside = ""
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self._inside = attributes.get("id", tag) if tag == "script" else tag
        self.addresses += [attributes[name] for name in ("src", "href") if name in attributes]
        if "http-equiv" in attributes:
            self.policy = attributes["content"]

    def handle_endtag(self, _tag):
        self._inside = ""

    def handle_data(self, data):
        if self._inside == "report-data":
            self.data += data
        elif self._inside not in ("script", "style"):
            self.text += data

    @property
    def embedded(self):
        return json.loads(self.data)


def embedded_examples(state, one):
    """Return (rows, similarities, correct) of one phrase of the state that a report holds."""
    packed = state["members"][one["class_name"]]["members_base64"]
    return unpack_examples(*map(base64.b64decode, (one["similarities_base64"], packed)))


@pytest.fixture(scope="module")
def corrected():
    return corrected_session()


def test_report_needs_a_fitted_session(tmp_path):
    with pytest.raises(NotFittedError):
        Session(planted_dataset(), planted_encoder()).report(tmp_path / "report.html")
    assert list(tmp_path.iterdir()) == []


def test_text_carries_the_result_without_any_script(corrected, tmp_path):
    text = Page(corrected.report(tmp_path / "new" / "report.html")).text

    comparison = corrected.compare()
    assert comparison.sentence in text
    for row in comparison.rows:
        assert row.name in text
        assert f"{100 * row.after:.1f}" in text
    assert "with “red” for oval, “red” for square" in text
    for fact in ("planted words", "0.1250", "Python 3.", "numpy", "slice_balanced", "no seed", "train 1,200"):
        assert fact in text


def test_report_before_retraining_says_where_the_errors_are(session, tmp_path):
    text = Page(session.report(tmp_path / "report.html")).text

    worst = session.classes()[0]
    assert f"most errors is {worst.name}, wrong on {worst.wrong} of {worst.size}" in re.sub(r"\s+", " ", text)


def test_every_phrase_and_class_is_embedded_with_its_images(corrected, tmp_path):
    state = Page(corrected.report(tmp_path / "report.html")).embedded["state"]

    shown = {(one["class_name"], one["phrase"]): one for one in state["phrases"]}
    assert set(shown) == {
        ("oval", ""),
        ("square", ""),
        ("square", "noise"),
        ("oval", "red"),
        ("square", "red"),
    }
    rows, similar, correct = embedded_examples(state, shown["square", "red"])
    members = corrected.members("square")
    np.testing.assert_array_equal(rows, members.indices)
    np.testing.assert_array_equal(correct, members.correct)
    np.testing.assert_array_equal(similar, corrected.similarities("red")[rows])
    assert shown["square", "red"]["threshold"] == 0.125


def test_what_was_known_of_retraining_is_embedded(corrected, tmp_path):
    (expected,) = corrected.expected("square", ["red"])

    phrases = Page(corrected.report(tmp_path / "report.html")).embedded["state"]["phrases"]

    shown = {(one["class_name"], one["phrase"]): one["expected"] for one in phrases}
    assert shown["square", "red"]["sentence"] == expected.sentence
    assert shown["square", ""] is shown["oval", "red"] is None


def test_seed_of_a_head_that_is_not_exact_is_named(tmp_path):
    data = planted_dataset()
    head = train_head(data.train.embeddings, data.train.labels, solver="reference")
    session = Session(data, planted_encoder(), head=head)
    session.fit()

    text = Page(session.report(tmp_path / "report.html")).text

    assert "no seed" not in text
    assert "(seed 0)" in text


def test_images_that_are_seen_first_are_embedded(corrected, tmp_path):
    embedded = Page(corrected.report(tmp_path / "report.html")).embedded

    for one in embedded["state"]["phrases"]:
        rows, similar, _ = embedded_examples(embedded["state"], one)
        if one["phrase"]:
            ascending = rows[np.argsort(similar, kind="stable")]
            for row in (*ascending[:24], *ascending[-24:]):
                assert f"val/{row}" in embedded["images"]
    comparison = corrected.compare()
    for row in (*comparison.fixed[:60], *comparison.broken[:60]):
        stored = embedded["images"][f"test/{row}"]
        assert stored["label"] == corrected.class_names[corrected.dataset.test.labels[row]]
    mime, encoded = stored["src"].split(",", 1)
    assert mime == "data:image/jpeg;base64"
    assert Image.open(io.BytesIO(base64.b64decode(encoded))).size == (8, 8)


def test_nothing_in_the_page_points_outside(corrected, tmp_path):
    page = Page(corrected.report(tmp_path / "report.html"))

    assert page.addresses == []
    assert "default-src 'none'" in page.policy
    assert "http" not in page.policy
    assert "'unsafe-eval'" not in page.policy


@pytest.mark.parametrize(
    "hostile", ["</script><script>alert(1)</script>", "<img src=x onerror=alert(1)>", "🦆 & “it's”"]
)
def test_hostile_names_stay_text(hostile, tmp_path):
    data = replace(planted_dataset(), name=hostile, class_names=(hostile, "oval"))
    session = Session(data, planted_encoder())
    session.fit()
    session.annotate(hostile, "red")
    session.retrain()

    page = Page(session.report(tmp_path / "report.html"))

    assert hostile in page.text
    assert page.embedded["state"]["dataset_name"] == hostile
    assert page.addresses == []


def test_unreadable_image_is_left_out_and_the_rest_is_there(tmp_path):
    missing = tmp_path / "missing.png"
    data = planted_dataset()
    sources = [missing, *(Image.new("RGB", (8, 8)) for _ in range(399))]
    session = Session(replace(data, val=replace(data.val, images=ImageList(sources))), planted_encoder())
    session.fit()

    images = Page(session.report(tmp_path / "report.html")).embedded["images"]

    assert "val/0" not in images
    assert len(images) > 40


def test_big_report_keeps_what_matters_and_says_what_it_left_out(corrected, tmp_path, monkeypatch):
    monkeypatch.setattr(report, "_MOST_IMAGE_BYTES", 20_000)
    monkeypatch.setattr(report, "_MOST_PHRASE_BYTES", 0)

    page = Page(corrected.report(tmp_path / "report.html"))

    phrases = {(one["class_name"], one["phrase"]) for one in page.embedded["state"]["phrases"]}
    assert ("oval", "red") in phrases
    assert ("square", "noise") not in phrases
    assert "Left out to keep the file small:" in page.text
    assert "1 phrase" in page.text
    encoded = [base64.b64decode(image["src"].split(",")[1]) for image in page.embedded["images"].values()]
    assert 19_000 < sum(map(len, encoded)) <= 20_000


def test_report_replaces_an_older_one_whole(corrected, tmp_path):
    path = tmp_path / "report.html"
    path.write_text("an older report")

    assert corrected.report(path) == path
    assert path.read_text("utf-8").rstrip().endswith("</html>")
    assert list(tmp_path.iterdir()) == [path]
