"""The pytest plugin, as a user's own tests see it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

APP = """
from extrovert import App, Record

class Row(Record):
    key: str

app = App("app")
rows = app.table("rows", Row, key=Row.key)
"""

WITH_AN_APP = f"""{APP}
async def test_it(world):
    await world.send(rows, Row("a"))
    assert rows["a"] == Row("a")

async def test_it_can_fail(world):
    assert rows.get("a") is not None
"""

WITH_A_FIXTURE = f"""{APP.replace("app =", "made =").replace("app.table", "made.table")}
import pytest

@pytest.fixture(name="app")
def the_app():
    return made

def test_it(world):
    assert rows.get("a") is None
"""


def run(home: Path, test: str) -> str:
    (home / "test_users.py").write_text(test)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_users.py"]
    return subprocess.run(command, cwd=home, capture_output=True, text=True, check=False).stdout


def test_coroutine_tests_run_on_the_app_of_their_module(tmp_path: Path) -> None:
    out = run(tmp_path, WITH_AN_APP)
    assert "1 failed, 1 passed" in out
    assert "assert None is not None" in out


def test_the_app_may_be_a_fixture(tmp_path: Path) -> None:
    assert "1 passed" in run(tmp_path, WITH_A_FIXTURE)
