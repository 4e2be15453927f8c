"""Words for the data sets that the league is played on: prompts of the classes, and what misleads."""

from __future__ import annotations

from clarify_widget.methods.problem import Words

WATERBIRDS = Words(
    class_prompts=("landbird", "waterbird"),
    phrases={"landbird": ("ocean", "water"), "waterbird": ("forest", "trees")},
    spurious_prompts=(
        "land background",
        "forest background",
        "trees background",
        "water background",
        "ocean background",
    ),
    reject_pairs=(("land background", "water background"), ("forest", "ocean"), ("trees", "water")),
)
"""Phrases as in the paper's expert annotation and its users' best ones (Table 3). Prompts are bare words, for
an encoder over a fixed list of phrases."""

SHOREBIRDS = Words(
    class_prompts=("an image of a water bird", "an image of a land bird"),
    group_prompts=(
        "an image of a water bird on the water",
        "an image of a water bird in the forest",
        "an image of a land bird on the water",
        "an image of a land bird in the forest",
    ),
    phrases={"water bird": ("forest", "trees"), "land bird": ("water", "ocean")},
    spurious_prompts=("an image of the water", "an image of the forest"),
    positive_pairs=(
        ("an image of a water bird on the water", "an image of a water bird in the forest"),
        ("an image of a land bird on the water", "an image of a land bird in the forest"),
    ),
    reject_pairs=(("an image of the water", "an image of the forest"),),
    accept_pairs=(("an image of a water bird", "an image of a land bird"),),
    class_nouns=("water bird", "land bird"),
)

SPRITES = Words(
    class_prompts=("an image of a square", "an image of an oval"),
    group_prompts=(
        "an image of a blue square",
        "an image of a red square",
        "an image of a blue oval",
        "an image of a red oval",
    ),
    phrases={"square": ("red",), "oval": ("blue",)},
    spurious_prompts=("an image of a blue shape", "an image of a red shape"),
    positive_pairs=(
        ("an image of a blue square", "an image of a red square"),
        ("an image of a blue oval", "an image of a red oval"),
    ),
    reject_pairs=(("an image of a blue shape", "an image of a red shape"),),
    accept_pairs=(("an image of a square", "an image of an oval"),),
    class_nouns=("square", "oval"),
)
