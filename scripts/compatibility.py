"""Run the tests of the session and the widget with the oldest packages that pyproject allows, and the newest.

Each run has a virtual environment of its own, of several GB (torch); it is kept in the folder, so that the
next run is quick. The floors are read from pyproject.toml, so a floor that is raised there is what is tested.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TESTS = (
    "tests/test_widget.py",
    "tests/test_widget_attributes.py",
    "tests/test_widget_describing.py",
    "tests/test_widget_finetuning.py",
    "tests/test_background.py",
    "tests/test_thumbnails.py",
    "tests/session",
    "tests/concepts",
    "tests/training",
    "tests/finetuning",
    "tests/evaluation",
)
IN_A_BROWSER = ("tests/e2e/test_loop.py",)
FOR_TESTS = (
    "cvxpy",
    "grad-cam",
    "hypothesis",
    "matplotlib",
    "pandas",
    "playwright",
    "pyarrow",
    "pytest",
    "scikit-learn",
    "statsmodels",
)
# What the oldest packages need beside them: their own requirements do not say so.
BESIDE_FLOORS = ("ipykernel==6.31.0", "jupyterlab>=4.2", "jupyterlab_widgets<3")
BESIDE_NEWEST = ("ipykernel", "jupyterlab")
TOLD = (
    "ipywidgets",
    "traitlets",
    "anywidget",
    "ipykernel",
    "numpy",
    "pillow",
    "scipy",
    "torch",
    "open_clip_torch",
)


def requirements() -> list[str]:
    """Return what the package needs at run time, as pyproject.toml has it."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    listed = re.search(r"^dependencies = \[(.*?)^\]", text, re.DOTALL | re.MULTILINE)
    assert listed is not None, "pyproject.toml has dependencies"
    return re.findall(r'"([^"]+)"', listed[1])


def environment(folder: Path, python: str, packages: list[str]) -> Path:
    """Make a virtual environment with these packages, or take the one that is there; return its Python."""
    inside = folder / "bin" / "python"
    if not inside.exists():
        subprocess.run([python, "-m", "venv", str(folder)], check=True)
    print(f"installing into {folder}", flush=True)
    command = [str(inside), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages]
    subprocess.run(command, check=True)
    return inside


def run_tests(python: Path, tests: tuple[str, ...]) -> tuple[str, bool]:
    """Return pytest's last line, and whether all tests passed."""
    done = subprocess.run(
        # The oldest packages warn about each other; what warns about us is seen by `make test`.
        [
            *(str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider"),
            *("-W", "ignore::DeprecationWarning", *tests),
        ],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        print(done.stdout[-6000:], done.stderr[-2000:], file=sys.stderr)
    lines = done.stdout.strip().splitlines() or ["pytest did not start"]
    return lines[-1].strip("= "), done.returncode == 0


def versions(python: Path) -> list[str]:
    """Return the versions of the packages that the table names, Python first."""
    script = (
        "import sys, importlib.metadata as m; "
        "print('.'.join(map(str, sys.version_info[:3])), *(m.version(n) for n in sys.argv[1:]))"
    )
    done = subprocess.run([str(python), "-c", script, *TOLD], capture_output=True, text=True, check=True)
    return done.stdout.split()


def runs(python: str) -> bool:
    """Whether there is such a Python; a version manager may have a name on PATH that leads nowhere."""
    found = shutil.which(python)
    return found is not None and subprocess.run([found, "--version"], check=False).returncode == 0


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", default="python3.10", help="the oldest Python: a path or a name on PATH")
    parser.add_argument("--folder", type=Path, default=ROOT / "outputs" / "compatibility")
    settings = parser.parse_args(arguments)
    if not runs(settings.python):
        print(f"no {settings.python} here; name one: --python /path/to/python3.10", file=sys.stderr)
        return 1
    wanted = requirements()
    floors = [requirement.replace(">=", "==") for requirement in wanted]
    pythons = {
        "floors": environment(
            settings.folder / "floors", settings.python, [*floors, *BESIDE_FLOORS, *FOR_TESTS]
        ),
        "newest": environment(
            settings.folder / "newest", sys.executable, ["--upgrade", *wanted, *BESIDE_NEWEST, *FOR_TESTS]
        ),
    }
    columns, all_passed = [], True
    for name, python in pythons.items():
        print(f"testing {name}", flush=True)
        told = []
        for tests in (TESTS, IN_A_BROWSER):
            line, passed = run_tests(python, tests)
            told.append(line)
            all_passed = all_passed and passed
        columns.append([name, *versions(python), *told])
    today = dt.datetime.now(dt.timezone.utc).date().isoformat()
    tested = "session, widget, concepts, training, fine-tuning, evaluation"
    names = [today, "Python", *TOLD, tested, "the loop in JupyterLab"]
    print()
    for name, *values in zip(names, *columns, strict=True):
        print(f"| {name} | {' | '.join(values)} |")
    return 0 if all_passed else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
