"""The snippets of the documentation run as they stand."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd

REPOSITORY = Path(__file__).parents[2]


def run_page(name, folder, *, at_least):
    """Run all snippets of a page as one program in a folder, and return what it printed."""
    page = (REPOSITORY / "docs" / name).read_text(encoding="utf-8")
    snippets = re.findall(r"^```python\n(.*?)^```$", page, flags=re.DOTALL | re.MULTILINE)
    assert len(snippets) >= at_least
    (folder / "page.py").write_text("\n".join(snippets), encoding="utf-8")
    ended = subprocess.run(
        [sys.executable, "-W", "error::UserWarning:clarify_widget", "page.py"],
        cwd=folder,
        env=os.environ
        | {"PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1", "HF_HOME": str(folder / "hf")}
        | {"HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_every_way_in_and_out_works_as_written(tmp_path):
    assert "Worst" in run_page("your-own.md", tmp_path, at_least=14)
    tables = pd.read_csv(tmp_path / "weights.csv"), pd.read_parquet(tmp_path / "weights.parquet")
    np.testing.assert_array_equal(tables[0]["weight"], tables[1]["weight"])
    assert (tmp_path / "report.html").stat().st_size > 50_000


def test_what_the_model_leans_on_is_found_and_shown_as_written(tmp_path):
    printed = run_page("attributes.md", tmp_path, at_least=3)
    assert "On water bird the AI is right on" in printed
    assert "Worst group on test" in printed
    assert (tmp_path / "map.png").stat().st_size > 1_000
