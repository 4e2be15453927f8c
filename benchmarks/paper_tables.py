"""The published numbers and phrases of Clarify's tables, and the methods here that stand for their rows.

Source: Lee et al., "Clarify: Improving Model Robustness With Natural Language Corrections" (UIST 2024), as
numbered in its version called "Interactive Model Correction with Natural Language". Accuracies in percent.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Accuracies:
    """Percentages: worst group, average adjusted by train group sizes, and the gap between them."""

    worst_group: float
    average: float
    gap: float


@dataclass(frozen=True)
class PaperRow:
    """One row of Table 1, 4 or 6.

    Attributes
    ----------
    assumes, method
        What the method is given and what it is called there.
    waterbirds, celeba
        As printed.
    recipe
        The method here (`clarify_widget.methods.table`) that trains by the recipe of the published code;
        "" where the row is not of Clarify's authors.
    exact
        The method here that solves the same objective to its minimum, or runs the same method; "" for none.
    """

    assumes: str
    method: str
    waterbirds: Accuracies
    celeba: Accuracies
    recipe: str = ""
    exact: str = ""


@dataclass(frozen=True)
class Keyword:
    """One row of Table 2: CLIP score times 100, accuracy in percent of the images whose caption has it."""

    keyword: str
    clip_score: float
    subgroup_accuracy: float
    size: int


@dataclass(frozen=True)
class KeywordClass:
    """One class of Table 2: the authors' phrase, and ten keywords of Bias-to-Text."""

    phrase: str
    keywords: tuple[Keyword, ...]


def _row(
    assumes: str,
    method: str,
    waterbirds: tuple[float, float, float],
    celeba: tuple[float, float, float],
    recipe: str = "",
    exact: str = "",
) -> PaperRow:
    return PaperRow(assumes, method, Accuracies(*waterbirds), Accuracies(*celeba), recipe, exact)


def _from_average(
    method: str,
    waterbirds: tuple[float, float, float],
    celeba: tuple[float, float, float],
    exact: str = "",
    recipe: str = "",
) -> PaperRow:
    """Return a row of Table 6, which prints the average first."""
    in_order = [(worst, average, gap) for average, worst, gap in (waterbirds, celeba)]
    return _row(_TEXT if recipe else _PROMPTS, method, in_order[0], in_order[1], recipe, exact)


_PROMPTS = "prompts"
_LABELS = "labels"
_TEXT = "labels, text feedback"
_GROUPS = "labels, groups"

_ERM = "ERM, published recipe"
_CLASS_BALANCED = "class-balanced, published recipe"
_WORST_CLASS = "worst-class, published recipe"
_SLICE_BALANCED = "slice-balanced, published recipe"
_WORST_SLICE = "worst-slice, published recipe"
_DFR = "DFR (ours), published recipe"
_GROUP_DRO = "group DRO (ours), published recipe"

RESNET_50 = (
    _row(_PROMPTS, "class prompt", (36.6, 92.2, 55.6), (74.0, 81.9, 7.9), exact="class prompt"),
    _row(_PROMPTS, "group prompt", (55.9, 87.8, 31.9), (70.8, 82.6, 11.8), exact="group prompt"),
    _row(_LABELS, "ERM", (7.9, 93.5, 85.6), (11.9, 94.7, 82.8)),
    _row(_LABELS, "ERM (ours)", (63.4, 96.0, 32.6), (31.1, 95.4, 64.3), recipe=_ERM, exact="ERM"),
    _row(
        _LABELS,
        "ERM (ours, class-balanced)",
        (48.6, 95.2, 46.7),
        (65.8, 93.4, 27.6),
        recipe=_CLASS_BALANCED,
        exact="class-balanced",
    ),
    _row(
        _LABELS,
        "ERM (ours, worst-class)",
        (55.9, 95.8, 39.9),
        (56.9, 94.1, 37.2),
        recipe=_WORST_CLASS,
        exact="worst-class",
    ),
    _row(
        _TEXT,
        "Clarify (slice-balanced)",
        (68.4, 93.6, 25.2),
        (89.3, 92.2, 2.8),
        recipe=_SLICE_BALANCED,
        exact="Clarify (slice-balanced)",
    ),
    _row(
        _TEXT,
        "Clarify (worst-slice)",
        (75.7, 83.8, 8.1),
        (89.1, 92.1, 3.0),
        recipe=_WORST_SLICE,
        exact="Clarify (worst-slice)",
    ),
    _row(_GROUPS, "DFR (subsample)", (63.9, 91.8, 27.9), (76.9, 92.5, 15.6), exact="DFR (subsample)"),
    _row(_GROUPS, "DFR (upsample)", (51.3, 92.4, 41.1), (89.6, 91.8, 2.2), exact="DFR (upsample)"),
    _row(_GROUPS, "DFR (ours)", (78.7, 90.8, 12.1), (90.6, 91.9, 1.3), recipe=_DFR, exact="DFR (reweight)"),
    _row(
        _GROUPS,
        "group DRO (ours)",
        (81.3, 88.1, 6.8),
        (89.2, 91.8, 2.7),
        recipe=_GROUP_DRO,
        exact="group DRO (exact)",
    ),
    _row(_LABELS, "ERM adapter", (60.8, 96.0, 35.2), (36.1, 94.2, 58.1), exact="ERM adapter"),
    _row(_LABELS, "WiSE-FT", (49.8, 91.0, 41.2), (85.6, 88.6, 3.0), exact="WiSE-FT"),
    _row(_LABELS, "contrastive adapter", (83.7, 89.4, 5.7), (90.0, 90.7, 0.7), exact="contrastive adapter"),
)
"""Table 4, upper half: CLIP ResNet-50. There slices are called groups: "Clarify (group-balanced)"."""

