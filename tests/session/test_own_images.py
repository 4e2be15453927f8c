"""The loop on a person's own folder of files, with an encoder of their own."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw

import clarify_widget as cw
from clarify_widget.errors import DataError

COLOURS = {"red": (220, 40, 40), "blue": (40, 60, 220)}


class ColourEncoder:
    """An image-text space of three colour channels and their rough layout; all that an encoder needs."""

    name = "colours"
    dim = 12

    def encode_images(self, images):
        rows = [np.asarray(image.convert("RGB").resize((2, 2)), dtype=np.float32).ravel() for image in images]
        return _unit(np.stack(rows) - 100)

    def encode_text(self, texts):
        rows = [
            np.tile(COLOURS["red" if "red" in text else "blue"], 4).astype(np.float32) - 100 for text in texts
        ]
        return _unit(np.stack(rows))


def _unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def draw(path, kind, colour, rng):
    image = Image.new("RGB", (32, 32), "white")
    left, top = rng.integers(2, 12, 2)
    box = [int(left), int(top), int(left) + 16, int(top) + 16]
    drawing = ImageDraw.Draw(image)
    (drawing.rectangle if kind == "square" else drawing.ellipse)(box, fill=COLOURS[colour])
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for split, size, correlation in (("train", 60, 0.9), ("val", 40, 0.5), ("test", 40, 0.5)):
        for kind, usual, other in (("square", "blue", "red"), ("oval", "red", "blue")):
            for number in range(size):
                colour = usual if rng.random() < correlation else other
                draw(tmp_path / split / kind / f"{number}.png", kind, colour, rng)
    return tmp_path


def test_the_whole_loop_on_files(folder, tmp_path_factory):
    session = cw.Session(cw.datasets.from_folder(folder), ColourEncoder())
    session.fit()
    assert session.score("square", "red").score > 0.5
    session.annotate("square", "red")
    comparison = session.retrain()
    assert [row.name for row in comparison.of_kind("slice")] == ['square without "red"', 'square with "red"']
    saved = session.save(tmp_path_factory.mktemp("saved") / "session")
    loaded = cw.Session.load(saved, encoder=ColourEncoder())
    assert loaded.image(0).size == (32, 32)
    assert str(loaded.compare()) == str(comparison)


def test_unreadable_files_are_listed_and_left_out_and_the_run_goes_on(folder):
    whole = (folder / "val" / "square" / "0.png").read_bytes()
    (folder / "val" / "square" / "0.png").write_bytes(whole[:40])
    (folder / "train" / "oval" / "7.png").write_text("not an image")
    session = cw.Session(cw.datasets.from_folder(folder), ColourEncoder())
    session.fit()
    assert len(session.dataset.val) == 79
    assert len(session.dataset.train) == 119
    assert sorted(image.name.split("/")[-1] for image in session.unreadable()) == ["0.png", "7.png"]
    session.annotate("square", "red")
    session.retrain()


def test_a_split_without_one_readable_image_says_why(folder):
    for path in (folder / "val").rglob("*.png"):
        path.write_bytes(b"")
    session = cw.Session(cw.datasets.from_folder(folder), ColourEncoder())
    with pytest.raises(DataError, match="None of the 80 images of val can be read"):
        session.fit()


def test_embeddings_are_kept_between_sessions(folder, tmp_path_factory):
    class CountingEncoder(ColourEncoder):
        def __init__(self):
            self.seen = 0

        def encode_images(self, images):
            self.seen += len(images)
            return super().encode_images(images)

    cache = tmp_path_factory.mktemp("cache")
    first, second = CountingEncoder(), CountingEncoder()
    for encoder in (first, second):
        cw.Session(cw.datasets.from_folder(folder), encoder, cache_dir=cache).fit()
    assert first.seen >= 280
    assert second.seen <= 3  # a probe a split, which tells whether the encoder is the same


def test_html_and_emoji_in_class_names_and_phrases_stay_as_typed(folder):
    (folder / "train" / "square").rename(folder / "train" / "<b>🟦")
    (folder / "val" / "square").rename(folder / "val" / "<b>🟦")
    (folder / "test" / "square").rename(folder / "test" / "<b>🟦")
    session = cw.Session(cw.datasets.from_folder(folder), ColourEncoder())
    session.fit()
    scored = session.score("<b>🟦", "red 🔴 <script>alert(1)</script>")
    assert scored.phrase == "red 🔴 <script>alert(1)</script>"
    session.annotate(scored.class_name, scored.phrase)
    comparison = session.retrain()
    assert "&lt;script&gt;" in comparison._repr_html_()
    assert "<script>" not in comparison._repr_html_()
