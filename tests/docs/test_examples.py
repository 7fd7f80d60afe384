"""The examples of the README and the docs run: the Python of a page is one test module."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from pytest_examples import find_examples

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
WITH_CODE = [page for page in PAGES if "```python" in page.read_text()]


ACROSS = {
    "README.md": "any booking's view reads any flight",
    "context.md": "baskets, orders and trades look up products and prices of any key, and a product the lines of all",
    "tools.md": "a case looks at the seats of any flight",
}
"""The pages whose app needs more than its own shard."""

STRICT = """
from extrovert import App

declare = App.__init__


def strict(self, name, **options):
    declare(self, name, **{**options, "strict_shards": True})


App.__init__ = strict
"""


def test_the_examples_of_each_page_run(tmp_path: Path) -> None:
    failed, told = run(WITH_CODE, tmp_path)
    assert failed == set(), told


def test_the_examples_of_each_page_keep_to_their_shards(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(STRICT)
    failed, told = run(WITH_CODE, tmp_path)
    assert failed == set(ACROSS), told


def run(pages: list[Path], home: Path) -> tuple[set[str], str]:
    """Runs the Python of each page as one test module, all of them in one process: the names of the pages that failed,
    and what was said."""
    modules: dict[str, str] = {}
    for page in pages:
        blocks = [example.source for example in find_examples(page) if example.prefix.startswith("py")]
        module = home / f"test_{page.stem.lower()}_page.py"
        module.write_text("\n\n".join(blocks))
        modules[module.name] = page.name
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rfE", "-p", "no:cacheprovider", str(home)],
        capture_output=True,
        text=True,
        cwd=home,
        check=False,
    )
    told = result.stdout + result.stderr
    failed = {modules[name] for name in re.findall(r"^(?:FAILED|ERROR) (\w+\.py)", result.stdout, re.MULTILINE)}
    assert result.returncode == (1 if failed else 0), told
    return failed, told


def test_links_between_pages_lead_somewhere() -> None:
    for page in [*PAGES, ROOT / "ARCHITECTURE.md", *(ROOT / "docs" / "decisions").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}, which is not there"
