"""What a user writes, as pyright sees it in strict mode: right code is accepted, and each mistake is found."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import defaultdict
from functools import cache
from pathlib import Path

TYPING = Path(__file__).parents[1] / "typing"
MARK = re.compile(r"# error: (\w+)$")


@cache
def reported() -> dict[str, dict[int, set[str]]]:
    """The rules that pyright reports, by file and line."""
    done = subprocess.run(
        [sys.executable, "-m", "pyright", "--project", str(TYPING), "--outputjson", "--pythonpath", sys.executable],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"},
    )
    assert done.returncode in (0, 1), done.stderr
    found: dict[str, dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))
    for one in json.loads(done.stdout)["generalDiagnostics"]:
        found[Path(one["file"]).name][one["range"]["start"]["line"] + 1].add(one["rule"])
    return found


def marked(name: str) -> dict[int, str]:
    """The rules that are announced in the file, by line."""
    lines = (TYPING / name).read_text(encoding="utf-8").splitlines()
    return {number: mark[1] for number, line in enumerate(lines, start=1) if (mark := MARK.search(line))}


def test_right_code_has_no_error() -> None:
    assert reported()["right.py"] == {}


def test_each_mistake_is_found_and_nothing_else() -> None:
    expected = marked("wrong.py")
    found = reported()["wrong.py"]
    assert len(expected) > 30
    assert sorted(found) == sorted(expected)
    assert {line: rule for line, rule in expected.items() if rule not in found[line]} == {}