VIT_L_14 = (
    _row(_PROMPTS, "class prompt", (25.7, 87.3, 61.6), (62.1, 71.9, 9.8), exact="class prompt"),
    _row(_PROMPTS, "group prompt", (27.4, 85.5, 58.1), (72.4, 81.8, 9.4), exact="group prompt"),
    _row(_LABELS, "ERM", (65.9, 97.6, 31.7), (28.3, 94.7, 66.4)),
    _row(_LABELS, "ERM (ours)", (79.5, 97.4, 17.9), (25.7, 94.6, 68.9), recipe=_ERM, exact="ERM"),
    _row(
        _LABELS,
        "ERM (ours, class-balanced)",
        (71.1, 97.2, 26.1),
        (63.7, 92.6, 28.9),
        recipe=_CLASS_BALANCED,
        exact="class-balanced",
    ),
    _row(
        _LABELS,
        "ERM (ours, worst-class)",
        (74.3, 97.1, 22.8),
        (56.9, 93.3, 36.4),
        recipe=_WORST_CLASS,
        exact="worst-class",
    ),
    _row(
        _TEXT,
        "Clarify (worst-slice)",
        (81.8, 96.8, 14.9),
        (88.8, 90.9, 2.1),
        recipe=_WORST_SLICE,
        exact="Clarify (worst-slice)",
    ),
    _row(_GROUPS, "DFR (subsample)", (51.9, 95.7, 43.8), (76.3, 92.1, 15.8), exact="DFR (subsample)"),
    _row(_GROUPS, "DFR (upsample)", (65.9, 96.1, 30.2), (83.7, 91.2, 7.5), exact="DFR (upsample)"),
    _row(_GROUPS, "DFR (ours)", (85.9, 93.5, 7.6), (89.0, 90.9, 1.9), recipe=_DFR, exact="DFR (reweight)"),
    _row(
        _GROUPS,
        "group DRO (ours)",
        (88.5, 92.7, 4.1),
        (88.1, 91.1, 2.9),
        recipe=_GROUP_DRO,
        exact="group DRO (exact)",
    ),
    _row(_LABELS, "ERM adapter", (78.4, 97.8, 19.4), (36.7, 94.2, 57.5), exact="ERM adapter"),
    _row(_LABELS, "WiSE-FT", (65.9, 97.6, 31.7), (80.0, 87.4, 7.4), exact="WiSE-FT"),
    _row(_LABELS, "contrastive adapter", (86.9, 96.2, 9.3), (84.6, 90.4, 5.8), exact="contrastive adapter"),
)
"""Table 4, lower half: CLIP ViT-L/14."""

TABLE_1 = RESNET_50[:12]
"""Table 1 is the upper half of Table 4 without its adapters."""

TABLE_4 = {"CLIP ResNet-50": RESNET_50, "CLIP ViT-L/14": VIT_L_14}

TABLE_6 = {
    "ALIGN": (
        _from_average("class prompt", (72.0, 50.3, 21.7), (81.8, 77.2, 4.6), exact="class prompt"),
        _from_average("group prompt", (72.5, 5.8, 66.7), (78.3, 67.4, 10.9), exact="group prompt"),
        _from_average("RoboShot", (50.9, 41.0, 9.9), (86.3, 83.4, 2.9), exact="RoboShot"),
    ),
    "AltCLIP": (
        _from_average("class prompt", (90.1, 35.8, 54.3), (82.3, 79.7, 2.6), exact="class prompt"),
        _from_average("group prompt", (82.4, 29.4, 53.0), (82.3, 79.0, 3.3), exact="group prompt"),
        _from_average("RoboShot", (78.5, 54.8, 23.7), (86.0, 77.2, 8.8), exact="RoboShot"),
    ),
    "CLIP (ViT-L/14)": (
        _from_average("class prompt", (88.7, 27.3, 61.4), (80.6, 74.3, 6.3), exact="class prompt"),
        _from_average("group prompt", (70.7, 10.4, 60.3), (77.9, 68.9, 9.0), exact="group prompt"),
        _from_average("RoboShot", (79.9, 45.2, 34.7), (85.5, 82.6, 2.9), exact="RoboShot"),
        _from_average(
            "Clarify (worst-slice)",
            (96.8, 81.8, 14.9),
            (90.9, 88.8, 2.1),
            exact="Clarify (worst-slice)",
            recipe=_WORST_SLICE,
        ),
    ),
}
"""Table 6 by model; rows other than Clarify's are of Adila et al. (RoboShot), whose prompts are not in it."""

