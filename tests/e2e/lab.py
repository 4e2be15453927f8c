"""Drive a real JupyterLab, or Notebook 7, in a real Chromium."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, ConsoleMessage, Error, Page, ViewportSize

REPOSITORY = Path(__file__).resolve().parents[2]
BROWSER_FILE = Path(sys.prefix) / "clarify-browser"
BROWSER_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-quic",
]
SETTINGS = {
    "@jupyterlab/apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "@jupyterlab/docmanager-extension/plugin": {"autosave": False},
    "@jupyter-widgets/jupyterlab-manager/plugin": {"saveState": True},
}
STARTUP_TIMEOUT = 90  # seconds
PATIENCE = 60_000  # milliseconds; a busy machine is no fault
VIEWPORT: ViewportSize = {"width": 1400, "height": 1000}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def server(command: list[str], *, url: str, cwd: Path, env: dict[str, str], log: Path) -> Iterator[str]:
    """Run ``command`` until the block ends; the block starts when ``url`` answers."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env=os.environ | env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            _wait_until_it_answers(process, url, log)
            yield url
        finally:
            _stop(process)


def _wait_until_it_answers(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + STARTUP_TIMEOUT
    while time.monotonic() < deadline and process.poll() is None:
        if _answers(url):
            return
        time.sleep(0.1)
    message = f"{url} did not answer; the end of {log}:\n{log.read_text(errors='replace')[-3000:]}"
    raise RuntimeError(message)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except OSError:
        return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def jupyter_environment(root: Path) -> dict[str, str]:
    """Environment that keeps every file of Jupyter's inside ``root``."""
    for name, settings in SETTINGS.items():
        path = root / "settings" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(settings), encoding="utf-8")
    folders = {
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_DATA_DIR": "data",
        "JUPYTER_RUNTIME_DIR": "runtime",
        "JUPYTERLAB_SETTINGS_DIR": "settings",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        "IPYTHONDIR": "ipython",
    }
    return {variable: str(root / folder) for variable, folder in folders.items()} | {
        "JUPYTER_PREFER_ENV_PATH": "1",
        "JUPYTER_PLATFORM_DIRS": "1",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(REPOSITORY),
    }


@contextlib.contextmanager
def jupyterlab(root: Path, application: str = "jupyterlab", address: str = "lab/tree") -> Iterator[Lab]:
    """JupyterLab over ``root / "notebooks"``, with the application exposed to the page."""
    notebooks = root / "notebooks"
    notebooks.mkdir()
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [
        *(sys.executable, "-m", application, "--no-browser", "--allow-root"),
        "--expose-app-in-browser",
        "--IdentityProvider.token=",
        "--ServerApp.disable_check_xsrf=True",
        "--ServerApp.port_retries=0",
        f"--ServerApp.port={port}",
        f"--ServerApp.root_dir={notebooks}",
    ]
    env = jupyter_environment(root)
    with server(command, url=f"{url}/api/status", cwd=notebooks, env=env, log=root / "lab.log"):
        yield Lab(url, notebooks, address)


def notebook7(root: Path) -> contextlib.AbstractContextManager[Lab]:
    """Notebook 7 in its place: the same parts, with one document on a page."""
    return jupyterlab(root, "notebook", "notebooks")


def chromium_path() -> str | None:
    """Path of the browser that `make test` has found, or that CLARIFY_CHROMIUM names."""
    path = os.environ.get("CLARIFY_CHROMIUM")
    if not path and BROWSER_FILE.exists():
        path = BROWSER_FILE.read_text(encoding="utf-8")
    return path or None


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=BROWSER_ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


