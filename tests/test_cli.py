"""The loop in a shell: the real command, in processes of its own."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from safetensors.numpy import load_file

import clarify_widget as cw
from clarify_widget import cli

REPOSITORY = Path(__file__).parents[1]
WATERBIRDS = Path(os.environ.get("CLARIFY_WATERBIRDS_DIR", REPOSITORY.parent / "shared" / "waterbirds"))

# A shell's background jobs ignore Ctrl-C, and so does what they start. This takes it back in the new process
# itself: `preexec_fn` would fork, which Lance warns about wherever it has been imported.
INTERRUPTIBLE = (
    "import os, signal, sys\n"
    "signal.signal(signal.SIGINT, signal.SIG_DFL)\n"
    "os.execv(sys.argv[1], sys.argv[1:])\n"
)


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
        (("score", "session", "square", "red", "--device", "gpu"), "The device 'gpu' cannot be used"),
    ],
)
def test_what_goes_wrong_is_one_line_and_status_1(loop, capsys, monkeypatch, arguments, said):
    monkeypatch.chdir(loop[0])
    assert cli.main(arguments) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    (line,) = shown.err.strip().splitlines()
    assert line.startswith("clarify-widget: ")
    assert said in line


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("look",),
        ("score", "sprites"),
        ("suggest", "sprites", "-k", "0"),
        ("embed", "sprites", "--classes", "golf ball"),
        ("score", "folder:photos", "dog", "grass", "--v2", "imagenetv2"),
        ("embed", "sprites", "--workers", "2"),
        ("embed", "sprites", "--engine", "ray"),
        ("embed", "session", "--engine", "ray", "--cache", "rows"),
        ("score", "sprites", "square", "red", "--engine", "ray"),
    ],
)
def test_what_is_not_understood_is_status_2(capsys, arguments):
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2
    assert "usage: clarify-widget" in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["embed", "score", "suggest", "retrain", "report"])
def test_every_verb_has_help_with_examples_that_are_understood_and_the_exit_status(capsys, monkeypatch, verb):
    with pytest.raises(SystemExit):
        cli.main([verb, "--help"])
    shown = capsys.readouterr().out
    assert "exit status: 0 when" in shown
    examples = re.findall(rf"^  clarify-widget ({verb} .*)$", shown, flags=re.MULTILINE)
    assert len(examples) >= 2
    asked = []
    monkeypatch.setattr(cli, f"_{verb}", lambda given: asked.append(given) or {})
    assert [cli.main(shlex.split(example)) for example in examples] == [0] * len(examples)
    assert len(asked) == len(examples)


def test_a_saved_session_takes_a_device_and_a_cache(loop, monkeypatch):
    opened = {}

    def load(source, **options):
        opened.update(options, source=source)
        raise cw.errors.SavedSessionError("seen")

    monkeypatch.setattr(cw.Session, "load", load)
    arguments = ["score", "session", "square", "red", "--device", "cpu", "--cache", "rows"]
    assert cli.main(arguments) == 1
    assert opened == {"source": "session", "encoder": None, "device": "cpu", "cache_dir": Path("rows")}
    monkeypatch.undo()
    session = cw.Session.load(loop[0] / "session", device="cpu", cache_dir=loop[0] / "rows")
    assert session.encoder.device.type == "cpu"


def test_imagenet_is_read_with_the_classes_and_the_test_split_that_are_asked_for(monkeypatch):
    read = {}

    def imagenet(root, **options):
        read.update(options, root=root)
        raise cw.errors.DataError("seen")

    monkeypatch.setattr(cw.datasets, "imagenet", imagenet)
    arguments = ["embed", "imagenet:there", "--classes", "n07715103, golf ball", "--v2", "v2"]
    assert cli.main(arguments) == 1
    assert read == {"root": "there", "classes": ["n07715103", "golf ball"], "v2": Path("v2")}


def test_interrupted_command_is_one_line_and_status_130_and_goes_on_from_its_cache(loop, tmp_path):
    """The line of progress says that the first images are embedded; there Ctrl-C is pressed."""
    arguments = ("embed", "sprites", "--cache", "rows")
    with subprocess.Popen(
        [sys.executable, "-c", INTERRUPTIBLE, sys.executable, "-m", "clarify_widget.cli", *arguments],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        shown = process.stderr.read(1)  # what is written first is progress
        process.send_signal(signal.SIGINT)
        answered, rest = process.communicate()
    *progress, line = (shown + rest).strip().splitlines()
    assert process.returncode == 130
    assert answered == ""
    assert all("Embedding" in text for text in progress)
    assert line.startswith("clarify-widget: interrupted; what was embedded is in rows")
    kept = sum(len(load_file(path)["rows"]) for path in (tmp_path / "rows").rglob("*.safetensors"))
    assert 0 < kept < 2000
    assert answer(tmp_path, *arguments) == loop[1]["embed"] | {"session": None}


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
def test_the_loop_runs_on_photographs_of_waterbirds(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def answered(*arguments):
        assert cli.main(arguments) == 0
        return json.loads(capsys.readouterr().out)

    head, *rows = (WATERBIRDS / "metadata.csv").read_text(encoding="utf-8").splitlines()
    (tmp_path / "metadata.csv").write_text("\n".join([head, *rows[::40]]), encoding="utf-8")
    (tmp_path / "images").symlink_to((WATERBIRDS / "images").resolve())
    embedded = answered("embed", f"waterbirds:{tmp_path}", "--save", "session")
    assert embedded["dataset"] == "Waterbirds"
    assert sum(embedded["images"].values()) == len(rows[::40])
    worst = embedded["classes"][0]["name"]
    found = answered("suggest", "session", "-k", "1")
    assert found["class_name"] == worst
    phrase = found["suggestions"][0]["phrase"]
    weights = ("--weights", "weights.csv")
    retrained = answered("retrain", "session", "--keep", worst, phrase, *weights)
    assert [row["name"] for row in retrained["comparison"]["rows"] if row["kind"] == "group"]
    assert len((tmp_path / "weights.csv").read_text().splitlines()) == 1 + embedded["images"]["train"]


def test_the_installed_command_is_this_one():
    """`make test` installs it; PYTHONPATH makes it run the code of this checkout."""
    ended = subprocess.run(
        [Path(sysconfig.get_path("scripts")) / "clarify-widget", "score", "nowhere", "square", "red"],
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith("clarify-widget: nowhere is not a saved session")
