"""What a table is run on: a data set, what its head trains on, and what its phrases are compared in."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import clarify_widget as cw
from clarify_widget.encoders.preparation import prepare
from clarify_widget.errors import DataError
from clarify_widget.methods import words
from clarify_widget.methods.problem import Problem, Words, embeddings_of
from clarify_widget.methods.table import FEEDBACK
from clarify_widget.training.reference import LEARNING_RATE, WEIGHT_DECAY

if TYPE_CHECKING:
    from clarify_widget.datasets.dataset import Dataset, Split
    from clarify_widget.encoders.base import Encoder
    from clarify_widget.methods.table import Method

FEATURE_STEP = 0.0235  # the features stored beside the images are whole numbers of these
CELEBA_LEARNING_RATE = 0.1

WATERBIRDS = Words(
    class_prompts=("This is a picture of a landbird.", "This is a picture of a waterbird."),
    group_prompts=(
        "This is a picture of a landbird with land background.",
        "This is a picture of a landbird with water background.",
        "This is a picture of a waterbird with land background.",
        "This is a picture of a waterbird with water background.",
    ),
    phrases={"landbird": ("water background",), "waterbird": ("forest",)},
    reject_pairs=(("a land background", "a water background"),),
    accept_pairs=(("a bird with short legs and a short beak", "a bird with long legs and webbed feet"),),
)
"""For CLIP. "forest" is the authors' phrase (section 5.2), "water background" their example (section 1); the
prompts are those of the zero-shot literature on this data set, RoboShot's pairs are ours."""

CELEBA = Words(
    class_prompts=("A photo of a celebrity with dark hair.", "A photo of a celebrity with blond hair."),
    group_prompts=(
        "A photo of a female celebrity with dark hair.",
        "A photo of a male celebrity with dark hair.",
        "A photo of a female celebrity with blond hair.",
        "A photo of a male celebrity with blond hair.",
    ),
    phrases={"not blond hair": ("woman",), "blond hair": ("man",)},
    reject_pairs=(("a woman", "a man"),),
    accept_pairs=(("a person with dark hair", "a person with blond hair"),),
)
"""For CLIP. "man" is the authors' phrase (section 5.2); "woman" and RoboShot's pairs are ours."""


@dataclass(frozen=True, eq=False)
class Source:
    """One data set, ready for every row of a table.

    Attributes
    ----------
    name
        Of the data set, as the paper has it.
    made_of
        In words: what heads train on and phrases are compared in.
    is_clip
        Whether numbers, not only the order of methods, may be compared with the paper's.
    feedback
        The head on the backbone, phrases on the encoder: for rows with text feedback.
    prompts
        Both on the backbone: for rows that compare images with prompts, and all others.
    keywords
        Candidates for Table 2, without captions.
    """

    name: str
    made_of: str
    is_clip: bool
    feedback: Problem
    prompts: Problem
    keywords: tuple[str, ...] = ()

    def problem_of(self, method: Method, seed: int) -> Problem:
        """Return what a row of `METHODS` is run on."""
        return replace(self.feedback if method.assumes == FEEDBACK else self.prompts, seed=seed)


def stored_waterbirds(root: Path) -> Source:
    """Return Waterbirds with the arrays beside its images.

    Raises
    ------
    DataError
        When an array is missing: then weights are needed.
    """
    lacking = [name for name in ("image_features.npy", "image_embeddings.npy") if not (root / name).is_file()]
    if lacking:
        raise DataError(
            f"{root} has no {' and no '.join(lacking)}; give --backbone and --encoder to embed the images."
        )
    phrases = (root / "phrases.txt").read_text(encoding="utf-8").splitlines()
    encoder = cw.encoders.PrecomputedEncoder(
        phrases, np.load(root / "phrase_embeddings.npy").astype(np.float32), name="stored phrases"
    )
    dataset = cw.datasets.waterbirds(
        root,
        features=np.load(root / "image_features.npy").astype(np.float32) * FEATURE_STEP,
        embeddings=np.load(root / "image_embeddings.npy").astype(np.float32),
    )
    problem = Problem(prepare(dataset, encoder, None, None), encoder, words.WATERBIRDS, l2=WEIGHT_DECAY)
    made_of = "the arrays stored beside the images (`image_features.npy`, `image_embeddings.npy`)"
    return Source("Waterbirds", made_of, False, problem, problem, tuple(phrases))


def embedded(
    dataset: Dataset, said: Words, backbone: Encoder, encoder: Encoder, cache: Path | None
) -> Source:
    """Return a data set whose images both models have embedded, as in the paper (appendix A)."""
    seen = prepare(dataset, backbone, cache, _progress)
    compared = seen if encoder is backbone else prepare(dataset, encoder, cache, _progress)
    rate = CELEBA_LEARNING_RATE if dataset.name == "CelebA" else LEARNING_RATE
    return Source(
        dataset.name,
        f"{without_folder(backbone.name)} for the head, {without_folder(encoder.name)} for phrases",
        True,
        Problem(_with_features_of(seen, compared), encoder, said, l2=WEIGHT_DECAY, learning_rate=rate),
        Problem(seen, backbone, said, l2=WEIGHT_DECAY, learning_rate=rate),
    )


def _with_features_of(seen: Dataset, compared: Dataset) -> Dataset:
    """Return the embeddings of one model with those of another as features."""
    features = {split.name: embeddings_of(split) for split in seen.splits()}

    def joined(split: Split) -> Split:
        return replace(split, features=features[split.name])

    assert compared.test is not None
    return replace(
        compared,
        train=joined(compared.train),
        val=joined(compared.val),
        test=joined(compared.test),
    )


def without_folder(name: str) -> str:
    """Return a model's name without the folder that its weights happen to lie in."""
    for mark in ("local-dir:", "@"):
        before, found, path = name.partition(mark)
        if found:
            return f"{before}{mark}{Path(path).name}"
    return name


def _progress(what: str, done: float) -> None:
    print(f"\r{done:4.0%} {what}", end="" if done < 1 else "\n", flush=True)
