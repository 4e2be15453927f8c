"""Phrases against images: similarity, the Error Score and its significance, annotations and their slices."""

from clarify_widget.concepts.annotations import Annotation, Annotations
from clarify_widget.concepts.bias_to_text import clip_score, has_keyword
from clarify_widget.concepts.calibration import calibrated_thresholds
from clarify_widget.concepts.combinations import Combination, on_one_scale, parse_phrase
from clarify_widget.concepts.error_score import ErrorScore, Separation, error_score, separate
from clarify_widget.concepts.sharpening import SharpenedPhrase, sharpen
from clarify_widget.concepts.significance import BestOfRandom, best_of_random
from clarify_widget.concepts.similarity import similarities, unit_similarities
from clarify_widget.concepts.slices import slice_ids, slice_names

__all__ = [
    "Annotation",
    "Annotations",
    "BestOfRandom",
    "Combination",
    "ErrorScore",
    "Separation",
    "SharpenedPhrase",
    "best_of_random",
    "calibrated_thresholds",
    "clip_score",
    "error_score",
    "has_keyword",
    "on_one_scale",
    "parse_phrase",
    "separate",
    "sharpen",
    "similarities",
    "slice_ids",
    "slice_names",
    "unit_similarities",
]
