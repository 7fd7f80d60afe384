"""Each example is one short file, and its page quotes it as it is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMES = ["desk", "fraud", "shop", "together"]


@pytest.mark.parametrize("name", NAMES)
def test_an_example_has_fewer_than_100_lines(name: str) -> None:
    assert len((ROOT / "examples" / f"{name}.py").read_text().splitlines()) < 100


@pytest.mark.parametrize("name", NAMES)
def test_a_page_quotes_its_example(name: str) -> None:
    source = "".join(path.read_text() for path in sorted((ROOT / "examples").glob(f"{name}*.py")))
    page = (ROOT / "docs" / "examples" / f"{name}.md").read_text()
    quoted = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    assert [text for text in quoted if text not in source] == []


@pytest.mark.parametrize("name", NAMES)
def test_the_links_of_a_page_lead_somewhere(name: str) -> None:
    page = ROOT / "docs" / "examples" / f"{name}.md"
    targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
    assert [target for target in targets if not (page.parent / target).exists()] == []
    assert targets
