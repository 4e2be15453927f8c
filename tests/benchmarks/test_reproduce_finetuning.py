"""The commands for CLIP's weights, with small random models in its two architectures, on real photographs."""

from __future__ import annotations

import csv
import os
import re
import shutil
import sys
from pathlib import Path

import pytest

from clarify_widget import encoders
from clarify_widget.errors import DataError
from tests.finetuning.tiny import tiny_encoder

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reproduction.md"
WATERBIRDS = Path(os.environ.get("CLARIFY_WATERBIRDS_DIR", ROOT.parent / "shared" / "waterbirds"))
BLOCKS = ("table 2: RN50", "table 4: RN50", "table 2: ViT-L-14-336", "table 4: ViT-L-14-336")

needs_photographs = pytest.mark.skipif(
    not WATERBIRDS.exists(), reason="needs the Waterbirds photographs; set CLARIFY_WATERBIRDS_DIR"
)


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Run the command on a copy of the page; return the copy's text."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import reproduce_finetuning

    def run(*arguments):
        page = tmp_path / "page.md"
        if not page.exists():
            page.write_text(PAGE.read_text(encoding="utf-8"), encoding="utf-8")
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(
            sys, "argv", ["reproduce_finetuning.py", *map(str, arguments), "--write", str(page)]
        )
        reproduce_finetuning.main()
        return page.read_text(encoding="utf-8")

    return run


@pytest.fixture
def few_photographs(tmp_path):
    """A Waterbirds folder with some photographs of every split and group, in the benchmark's own layout."""
    root = tmp_path / "waterbirds"
    with (WATERBIRDS / "metadata.csv").open() as file:
        rows = list(csv.DictReader(file))
    cells = {}
    for row in rows:
        cells.setdefault((row["split"], row["y"], row["place"]), []).append(row)
    kept = [row for of_cell in cells.values() for row in of_cell[:6]]
    for row in kept:
        target = root / "images" / row["img_filename"]
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(WATERBIRDS / "images" / row["img_filename"], target)
    with (root / "metadata.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=rows[0].keys())
        writer.writeheader()
        writer.writerows(kept)
    return root


def block(page, key):
    return re.search(rf"<!-- fine-tuning {key} -->\n(.*?)<!-- end of", page, flags=re.DOTALL).group(1)


@needs_photographs
@pytest.mark.parametrize("variant", ["paper", "released"])
def test_both_architectures_run_from_disk_to_the_page_and_back_to_disk(
    run, few_photographs, tmp_path, variant
):
    folders = [f"local-dir:{tiny_encoder(kind).save(tmp_path / kind)}" for kind in ("resnet", "vit")]
    page = run(
        "--waterbirds", few_photographs, "--encoder", *folders, "--epochs", 2, "--save", "tuned",
        "--variant", variant,
    )  # fmt: skip
    for key in BLOCKS:
        assert "not run" not in block(page, key).lower()
        assert str(tmp_path) not in block(page, key)
    methods = [line.split(" | ")[0] for line in block(page, "table 4: RN50").splitlines()[2:8]]
    assert methods[-1] == "| L_lc + L_vc + L_vs"
    for backbone in ("RN50", "ViT-L-14-336"):
        saved = tmp_path / "tuned" / backbone / "L_lc-+-L_vc-+-L_ls"
        assert encoders.load(str(saved), device="cpu").dim == 16


def test_page_has_the_papers_numbers_and_says_what_was_not_run(run):
    page = run()
    assert page == PAGE.read_text(encoding="utf-8")
    ours = "| L_lc + L_vc + L_ls | 84.7 | not run | 77.5 | not run | 0.628 | 0.499 |"
    assert ours in block(page, "table 4: RN50")
    assert "| waterbird on land | 34.0 | not run |" in block(page, "table 2: ViT-L-14-336")
    assert "| baby pacifier | baby | water bottle | 62.1 |" in block(page, "table 3")
    assert "| Pre-trained | 73.7 | 30.8 | 0.651 | 0.380 |" in block(page, "table 5")
    assert "--encoder RN50/openai ViT-L-14-336/openai --write" in block(page, "table 4: RN50")


def test_missing_photographs_are_named(run, tmp_path):
    with pytest.raises(DataError, match=r"metadata\.csv"):
        run("--waterbirds", tmp_path, "--encoder", tiny_encoder().save(tmp_path / "model"))
