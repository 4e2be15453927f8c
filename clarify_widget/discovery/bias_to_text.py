"""Bias-to-Text, for comparison: from the captions of one class to ranked keywords."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from clarify_widget.concepts import unit_similarities
from clarify_widget.discovery.keywords import keywords_of
from clarify_widget.discovery.vocabulary import without_class_names
from clarify_widget.encoders.embed import embed_phrases
from clarify_widget.errors import DataError, PhraseError, ScoreError
from clarify_widget.evaluation.bias_to_text import keyword_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from clarify_widget.arrays import FloatArray
    from clarify_widget.discovery.keywords import Method
    from clarify_widget.encoders.base import Encoder
    from clarify_widget.evaluation.bias_to_text import KeywordTable

MOST_KEYWORDS = 20
"""As many as its published code keeps of one class."""


def bias_to_text(
    captions: Sequence[str],
    embeddings: FloatArray,
    correct: npt.ArrayLike,
    encoder: Encoder,
    *,
    class_names: Sequence[str] = (),
    method: Method = "yake",
    most: int = MOST_KEYWORDS,
    seed: int = 0,
) -> KeywordTable:
    """Rank the keywords of the captions of the wrong images of one class by their CLIP score.

    Parameters
    ----------
    captions
        n captions, or alt texts, of the images of the class.
    embeddings
        (n, dim) their unit rows.
    correct
        (n,) which of them the model gets right.
    encoder
        The space of the rows.
    class_names
        Keywords that name one of these are left out.
    method, most
        As `keywords_of` takes them.
    seed
        Of the corrected p-values.

    Raises
    ------
    ScoreError
        When all images are right, or all wrong.
    PhraseError
        When the captions of the wrong images hold no keyword.
    DataError
        When lengths do not fit.

    Notes
    -----
    Kim et al., "Discovering and Mitigating Visual Biases through Keyword Explanation" (CVPR 2024), section 3;
    Lee et al., "Clarify" (UIST 2024), Table 2 and Eq. 3.
    """
    right = np.asarray(correct, dtype=bool)
    if not len(captions) == len(embeddings) == len(right):
        raise DataError(
            f"There are {len(captions)} captions, {len(embeddings)} embeddings and {len(right)} answers for "
            "the images of the class; give one of each an image."
        )
    if right.all():
        raise ScoreError("The model is right on all images of the class: there are no errors to describe.")
    wrong = [caption for caption, is_right in zip(captions, right, strict=True) if not is_right]
    keywords = without_class_names(keywords_of(wrong, method, encoder=encoder, most=most), class_names)
    if not keywords:
        raise PhraseError("The captions of the wrong images hold no keyword but the names of classes.")
    similar = np.stack([unit_similarities(embeddings, row) for row in embed_phrases(encoder, keywords)])
    return keyword_table(keywords, similar, right, captions, seed=seed)
