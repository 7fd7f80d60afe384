"""Which app is meant, where its state is, and what is said about an app that cannot be loaded."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from extrovert import DeclarationError
from extrovert.stores.sqlite import SqliteStore
from extrovert.surfaces.apps import Reference, known_app, locate, reference


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The present directory, empty; what is imported in the test is forgotten after it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [*__import__("sys").path])
    monkeypatch.setattr("sys.modules", dict(__import__("sys").modules))
    return tmp_path


def write(file: Path, text: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(dedent(text))
    return file


def remembering(data: Path, app: str) -> None:
    data.mkdir()
    store = SqliteStore(data / "log.sqlite")
    store.set_meta("app", app)
    store.set_meta("app_name", "shop")
    store.close()


def test_a_reference_is_a_file_and_a_name(here: Path) -> None:
    write(here / "shop.py", "")
    assert reference("shop.py") == Reference(here / "shop.py", "app")
    assert reference("shop.py:shop") == Reference(here / "shop.py", "shop")
    assert str(reference("shop.py:shop")) == f"{here}/shop.py:shop"


def test_a_colon_in_a_path_is_no_name(here: Path) -> None:
    write(here / "a:b" / "shop.py", "")
    assert reference("a:b/shop.py") == Reference(here / "a:b" / "shop.py", "app")


def test_a_file_that_is_not_there_may_have_been_meant_with_its_ending(here: Path) -> None:
    write(here / "shop.py", "")
    with pytest.raises(DeclarationError, match=r"There is no file shop\. Did you mean shop\.py\?"):
        reference("shop")
    with pytest.raises(DeclarationError, match="is no Python file"):
        reference(str(write(here / "shop.txt", "")))


def test_the_state_is_beside_the_app_if_nobody_says_else(here: Path) -> None:
    write(here / "apps" / "shop.py", "")
    assert locate("apps/shop.py", None).data == Path("apps/.extrovert")
    assert locate("apps/shop.py", Path("x")).data == Path("x")


def test_the_nearest_project_names_the_app(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(here / "pyproject.toml", '[tool.extrovert]\napp = "shop.py:shop"\n')
    write(here / "shop.py", "")
    below = here / "a" / "b"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert locate(None, None).app == Reference(here / "shop.py", "shop")
    assert locate(None, None).data == here / ".extrovert"
    write(here / "a" / "pyproject.toml", "[project]\n")
    with pytest.raises(DeclarationError, match="Which app"):
        locate(None, None)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[tool.extrovert]\napp = 3", "must be text"),
        ("[tool.extrovert]\napp = 'nothing.py'", "There is no file nothing.py"),
        ("[tool", "pyproject.toml: "),
    ],
)
def test_what_is_wrong_in_a_project_is_said_with_its_place(here: Path, text: str, said: str) -> None:
    write(here / "pyproject.toml", text)
    with pytest.raises(DeclarationError) as error:
        locate(None, None)
    assert str(here / "pyproject.toml") in str(error.value)
    assert said in str(error.value)


def test_the_directory_that_an_app_left_here_knows_it(here: Path) -> None:
    remembering(here / ".extrovert", f"{write(here / 'shop.py', '')}:shop")
    place = locate(None, None)
    assert place.data == Path(".extrovert")
    assert place.reference() == Reference(here / "shop.py", "shop")
    assert known_app(here / "elsewhere") is None


def test_a_named_directory_knows_its_app_better_than_the_project(here: Path) -> None:
    write(here / "pyproject.toml", '[tool.extrovert]\napp = "other.py"\n')
    write(here / "other.py", "")
    remembering(here / "data", f"{write(here / 'shop.py', '')}:app")
    assert locate(None, Path("data")).reference().file == here / "shop.py"
    assert locate(None, Path("fresh")).reference().file == here / "other.py"


def test_an_app_can_import_what_lies_beside_it(here: Path) -> None:
    write(here / "colours.py", "RED = 'red'")
    file = write(here / "paint_shop.py", "import colours\nfrom extrovert import App\napp = App(colours.RED)\n")
    assert Reference(file, "app").load().name == "red"


def test_an_app_in_a_package_is_imported_as_a_part_of_it(here: Path) -> None:
    write(here / "firm" / "__init__.py", "")
    write(here / "firm" / "names.py", "NAME = 'firm'")
    file = write(
        here / "firm" / "shop.py",
        """
        from extrovert import App
        from .names import NAME
        app = App(NAME)
        module = __name__
        """,
    )
    app = Reference(file, "app").load()
    assert app.name == "firm"
    import firm.shop  # pyright: ignore

    assert firm.shop.app is app  # pyright: ignore


def test_what_an_app_prints_while_it_is_loaded_is_not_taken_for_output(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(here / "loud_shop.py", "from extrovert import App\nprint('loading')\napp = App('loud')\n")
    Reference(file, "app").load()
    assert capsys.readouterr() == ("", "loading\n")


def test_an_attribute_that_is_no_app_is_not_taken_for_one(here: Path) -> None:
    file = write(here / "two_shops.py", "from extrovert import App\na = App('a')\nb = App('b')\napp = 3\n")
    with pytest.raises(DeclarationError, match=rf"`app` is not an App in .* This is: {file}:a, {file}:b\."):
        Reference(file, "app").load()
    with pytest.raises(DeclarationError, match="`c` is not there in"):
        Reference(file, "c").load()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1\ny = (\n", "bad_shop.py:2: '(' was never closed."),
        ("x = 1\n\nx.y\n", "bad_shop.py:3: AttributeError: 'int' object has no attribute 'y'"),
        ("import nothing_such\n", "bad_shop.py:1: ModuleNotFoundError: No module named 'nothing_such'"),
        ("raise SystemExit(3)\n", "bad_shop.py:1: SystemExit: 3"),
        (
            "from extrovert import App\n\nApp('a').stream('no name', int, key='x')\n",
            "bad_shop.py:3: `no name` is no name for a stream: ",
        ),
    ],
)
def test_an_app_that_fails_to_load_says_in_which_line(here: Path, text: str, said: str) -> None:
    file = write(here / "bad_shop.py", text)
    with pytest.raises(DeclarationError) as error:
        Reference(file, "app").load()
    assert str(error.value).startswith(str(here / said))


def test_a_file_may_not_have_the_name_of_another_module(here: Path) -> None:
    with pytest.raises(DeclarationError, match="there is another module named `json`"):
        Reference(write(here / "json.py", ""), "app").load()
