"""The harness itself: a bare anywidget, so that a fault here is told from a fault in ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.e2e.lab import Lab

ECHO = '''
import anywidget, traitlets

class Echo(anywidget.AnyWidget):
    _esm = """
    export default {
      render({ model, el }) {
        const button = document.createElement("button");
        const show = () => { button.textContent = "count " + model.get("count"); };
        button.dataset.testid = "echo";
        button.onclick = () => { model.set("count", model.get("count") + 1); model.save_changes(); };
        model.on("change:count", show);
        show();
        el.append(button);
      },
    };
    """
    count = traitlets.Int(0).tag(sync=True)

echo = Echo()
echo
'''


def test_a_bare_widget_reaches_the_kernel_and_survives_a_reload(lab: Lab, page: Page) -> None:
    notebook = lab.show(page, "echo.ipynb", ECHO)
    notebook.run_all()
    button = page.get_by_test_id("echo")
    button.click()
    page.get_by_text("count 1").wait_for()
    question = notebook.append_cell("print('kernel says', echo.count)")
    notebook.run_cell(question)
    assert notebook.text_of(question) == "kernel says 1\n"

    notebook.save()
    notebook.reload()
    page.get_by_text("count 1").wait_for()
