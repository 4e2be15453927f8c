"""Every notebook runs from top to bottom in a fresh kernel."""

from __future__ import annotations

import os
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.datasets.miniature_imagenet import MISLED, draw, write_devkit, write_train, write_v2, write_val

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
WATERBIRDS = Path(os.environ.get("CLARIFY_WATERBIRDS_DIR", NOTEBOOKS.parents[1] / "shared" / "waterbirds"))


def outputs_of(notebook, folder):
    """Execute a copy in a folder of its own and return what its cells put out."""
    nodes = nbformat.read(NOTEBOOKS / notebook, as_version=4)
    NotebookClient(nodes, timeout=300, resources={"metadata": {"path": str(folder)}}).execute()
    return [output for cell in nodes.cells for output in cell.get("outputs", [])]


def text_of(outputs):
    """Return all the text that a notebook printed."""
    texts = [output.get("text") or output.get("data", {}).get("text/plain", "") for output in outputs]
    return "\n".join(texts)


def run(notebook, folder):
    return text_of(outputs_of(notebook, folder))


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


def test_imagenet_applies_the_papers_annotations_to_a_miniature_and_says_so(tmp_path, monkeypatch):
    root, v2 = tmp_path / "imagenet", tmp_path / "v2"
    write_train(root, MISLED, 100, draw)
    write_devkit(root, write_val(root, MISLED, 50, draw))
    write_v2(v2, MISLED, 50, draw)
    monkeypatch.setenv("CLARIFY_IMAGENET_DIR", str(root))
    monkeypatch.setenv("CLARIFY_IMAGENET_V2_DIR", str(v2))
    monkeypatch.setenv("CLARIFY_IMAGENET_CLASSES", " ".join(MISLED))
    monkeypatch.setenv("CLARIFY_IMAGENET_ENCODER", "demo")
    outputs = outputs_of("imagenet.ipynb", tmp_path)
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 4
    printed = text_of(outputs)
    assert "These figures come from a miniature of 4 classes" in printed
    assert "images of mushroom with “red”" in printed
    assert "images of corn cob with “green”" in printed
    for split in ("val", "test"):
        before, after = re.search(rf"{split} +minority: (\S+)% before, (\S+)% after", printed).groups()
        assert float(after) > float(before) + 5


def test_finetuning_mitigates_what_two_words_name(tmp_path):
    outputs = outputs_of("finetuning.ipynb", tmp_path)
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 3
    printed = text_of(outputs)
    plain, ours = (
        float(re.search(rf"{name} +(\d+\.\d)%", printed).group(1))
        for name in ("fine-tuned CLIP", r"L_lc \+ L_vc \+ L_ls")
    )
    assert ours > plain + 15
    of_session = re.findall(r"Worst group on test: (\S+)% → (\S+)%", printed)
    assert len(of_session) == 2  # retrained, and fine-tuned
    assert all(float(after) > float(before) + 20 for before, after in of_session)
    assert (tmp_path / "outputs" / "tuned" / "open_clip_config.json").exists()
