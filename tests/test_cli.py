"""The loop in a shell: the real command, in processes of its own."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

import clarify_widget as cw
from clarify_widget import cli

REPOSITORY = Path(__file__).parents[1]
WATERBIRDS = Path(os.environ.get("CLARIFY_WATERBIRDS_DIR", REPOSITORY.parent / "shared" / "waterbirds"))


def run(folder, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "clarify_widget.cli", *map(str, arguments)],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def answer(folder, *arguments):
    ended = run(folder, *arguments)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


@pytest.fixture(scope="module")
def loop(tmp_path_factory):
    """Run every example of --help, in order; return the folder and what each verb answered."""
    folder = tmp_path_factory.mktemp("loop")
    shown = run(folder, "--help").stdout
    examples = re.findall(r"^  clarify-widget (.*)$", shown, flags=re.MULTILINE)
    answers = {}
    for example in examples:
        words = shlex.split(example)
        answers[words[0]] = answer(folder, *words)
    return folder, answers


def test_the_examples_of_help_run_the_whole_loop_on_sprites(loop):
    folder, answers = loop
    assert list(answers) == ["embed", "score", "suggest", "retrain", "report"]
    assert answers["embed"]["images"] == {"train": 2000, "val": 400, "test": 400}
    assert [one["phrase"] for one in answers["score"]["scores"]] == ["red", "blue"]
    assert answers["score"]["scores"][0]["direction"] == 1
    assert len(answers["suggest"]["suggestions"]) == 5
    worst = next(row for row in answers["retrain"]["comparison"]["rows"] if row["kind"] == "worst")
    assert worst["after"] > worst["before"] + 0.1
    assert (folder / "report.html").stat().st_size > 50_000


def test_the_page_shows_what_the_command_prints(loop):
    page = (REPOSITORY / "docs" / "command-line.md").read_text(encoding="utf-8")
    shown = page.partition("$ clarify-widget embed sprites --save session\n")[2].partition("\n$ ")[0]
    assert json.loads(shown[shown.index("{") :]) == loop[1]["embed"]
    shown = page.partition("$ clarify-widget score session square red\n")[2].partition("\n$ ")[0]
    scored = json.loads(shown)["scores"][0]
    assert scored["sentence"] == loop[1]["score"]["scores"][0]["sentence"]
    assert loop[1]["retrain"]["comparison"]["sentence"] in page


def test_what_it_answers_is_what_a_session_says(loop):
    folder, answers = loop
    session = cw.Session.load(folder / "session")
    assert answers["retrain"]["comparison"]["sentence"] == session.compare().sentence
    assert answers["score"]["scores"][0]["score"] == pytest.approx(session.score("square", "red").score)
    assert [kept.phrase for kept in session.annotations] == ["red", "blue"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("score", "session", "hexagon", "red"), "no class 'hexagon'"),
        (("score", "session", "square", " "), "phrase is empty"),
        (("retrain", "session", "--objective", "best"), "No objective 'best'"),
        (("embed", "nowhere"), "nowhere is not a saved session"),
        (("embed", "waterbirds:nowhere"), "There is no nowhere/metadata.csv"),
        (("embed", "frame:nowhere.csv"), "nowhere.csv"),
    ],
)
def test_what_goes_wrong_is_one_line_and_status_1(loop, arguments, said):
    ended = run(loop[0], *arguments)
    assert ended.returncode == 1
    assert ended.stdout == ""
    (line,) = ended.stderr.strip().splitlines()
    assert line.startswith("clarify-widget: ")
    assert said in line


@pytest.mark.parametrize(
    "arguments", [(), ("look",), ("score", "sprites"), ("suggest", "sprites", "-k", "0")]
)
def test_what_is_not_understood_is_status_2(capsys, arguments):
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2
    assert "usage: clarify-widget" in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["embed", "score", "suggest", "retrain", "report"])
def test_every_verb_has_help_with_its_example_and_the_exit_status(capsys, verb):
    with pytest.raises(SystemExit):
        cli.main([verb, "--help"])
    shown = capsys.readouterr().out
    assert f"  clarify-widget {verb} " in shown
    assert "exit status: 0 when" in shown


def test_a_table_of_images_is_read_from_its_own_folder_and_progress_is_on_stderr(tmp_path):
    rng, lines = np.random.default_rng(0), ["image,label,split"]
    for split, count in (("train", 8), ("val", 4)):
        for number in range(count):
            for label, hue in (("dark", 40), ("light", 200)):
                name = f"{split} {label} {number}.png"
                pixels = rng.normal(hue, 20, (16, 16, 3)).clip(0, 255).astype(np.uint8)
                PIL.Image.fromarray(pixels).save(tmp_path / name)
                lines.append(f"{name},{label},{split}")
    (tmp_path / "table.csv").write_text("\n".join(lines))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    ended = run(elsewhere, "embed", f"frame:{tmp_path / 'table.csv'}", "--cache", "rows")
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["images"] == {"train": 16, "val": 8}
    assert "100% Embedding val images" in ended.stderr
    assert list((elsewhere / "rows").rglob("*.safetensors"))


@pytest.mark.skipif(
    not WATERBIRDS.exists(), reason="needs the Waterbirds photographs; set CLARIFY_WATERBIRDS_DIR"
)
def test_the_loop_runs_on_photographs_of_waterbirds(tmp_path):
    head, *rows = (WATERBIRDS / "metadata.csv").read_text(encoding="utf-8").splitlines()
    (tmp_path / "metadata.csv").write_text("\n".join([head, *rows[::40]]), encoding="utf-8")
    (tmp_path / "images").symlink_to((WATERBIRDS / "images").resolve())
    embedded = answer(tmp_path, "embed", f"waterbirds:{tmp_path}", "--save", "session")
    assert embedded["dataset"] == "Waterbirds"
    assert sum(embedded["images"].values()) == len(rows[::40])
    worst = embedded["classes"][0]["name"]
    found = answer(tmp_path, "suggest", "session", "-k", "1")
    assert found["class_name"] == worst
    phrase = found["suggestions"][0]["phrase"]
    weights = ("--weights", "weights.csv")
    retrained = answer(tmp_path, "retrain", "session", "--keep", worst, phrase, *weights)
    assert [row["name"] for row in retrained["comparison"]["rows"] if row["kind"] == "group"]
    assert len((tmp_path / "weights.csv").read_text().splitlines()) == 1 + embedded["images"]["train"]


def test_the_installed_command_is_this_one():
    project = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    assert '[project.scripts]\nclarify-widget = "clarify_widget.cli:main"\n' in project
