"""Keywords of captions: what YAKE or KeyBERT finds worth naming in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from clarify_widget.encoders.embed import unit_rows_of
from clarify_widget.errors import DataError, MissingDependencyError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from clarify_widget.arrays import FloatArray
    from clarify_widget.encoders.base import Encoder

Method = Literal["yake", "keybert"]

MOST_KEYWORDS = 50
"""The paper's pool for one class."""

_EMBEDDED_TOGETHER = 64


def keywords_of(
    captions: Iterable[str],
    method: Method = "yake",
    *,
    encoder: Encoder | None = None,
    most: int = MOST_KEYWORDS,
    longest: int = 2,
) -> tuple[str, ...]:
    """Return the keywords of captions, or alt texts, of images that belong together; the best first.

    Parameters
    ----------
    captions
        Texts, such as those of the images of one class; blank ones are passed over.
    method
        "yake" goes by the statistics of the words, "keybert" by how similar a word is to the captions.
    encoder
        Whose text tower "keybert" compares with.
    most
        How many keywords to return at most.
    longest
        How many words a keyword may have.

    Raises
    ------
    MissingDependencyError
        When the package of the method is not installed.
    DataError
        When a caption is not text, the method is none of the two, or "keybert" has no encoder.

    Notes
    -----
    Campos et al., "YAKE!" (2020); Grootendorst, "KeyBERT" (2020), with the mean embedding of the captions as
    that of the document. Lee et al., "Clarify" (UIST 2024), section 4.1: up to 50 keywords for each class.
    """
    texts = _texts(captions)
    if not texts:
        return ()
    if method == "yake":
        return _yake(texts, most, longest)
    if method == "keybert":
        if encoder is None:
            raise DataError("keybert compares words with captions by an encoder; pass encoder=.")
        return _keybert(texts, encoder, most, longest)
    raise DataError(f"method must be 'yake' or 'keybert'; got {method!r}.")


def _texts(captions: Iterable[str]) -> list[str]:
    if isinstance(captions, str):
        raise DataError(f"captions must be a list of texts; got {captions!r}. Put it in a list.")
    given = list(captions)
    strange = [caption for caption in given if not isinstance(caption, str)]
    if strange:
        raise DataError(f"captions must be texts, one an image; got {strange[0]!r}.")
    return [caption.strip() for caption in given if caption.strip()]


def _yake(texts: list[str], most: int, longest: int) -> tuple[str, ...]:
    try:
        import yake
    except ImportError as error:
        raise MissingDependencyError(
            "YAKE is not installed; run `pip install 'clarify-widget[keywords]'`."
        ) from error
    extractor = yake.KeywordExtractor(lan="en", n=longest, top=most)
    sentences = " ".join(text if text[-1] in ".!?" else f"{text}." for text in texts)
    found = extractor.extract_keywords(sentences)
    return _unique(keyword for keyword, _ in sorted(found, key=lambda pair: float(pair[1])))


def _keybert(texts: list[str], encoder: Encoder, most: int, longest: int) -> tuple[str, ...]:
    try:
        from keybert import KeyBERT
        from keybert.backend import BaseEmbedder
        from sklearn.feature_extraction.text import CountVectorizer
    except ImportError as error:
        raise MissingDependencyError(
            "KeyBERT is not installed; run `pip install 'clarify-widget[keywords]'`."
        ) from error
    words = CountVectorizer(ngram_range=(1, longest), stop_words="english")
    try:
        candidates = words.fit(texts).get_feature_names_out().tolist()
    except ValueError:  # nothing but stop words
        return ()
    found = KeyBERT(model=BaseEmbedder()).extract_keywords(
        [". ".join(texts)],
        candidates=candidates,
        keyphrase_ngram_range=(1, longest),
        top_n=most,
        doc_embeddings=_embed(encoder, texts).mean(axis=0, keepdims=True),
        word_embeddings=_embed(encoder, candidates),
    )
    return _unique(keyword for keyword, _ in found)


def _embed(encoder: Encoder, texts: list[str]) -> FloatArray:
    """Return unit rows of texts as they are: captions are sentences already."""
    parts = (texts[i : i + _EMBEDDED_TOGETHER] for i in range(0, len(texts), _EMBEDDED_TOGETHER))
    rows = [unit_rows_of(encoder, encoder.encode_text(part), len(part)) for part in parts]
    embedded: FloatArray = np.concatenate(rows).astype(np.float32, copy=False)
    return embedded


def _unique(keywords: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(keyword.strip().casefold() for keyword in keywords if keyword.strip()))
