"""The published numbers of Yang et al. (ICML 2023), Tables 2 to 5, and ours beside them.

Source: "Mitigating Spurious Correlations in Multi-modal Models during Fine-tuning". Accuracies and accuracy
discrepancies in percent, AIoU in 0..1.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from clarify_widget.finetuning import (
    FINE_TUNED_CLIP,
    SPURIOUS_IMAGE,
    SPURIOUS_LANGUAGE,
    Losses,
    finetune,
    pretrained,
)
from reproduction.page import markdown_table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clarify_widget.evaluation import Evaluation
    from clarify_widget.finetuning import CachedTowers, FineTuned, Settings
    from clarify_widget.finetuning.settings import Objective

BACKBONES = ("RN50", "ViT-L-14-336")
ATTRIBUTES = ("land", "water")
"""Of Waterbirds, in the order of its places."""

TABLE_2 = {
    "RN50": (93.44, 44.92, 59.03, 91.59),
    "ViT-L-14-336": (99.29, 90.20, 33.96, 55.61),
}
"""Landbirds on land and on water, waterbirds on land and on water; pre-trained."""

TABLE_3 = (
    ("baby pacifier", "baby", "water bottle", 62.1),
    ("can opener", "can", "letter opener", 45.2),
    ("eraser", "hand", "pencil case", 18.5),
    ("whistle", "ring", "padlock", 15.2),
    ("pencil sharpener", "pencil", "pencil case", 8.37),
)
"""Class, spurious attribute, confused class and accuracy discrepancy of CLIP RN50 on ImageNet."""


@dataclass(frozen=True)
class Published:
    """A row of Table 4 or 5: average and worst-group accuracy, and AIoU likewise."""

    average: float
    worst_group: float
    aiou_average: float
    aiou_worst_group: float


@dataclass(frozen=True)
class Row:
    """A method: what it minimises here (None for the model as it came), and its row on each backbone."""

    method: str
    objective: Objective | None
    published: Mapping[str, Published]


def _row(method: str, objective: Objective | None, rn50: tuple[float, ...], vit: tuple[float, ...]) -> Row:
    return Row(method, objective, dict(zip(BACKBONES, (Published(*rn50), Published(*vit)), strict=True)))


TABLE_4 = (
    _row("Pre-trained CLIP", None, (90.8, 44.9, 0.507, 0.479), (88.5, 34.0, 0.579, 0.551)),
    _row("Fine-tuned CLIP", FINE_TUNED_CLIP, (81.3, 77.1, 0.510, 0.128), (97.2, 89.7, 0.687, 0.697)),
    _row("ERM", "erm", (93.5, 54.4, 0.514, 0.139), (96.8, 58.1, 0.636, 0.680)),
    _row("Group DRO", "group_dro", (83.3, 73.7, 0.509, 0.274), (94.1, 90.8, 0.669, 0.644)),
    _row("L_lc + L_vc + L_ls", SPURIOUS_LANGUAGE, (84.7, 77.5, 0.628, 0.499), (97.1, 89.7, 0.698, 0.711)),
    _row("L_lc + L_vc + L_vs", SPURIOUS_IMAGE, (83.2, 77.5, 0.654, 0.587), (96.9, 90.5, 0.716, 0.709)),
)

TABLE_5 = {
    "Pre-trained": Published(73.7, 30.8, 0.651, 0.380),
    "Fine-tuned": Published(94.1, 91.7, 0.650, 0.571),
    "ERM": Published(94.9, 96.2, 0.661, 0.454),
    "Group DRO": Published(89.6, 93.1, 0.661, 0.568),
    "L_lc + L_vc + L_ls": Published(94.9, 96.2, 0.720, 0.645),
}
"""CLIP RN50 on ImageNet's baby pacifier and water bottle; the attribute is a baby."""


def run_row(
    row: Row, towers: CachedTowers, settings: Settings, variant: Literal["paper", "released"]
) -> FineTuned:
    """Fine-tune on Waterbirds by one method."""
    if row.objective is None:
        return pretrained(towers)
    objective = row.objective
    if isinstance(objective, Losses):
        objective = replace(objective, variant=variant)
    groups = towers.dataset.train.groups
    assert groups is not None
    return finetune(towers, objective, settings, shown=groups % 2)


def group_table(backbone: str, found: Evaluation | None) -> str:
    """Return Table 2 for one backbone, ours beside the paper's."""
    names = ("landbird on land", "landbird on water", "waterbird on land", "waterbird on water")
    ours = ["not run"] * 4 if found is None else [f"{100 * cell.accuracy:.1f}" for cell in found.per_group]
    published = (f"{number:.1f}" for number in TABLE_2[backbone])
    return markdown_table(("group", "paper", "here"), list(zip(names, published, ours, strict=True)), left=1)


def discrepancy_table() -> str:
    """Return Table 3."""
    rows = [(*texts, f"{number:g}") for *texts, number in TABLE_3]
    head = ("class", "spurious attribute", "confused class", "accuracy discrepancy: paper")
    return markdown_table(head, rows, left=3)


def mitigation_table(backbone: str, found: Mapping[str, Evaluation]) -> str:
    """Return Table 4 for one backbone, ours beside the paper's."""
    rows = []
    for row in TABLE_4:
        published, ours = row.published[backbone], found.get(row.method)
        average, worst = "not run", "not run"
        if ours is not None:
            average, worst = (
                f"{100 * (number or 0):.1f}" for number in (ours.adjusted_average, ours.worst_group)
            )
        accuracies = (f"{published.average:.1f}", average, f"{published.worst_group:.1f}", worst)
        rows.append((row.method, *accuracies, *_aiou(published)))
    head = ("method", "average: paper", "here", "worst group: paper", "here")
    return markdown_table((*head, "AIoU: paper", "AIoU, worst group: paper"), rows, left=1)


def pacifier_table() -> str:
    """Return Table 5."""
    rows = [
        (method, f"{row.average:.1f}", f"{row.worst_group:.1f}", *_aiou(row))
        for method, row in TABLE_5.items()
    ]
    return markdown_table(("method", "average", "worst group", "AIoU", "AIoU, worst group"), rows, left=1)


def _aiou(row: Published) -> tuple[str, str]:
    return f"{row.aiou_average:.3f}", f"{row.aiou_worst_group:.3f}"
