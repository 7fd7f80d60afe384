"""The rules of the house: small files, small functions, telling names, and an import that costs next to nothing."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "src" / "extrovert"
FILES = sorted(ROOT.rglob("*.py"))

FILE_LINES = 400
FUNCTION_LINES = 60
TIMES_ASYNCIO = 6
"""So many times as long as that of asyncio may the import take: machines differ, and one is not always as fast."""
VAGUE = {"base", "helper", "helpers", "manager", "managers", "util", "utils"}
HEAVY = {"asyncio", "click", "numpy", "pandas", "rich", "sqlite3", "typer"}

# Prints the milliseconds on the first line, then the modules that came with the import.
IMPORT = """
import sys, time
before = set(sys.modules)
start = time.process_time()  # of the processor: others may be using it
import {}
print((time.process_time() - start) * 1000)
print(*sorted(set(sys.modules) - before))
"""


def functions(file: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{file.relative_to(ROOT)}:{node.lineno} {node.name}", (node.end_lineno or 0) - node.lineno + 1


def imported(module: str, home: Path) -> tuple[float, set[str]]:
    """Milliseconds and modules of the import in a fresh interpreter, without a coverage run's hooks."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    done = subprocess.run(
        [sys.executable, "-c", IMPORT.format(module)], cwd=home, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    took_ms, modules = done.stdout.splitlines()
    return float(took_ms), set(modules.split())


def test_the_sources_are_found() -> None:
    assert ROOT / "__init__.py" in FILES


def test_a_file_has_at_most_400_lines() -> None:
    lines = {str(file.relative_to(ROOT)): len(file.read_text(encoding="utf-8").splitlines()) for file in FILES}
    assert {file: count for file, count in lines.items() if count > FILE_LINES} == {}


def test_a_function_has_fewer_than_60_lines() -> None:
    found = [function for file in FILES for function in functions(file)]
    assert {name: count for name, count in found if count >= FUNCTION_LINES} == {}


def test_a_module_is_named_by_its_reason_to_exist() -> None:
    modules = [file.relative_to(ROOT).with_suffix("") for file in FILES]
    assert [str(module) for module in modules if VAGUE & {part.strip("_") for part in module.parts}] == []


def test_a_package_has_an_init() -> None:
    packages = {file.parent for file in FILES}
    assert [str(package.relative_to(ROOT)) for package in packages if not (package / "__init__.py").exists()] == []


def test_importing_extrovert_is_quick(tmp_path: Path) -> None:
    ours, asyncio = zip(
        *((imported("extrovert", tmp_path)[0], imported("asyncio", tmp_path)[0]) for _ in range(5)), strict=True
    )
    assert min(ours) < TIMES_ASYNCIO * min(asyncio)


@pytest.mark.parametrize("module", sorted(HEAVY))
def test_importing_extrovert_leaves_out(module: str, tmp_path: Path) -> None:
    assert module not in imported("extrovert", tmp_path)[1]
