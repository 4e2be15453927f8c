"""Find a Chromium for the end-to-end tests, or install one, and write its path into a file."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "microsoft-edge",
)
MAC_APPLICATIONS = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
APT_PACKAGES = ("chromium", "fonts-dejavu-core", "fonts-noto-color-emoji")


def starts(path: str) -> bool:
    """Whether the program at ``path`` tells its version (a stub that wants a snap store does not)."""
    try:
        done = subprocess.run([path, "--version"], capture_output=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def installed() -> str | None:
    """Path of a browser that is already on this machine."""
    wanted = os.environ.get("CLARIFY_CHROMIUM")
    if wanted:
        return shutil.which(wanted)
    found = [path for name in NAMES if (path := shutil.which(name))]
    found += [path for path in MAC_APPLICATIONS if Path(path).exists()]
    return next((path for path in found if starts(path)), None)


def from_the_system() -> str | None:
    """Install the system's package where apt and the right to use it exist."""
    if not shutil.which("apt-get"):
        return None
    if os.geteuid() == 0:
        prefix: list[str] = []
    elif shutil.which("sudo") and _runs(["sudo", "-n", "true"]):
        prefix = ["sudo", "-n"]
    else:
        return None
    print("browser: installing the system's chromium", flush=True)
    environment = ["env", "DEBIAN_FRONTEND=noninteractive"]
    apt = [*prefix, *environment, "apt-get", "-qq"]
    if _runs([*apt, "update"]) and _runs([*apt, "install", "-y", "--no-install-recommends", *APT_PACKAGES]):
        return installed()
    return None


def from_playwright() -> str | None:
    """Download Playwright's own Chromium."""
    print("browser: downloading Playwright's chromium", flush=True)
    if not _runs([sys.executable, "-m", "playwright", "install", "chromium"]):
        return None
    return playwright_path()


def playwright_path() -> str | None:
    """Path of the Chromium that Playwright downloaded earlier."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if Path(path).exists() else None


def _runs(command: list[str]) -> bool:
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600, check=False
    )
    if done.returncode != 0:
        print("\n".join((done.stdout + done.stderr).splitlines()[-5:]), file=sys.stderr)
    return done.returncode == 0


def main(target: Path) -> int:
    """Write the path of a browser into ``target``; without one, fail where CI is set."""
    path = installed() or playwright_path() or from_the_system() or from_playwright()
    target.unlink(missing_ok=True)
    if path:
        target.write_text(path, encoding="utf-8")
        print(f"browser: {path}")
        return 0
    print(
        "browser: no Chromium found, and none could be installed; the end-to-end tests are skipped.\n"
        "         Install chromium, or set CLARIFY_CHROMIUM to a Chrome or Chromium program.",
        file=sys.stderr,
    )
    return 1 if os.environ.get("CI") == "true" else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
