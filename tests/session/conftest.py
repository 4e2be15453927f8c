from __future__ import annotations

import pytest

from clarify_widget import Session
from tests.session.planted import planted_dataset, planted_encoder


@pytest.fixture
def session():
    fitted = Session(planted_dataset(), planted_encoder())
    fitted.fit()
    return fitted
