"""Measure where the models of shorebirds look: pointing and AIoU, before and after correction, over seeds.

Prints Markdown, and as its last line how many times as often the maps of "bird" point at the bird as at that
of another image; `--page docs/attributes.md` writes the tables there, and `--figure
docs/images/explanations.png` draws some of the maps.
Run: `python benchmarks/explanation.py`; it takes minutes.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from reproduction.page import markdown_table, write_block

import clarify_widget as cw
from clarify_widget import plots
from clarify_widget.encoders.preparation import prepare
from clarify_widget.evaluation import mean_interval
from clarify_widget.evaluation.explain import explanation_maps, points_inside

if TYPE_CHECKING:
    from clarify_widget.arrays import BoolArray
    from clarify_widget.encoders import Encoder

SEEDS = range(5)
TEXTS = ("bird", "water bird", "land bird", "forest", "water")
KEPT = {"water bird": "forest", "land bird": "water"}
SHOWN = (0, 1, 2, 3)
SHOWN_ABOUT = ("bird", "forest", "water bird", "land bird")


def corrected(encoder: Encoder, seed: int) -> cw.Session:
    """Return a session that was fitted and retrained with one phrase a class."""
    session = cw.Session(prepare(cw.datasets.shorebirds(seed), encoder, None, None), encoder)
    session.fit()
    for class_name, phrase in KEPT.items():
        session.annotate(class_name, phrase)
    session.retrain()
    return session


def masks_of(session: cw.Session) -> list[BoolArray]:
    masks = session.dataset.val.masks
    assert masks is not None
    return [np.asarray(masks[row].convert("L")) > 127 for row in range(len(masks))]


def pointing(session: cw.Session) -> dict[str, tuple[float, float]]:
    """Return, for each text, how often its maps point at the bird, and at the bird of another image."""
    masks = masks_of(session)
    images = [session.image(row) for row in range(len(masks))]
    directions = np.concatenate([session.direction(text)[None] for text in TEXTS])
    maps = explanation_maps(session.encoder, images, directions)
    others = [*masks[1:], masks[0]]
    return {
        text: (
            float(np.mean([points_inside(one[place], mask) for one, mask in zip(maps, masks, strict=True)])),
            float(np.mean([points_inside(one[place], mask) for one, mask in zip(maps, others, strict=True)])),
        )
        for place, text in enumerate(TEXTS)
    }


def percent(values: list[float]) -> str:
    low, high = mean_interval(values)
    return f"{100 * np.mean(values):.1f} ± {50 * (high - low):.1f}"


def number(values: list[float]) -> str:
    low, high = mean_interval(values)
    return f"{np.mean(values):.3f} ± {(high - low) / 2:.3f}"


def alignment_rows(sessions: list[cw.Session]) -> list[list[str]]:
    rows = []
    for name, retrained in (("ERM", False), ("retrained, slice-balanced", True)):
        found = [session.alignment(retrained=retrained) for session in sessions]
        accuracies = [session.evaluation("val", retrained=retrained) for session in sessions]
        worst = [one.worst_group for one in found if one.worst_group is not None]
        rows.append(
            [
                name,
                percent([one.average for one in accuracies]),
                percent([one.worst_group for one in accuracies if one.worst_group is not None]),
                number([one.average.aiou for one in found]),
                number([one.aiou for one in worst]),
                percent([one.average.pointing_accuracy for one in found]),
            ]
        )
    return rows


def main() -> None:
    """Measure, print, draw and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--page", type=Path, help="page to put the tables into, such as docs/attributes.md")
    parser.add_argument("--figure", type=Path, help="where to draw some maps")
    arguments = parser.parse_args()
    encoder = cw.encoders.load("demo")
    sessions = [corrected(encoder, seed) for seed in SEEDS]
    if arguments.figure is not None:
        plots.explanations(sessions[0], SHOWN, SHOWN_ABOUT).savefig(arguments.figure, dpi=100)
    found = [pointing(session) for session in sessions]
    covered = float(np.mean([np.mean(masks_of(session)) for session in sessions]))
    blocks = {
        "explanation: pointing": markdown_table(
            [
                "map of",
                "points at the bird (%)",
                "at the bird of another image (%)",
                "covered by the bird (%)",
            ],
            [
                [
                    f"“{text}”",
                    percent([one[text][0] for one in found]),
                    percent([one[text][1] for one in found]),
                    f"{100 * covered:.1f}",
                ]
                for text in TEXTS
            ],
            left=1,
        ),
        "explanation: alignment": markdown_table(
            ["head", "accuracy (%)", "worst group (%)", "AIoU", "AIoU, worst group", "pointing (%)"],
            alignment_rows(sessions),
            left=1,
        ),
    }
    for key, body in blocks.items():
        print(f"\n{key}\n{body}")
        if arguments.page is not None:
            write_block(arguments.page, key, body)
    here, elsewhere = np.mean([one["bird"] for one in found], axis=0)
    print(f"pointing_gain {here / elsewhere:.2f}")


if __name__ == "__main__":
    main()
