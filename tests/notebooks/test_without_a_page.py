"""The widget where nobody looks: notebooks that nbconvert and papermill run, and what their readers see."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
import papermill
import pytest
from nbformat import v4

from clarify_widget import Session
from tests.e2e.problems import encoder

if TYPE_CHECKING:
    from playwright.sync_api import Browser

REPOSITORY = Path(__file__).parents[2]
PARAMETERS = "phrase = 'velvet'\nfolder = 'session'"
LOOP = """
import clarify_widget as cw
from tests.e2e.problems import small_session

session = small_session()
widget = cw.ClarifyWidget(session)
widget
"""
VERBS = """
session.annotate("square", phrase)
widget.retrain(wait=True)
session.save(folder)
print(session.compare().sentence)
"""


@pytest.fixture
def notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    cells = [v4.new_code_cell(source) for source in (PARAMETERS, LOOP, VERBS)]
    cells[0].metadata["tags"] = ["parameters"]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    path = tmp_path / "loop.ipynb"
    nbformat.write(v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)
    return path


def test_papermill_runs_the_loop_with_other_parameters_and_the_session_is_kept(
    notebook: Path, tmp_path: Path
) -> None:
    executed = papermill.execute_notebook(
        str(notebook),
        str(tmp_path / "executed.ipynb"),
        {"phrase": "red", "folder": str(tmp_path / "kept")},
        cwd=str(tmp_path),
        progress_bar=False,
    )
    assert not any(output.output_type == "error" for cell in executed.cells for output in cell.outputs)
    loaded = Session.load(tmp_path / "kept", encoder=encoder())
    assert [kept.phrase for kept in loaded.annotations] == ["red"]
    assert loaded.retraining is not None
    assert loaded.compare().sentence in executed.cells[-1].outputs[0].text


def test_exported_page_says_in_words_what_the_widget_was(
    notebook: Path, tmp_path: Path, browser: Browser
) -> None:
    command = [sys.executable, "-m", "nbconvert", "--to", "html", "--execute", str(notebook)]
    subprocess.run(
        command, cwd=tmp_path, check=True, capture_output=True, env=os.environ | {"HOME": str(tmp_path)}
    )
    context = browser.new_context(offline=True)
    page = context.new_page()
    page.goto((tmp_path / "loop.html").as_uri())
    note = page.locator(".cw-no-page")
    assert note.is_visible()
    assert "Clarify: coloured shapes, encoder table, 0 corrections kept." in note.inner_text()
    assert 'session.report("report.html")' in note.inner_text()
    context.close()
