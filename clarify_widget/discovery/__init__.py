"""Candidate phrases: what the errors of a model may share, found in captions, lists and WordNet.

Any of them goes to `Session.suggest(class_name, candidates=...)` and `Session.triage(...)`.
"""

from clarify_widget.discovery.bias_to_text import bias_to_text
from clarify_widget.discovery.captions import caption_images
from clarify_widget.discovery.keywords import keywords_of
from clarify_widget.discovery.pool import Pool, open_pool
from clarify_widget.discovery.vocabulary import vocabulary, without_class_names
from clarify_widget.discovery.wordnet import wordnet_nouns

__all__ = [
    "Pool",
    "bias_to_text",
    "caption_images",
    "keywords_of",
    "open_pool",
    "vocabulary",
    "without_class_names",
    "wordnet_nouns",
]
