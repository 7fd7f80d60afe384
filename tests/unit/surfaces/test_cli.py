"""The help of each command is worth reading."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from extrovert.surfaces.cli import app

COMMANDS = [
    "run",
    "send",
    "chat",
    "tables",
    "sql",
    "decisions",
    "explain",
    "why-not",
    "prompt",
    "backtest",
    "shadow",
    "approvals",
    "approve",
    "deny",
    "dead-letters",
    "effects",
    "settle",
    "freshness",
    "inspect",
    "mcp",
    "mcp-tools",
    "demo",
]


def test_the_help_names_all_commands() -> None:
    told = CliRunner().invoke(app, ["--help"]).output
    assert [line.split()[0] for line in told[told.index("Commands:") :].splitlines()[1:]] == COMMANDS


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_has_examples(name: str) -> None:
    done = CliRunner().invoke(app, [name, "--help"])
    assert done.exit_code == 0
    assert f"\n    extrovert {name}" in done.output


@pytest.mark.parametrize(
    "name",
    ["tables", "decisions", "explain", "why-not", "backtest", "shadow", "approvals", "dead-letters", "freshness"],
)
def test_a_reading_command_says_what_its_json_holds(name: str) -> None:
    told = CliRunner().invoke(app, [name, "--help"]).output
    assert "With --json, one object" in told


def test_without_a_command_the_help_is_shown_as_misuse() -> None:
    done = CliRunner().invoke(app, [])
    assert done.exit_code == 2
    assert "Usage: extrovert" in done.output
