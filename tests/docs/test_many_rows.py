"""The script of docs/many-rows.md, run by torchrun as it stands, gives the head of a session."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np

import clarify_widget as cw

REPOSITORY = Path(__file__).parents[2]


def test_the_script_trains_the_head_that_a_session_trains_in_one_process(tmp_path):
    page = (REPOSITORY / "docs" / "many-rows.md").read_text(encoding="utf-8")
    (script,) = re.findall(r"^```python\n(.*?)^```$", page, flags=re.DOTALL | re.MULTILINE)
    (tmp_path / "train_together.py").write_text(script, encoding="utf-8")
    session = cw.Session(cw.datasets.sprites(), "demo", cache_dir=tmp_path / "cache")
    session.fit()
    session.annotate("square", "red")
    session.annotate("oval", "blue")
    session.annotations.save(tmp_path / "annotations.json")
    session.retrain()
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    ended = subprocess.run(
        [sys.executable, *launcher, "train_together.py"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    head = cw.LinearHead.load(tmp_path / "head.safetensors")
    np.testing.assert_allclose(head.weights, session.retrained.weights, atol=1e-5)
    np.testing.assert_allclose(head.bias, session.retrained.bias, atol=1e-5)
