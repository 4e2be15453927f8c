"""One browser and one JupyterLab for the end-to-end tests of a worker."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.e2e.lab import (
    PATIENCE,
    REPOSITORY,
    VIEWPORT,
    Lab,
    jupyterlab,
    watched_page,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

expect.set_options(timeout=PATIENCE)
HERE = Path(__file__).parent
AXE = REPOSITORY / "js" / "node_modules" / "axe-core" / "axe.min.js"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker("e2e")


@pytest.fixture(scope="session")
def lab(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:  # noqa: ARG001 - no server without a browser
    with jupyterlab(tmp_path_factory.mktemp("jupyterlab")) as lab:
        yield lab


@pytest.fixture(scope="session")
def watched(browser: Browser) -> Iterator[tuple[Page, list[str]]]:
    with watched_page(browser) as watched:
        yield watched


@pytest.fixture
def page(watched: tuple[Page, list[str]]) -> Iterator[Page]:
    """The one page of all tests: loading JupyterLab anew takes longer than a test."""
    page, faults = watched
    faults.clear()
    page.set_viewport_size(VIEWPORT)
    yield page
    assert not faults, "\n".join(faults)


@pytest.fixture(scope="session")
def screenshots() -> Path:
    folder = REPOSITORY / "test-results" / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def axe() -> str:
    if not AXE.exists():
        message = "no axe-core: `make front-end` installs it, where Node is"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return AXE.read_text(encoding="utf-8")
