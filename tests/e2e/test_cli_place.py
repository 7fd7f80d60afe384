"""Which app a command acts on, the help, and what is missing."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.e2e.command import Home, flights


def test_without_a_word_commands_act_on_what_ran_here(home: Home) -> None:
    done = home("tables")
    assert done.code == 2
    assert done.err.startswith("Error: Which app? Name it with --app FILE[:app]")
    home("send", "flights", "-", "--app", "airline.py:app", given=flights("F1"))
    assert home("tables", "flights", "F1").code == 0


def test_a_project_names_its_app_for_all_directories_below(home: Home) -> None:
    (home.path / "pyproject.toml").write_text('[tool.extrovert]\napp = "airline.py:app"\n')
    below = home.path / "deep" / "down"
    below.mkdir(parents=True)
    home("send", "flights", "-", given=flights("F1"))
    home.path = below
    assert home("tables", "flights", "F1").code == 0


def test_a_data_directory_knows_its_app(home: Home) -> None:
    home("send", "flights", "-", "--app", "airline.py", "--data", "elsewhere", given=flights("F1"))
    assert home("tables", "flights", "F1", "--data", "elsewhere").code == 0
    done = home("decisions", "--data", "nowhere")
    assert done.code == 1
    assert done.err.startswith("Error: There is no log in nowhere.")


def test_the_app_is_named_by_its_attribute(home: Home) -> None:
    done = home("tables", "--app", "airline.py:airline")
    assert done.code == 2
    assert f"`airline` is not there in {home.path}/airline.py. This is: {home.path}/airline.py:app." in done.err


def test_the_help_imports_little(home: Home) -> None:
    code = "import sys; from extrovert.surfaces import cli; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=dict(os.environ), check=True
    )
    assert not {"asyncio", "sqlite3", "rich.console", "extrovert.demos"} & set(done.stdout.split())


def test_a_demo_whose_packages_are_missing_says_how_to_install_them(home: Home) -> None:
    hide = (
        "import sys; sys.modules['extrovert.demos.storm.cli'] = None; from extrovert.surfaces.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", hide, "demo", "storm"], capture_output=True, text=True, cwd=home.path, check=False
    )
    assert done.returncode == 1
    assert 'Install it with: pip install "extrovert[demo]"' in done.stderr
    assert "Traceback" not in done.stderr
