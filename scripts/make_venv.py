"""Create the virtual environment. Runs under any Python 3, so that an old one gets a clear message."""

import os
import shutil
import subprocess
import sys
from typing import Any

OLDEST = (3, 10)
NAMES = ["python3.13", "python3.12", "python3.11", "python3.14", "python3.10"]


def main(target: str) -> Any:
    if sys.version_info < OLDEST:
        newer = next(filter(None, map(shutil.which, NAMES)), None)
        if newer is None:
            return (
                "clarify_widget needs Python 3.10 or later, and `{}` is {}.{}.\n"
                "Install a newer one, or name it: make PYTHON=/path/to/python3.11 ..."
            ).format(sys.executable, *sys.version_info[:2])
        os.execv(newer, [newer, *sys.argv])  # noqa: S606 - the same script under the newer Python
    try:
        subprocess.run([sys.executable, "-m", "venv", "--clear", target], check=True)
    except subprocess.CalledProcessError:
        return "`python3 -m venv` does not work here; on Debian and Ubuntu: apt-get install python3-venv"
    python = os.path.join(target, "bin", "python")  # noqa: PTH118 - strings are enough here
    upgrade = [python, "-m", "pip", "install", "--quiet", "--upgrade", "pip"]
    return subprocess.run(upgrade, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
