"""What a person may do next, and how often they do it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

from tests.e2e.loop import Loop
from tests.e2e.problems import HTML, SIZES
from tests.e2e.shown import TILES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PHRASES = ("red", "crimson", "blue", "round", "velvet", "red AND round", "red NOT round", HTML)
NO_PHRASES = ("corduroy", "red AND", "")
KEYS = ("ArrowLeft", "ArrowRight", "PageUp", "PageDown", "Home", "End", "Shift+ArrowLeft", "Shift+ArrowRight")
JOINING = (" AND ", " OR ", " NOT ")


@dataclass(frozen=True)
class Action:
    """Something that a person does: how often, with which choices now, and how; `None` is the only choice."""

    do: Callable[[Loop, Any], None]
    weight: float
    choices: Callable[[Loop], Sequence[Any]]


def only_if(possible: Callable[[Loop], bool]) -> Callable[[Loop], Sequence[Any]]:
    return lambda loop: [None] if possible(loop) else []


def shown(loop: Loop) -> bool:
    return loop.reference.phrase != ""


def idle(loop: Loop) -> bool:
    return not loop.reference.running


def thresholds(loop: Loop) -> Sequence[float]:
    """Values inside the histogram of the phrase that is shown."""
    reference = loop.reference
    if not reference.phrase:
        return []
    rows = reference.session.members(reference.class_name).indices
    similar = sorted(reference.session.similarities(reference.phrase)[rows].tolist())
    return [round(similar[len(similar) * part // 10], 3) for part in range(1, 10)]


def best_threshold(loop: Loop) -> Sequence[float]:
    reference = loop.reference
    tried = reference.session.history(reference.class_name)
    best = [one.threshold for one in tried if one.phrase == reference.phrase]
    return [threshold for threshold in best if threshold != reference.threshold]


def tiles(loop: Loop) -> Sequence[tuple[str, int]]:
    """The first images of both grids, by side and place."""
    return [
        (side, place)
        for side in ("left", "right")
        for place in range(min(TILES, len(loop.reference.rows(side))))
    ]


def toggles(loop: Loop) -> Sequence[tuple[str, int, str]]:
    return [(*tile, how) for tile, how in product(tiles(loop), ("Control", "corner", "x", "Space"))]


def some_rows(loop: Loop) -> Sequence[list[int]]:
    return [[], sorted(loop.random.sample(range(SIZES["val"]), 5))]


def is_joined(phrase: str) -> bool:
    return any(operator in phrase for operator in JOINING)


def can_be_marked(loop: Loop) -> bool:
    return shown(loop) and not is_joined(loop.reference.phrase)


def marks(loop: Loop) -> Sequence[tuple[str, int, str]]:
    return [
        (*tile, key) for tile, key in product(tiles(loop), ("+", "-", "Backspace")) if can_be_marked(loop)
    ]


def others_tried(loop: Loop) -> Sequence[str]:
    return [phrase for phrase in tried(loop) if shown(loop) and phrase != loop.reference.phrase]


def is_comparing(loop: Loop) -> bool:
    return loop.reference.compared(loop.compared.get(loop.view)) is not None


def operators(loop: Loop) -> Sequence[str]:
    """Only of phrases that are not joined themselves, so that they stay short."""
    if not is_comparing(loop) or is_joined(loop.reference.phrase + loop.compared[loop.view]):
        return ()
    return ("AND", "OR", "NOT")


def kept(loop: Loop) -> Sequence[int]:
    return range(len(loop.reference.session.annotations))


def other_models(loop: Loop) -> Sequence[int]:
    session = loop.reference.session
    in_use = session.retraining.number if session.retraining else 0
    return [number for number in range(len(session.models) + 1) if number != in_use and idle(loop)]


def objectives(loop: Loop) -> Sequence[str]:
    all_of_them = ("slice_balanced", "worst_slice", "class_balanced", "worst_class", "dfr", "group_dro")
    return all_of_them if idle(loop) else ()


def tried(loop: Loop) -> Sequence[str]:
    reference = loop.reference
    return [one.phrase for one in reference.session.history(reference.class_name)]


def class_names(loop: Loop) -> Sequence[str]:
    return loop.reference.session.class_names


POSSIBLE = (
    Action(Loop.choose_class, 4, class_names),
    Action(Loop.enter, 7, lambda _: PHRASES),
    Action(Loop.enter, 2, lambda _: NO_PHRASES),
    Action(Loop.type, 2, lambda _: (*PHRASES, *NO_PHRASES)),
    Action(Loop.choose_tried, 5, tried),
    Action(Loop.choose_suggested, 4, lambda loop: loop.reference.suggested if idle(loop) else ()),
    Action(Loop.drag, 5, lambda loop: (-150, -60, -12, 12, 60, 150) if shown(loop) else ()),
    Action(
        Loop.press,
        5,
        lambda loop: [loop.random.choices(KEYS, k=loop.random.randint(1, 4))] if shown(loop) else (),
    ),
    Action(Loop.write_threshold, 3, thresholds),
    Action(Loop.best, 3, best_threshold),
    Action(Loop.compare, 5, others_tried),
    Action(Loop.close_comparison, 1, only_if(is_comparing)),
    Action(Loop.join, 1.5, operators),
    Action(Loop.open_and_close, 1, tiles),
    Action(Loop.toggle, 4, toggles),
    Action(Loop.extend_to, 3, tiles),
    Action(Loop.extend_by_key, 2, tiles),
    Action(Loop.select_side, 0.5, tiles),
    Action(Loop.deselect_by_key, 0.5, lambda loop: tiles(loop) if loop.reference.selected else ()),
    Action(Loop.deselect, 0.5, only_if(lambda loop: bool(loop.reference.selected))),
    Action(Loop.mark, 4, marks),
    Action(
        Loop.mark_selected,
        2,
        lambda loop: (True, False) if loop.reference.selected and can_be_marked(loop) else (),
    ),
    Action(Loop.forget_marks, 1, only_if(lambda loop: shown(loop) and loop.reference.marks > 0)),
    Action(Loop.sharpen, 3, only_if(lambda loop: shown(loop) and loop.reference.marks > 0)),
    Action(Loop.keep, 9, only_if(lambda loop: shown(loop) and not loop.reference.kept_as_shown)),
    Action(Loop.remove, 2, kept),
    Action(Loop.switch, 3, kept),
    Action(Loop.undo, 6, only_if(lambda loop: idle(loop) and loop.reference.session.undoable != "")),
    Action(Loop.redo, 6, only_if(lambda loop: idle(loop) and loop.reference.session.redoable != "")),
    Action(Loop.choose_objective, 2, objectives),
    Action(Loop.choose_model, 3, other_models),
    Action(Loop.retrain, 4, only_if(idle)),
    Action(Loop.begin_retraining, 3, only_if(idle)),
    Action(Loop.let_it_end, 6, only_if(lambda loop: loop.reference.running)),
    Action(Loop.cancel, 6, only_if(lambda loop: loop.reference.running)),
    Action(Loop.python_chooses, 2, class_names),
    Action(Loop.python_types, 3, lambda _: (*PHRASES, "")),
    Action(Loop.python_moves, 2, thresholds),
    Action(Loop.python_selects, 1, some_rows),
    Action(
        Loop.python_keeps,
        2,
        lambda loop: [(name, phrase) for name in class_names(loop) for phrase in PHRASES],
    ),
    Action(Loop.python_undoes, 1, only_if(lambda loop: idle(loop) and loop.reference.session.undoable != "")),
    Action(Loop.open_second_view, 1.5, only_if(lambda loop: loop.views == 1)),
    Action(Loop.close_second_view, 1, only_if(lambda loop: loop.views == 2)),
    Action(Loop.reload, 0.8, only_if(lambda _: True)),
    Action(Loop.restart, 0.8, only_if(lambda _: True)),
)
