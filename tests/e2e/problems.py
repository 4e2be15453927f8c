"""Small sessions that need no download, no torch and no second: what the end-to-end notebooks import."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw

from clarify_widget import Session
from clarify_widget.datasets import from_arrays, shorebirds
from clarify_widget.encoders import PrecomputedEncoder
from clarify_widget.errors import CancelledError
from clarify_widget.session import expected
from clarify_widget.session.curve import RetrainProgress
from clarify_widget.training import FitProgress

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from clarify_widget.encoders.base import Encoder
    from clarify_widget.finetuning import FinetuneProgress, Losses, Settings
    from clarify_widget.session import Comparison
    from clarify_widget.session.finetuning import Finetuning
    from clarify_widget.session.gathering import Gathering

COLOURS = {"red": (198, 60, 52), "blue": (49, 98, 176)}
SIZES = {"train": 400, "val": 160, "test": 160}
WIDTH = 6
HTML = "<img src=x onerror=document.body.dataset.hurt=1>"
EMOJI = "\N{SNOWFLAKE} \N{FAMILY} e\N{COMBINING ACUTE ACCENT} \N{ARABIC LETTER ALEF WITH HAMZA ABOVE}"


def encoder() -> Encoder:
    """Phrases along the colour axis, along the shape axis, and along neither."""
    red, round_, other = np.eye(WIDTH)[:3]
    rows = {
        "red": red,
        "crimson": red + 0.1 * other,
        "blue": -red,
        "round": round_,
        "velvet": other,
        HTML: red,
        EMOJI: -red,
    }
    return PrecomputedEncoder(list(rows), np.stack(list(rows.values())), name="table")


def drawing(is_round: bool, is_red: bool) -> Image.Image:
    image = Image.new("RGB", (64, 64), "white")
    draw = ImageDraw.Draw(image)
    shape = draw.ellipse if is_round else draw.rectangle
    shape((14, 18, 50, 46), fill=COLOURS["red" if is_red else "blue"])
    return image


def drawings(is_round: Sequence[int], is_red: Sequence[int]) -> list[Image.Image]:
    return [drawing(bool(shape), bool(colour)) for shape, colour in zip(is_round, is_red, strict=True)]


def embedded(is_round: Any, is_red: Any, rng: np.random.Generator) -> Any:
    """Rows in which the colour is easy to read, and the shape is hard."""
    rows = rng.normal(scale=0.35, size=(len(is_round), WIDTH))
    rows[:, 0] += 2 * is_red - 1
    rows[:, 1] += 0.45 * (2 * is_round - 1)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def shapes(
    class_names: Sequence[str] = ("square", "oval"),
    seed: int = 0,
    sizes: Mapping[str, int] = SIZES,
    **parts: Any,
) -> Any:
    """Squares that are mostly blue against ovals that are mostly red; colour is the easier axis."""
    rng = np.random.default_rng(seed)
    columns: dict[str, list[Any]] = {"labels": [], "images": [], "embeddings": [], "split": [], "groups": []}
    for split, size in sizes.items():
        is_round = rng.integers(0, 2, size)
        agrees = rng.random(size) < (0.95 if split == "train" else 0.6)
        is_red = np.where(agrees, is_round, 1 - is_round)
        columns["labels"] += list(is_round)
        columns["images"] += drawings(is_round, is_red)
        columns["embeddings"] += list(embedded(is_round, is_red, rng))
        columns["split"] += [split] * size
        columns["groups"] += list(2 * is_round + is_red)
    given = columns | {
        "class_names": list(class_names),
        "group_names": [f"{colour} {name}" for name in class_names for colour in ("blue", "red")],
        "name": "coloured shapes",
    }
    return from_arrays(**given | parts)


def small_session(**parts: Any) -> Session:
    session = Session(shapes(**parts), encoder=encoder())
    session.fit()
    return session


def unlabelled(session: Session, size: int = 300) -> Gathering:
    """A pool of drawings in which shape and colour have nothing to do with each other."""
    rng = np.random.default_rng(5)
    is_round, is_red = rng.integers(0, 2, (2, size))
    return session.pool(embedded(is_round, is_red, rng), images=drawings(is_round, is_red))


class WaitingSession(Session):
    """A session whose retraining waits for `gate`, so that tests depend on order and not on speed."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.gate = threading.Event()

    def retrain(
        self,
        objective: str = "slice_balanced",
        progress: Callable[[RetrainProgress], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
        **settings: Any,
    ) -> Comparison:
        step = 0
        while not self.gate.wait(0.05):
            step += 1
            if cancelled is not None and cancelled():
                raise CancelledError("Retraining was cancelled.")
            if progress is not None:
                progress(RetrainProgress(FitProgress(step, 0.5, 0.1, min(0.9, step / 100)), None, ()))
        return super().retrain(objective, progress, cancelled, **settings)


def hold_previews() -> threading.Event:
    """Make whatever works out what retraining would give wait for an event; cancelled, it ends at once."""
    gate, solve = threading.Event(), expected.train_heads

    def wait(*arrays: Any, cancelled: Callable[[], bool], **settings: Any) -> Any:
        while not gate.wait(0.02):
            if cancelled():
                raise CancelledError("Previews were cancelled.")
        return solve(*arrays, cancelled=cancelled, **settings)

    vars(expected)["train_heads"] = wait
    return gate


def waiting_session() -> WaitingSession:
    session = WaitingSession(shapes(), encoder=encoder())
    session.fit()
    return session


class WaitingBirds(Session):
    """A session whose fine-tuning waits for `gate` in its sixth epoch, as `WaitingSession` does."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.gate = threading.Event()

    def finetune(
        self,
        objective: Losses | None = None,
        settings: Settings | None = None,
        progress: Callable[[FinetuneProgress], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
        **others: Any,
    ) -> Finetuning:
        def report(step: FinetuneProgress) -> None:
            if progress is None:
                return
            progress(step)
            while step.epoch > 5 and not self.gate.wait(0.02) and not (cancelled and cancelled()):
                progress(step)

        return super().finetune(objective, settings, report, cancelled, **others)


def waiting_birds(size: int = 200) -> WaitingBirds:
    """Some drawn birds under the demo encoder, so that an epoch of fine-tuning takes a moment."""
    birds = shorebirds()
    parts = {split.name: split.take(np.arange(size)) for split in birds.splits()}
    session = WaitingBirds(replace(birds, **parts))
    session.fit()
    session.annotate("water bird", "forest")
    session.annotate("land bird", "water")
    return session
