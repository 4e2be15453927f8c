"""Run ``pip install`` quietly, with a sign of life every few seconds (torch alone is gigabytes)."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from threading import Thread

SIGN_OF_LIFE = 10  # seconds
TOLD = ("Collecting ", "Downloading ", "Building ", "Preparing ", "Installing ")


class PipOutput(Thread):
    """Copies what pip says into a file and remembers the last line that a person would want."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        super().__init__(daemon=True)
        self.process = process
        self.log = log
        self.latest = "starting"

    def run(self) -> None:
        """Read until pip ends."""
        assert self.process.stdout is not None
        with self.log.open("w", encoding="utf-8") as log:
            for line in self.process.stdout:
                log.write(line)
                log.flush()
                if line.strip().startswith(TOLD):
                    self.latest = line.strip()


def main(arguments: list[str]) -> int:
    log = Path(sys.prefix) / "install.log"
    print(f"installing into {sys.prefix} (the first time: several GB and minutes; all of it in {log})")
    begin = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "pip", "install", "--progress-bar", "off", "--no-input", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    output = PipOutput(process, log)
    output.start()
    output.join(SIGN_OF_LIFE)
    while output.is_alive():
        print(f"  {time.monotonic() - begin:4.0f} s  {output.latest[:100]}", flush=True)
        output.join(SIGN_OF_LIFE)
    if process.wait() != 0:
        print("".join(log.read_text(encoding="utf-8").splitlines(keepends=True)[-30:]), file=sys.stderr)
        return process.returncode
    print(f"installed in {time.monotonic() - begin:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