class Lab:
    """A running JupyterLab and the folder that it serves."""

    def __init__(self, url: str, folder: Path, address: str) -> None:
        self.url = url
        self.folder = folder
        self.address = address

    def write_notebook(self, name: str, *sources: str) -> str:
        """Write a notebook with one code cell for each source; returns its name."""
        from nbformat import v4

        notebook = v4.new_notebook(
            cells=[v4.new_code_cell(source) for source in sources],
            metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
        )
        (self.folder / name).write_text(v4.writes(notebook), encoding="utf-8")
        return name

    def shut_down_kernels(self) -> None:
        with urllib.request.urlopen(f"{self.url}/api/sessions") as answer:
            sessions = json.load(answer)
        for session in sessions:
            path = f"{self.url}/api/sessions/{session['id']}"
            urllib.request.urlopen(urllib.request.Request(path, method="DELETE")).close()

    def show(self, page: Page, name: str, *sources: str) -> NotebookPage:
        """Show a notebook with these cells, none of them run.

        Tests of one notebook share its kernel, because starting one takes longer than a test.
        """
        notebook = NotebookPage(page)
        if notebook.name == name:
            notebook.replace_cells(*sources)
            return notebook
        if page.url.startswith(self.url):
            page.evaluate(_CLOSE_ALL)
        self.shut_down_kernels()
        self.write_notebook(name, *sources)
        return self.open(page, name)

    def open(self, page: Page, name: str) -> NotebookPage:
        """Open a notebook that exists, alone."""
        if page.url.startswith(self.url):
            page.evaluate("path => window.jupyterapp.commands.execute('docmanager:open', {path})", name)
        else:
            page.goto(f"{self.url}/{self.address}/{name}?reset")
        notebook = NotebookPage(page)
        notebook.wait_until_ready()
        notebook.hide_side_panels()
        return notebook


_CLOSE_ALL = """async () => {
  const app = window.jupyterapp;
  for (const open of app.shell.widgets("main")) await open.context?.save();
  await app.commands.execute("application:close-all");
}"""

# Each runs in the page with `app`, JupyterLab's application, and `panel`, the notebook now in front.
_IN_LAB = """(argument) => {
  const app = window.jupyterapp;
  const panel = app.shell.currentWidget;
  const late = new Promise((_, reject) => setTimeout(() => reject(new Error("not done in 120 s")), 120000));
  return Promise.race([late, (async () => { %s })()]);
}"""

_STATE = """([index, state]) => {
  const cell = window.jupyterapp.shell.currentWidget.content.widgets[index];
  return cell.model.executionState === state;
}"""


