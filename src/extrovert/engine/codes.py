"""Codes: a fingerprint of what a function does, by its byte code and by all of the user's code that it refers to.

So the values of a view can be kept over a restart, and a change of a helper, a constant or a record's method is noticed
as well as one of the view itself. What cannot be told apart from another edition of itself has no fingerprint. Byte
code differs between versions of Python, so what hangs on a fingerprint is made anew after a change of that.
"""

from __future__ import annotations

import re
import sys
import sysconfig
import types
from collections.abc import Iterable
from datetime import date, time, timedelta, tzinfo
from decimal import Decimal
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any, cast, get_args
from uuid import UUID

import msgspec

from extrovert.context.search import Search
from extrovert.context.stream import Stream
from extrovert.context.table import Table
from extrovert.context.view import View
from extrovert.core.ids import fingerprint

__all__ = ["code_of"]

_PLAIN: tuple[type, ...] = (
    type(None),
    bool,
    int,
    float,
    complex,
    str,
    bytes,
    type(...),
    date,
    time,
    timedelta,
    Decimal,
    UUID,
    re.Pattern,
)
_LIBRARIES = tuple(
    {str(Path(sysconfig.get_path(name)).resolve()) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
)
_HERE = str(Path(__file__).resolve().parents[1])


def code_of(*parts: Any) -> str | None:
    """A fingerprint of functions, types and values; None where there can be none."""
    reader = _Reader()
    for part in parts:
        reader.read(part)
    return None if reader.lost else fingerprint(*reader.found)


class _Reader:
    """Collects what things are, once each. `lost` says that something could not be told."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self.lost = False
        self._known: dict[int, Any] = {}  # what has been read, which must live until all has been

    def read(self, value: Any) -> None:  # noqa: C901 -- one case for each kind of thing
        if isinstance(value, Enum):
            self.found.append(f"{type(value).__qualname__}.{value.name}={value.value!r}")
        elif isinstance(value, _PLAIN):
            self.found.append(f"{type(cast(object, value)).__name__} {value!r}")
        elif id(value) in self._known:
            self.found.append(f"again {list(self._known).index(id(value))}")
        else:
            self._known[id(value)] = value
            match value:
                case tuple() | list():
                    self._all("several", cast(Iterable[Any], value))
                case set() | frozenset():
                    self._all("set", sorted(cast(Iterable[Any], value), key=repr))
                case dict():
                    pairs = cast(dict[Any, Any], value)
                    self._all("dict", (part for pair in pairs.items() for part in pair))
                case types.CodeType():
                    self._code(value)
                case types.FunctionType():
                    self._function(value)
                case types.MethodType():
                    self._all("method", (value.__func__, value.__self__))
                case partial():
                    self._all("partial", (value.func, value.args, value.keywords))  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
                case types.ModuleType():
                    self._library(value)
                case type():
                    self._class(value)
                case _:
                    self._object(value)

    def _all(self, what: str, parts: Iterable[Any]) -> None:
        known = list(parts)
        self.found.append(f"{what} of {len(known)}")
        for part in known:
            self.read(part)

    def _function(self, function: types.FunctionType) -> None:
        if _of_library(function.__module__):
            self._named(function)
            return
        self._all("function", (function.__code__, function.__defaults__, function.__kwdefaults__))
        for cell in function.__closure__ or ():
            try:
                self.read(cell.cell_contents)
            except ValueError:
                self.found.append("empty")
        names = _names(function.__code__)
        for name in names:
            if name in function.__globals__:
                self.found.append(name)
                self._global(function.__globals__[name], names)

    def _global(self, value: Any, names: Iterable[str]) -> None:
        """What a name stands for; of the user's modules, what of them is named beside it."""
        known = id(value) in self._known
        self.read(value)
        if isinstance(value, types.ModuleType) and not known and not _of_library(value.__name__):
            for name in names:
                if name in vars(value):
                    self.found.append(name)
                    self._global(vars(value)[name], names)

    def _code(self, code: types.CodeType) -> None:
        self.found.append(code.co_code.hex())
        names = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
        self._all("code", (code.co_consts, *names))

    def _class(self, kind: type) -> None:
        self._named(kind)
        if _of_library(kind.__module__):
            return
        self._all("over", kind.__bases__)
        if issubclass(kind, msgspec.Struct):
            for field in msgspec.structs.fields(kind):
                self._all(field.encode_name, (field.default, field.default_factory, field.type))
        for name, value in sorted(vars(cast(type, kind)).items()):
            special = name.startswith("__") and not isinstance(value, types.FunctionType)
            if not special and not isinstance(value, types.MemberDescriptorType | types.GetSetDescriptorType):
                self._all(name, (getattr(value, "__func__", getattr(value, "fget", value)),))

    def _object(self, value: Any) -> None:
        kind = cast(type, type(cast(object, value)))
        match value:
            case Table():
                found = cast(Table[Any, Any], value)
                self._all("table", (found.name, found.record))
            case View():
                self._all("view", (value.name, getattr(value.function, "__annotations__", {})))
            case Stream() | Search():
                self._all(kind.__name__, (value.name,))
            case types.UnionType() | types.GenericAlias():
                self._all(repr(type(value)), get_args(value))
            case tzinfo() | types.BuiltinFunctionType() | types.MethodDescriptorType() | types.WrapperDescriptorType():
                self.found.append(f"{kind.__name__} {getattr(value, '__qualname__', value)!s}")
            case msgspec.Struct():
                self._all("struct", [kind, *(getattr(value, name) for name in value.__struct_fields__)])
            case _:
                self._other(value, kind)

    def _other(self, value: Any, kind: type) -> None:
        if get_args(value):
            self._all(str(getattr(value, "__origin__", kind)), get_args(value))
        elif kind.__module__.startswith("extrovert.") and hasattr(value, "name"):
            self._all(kind.__name__, (value.name,))  # an index
        elif hasattr(value, "__wrapped__"):
            self._all(kind.__name__, [value.__wrapped__])
        elif hasattr(value, "__dict__") and not _of_library(kind.__module__):
            self._all("object", [kind, vars(value)])
        elif repr(value).startswith("typing.") or value is msgspec.NODEFAULT:
            self.found.append(repr(value))
        else:
            self.lost = True

    def _named(self, value: Any) -> None:
        self.found.append(f"{value.__module__}.{value.__qualname__}")
        module = sys.modules.get(str(value.__module__).partition(".")[0])
        if module is not None:
            self.found.append(str(getattr(module, "__version__", "")))

    def _library(self, module: types.ModuleType) -> None:
        self.found.append(f"module {module.__name__} {getattr(module, '__version__', '')}")


def _names(code: types.CodeType) -> list[str]:
    """The names that a function, or a function within it, looks up outside of itself."""
    names = dict.fromkeys(code.co_names)
    for const in code.co_consts:
        if isinstance(const, types.CodeType):
            names.update(dict.fromkeys(_names(const)))
    return list(names)


def _of_library(module: str | None) -> bool:
    """Whether a module is no code of the user's: of Python, of a package that was installed, or of this one.

    A demo is a user of this package.
    """
    if module is not None and module.startswith("extrovert.demos."):
        return False
    file = getattr(sys.modules.get(module or ""), "__file__", None)
    if file is None:
        return module in sys.builtin_module_names
    return str(Path(file).resolve()).startswith((*_LIBRARIES, _HERE))
