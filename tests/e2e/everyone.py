"""What is asked of a page so that it is for everyone: nothing that axe finds, nothing beyond its edge."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page

# Rules of every kind; only what a rule cannot decide ("incomplete") is left to the eye.
RUN_AXE = """async () => {
  const options = {rules: {"target-size": {enabled: true}}, resultTypes: ["violations"]};
  const {violations} = await axe.run(document.querySelector(".cw-root"), options);
  return violations.flatMap(({id, nodes}) => nodes.map(node => `${id}: ${node.html.slice(0, 160)}
    ${node.failureSummary.replaceAll("\\n", " ")}`));
}"""

# What lies beyond the card at its right, and cannot be seen or makes it scroll sideways.
BEYOND = """async () => {
  for (let frame = 0; frame < 3; frame++) await new Promise(requestAnimationFrame);
  const root = document.querySelector(".cw-root");
  const card = root.querySelector(".cw-card");
  const edge = card.getBoundingClientRect().right + 1;
  const seen = node => node.checkVisibility() && !node.closest(".cw-hidden, .cw-tip, dialog");
  const beyond = [...card.querySelectorAll("*")].filter(
    node => seen(node) && node.getBoundingClientRect().right > edge);
  const scrolls = [root, card].filter(node => node.scrollWidth > node.clientWidth + 1);
  return [...beyond, ...scrolls].map(node => node.outerHTML.slice(0, 160));
}"""


def resize(page: Page, width: int) -> None:
    """Give the widget that many pixels, whatever the notebook has around it."""
    page.evaluate(
        "width => { document.querySelector('.cw-root').parentElement.style.width = `${width}px`; }", width
    )
