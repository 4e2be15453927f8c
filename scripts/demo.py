"""Run a notebook from top to bottom without a person, then serve it with its kernel still alive.

The notebook runs in a kernel that JupyterLab itself has started, so that the page that a person opens
shows the very widget that the run has made, and it answers at once.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
from jupyter_client.manager import AsyncKernelManager
from jupyter_core.paths import jupyter_runtime_dir
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat.sign import NotebookNotary

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[1]
COMPARISON_TAG = "comparison"  # the cell whose text is the before/after table
CELL_TIMEOUT = 600  # seconds
STARTUP_TIMEOUT = 60
FIRST_PORT = 8888


class ServedKernel(AsyncKernelManager):
    """A kernel that a Jupyter server has started and goes on to look after."""

    @property
    def has_kernel(self) -> bool:
        """The server has started it."""
        return True

    async def _async_is_alive(self) -> bool:
        """Say yes: the server restarts it when it dies."""
        return True

    is_alive = _async_is_alive


class Server:
    """A JupyterLab on this machine only, with a token in its address in place of a prompt."""

    def __init__(self, folder: Path, arguments: list[str]) -> None:
        self.port = free_port()
        self.token = secrets.token_urlsafe(16)
        self.log = folder / "jupyterlab.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"),
                    "--ServerApp.ip=127.0.0.1",
                    f"--ServerApp.port={self.port}",
                    "--ServerApp.port_retries=0",
                    f"--ServerApp.root_dir={folder}",
                    *arguments,
                ],
                env=os.environ | {"JUPYTER_TOKEN": self.token},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def address(self, notebook: str) -> str:
        """Where a person opens the notebook."""
        return f"http://127.0.0.1:{self.port}/lab/tree/{notebook}?token={self.token}"

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Call the server's REST interface."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/api/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"token {self.token}"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - always http to ourselves
            return json.load(answer)

    def wait_until_ready(self) -> None:
        """Return when the server answers."""
        deadline = time.monotonic() + STARTUP_TIMEOUT
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                end = self.log.read_text(encoding="utf-8", errors="replace")[-2000:]
                message = f"JupyterLab did not start; the end of {self.log}:\n{end}"
                raise RuntimeError(message)
            time.sleep(0.1)

    def _answers(self) -> bool:
        try:
            self.call("GET", "status")
        except OSError:
            return False
        return True

    def start_kernel(self, notebook: str) -> ServedKernel:
        """Start the kernel that the page will find when it opens ``notebook``."""
        session = self.call(
            "POST",
            "sessions",
            {"path": notebook, "name": notebook, "type": "notebook", "kernel": {"name": "python3"}},
        )
        connection = Path(jupyter_runtime_dir()) / f"kernel-{session['kernel']['id']}.json"
        kernel = ServedKernel(connection_file=str(connection))
        kernel.load_connection_file()
        return kernel

    def stop(self) -> None:
        """End the server and its kernels."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)


def free_port() -> int:
    """Return Jupyter's usual port, or the first free one after it."""
    for port in range(FIRST_PORT, FIRST_PORT + 100):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    message = f"no free port from {FIRST_PORT} to {FIRST_PORT + 99}"
    raise RuntimeError(message)


@contextlib.contextmanager
def served(folder: Path, arguments: list[str]) -> Iterator[Server]:
    """Serve ``folder`` until the block ends."""
    server = Server(folder, arguments)
    try:
        server.wait_until_ready()
        yield server
    finally:
        server.stop()


def execute(path: Path, kernel: ServedKernel | None) -> nbformat.NotebookNode:
    """Run the notebook at ``path`` in its folder and write it back, trusted, also when a cell fails."""
    notebook: nbformat.NotebookNode = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        km=kernel,
        timeout=CELL_TIMEOUT,
        kernel_name="python3",
        extra_arguments=["--IPKernelApp.log_level=ERROR"],
        resources={"metadata": {"path": str(path.parent)}},
    )
    try:
        client.execute()
    finally:
        nbformat.write(notebook, path)
        NotebookNotary().sign(notebook)  # JupyterLab shows no widget of a notebook that it does not trust
        if kernel is not None and client.kc is not None:
            client.kc.stop_channels()
    return notebook


def comparison(notebook: nbformat.NotebookNode) -> str:
    """Text of the before/after table."""
    cells = [cell for cell in notebook.cells if COMPARISON_TAG in cell.metadata.get("tags", [])]
    outputs = [output for cell in cells for output in cell.outputs]
    return "\n".join(
        output.text if output.output_type == "stream" else output.get("data", {}).get("text/plain", "")
        for output in outputs
    ).strip("\n")


def tell(path: Path, notebook: nbformat.NotebookNode, seconds: float) -> None:
    """Print what the run has shown and where its files are."""
    print(f"\n{comparison(notebook)}\n")
    print(f"ran {path.name} in {seconds:.0f} s")
    print(f"  executed notebook  {path}")
    for report in sorted(path.parent.glob("*.html")):
        print(f"  report             {report}")


def wait_for_ctrl_c(server: Server, notebook: str) -> None:
    """Say where the notebook is and serve it until a person ends it."""
    address = server.address(notebook)
    print(f"\nJupyterLab: {address}\n(Ctrl-C ends it)", flush=True)
    if sys.stdout.isatty() and (sys.platform == "darwin" or os.environ.get("DISPLAY")):
        webbrowser.open(address)
    server.process.wait()


def parse(arguments: list[str]) -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(description=__doc__, epilog="Other arguments go to JupyterLab.")
    parser.add_argument("--notebook", type=Path, default=ROOT / "notebooks" / "quickstart.ipynb")
    parser.add_argument("--outputs", type=Path, default=ROOT / "outputs")
    parser.add_argument("--no-serve", dest="serve", action="store_false")
    return parser.parse_known_args(arguments)


def main(arguments: list[str]) -> int:
    settings, for_jupyterlab = parse(arguments)
    outputs = settings.outputs.resolve()
    outputs.mkdir(parents=True, exist_ok=True)
    path = Path(shutil.copy(settings.notebook, outputs))
    begin = time.monotonic()
    try:
        with contextlib.ExitStack() as stack:
            server = stack.enter_context(served(outputs, for_jupyterlab)) if settings.serve else None
            print(f"running {path.name} ...", flush=True)
            notebook = execute(path, server.start_kernel(path.name) if server else None)
            tell(path, notebook, time.monotonic() - begin)
            if server:
                wait_for_ctrl_c(server, path.name)
    except CellExecutionError as error:
        print(f"{error}\n{path.name} failed; what ran is in {path}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
