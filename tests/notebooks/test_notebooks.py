"""Every notebook runs from top to bottom in a fresh kernel."""

from __future__ import annotations

import os
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
WATERBIRDS = Path(os.environ.get("CLARIFY_WATERBIRDS_DIR", NOTEBOOKS.parents[1] / "shared" / "waterbirds"))


def run(notebook, folder):
    """Execute a copy in a folder of its own and return all the text that it printed."""
    nodes = nbformat.read(NOTEBOOKS / notebook, as_version=4)
    NotebookClient(nodes, timeout=300, resources={"metadata": {"path": str(folder)}}).execute()
    outputs = [output for cell in nodes.cells for output in cell.get("outputs", [])]
    texts = [output.get("text") or output.get("data", {}).get("text/plain", "") for output in outputs]
    return "\n".join(texts)


@pytest.mark.skipif(
    not WATERBIRDS.exists(), reason="needs the Waterbirds photographs; set CLARIFY_WATERBIRDS_DIR"
)
def test_waterbirds_runs_the_whole_loop_on_real_photographs(tmp_path, monkeypatch):
    monkeypatch.setenv("CLARIFY_WATERBIRDS_DIR", str(WATERBIRDS.resolve()))
    printed = run("waterbirds.ipynb", tmp_path)
    worst = [float(value) for value in re.findall(r"worst group (0\.\d+)", printed)]
    erm, clarify, oracle = worst
    assert erm == pytest.approx(0.495, abs=0.01)
    assert clarify == pytest.approx(0.751, abs=0.02)
    assert oracle == pytest.approx(0.793, abs=0.02)
    assert re.search(r"Fixed: \d+ photographs", printed)
    assert (tmp_path / "outputs" / "waterbirds-report.html").stat().st_size > 50_000


def test_methods_plays_the_league_and_shows_that_noise_does_no_harm(tmp_path):
    printed = run("methods.ipynb", tmp_path)
    noise = printed[printed.index("phrases of noise") :]
    erm, clarify = (
        re.search(rf"{name}.*?(\d+\.\d)", noise).group(1) for name in ("ERM", r"slice-balanced\)")
    )
    assert erm == clarify
    right = printed[printed.index("phrases of attribute") : printed.index("phrases of noise")]
    assert float(re.search(r"slice-balanced\) +(\d+\.\d)", right).group(1)) > float(erm) + 10
