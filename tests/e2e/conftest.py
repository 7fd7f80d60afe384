from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.command import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A fresh directory with an airline, in which `extrovert` is run: `home("tables", "flights")`."""
    return Home(tmp_path / "home")
