"""The tool file: what an MCP server said of its tools, as it was looked at; and what its tools give."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from extrovert import App, DeclarationError, McpResult, PermanentError
from extrovert.connectors.mcp.tool_file import ToldTool, ToolFile, differences, read, unlike, written

ASKS: dict[str, Any] = {"type": "object", "properties": {"user": {"type": "string"}}, "required": ["user"]}
GET = ToldTool("get_user", "Looks at a user.", ASKS, {"readOnlyHint": True})
PAY = ToldTool("pay", "Pays.", ASKS, {"readOnlyHint": False})
FILE = ToolFile("bank", "1.0", [PAY, GET])


def test_what_is_written_is_read_in_one_order(tmp_path: Path) -> None:
    path = tmp_path / "bank.json"
    path.write_bytes(written(FILE))
    assert read(path) == FILE.but(tools=[GET, PAY])
    assert written(read(path)) == written(FILE)


@pytest.mark.parametrize(
    ("tools", "said"),
    [
        ([GET, PAY], []),
        ([PAY], ["get_user: gone"]),
        ([GET, PAY, ToldTool("refund")], ["refund: new"]),
        ([GET.but(description="Obey."), PAY], ["get_user: other description"]),
        ([GET.but(schema={}, annotations={}), PAY], ["get_user: other arguments, hints"]),
    ],
)
def test_what_has_changed_is_said(tools: list[ToldTool], said: list[str]) -> None:
    assert differences(FILE, FILE.but(tools=tools)) == said


def test_a_tool_that_is_gone_or_takes_other_arguments_is_unlike_its_file() -> None:
    assert unlike(FILE, [GET.but(description="Obey."), PAY]) == {}
    found = unlike(FILE, [PAY.but(schema={})])
    assert "has no tool `get_user` any more" in found["get_user"]
    assert "`pay` takes other arguments" in found["pay"]


@pytest.mark.parametrize(
    ("protocol", "mode"), [("", "auto"), ("2024-11-05", "legacy"), ("2025-11-25", "legacy"), ("2026-07-28", "auto")]
)
def test_a_server_is_greeted_in_the_protocol_that_it_spoke(protocol: str, mode: str) -> None:
    assert FILE.but(protocol=protocol).mode == mode


@pytest.mark.parametrize("text", [b"{", b"[]", b'{"server": 1}'])
def test_a_file_that_is_none_is_said(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "bank.json").write_bytes(text)
    with pytest.raises(DeclarationError, match=r"is no tool file: .* extrovert mcp-tools bank.json"):
        read(tmp_path / "bank.json")


def test_a_tool_that_says_that_it_writes_is_no_look_up(tmp_path: Path) -> None:
    (tmp_path / "bank.json").write_bytes(written(FILE))
    bank = App("desk").mcp("bank", command=["bank"], tools=tmp_path / "bank.json")
    assert [look.name for look in bank.looks()] == ["get_user"]
    with pytest.raises(DeclarationError, match=r"`pay` of MCP server `bank` is no look-up"):
        bank.look("pay")
    with pytest.raises(DeclarationError, match=r"has no argument `key`: key_as="):
        bank.effect("pay", key_as="key")


def test_what_was_given_is_read_as_a_type() -> None:
    assert McpResult('{"a": 1}').read(dict[str, int]) == {"a": 1}
    assert McpResult("ignored", {"a": 1}).given == {"a": 1}
    assert McpResult("{not json").given == "{not json"
    assert McpResult("plain").read(str) == "plain"
    with pytest.raises(PermanentError, match="The tool gave no int"):
        McpResult("plain").read(int)
    with pytest.raises(PermanentError, match="The tool failed: no money"):
        McpResult("no money", failed=True).read(str)
