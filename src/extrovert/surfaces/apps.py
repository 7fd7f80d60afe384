"""Apps: which app a command acts on, where its state is, and how its file is loaded."""

from __future__ import annotations

import importlib
import sys
import tomllib
import traceback
from contextlib import redirect_stdout
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from extrovert.app import App
from extrovert.core.errors import DeclarationError, ExtrovertError
from extrovert.core.record import Record

__all__ = ["KnownApp", "Place", "Reference", "known_app", "locate", "log_of", "reference"]

DATA = ".extrovert"
LOG = "log.sqlite"
PROJECT = "pyproject.toml"
HOW = (
    "Name it with --app FILE[:app], its state with --data DIR, or write `app` under [tool.extrovert] in pyproject.toml."
)


class Reference(Record):
    """Where an app is declared: the attribute `name` of the Python file `file`. As text, `FILE:app`."""

    file: Path
    name: str

    def __str__(self) -> str:
        return f"{self.file}:{self.name}"

    def load(self) -> App:
        """Runs the file and returns its app. Raises `DeclarationError`, which says where in the file it went wrong."""
        module = _module(self.file)
        found = getattr(module, self.name, None)
        if isinstance(found, App):
            return found
        others = ", ".join(f"{self.file}:{name}" for name, value in vars(module).items() if isinstance(value, App))
        what = "is not an App" if hasattr(module, self.name) else "is not there"
        raise DeclarationError(
            f"`{self.name}` {what} in {self.file}. "
            + (f"This is: {others}." if others else f'Declare it there: {self.name} = App("…").')
        )


class KnownApp(Record):
    """The app that a data directory belongs to, as it was when it last ran: `FILE:app`, and what it calls itself."""

    file: str
    name: str


class Place(Record):
    """What a command acts on: the data directory, and the app as far as it was named."""

    data: Path
    app: Reference | None = None

    def reference(self) -> Reference:
        """Where the app is declared; if nobody said so, where it was when it last ran on this data directory."""
        if self.app is not None:
            return self.app
        known = known_app(self.data)
        if known is not None:
            return _known(self.data, known)
        found = _in_project(Path.cwd())
        if found is None:
            raise DeclarationError(f"{self.data} does not say which app it belongs to. {HOW}")
        return found


def reference(text: str, beside: Path | None = None) -> Reference:
    """`FILE[:app]` as a reference; a relative FILE is looked up in the directory `beside` (default: the present one).

    Raises `DeclarationError` where there is no such file.
    """
    file, colon, name = text.rpartition(":")
    if not colon or not name.isidentifier():
        file, name = text, "app"
    path = Path(file).expanduser()
    path = (beside or Path.cwd()) / path
    if not path.is_file():
        hint = f" Did you mean {file}.py?" if path.with_suffix(".py").is_file() and not path.suffix else ""
        raise DeclarationError(
            f"There is no file {file}.{hint} An app is named as FILE[:app]: airline.py, airline.py:app."
        )
    if path.suffix != ".py":
        raise DeclarationError(f"{file} is no Python file. An app is named as FILE[:app]: airline.py, airline.py:app.")
    return Reference(path.resolve(), name)


def locate(app: str | None, data: Path | None) -> Place:
    """The place that `--app` and `--data` name. Without --app, the data directory knows its app; without either, it is
    what the nearest pyproject.toml names, or `.extrovert` here. Raises `DeclarationError` where nothing is named."""
    if app is not None:
        named = reference(app)
        return Place(data or _beside(named), named)
    if data is not None:
        return Place(data)
    named = _in_project(Path.cwd())
    if named is not None:
        return Place(_beside(named), named)
    if (Path(DATA) / LOG).exists():
        return Place(Path(DATA))
    raise DeclarationError(f"Which app? {HOW}")


def log_of(data: Path) -> Path:
    """The log in a data directory. Raises `ExtrovertError` where there is none yet."""
    log = data / LOG
    if not log.exists():
        raise ExtrovertError(
            f"There is no log in {data}. Nothing has run there yet; if the state is elsewhere, name it with --data DIR."
        )
    return log


def _known(data: Path, known: KnownApp) -> Reference:
    try:
        return reference(known.file)
    except DeclarationError as error:
        raise DeclarationError(
            f"{data} belongs to app `{known.name}`, last run from {known.file}, which is not there any more. Say where "
            f"it is now: --app FILE[:app]."
        ) from error


def _beside(app: Reference) -> Path:
    """The default data directory, as short as it can be said from here."""
    data = app.file.parent / DATA
    here = Path.cwd()
    return data.relative_to(here) if data.is_relative_to(here) else data


def _in_project(start: Path) -> Reference | None:
    """The app that the nearest pyproject.toml names."""
    project = next((folder / PROJECT for folder in (start, *start.parents) if (folder / PROJECT).is_file()), None)
    if project is None:
        return None
    try:
        tool = tomllib.loads(project.read_text(encoding="utf-8")).get("tool", {})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DeclarationError(f"{project}: {error}.") from error
    ours: Any = cast("dict[str, Any]", tool).get("extrovert", {})
    app = cast("dict[str, Any]", ours).get("app") if isinstance(ours, dict) else None
    if app is None:
        return None
    if not isinstance(app, str):
        raise DeclarationError(f'{project}: `app` under [tool.extrovert] must be text, such as "airline.py:app".')
    try:
        return reference(app, beside=project.parent)
    except DeclarationError as error:
        raise DeclarationError(f"{project}, [tool.extrovert]: {error}") from error


def known_app(data: Path) -> KnownApp | None:
    """The app that last ran on a data directory; None where none has."""
    from extrovert.stores.sqlite import SqliteStore

    if not (data / LOG).exists():
        return None
    store = SqliteStore(data / LOG, read_only=True)
    try:
        file, name = store.meta("app"), store.meta("app_name")
    finally:
        store.close()
    return None if file is None or name is None else KnownApp(file, name)


# ---- loading a file


def _module(file: Path) -> ModuleType:
    """Imports the file under the name that other files of its project would import it by."""
    root, name = file.parent, file.stem
    while (root / "__init__.py").exists():
        root, name = root.parent, f"{root.name}.{name}"
    known = sys.modules.get(name)
    if known is not None and getattr(known, "__file__", None) == str(file):
        return known
    if known is not None or name in sys.stdlib_module_names:
        raise DeclarationError(f"{file}: there is another module named `{name}`. Rename the file.")
    if "." in file.stem:
        raise DeclarationError(f"{file}: a module cannot have a dot in its name. Rename the file.")
    sys.path.insert(0, str(root))
    importlib.invalidate_caches()
    try:
        with redirect_stdout(sys.stderr):
            return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        raise DeclarationError(_what_went_wrong(file, error)) from error


def _what_went_wrong(file: Path, error: BaseException) -> str:
    """An error on the way, with the line of the file that it came from."""
    if isinstance(error, SyntaxError):
        return f"{error.filename}:{error.lineno}: {error.msg}."
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)]
    where = f"{file}:{lines[-1]}" if lines else str(file)
    if isinstance(error, ExtrovertError):
        return f"{where}: {error}"
    return f"{where}: {type(error).__name__}: {error}"
