from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from scipy.stats import mannwhitneyu

from clarify_widget.datasets.scenes import render
from clarify_widget.encoders import load
from clarify_widget.encoders.demo import train
from clarify_widget.encoders.demo.evaluate import Figures, auc, fresh_scenes, measure, write_card
from clarify_widget.encoders.demo.model import FOLDER, WEIGHTS, tokenize
from clarify_widget.encoders.demo.train import Recipe, draw_batch, learning_rate, open_pool, work

if TYPE_CHECKING:
    from pathlib import Path

TINY = Recipe(steps=4, batch=6, composed_phrases=4, workers=1, chunks=2, chunk=12, warmup=2)


@cache
def figures() -> Figures:
    return measure(load("demo"), fresh_scenes(3000))


@cache
def pictures() -> list[Image.Image]:
    return [render(scene) for scene in fresh_scenes(20, seed=99)]


def test_phrases_name_what_is_in_fresh_pictures() -> None:
    aucs = {figure.phrase: figure.auc for figure in figures().phrases}
    assert len(aucs) >= 60
    assert [phrase for phrase, value in aucs.items() if value < 0.85] == []
    assert np.mean([value >= 0.95 for value in aucs.values()]) >= 0.85


def test_phrases_of_the_stories_are_known_best() -> None:
    assert [figure.phrase for figure in figures().story if figure.auc < 0.98] == []


def test_paraphrases_agree() -> None:
    assert [pair for *pair, correlation in figures().paraphrases if correlation < 0.8] == []


def test_auc_is_the_share_of_rightly_ordered_pairs() -> None:
    rng = np.random.default_rng(0)
    scores, true = rng.integers(0, 9, 200).astype(float), rng.random(200) < 0.3
    statistic = mannwhitneyu(scores[true], scores[~true]).statistic
    assert auc(scores, true) == pytest.approx(statistic / (true.sum() * (~true).sum()))


def test_plain_open_clip_loads_the_folder_and_gives_the_same_rows() -> None:
    name = f"local-dir:{FOLDER}"
    model, _, preprocess = open_clip.create_model_and_transforms(name)
    tokenizer = open_clip.get_tokenizer(name)
    texts = ["an image of a red square", "two birds on the water"]
    with torch.inference_mode():
        image_rows = model.eval().encode_image(
            torch.stack([preprocess(p) for p in pictures()]), normalize=True
        )
        text_rows = model.encode_text(tokenizer(texts), normalize=True)
    encoder = load("demo")
    np.testing.assert_allclose(encoder.encode_images(pictures()), image_rows.numpy(), atol=1e-5)
    np.testing.assert_allclose(encoder.encode_text(texts), text_rows.numpy(), atol=1e-5)


def test_rows_are_unit_rows_of_the_stated_width_whatever_the_image() -> None:
    encoder = load("demo")
    odd = [Image.new("RGB", (300, 90), "red"), Image.new("RGB", (9, 40)), pictures()[0]]
    rows = encoder.encode_images(odd)
    assert rows.shape == (3, encoder.dim)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize(
    ("phrase", "unknown"),
    [
        ("red velvet", ("velvet",)),
        ("a Crimson SQUARE, on the water!", ()),
        ("two dogs not on grass", ("dogs", "not")),
        ("an image of", ("an", "image", "of")),
        ("trees", ()),
        ("水", ("水",)),
    ],
)
def test_unknown_words_are_named(phrase: str, unknown: tuple[str, ...]) -> None:
    assert load("demo").unknown_words(phrase) == unknown


def test_the_weights_fit_the_package_and_unknown_words_have_no_say() -> None:
    assert WEIGHTS.stat().st_size <= 12_000_000
    table = load_file(WEIGHTS)["token_embedding.weight"]
    assert table.dtype == torch.float16
    assert not table[tokenize(["velvet"])[0, 1]].any()
    assert table[tokenize(["crimson"])[0, 1]].any()


def test_a_killed_training_goes_on_as_if_it_had_not_been(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "CHECKPOINT_EVERY", 2)
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    work(0, TINY, straight)

    def killed_at_third_step(progress, batch, step, recipe):
        if step == 3:
            raise KeyboardInterrupt
        return take_step(progress, batch, step, recipe)

    take_step = train.take_step
    monkeypatch.setattr(train, "take_step", killed_at_third_step)
    with pytest.raises(KeyboardInterrupt):
        work(0, TINY, killed)
    monkeypatch.setattr(train, "take_step", take_step)
    torch.distributed.destroy_process_group()
    (killed / train.MEETING).unlink(missing_ok=True)
    work(0, TINY, killed)
    one, other = (torch.load(folder / train.CHECKPOINT, weights_only=True) for folder in (straight, killed))
    assert one["step"] == other["step"] == TINY.steps
    for name, tensor in one["average"].items():
        assert torch.equal(tensor, other["average"][name]), name


def test_a_batch_depends_on_its_step_and_worker_only(tmp_path: Path) -> None:
    pool = open_pool(tmp_path, TINY, processes=1)
    pictures_one, phrases_one, true_one = draw_batch(pool, 5, 0, TINY)
    pictures_two, phrases_two, true_two = draw_batch(pool, 5, 0, TINY)
    assert torch.equal(pictures_one, pictures_two)
    assert phrases_one == phrases_two
    assert torch.equal(true_one, true_two)
    assert draw_batch(pool, 5, 1, TINY)[1] != phrases_one
    assert true_one.shape == (TINY.batch, len(phrases_one))


def test_the_learning_rate_rises_stays_and_falls() -> None:
    recipe = Recipe(steps=1000, warmup=100, cooldown=0.4)
    rates = [learning_rate(step, recipe) for step in range(1001)]
    assert rates[99] == rates[600] == recipe.learning_rate
    assert (np.diff(rates[:100]) > 0).all()
    assert (np.diff(rates[600:]) < 0).all()
    assert rates[1000] == 0


def test_figures_replace_the_old_ones_in_the_card(tmp_path: Path) -> None:
    card = tmp_path / "card.md"
    card.write_text("# Card\n<!-- figures -->\nold\n<!-- end of figures -->\nrest\n")
    write_card(card, "new")
    assert card.read_text() == "# Card\n<!-- figures -->\nnew\n<!-- end of figures -->\nrest\n"
