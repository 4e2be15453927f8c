"""Random actions in JupyterLab: page, kernel and a session without a widget agree after every one of them.

The actions are drawn by a seed from those that are possible, so the seed that a failure names replays it:

    CLARIFY_RANDOM_SEED=7 CLARIFY_RANDOM_ACTIONS=1000 pytest tests/e2e/test_random_loop.py
"""

from __future__ import annotations

import logging
import os
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.e2e.loop import Loop
from tests.e2e.random_actions import POSSIBLE

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.e2e.lab import Lab, NotebookPage

SOURCE = """
import json
import clarify_widget as cw
from clarify_widget.session import presentation
from tests.e2e.problems import waiting_session

session = waiting_session()
session.gate.set()
session.autosave("loop")
widget = cw.ClarifyWidget(session)

def show():
    names = NAMES
    traits = {name: getattr(widget, name) for name in names}
    traits["error"] = "" if widget.error is None else widget.error["message"]
    traits["status"] = {name: widget.status[name] for name in ("state", "message")}
    print(json.dumps([traits, presentation.facts(session)]))

widget
"""
logger = logging.getLogger(__name__)

ACTIONS = int(os.environ.get("CLARIFY_RANDOM_ACTIONS", "80"))
SEED = int(os.environ.get("CLARIFY_RANDOM_SEED", "1"))


@pytest.fixture
def notebook(lab: Lab, page: Page) -> NotebookPage:
    shutil.rmtree(lab.folder / "loop", ignore_errors=True)
    names = ["class_name", "phrase", "threshold", "score", "history", "sides", "suggestions", "marks"]
    names += ["classes", "annotations", "comparison", "can_undo", "can_redo", "models", "notes", "objective"]
    names += ["selected", "objectives"]
    notebook = lab.show(page, "random_loop.ipynb", SOURCE.replace("NAMES", repr(names)))
    notebook.run_all()
    return notebook


def test_page_and_kernel_agree_after_every_action(notebook: NotebookPage) -> None:
    loop, log = Loop(notebook, SEED), []
    loop.agree()
    try:
        for number in range(1, ACTIONS + 1):
            loop.view = loop.random.randrange(loop.views)
            possible = [(action, choices) for action in POSSIBLE if (choices := action.choices(loop))]
            weights = [action.weight for action, _ in possible]
            ((action, choices),) = loop.random.choices(possible, weights)
            choice = loop.random.choice(choices)
            log.append(f"{number}. view {loop.view}: {action.do.__name__} {choice!r}")
            logger.info(log[-1])
            action.do(loop, choice)
            loop.agree()
    except Exception as error:
        raise AssertionError("\n".join([*log, f"Seed {SEED}: after these actions {error}"])) from error
