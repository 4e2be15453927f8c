"""Check, build and test the front end where Node is there."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FRONT_END = ROOT / "js"
BUNDLE = ROOT / "clarify_widget" / "static"
OLDEST_NODE = 20


def why_not() -> str | None:
    """Why the front end cannot be built here, if it cannot."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm:
        return "no Node here"
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    if int(version.lstrip("v").split(".")[0]) < OLDEST_NODE:
        return f"Node {version} is older than {OLDEST_NODE}"
    return None


def npm(*arguments: str) -> None:
    """Run npm in the front end's folder."""
    subprocess.run(["npm", *arguments], cwd=FRONT_END, stdin=subprocess.DEVNULL, check=True)


def install() -> None:
    """Install the locked packages, unless they are there already."""
    installed = FRONT_END / "node_modules" / ".package-lock.json"
    locked = FRONT_END / "package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < locked.stat().st_mtime:
        npm("ci", "--no-audit", "--no-fund", "--loglevel=error")
        installed.touch()


def bundle() -> dict[str, str]:
    """Digest of every built file."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(BUNDLE.glob("*.*"))}


def build() -> None:
    """Build the bundle; it is committed, so that people who only install need no Node."""
    npm("run", "--silent", "build")


def check() -> int:
    """Lint, types, unit tests, and that the committed bundle is the one that these sources give."""
    npm("run", "--silent", "check")
    before = bundle()
    build()
    if bundle() != before:
        print(
            "front end: clarify_widget/static was not what js/ builds. It is now: look at it and commit it.",
            file=sys.stderr,
        )
        return 1
    npm("run", "--silent", "test")
    return 0


def main(step: str) -> int:
    reason = why_not()
    if reason:
        print(f"front end: skipped, {reason} (wanted: Node {OLDEST_NODE} or later)", file=sys.stderr)
        return 1 if os.environ.get("CI") == "true" else 0
    try:
        install()
        if step == "check":
            return check()
        build()
    except subprocess.CalledProcessError as error:
        print(f"front end: `{' '.join(error.cmd)}` failed", file=sys.stderr)
        return error.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
