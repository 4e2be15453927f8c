"""The script of docs/many-rows.md, run by torchrun as it stands, gives the head of one process."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np

import clarify_widget as cw

REPOSITORY = Path(__file__).parents[2]
RED = cw.Annotation("square", "red", -0.095)


def test_the_script_trains_the_head_of_one_process(tmp_path):
    page = (REPOSITORY / "docs" / "many-rows.md").read_text(encoding="utf-8")
    (script,) = re.findall(r"^```python\n(.*?)^```$", page, flags=re.DOTALL | re.MULTILINE)
    (tmp_path / "train_together.py").write_text(script, encoding="utf-8")
    cw.Annotations([RED]).save(tmp_path / "annotations.json")
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    ended = subprocess.run(
        [sys.executable, *launcher, "train_together.py"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    head = cw.LinearHead.load(tmp_path / "head.safetensors")

    dataset, encoder = cw.datasets.sprites(), cw.encoders.load("demo")
    rows = cw.encoders.embed_images(encoder, dataset.train.images, cache_dir=tmp_path / "cache").embeddings
    red = cw.concepts.similarities(rows, cw.encoders.embed_phrase(encoder, "red"))
    slices = cw.concepts.slice_ids({RED: red}, dataset.train.labels, dataset.class_names, [RED])
    alone = cw.train_head(rows, dataset.train.labels, "slice_balanced", slices)
    np.testing.assert_allclose(head.weights, alone.weights, atol=1e-5)
    np.testing.assert_allclose(head.bias, alone.bias, atol=1e-5)
