"""The snippets of the page about fine-tuning run as they stand, with fewer epochs."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from clarify_widget import finetuning
from clarify_widget.session import finetuning as session_finetuning

PAGE = Path(__file__).parents[2] / "docs" / "finetuning.md"


def test_every_snippet_works_as_written(tmp_path, monkeypatch, capsys):
    few = replace(finetuning.DRAWN, epochs=1)
    monkeypatch.setattr(finetuning, "DRAWN", few)
    monkeypatch.setattr(session_finetuning, "DRAWN", few)
    monkeypatch.chdir(tmp_path)
    text = PAGE.read_text(encoding="utf-8")
    snippets = re.findall(r"^```python\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)
    assert len(snippets) == 5
    exec(compile("\n".join(snippets), str(PAGE), "exec"), {})  # noqa: S102 - it is our own page
    printed = capsys.readouterr().out
    assert "Worst group on test" in printed
    assert "star with owl" in printed
    assert (tmp_path / "tuned" / "open_clip_model.safetensors").exists()