TABLE_2 = {
    "spotlight": KeywordClass(
        "shining",
        (
            Keyword("street lamp", 3.32, 0.0, 1),
            Keyword("lamp", 2.5, 66.7, 6),
            Keyword("top", 2.46, 0.0, 1),
            Keyword("kitchen", 2.22, 50.0, 2),
            Keyword("street", 2.07, 33.3, 3),
            Keyword("suite", 1.94, 0.0, 1),
            Keyword("city", 1.87, 0.0, 3),
            Keyword("room", 1.77, 0.0, 2),
            Keyword("light", 1.51, 81.8, 22),
            Keyword("night", 1.12, 80.0, 5),
        ),
    ),
    "rifle": KeywordClass(
        "wooden barrel",
        (
            Keyword("person", 1.59, 14.3, 14),
            Keyword("soldier", 0.6, 0.0, 8),
            Keyword("project picture", 0.2, 0.0, 3),
            Keyword("soldiers", 0.18, 0.0, 5),
            Keyword("dark room", -0.47, 0.0, 1),
            Keyword("machine", -0.95, 20.0, 5),
            Keyword("gun", -1.69, 30.0, 20),
            Keyword("nice gun", -1.98, 0.0, 2),
            Keyword("machine gun", -2.0, 20.0, 5),
            Keyword("weapons", -2.01, 42.9, 7),
        ),
    ),
    "academic gown": KeywordClass(
        "many people in robes",
        (
            Keyword("person", 0.51, 25.0, 24),
            Keyword("photo", 0.5, 27.3, 11),
            Keyword("graduate", 0.23, 13.3, 15),
            Keyword("graduates", 0.21, 25.0, 8),
            Keyword("graduation", 0.16, 13.3, 15),
            Keyword("pose", 0.12, 20.0, 10),
            Keyword("poses", 0.01, 0.0, 4),
            Keyword("students", -0.25, 0.0, 7),
            Keyword("graduation ceremony", -0.57, 16.7, 12),
            Keyword("ceremony", -1.27, 23.1, 13),
        ),
    ),
    "bighorn": KeywordClass(
        "rocky hillside",
        (
            Keyword("goat", 1.39, 5.9, 17),
            Keyword("sheep", 1.35, 0.0, 9),
            Keyword("mountain goat", 0.11, 0.0, 2),
            Keyword("biological", 0.06, 28.6, 7),
            Keyword("biological species", 0.0, 28.6, 7),
            Keyword("species", -0.03, 28.6, 7),
            Keyword("bighorn sheep", -0.04, 0.0, 4),
            Keyword("bighorn sheep stands", -0.29, 0.0, 2),
            Keyword("stands", -1.32, 0.0, 7),
            Keyword("herd", -2.27, 14.3, 7),
        ),
    ),
    "loupe": KeywordClass(
        "person holding a magnifying glass",
        (
            Keyword("black", 0.01, 0.0, 4),
            Keyword("camera", -0.08, 28.6, 7),
            Keyword("book", -0.65, 33.3, 3),
            Keyword("compact", -0.72, 0.0, 2),
            Keyword("compact camera", -1.12, 0.0, 2),
            Keyword("watch", -1.5, 0.0, 1),
            Keyword("pocket", -1.84, 0.0, 1),
            Keyword("pocket watch", -2.05, 0.0, 1),
            Keyword("glass", -2.3, 57.1, 14),
            Keyword("magnifying glass", -6.19, 71.4, 7),
        ),
    ),
    "weasel": KeywordClass(
        "snow weasel",
        (
            Keyword("bear cub sits", 1.72, 0.0, 1),
            Keyword("black bear cub", 1.62, 50.0, 2),
            Keyword("young black bear", 0.81, 0.0, 1),
            Keyword("biological species", -0.17, 85.7, 14),
            Keyword("dead squirrels", -0.19, 0.0, 1),
            Keyword("file photo", -0.19, 0.0, 2),
            Keyword("undated file", -0.36, 0.0, 2),
            Keyword("undated file photo", -0.41, 0.0, 2),
            Keyword("grass", -0.87, 85.7, 7),
            Keyword("squirrels were found", -0.87, 0.0, 1),
        ),
    ),
}
"""Table 2, by class of ImageNet; each class's keywords by falling CLIP score."""

MINORITY_BEFORE, MINORITY_AFTER = 21.1, 28.7
"""Mean accuracy over the 31 minority splits before and after retraining, in percent (section 5.3)."""

OVERALL_CHANGE = -0.21
"""Change of the accuracy on all of ImageNet's validation images, in points (section 1)."""
