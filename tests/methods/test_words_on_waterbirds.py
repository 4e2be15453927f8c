"""The methods that need no group labels, on photographs: what words and labels alone are worth."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from clarify_widget.datasets import waterbirds
from clarify_widget.encoders import PrecomputedEncoder
from clarify_widget.evaluation import evaluate
from clarify_widget.methods.adapters import train_contrastive_adapter, train_erm_adapter
from clarify_widget.methods.ppa import choose_ppa, infer_pseudo_groups
from clarify_widget.methods.projection import orthogonal_projection, pair_directions, roboshot
from clarify_widget.methods.wise_ft import choose_wise_ft
from clarify_widget.methods.zero_shot import ZeroShotHead, prompt_embeddings
from clarify_widget.training import train_head

ROOT = Path(os.environ.get("CLARIFY_WATERBIRDS_DIR") or Path(__file__).parents[3] / "shared" / "waterbirds")
BACKGROUNDS = (("land background", "water background"), ("forest", "ocean"), ("trees", "water"))

pytestmark = pytest.mark.skipif(
    not (ROOT / "metadata.csv").exists(),
    reason="Waterbirds is not part of the project; set CLARIFY_WATERBIRDS_DIR to run these tests",
)


@pytest.fixture(scope="module")
def birds():
    return waterbirds(
        ROOT,
        features=np.load(ROOT / "image_features.npy").astype(np.float32) * np.float32(0.0235),
        embeddings=np.load(ROOT / "image_embeddings.npy").astype(np.float32),
    )


@pytest.fixture(scope="module")
def encoder():
    phrases = (ROOT / "phrases.txt").read_text(encoding="utf-8").splitlines()
    return PrecomputedEncoder(phrases, np.load(ROOT / "phrase_embeddings.npy").astype(np.float32))


@pytest.fixture(scope="module")
def names(encoder):
    return prompt_embeddings(encoder, ["landbird", "waterbird"])


def worst_group(birds, predictions):
    return evaluate(predictions, birds.test.labels, birds.test.groups).worst_group


def test_projections_take_the_background_out_of_the_class_prompts(birds, encoder, names):
    classes = np.arange(2)
    zero_shot = ZeroShotHead(names, classes)
    plain = worst_group(birds, zero_shot.predict(birds.test.embeddings))
    pairs = np.stack([prompt_embeddings(encoder, pair) for pair in BACKGROUNDS])
    rejected = roboshot(birds.test.embeddings, reject=pair_directions(pairs))
    spurious = [phrase for pair in BACKGROUNDS for phrase in pair]
    projection = orthogonal_projection(prompt_embeddings(encoder, spurious))
    projected = ZeroShotHead(names @ projection.T, classes)
    assert plain < 0.3
    assert worst_group(birds, zero_shot.predict(rejected)) > plain + 0.2
    assert worst_group(birds, projected.predict(birds.test.embeddings)) > plain + 0.2


def test_ppa_finds_minorities_and_lifts_the_worst_group_of_erm(birds, names):
    train, val = birds.train, birds.val
    pseudo_groups = infer_pseudo_groups(train.embeddings, train.labels, names)
    found, minority = pseudo_groups % 2 == 1, np.isin(train.groups, [1, 2])
    assert minority[found].mean() > 5 * minority.mean()
    ppa = choose_ppa(
        train.features, train.embeddings, train.labels, names, val.features, val.labels, probe_l2s=(0.01,)
    )
    erm = train_head(train.features, train.labels)
    reached, start = (worst_group(birds, head.predict(birds.test.features)) for head in (ppa, erm))
    assert reached > start + 0.08


def test_the_contrastive_adapter_serves_the_worst_group_better_than_the_erm_adapter(birds, names):
    train, validation = birds.train, (birds.val.embeddings, birds.val.labels)
    erm, contrastive = (
        worst_group(
            birds,
            train_adapter(train.embeddings, train.labels, names, validation).predict(birds.test.embeddings),
        )
        for train_adapter in (train_erm_adapter, train_contrastive_adapter)
    )
    assert contrastive > erm + 0.05


def test_wise_ft_with_good_class_prompts_beats_both_its_ends(birds, encoder):
    zero_shot = ZeroShotHead(prompt_embeddings(encoder, ["songbird", "gull"]), np.arange(2))
    trained = train_head(birds.train.embeddings, birds.train.labels)
    mixed = choose_wise_ft(zero_shot, trained, birds.val.embeddings, birds.val.labels)
    reached, *ends = (
        worst_group(birds, head.predict(birds.test.embeddings)) for head in (mixed, zero_shot, trained)
    )
    assert 0 < mixed.mix < 1
    assert reached > max(ends) + 0.03
