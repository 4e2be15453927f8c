"""What tests of several parts share."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.e2e.lab import chromium, chromium_path

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if chromium_path() is None:
        message = "no Chromium: `make test` looks for one, or set CLARIFY_CHROMIUM to its path"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    with chromium() as browser:
        yield browser
