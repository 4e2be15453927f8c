"""Figures of what a Session knows, drawn by matplotlib (`pip install clarify-widget[plots]`).

Each function returns a figure that pyplot knows nothing of: a notebook shows it after `%matplotlib inline`,
and `figure.savefig("accuracies.png")` writes it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from clarify_widget.errors import DataError, MissingDependencyError
from clarify_widget.session.minority import mean_accuracy

if TYPE_CHECKING:
    from collections.abc import Sequence

    import PIL.Image
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from clarify_widget.session import MinoritySplit, Session

_CELL = 2.0  # inches of an image among others
_SIDES = ("average", "majority", "minority")
_STYLES: dict[str, dict[str, Any]] = {
    "average": {"color": "#8a8f98", "hatch": ""},
    "majority": {"color": "#3b6fb6", "hatch": "//"},
    "minority": {"color": "#d4793a", "hatch": ".."},
    "before": {"color": "#8a8f98", "hatch": ""},
    "after": {"color": "#2c8c6c", "hatch": "//"},
}


def averages(session: Session, split: str = "val") -> Figure:
    """Draw the accuracy of all images and the mean over annotations of each side, before and after.

    Clarify's Figure 7.

    Raises
    ------
    DataError
        When nothing is kept.
    MissingDependencyError
        When matplotlib is not installed.
    """
    splits, models = _kept(session, split), _models(session)
    figure, (axes,) = _figure(1, 4.5)
    names = ("all\nimages", "majority\nsides", "minority\nsides")
    for name, after in models.items():
        heights = [
            session.evaluation(split, retrained=after).average,
            *(mean_accuracy(splits, side, after=after) for side in ("majority", "minority")),
        ]
        _bars(axes, name, heights, list(models))
    _finish(axes, names, f"{session.dataset.name}, {split}: mean over {len(splits)} annotations", turn=0)
    return figure


def minority_before_and_after(session: Session, split: str = "val") -> Figure:
    """Draw the accuracy on the minority side of each annotation, before and after (Clarify's Figure 8).

    Raises as `averages`.
    """
    splits, models = _kept(session, split), _models(session)
    figure, (axes,) = _figure(1, _width(splits))
    for name, after in models.items():
        _bars(axes, name, _accuracies(splits, "minority", after=after), list(models))
    _finish(axes, _names(splits), f"{session.dataset.name}, {split}: accuracy on minority sides")
    return figure


def sides_by_class(session: Session, splits: Sequence[str] = ("val",)) -> Figure:
    """Draw the accuracy of the model under review on each annotated class and its two sides.

    Clarify's Figure 11, with one row of bars for each split: ("val", "test") for ImageNet and ImageNet-V2.

    Raises as `averages`.
    """
    kept = {split: _kept(session, split) for split in splits}
    figure, rows = _figure(len(kept), _width(next(iter(kept.values()))))
    for axes, (split, of_split) in zip(rows, kept.items(), strict=True):
        for side in _SIDES:
            _bars(axes, side, _accuracies(of_split, side), _SIDES)
        _finish(axes, _names(of_split), f"{session.dataset.name}, {split}: before retraining")
    return figure


def explanations(
    session: Session,
    rows: Sequence[int],
    about: Sequence[str],
    split: str = "val",
    *,
    retrained: bool = False,
) -> Figure:
    """Draw images beside maps of what speaks for classes and phrases (Yang et al., ICML 2023, Figure 3).

    Parameters
    ----------
    rows, split
        Which images, one a line.
    about
        Classes or phrases, one a column; see `Session.explain`.
    retrained
        Whether to explain the head of the last retraining.

    Raises
    ------
    DataError
        When there is nothing to draw, or as `Session.explain`, whose other errors pass through too.
    MissingDependencyError
        When matplotlib is not installed.
    """
    if not len(rows) or not len(about):
        raise DataError(f"There are {len(rows)} images and {len(about)} texts; give at least one of both.")
    figure, _ = _figure(0, _CELL * (1 + len(about)))
    figure.set_figheight(_CELL * len(rows))
    cells = figure.subplots(len(rows), 1 + len(about), squeeze=False)
    for row, (first, *others) in zip(rows, cells, strict=True):
        _picture(first, session.image(row, split), session.image_name(row, split))
        for axes, text in zip(others, about, strict=True):
            found = session.explain(row, text, split, retrained=retrained)
            _picture(axes, found.overlay, found.target)
    return figure


def _picture(axes: Axes, image: PIL.Image.Image, title: str) -> None:
    axes.imshow(np.asarray(image))
    axes.set_title(title, fontsize="small")
    axes.set_axis_off()


def _kept(session: Session, split: str) -> tuple[MinoritySplit, ...]:
    splits = session.minority_splits(split)
    if not splits:
        raise DataError("There is nothing to draw: keep a phrase with annotate first.")
    return splits


def _models(session: Session) -> dict[str, bool]:
    """Return what the models to draw are called, and whether each is the retrained one."""
    return {"before": False} if session.retrained is None else {"before": False, "after": True}


def _accuracies(splits: Sequence[MinoritySplit], side: str, *, after: bool = False) -> list[float]:
    return [mean_accuracy([split], side, after=after) for split in splits]


def _names(splits: Sequence[MinoritySplit]) -> list[str]:
    return [f"{split.annotation.class_name}: {split.annotation.phrase}" for split in splits]


def _width(splits: Sequence[MinoritySplit]) -> float:
    return max(4.5, 1.5 + 0.45 * len(splits))


def _figure(rows: int, width: float) -> tuple[Figure, Sequence[Axes]]:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingDependencyError(
            "Figures are drawn by matplotlib: pip install 'clarify-widget[plots]'."
        ) from error
    figure = Figure(figsize=(width, 3.6 * max(rows, 1)), layout="constrained")
    return figure, list(figure.subplots(rows, squeeze=False)[:, 0]) if rows else []


def _bars(axes: Axes, name: str, heights: Sequence[float], beside: Sequence[str]) -> None:
    """Draw one bar a place, in its slot among the bars beside it; no bar where nothing is known."""
    width = 0.8 / len(beside)
    places = np.arange(len(heights)) + width * (list(beside).index(name) - (len(beside) - 1) / 2)
    axes.bar(places, 100 * np.array(heights), width, label=name, edgecolor="white", **_STYLES[name])


def _finish(axes: Axes, names: Sequence[str], title: str, *, turn: int = 60) -> None:
    axes.set_xticks(
        range(len(names)),
        names,
        rotation=turn,
        ha="right" if turn else "center",
        rotation_mode="anchor" if turn else "default",
    )
    axes.set_ylim(0, 100)
    axes.set_ylabel("accuracy (%)")
    axes.set_title(title, fontsize="medium")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
