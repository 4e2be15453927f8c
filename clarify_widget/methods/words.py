"""Words for the data sets that the league is played on: prompts of the classes, and what misleads."""

from __future__ import annotations

from clarify_widget.methods.problem import Words

WATERBIRDS = Words(
    class_prompts=("landbird", "waterbird"),
    phrases={"landbird": ("ocean", "water"), "waterbird": ("forest", "trees")},
    spurious_prompts=("land background", "water background"),
    reject_pairs=(("land background", "water background"),),
    accept_pairs=(("songbird", "seagull"),),
)
"""Phrases as in the paper's expert annotation and its users' best ones (Table 3)."""

SHOREBIRDS = Words(
    class_prompts=("an image of a water bird", "an image of a land bird"),
    group_prompts=(
        "an image of a water bird on the water",
        "an image of a water bird in the forest",
        "an image of a land bird on the water",
        "an image of a land bird in the forest",
    ),
    phrases={"water bird": ("forest", "trees"), "land bird": ("water", "ocean")},
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
)
