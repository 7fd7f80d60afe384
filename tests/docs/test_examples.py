"""The examples of the README and the docs run: the Python of a page is one test module."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
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


@pytest.mark.parametrize("page", WITH_CODE, ids=lambda page: page.name)
def test_the_examples_of_a_page_run(page: Path, tmp_path: Path) -> None:
    result = run(page, tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("page", WITH_CODE, ids=lambda page: page.name)
def test_the_examples_of_a_page_keep_to_their_shards(page: Path, tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(STRICT)
    result = run(page, tmp_path)
    kept = result.returncode == 0
    assert kept == (page.name not in ACROSS), result.stdout + result.stderr


def run(page: Path, home: Path) -> subprocess.CompletedProcess[str]:
    """Runs the Python of a page as one test module."""
    blocks = [example.source for example in list(find_examples(page)) if example.prefix.startswith("py")]
    module = home / "test_page.py"
    module.write_text("\n\n".join(blocks))
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(module)],
        capture_output=True,
        text=True,
        cwd=home,
        check=False,
    )


def test_links_between_pages_lead_somewhere() -> None:
    import re

    for page in [*PAGES, ROOT / "ARCHITECTURE.md", *(ROOT / "docs" / "decisions").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}, which is not there"
