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


def test_every_way_in_and_out_works_as_written(tmp_path):
    page = (REPOSITORY / "docs" / "your-own.md").read_text(encoding="utf-8")
    snippets = re.findall(r"^```python\n(.*?)^```$", page, flags=re.DOTALL | re.MULTILINE)
    assert len(snippets) >= 14
    (tmp_path / "page.py").write_text("\n".join(snippets), encoding="utf-8")
    ended = subprocess.run(
        [sys.executable, "-W", "error::UserWarning:clarify_widget", "page.py"],
        cwd=tmp_path,
        env=os.environ
        | {"PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1", "HF_HOME": str(tmp_path / "hf")}
        | {"HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert "Worst" in ended.stdout
    tables = pd.read_csv(tmp_path / "weights.csv"), pd.read_parquet(tmp_path / "weights.parquet")
    np.testing.assert_array_equal(tables[0]["weight"], tables[1]["weight"])
    assert (tmp_path / "report.html").stat().st_size > 50_000
