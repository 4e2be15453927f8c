"""What the errors of a model may share: candidate phrases, and attributes that it leans on.

Candidates, found in captions, lists and WordNet, go to `Session.suggest(class_name, candidates=...)`,
`Session.triage(...)` and `Session.attributes(...)`; attributes of images, by a detector or from a table, to
`Session.attributes(...)`.
"""

from clarify_widget.discovery.attributes import Attributes, attributes_from_table
from clarify_widget.discovery.bias_to_text import bias_to_text
from clarify_widget.discovery.captions import caption_images
from clarify_widget.discovery.detector import detect_attributes
from clarify_widget.discovery.discrepancy import Discrepancies, Discrepancy, accuracy_discrepancies
from clarify_widget.discovery.keywords import keywords_of
from clarify_widget.discovery.pool import Pool, open_pool
from clarify_widget.discovery.vocabulary import vocabulary, without_class_names
from clarify_widget.discovery.wordnet import wordnet_nouns

__all__ = [
    "Attributes",
    "Discrepancies",
    "Discrepancy",
    "Pool",
    "accuracy_discrepancies",
    "attributes_from_table",
    "bias_to_text",
    "caption_images",
    "detect_attributes",
    "keywords_of",
    "open_pool",
    "vocabulary",
    "without_class_names",
    "wordnet_nouns",
]