class NotebookPage:
    """One browser page that shows one notebook."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def _evaluate(self, script: str, argument: object = None) -> object:
        return self.page.evaluate(_IN_LAB % script, argument)

    @property
    def name(self) -> str | None:
        """Path of the notebook in front, if there is one."""
        path = self.page.evaluate("window.jupyterapp?.shell.currentWidget?.context?.path ?? null")
        return str(path) if path else None

    def replace_cells(self, *sources: str) -> None:
        self._evaluate(
            """
            const cells = panel.content.model.sharedModel;
            cells.transact(() => {
              cells.deleteCellRange(0, cells.cells.length);
              cells.insertCells(0, argument.map(source => ({cell_type: 'code', source})));
            });
            """,
            list(sources),
        )

    def wait_until_ready(self) -> None:
        self.page.wait_for_function(
            """() => {
              const panel = window.jupyterapp?.shell.currentWidget;
              const kernel = panel?.sessionContext?.session?.kernel;
              return panel?.content?.widgets?.length > 0 && kernel?.connectionStatus === "connected"
                && kernel.status === "idle";
            }""",
        )

    def run_all(self) -> None:
        """Run every cell and wait for the last; raises with the traceback when one fails."""
        self._evaluate("await app.commands.execute('notebook:run-all-cells');")
        self.raise_for_errors()

    def start_cell(self, index: int) -> None:
        """Send one cell to the kernel and return at once."""
        self._evaluate(
            """
            panel.content.deselectAll();
            panel.content.activeCellIndex = argument;
            app.commands.execute('notebook:run-cell');
            """,
            index,
        )

    def append_cell(self, source: str) -> int:
        """Add a code cell at the end; returns its index."""
        index = self._evaluate(
            """
            const cells = panel.content.model.sharedModel;
            cells.insertCell(cells.cells.length, {cell_type: 'code', source: argument});
            return cells.cells.length - 1;
            """,
            source,
        )
        assert isinstance(index, int)
        return index

    def run_cell(self, index: int) -> None:
        """Run one cell and wait for it."""
        self._evaluate(
            """
            panel.content.deselectAll();
            panel.content.activeCellIndex = argument;
            await app.commands.execute('notebook:run-cell');
            """,
            index,
        )
        self.raise_for_errors()

    def is_running(self, index: int) -> bool:
        """Whether the kernel is busy with that cell, or has it in its queue."""
        state = self._evaluate("return panel.content.widgets[argument].model.executionState;", index)
        return state == "running"

    def wait_until_running(self, index: int) -> None:
        self.page.wait_for_function(_STATE, arg=[index, "running"])

    def wait_until_done(self, index: int) -> None:
        self.page.wait_for_function(_STATE, arg=[index, "idle"])
        self.raise_for_errors()

    def ask(self, source: str) -> str:
        """Run code in the kernel without a cell, and return what it printed."""
        text = self._evaluate(
            """
            const {kernel} = panel.sessionContext.session;
            const request = {code: argument, store_history: false, stop_on_error: false};
            const future = kernel.requestExecute(request);
            let printed = "";
            future.onIOPub = ({header, content}) => {
              if (header.msg_type === "stream" && content.name === "stdout") printed += content.text;
            };
            const reply = await future.done;
            if (reply.content.status === "error") throw new Error(reply.content.traceback.join("\\n"));
            return printed;
            """,
            source,
        )
        assert isinstance(text, str)
        return text

    def restart_kernel(self) -> None:
        """Restart the kernel; whatever cells it had run are to be run again."""
        self._evaluate("await panel.sessionContext.session.kernel.restart();")
        self.wait_until_ready()

    def delete_last_cell(self) -> None:
        self._evaluate(
            "const cells = panel.content.model.sharedModel; cells.deleteCell(cells.cells.length - 1);"
        )

    def text_of(self, index: int) -> str:
        """Text of everything that a cell has printed or shown."""
        text = self._evaluate(
            """
            const outputs = panel.content.widgets[argument].model.sharedModel.toJSON().outputs;
            return outputs.map(o => [o.text ?? o.data?.['text/plain'] ?? ''].flat().join('')).join('');
            """,
            index,
        )
        assert isinstance(text, str)
        return text

    def raise_for_errors(self) -> None:
        errors = self._evaluate(
            """
            return panel.content.model.sharedModel.toJSON().cells
              .flatMap(cell => cell.outputs ?? [])
              .filter(output => output.output_type === 'error')
              .map(output => output.traceback.join('\\n'));
            """
        )
        if errors:
            raise AssertionError(errors)

    def save(self) -> None:
        self._evaluate("await panel.context.save();")

    def set_theme(self, dark: bool) -> None:
        name = "JupyterLab Dark" if dark else "JupyterLab Light"
        self._evaluate("await app.commands.execute('apputils:change-theme', {theme: argument});", name)
        self.page.wait_for_function(
            "light => document.body.dataset.jpThemeLight === light", arg=str(not dark).lower()
        )

    def hide_side_panels(self) -> None:
        self._evaluate("app.shell.collapseLeft(); app.shell.collapseRight();")

    def wait_until_restarted(self) -> None:
        """Wait for JupyterLab to notice that the kernel died, and to start it again."""
        dialog = self.page.locator(".jp-Dialog", has_text="It will restart automatically")
        dialog.locator(".jp-mod-accept").click()
        self.wait_until_ready()

    def reload(self) -> None:
        """Reload the page; the kernel and what it holds live on."""
        self.page.goto(f"{self.page.url.split('?', maxsplit=1)[0]}?reset")
        self.wait_until_ready()


@contextlib.contextmanager
def watched_page(browser: Browser) -> Iterator[tuple[Page, list[str]]]:
    """Open a page beside the list of what goes wrong on it: scripts that throw, errors that they log."""
    context = browser.new_context(viewport=VIEWPORT, reduced_motion="reduce")
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    faults: list[str] = []

    def on_console(message: ConsoleMessage) -> None:
        if message.type == "error" and not _is_noise(message.text):
            faults.append(f"console: {message.text}")

    def on_error(error: Error) -> None:
        stack = error.stack or str(error)
        if not SPLASH.search(stack):
            faults.append(f"page error: {stack}")

    page.on("pageerror", on_error)
    page.on("console", on_console)
    yield page, faults
    context.close()


NOISE = (
    "Failed to load resource",  # files that JupyterLab looks for and that need not exist
    "WebSocket connection to",  # a server that ended before its page
    "Could not restore the debugger state",  # a kernel that ended before its page
    "Failed to handle request: ",  # marimo's page, when its server has ended before it
)


# A JupyterLab that loads slowly takes its splash screen away twice, from a timer of its own: no other frame.
SPLASH = re.compile(
    r"^NotFoundError: Failed to execute 'removeChild' on 'Node'.*\n +at [^\n]*jlab_core[^\n]*$"
)


def _is_noise(text: str) -> bool:
    """Whether a host logs that on any page, with or without our widget."""
    return text.startswith(NOISE)
