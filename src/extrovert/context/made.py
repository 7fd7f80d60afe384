"""Made tables: the rows that a view makes, several of each row that it is over."""

from __future__ import annotations

import collections.abc as abc
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from extrovert.context.table import Table, field_name
from extrovert.core.declaring import check_key, hints
from extrovert.core.errors import DeclarationError
from extrovert.core.ids import canonical
from extrovert.core.keys import KEY_RULE, good_keys
from extrovert.core.record import Record
from extrovert.core.zones import without_zone

if TYPE_CHECKING:
    from extrovert.context.shards import Border
    from extrovert.context.table import TableState

__all__ = ["Made", "MadeState", "made_by"]

K = TypeVar("K")
R = TypeVar("R", bound=Record)

_ITERABLES: tuple[Any, ...] = (
    abc.Iterable, abc.Iterator, abc.Generator, abc.Sequence, abc.Collection, abc.Set, list, tuple, set, frozenset,
)  # fmt: skip
_Rows = dict[Any, Any]
_NONE: _Rows = {}


class Made(Table[K, R]):
    """A table whose rows a view makes. Made by `App.view` with `key=`."""

    def __init__(self, name: str, record: type[R], key: str, *, shard_by: str, replicated: bool) -> None:
        made_by = f"view `{name}`"
        super().__init__(
            name, record, key, stream="", fed=True, shard_by=shard_by, replicated=replicated, made_by=made_by
        )


def made_by(function: Callable[..., Any], key: Any, *, shard_by: Any, replicated: bool) -> Made[Any, Any]:
    """The table that a view makes; its record is in the view's annotation."""
    name = function.__name__
    where = f"View `{name}`"
    returned = hints("View", name, function).get("return")
    inner: Any = (typing.get_args(returned) or (None,))[0]
    if not (typing.get_origin(returned) in _ITERABLES and isinstance(inner, type) and issubclass(inner, Record)):
        field = key if isinstance(key, str) else getattr(key, "__name__", repr(key))
        raise DeclarationError(
            f"{where} makes rows by `{field}`, so say of which record: `def {name}(…) -> list[<a Record>]`, or an "
            f"Iterator of them."
        )
    record: type[Record] = inner
    key_name = field_name(where, record, key)
    check_key(where, record, key_name)
    shard = "" if shard_by is None else field_name(where, record, shard_by)
    return Made(name, record, key_name, shard_by=shard, replicated=replicated)


class MadeState:
    """Who makes which row of a made table.

    A row that several make alike is there once, as long as one of them makes it. A key of which they make different
    rows has none, and is in `quarantine`, until they agree: so what the table holds does not hang on who came first.
    """

    def __init__(self, table: TableState, over: str) -> None:
        self.table = table
        self.over = over
        self.makers: dict[Any, _Rows] = {}
        self.quarantine: dict[Any, str] = {}
        self._decode = msgspec.json.Decoder(table.declared.record).decode

    def checked(self, made: Any, border: Border | None) -> _Rows | None:
        """The rows, by key, of what the view has returned; None for none. Raises for what cannot be rows."""
        record = self.table.declared.record
        if not isinstance(made, abc.Iterable) or isinstance(made, str | bytes):
            raise TypeError(f"it made a {type(made).__name__}; with key= it gives rows, as a list or by yield")
        rows: _Rows = {}
        for row in typing.cast("Iterable[Any]", made):
            if not isinstance(row, record):
                raise TypeError(f"it made a {type(row).__name__}; its rows are {record.__name__}")
            key = self.table.key_of(row)
            if not good_keys((key,)):
                raise ValueError(f"it made a row whose key `{self.table.declared.key}` {KEY_RULE}")
            wrong = without_zone(row, record)
            if wrong:
                raise ValueError(f"it made a row of which {wrong}")
            if border is not None:
                border.makes(self.table.declared, row)
            self._decode(canonical(row))  # rows go through JSON into snapshots
            if rows.setdefault(key, row) != row:
                raise ValueError(f"it made two different rows of `{key}`")
        return rows or None

    def replace(self, maker: Any, old: _Rows | None, new: _Rows | None, offset: int) -> None:
        """What `maker` makes has changed from `old` to `new`."""
        before, after = old or _NONE, new or _NONE
        for key in before:
            if key not in after:
                makers = self.makers[key]
                del makers[maker]
                if not makers:
                    del self.makers[key]
                self._show(key, None, offset)
        for key, row in after.items():
            if key not in before or before[key] != row:
                self.makers.setdefault(key, {})[maker] = row
                self._show(key, row, offset)

    def _show(self, key: Any, came: Any, offset: int) -> None:
        """Brings the row at `key` in line with what is made of it; `came` is what one maker has just made."""
        shown = self.table.rows.get(key)
        makers = self.makers.get(key, _NONE)
        row = next(iter(makers.values()), None)
        if key in self.quarantine or (len(makers) > 1 and came is not None and came != shown):
            row = self._agreed(key, makers)
        if shown != row:
            self.table.put(key, row, offset)

    def _agreed(self, key: Any, makers: _Rows) -> Any:
        """The row that all make, or None where they differ."""
        first = min(makers, default=None)
        others = [maker for maker, row in makers.items() if row != makers[first]]
        if not others:
            self.quarantine.pop(key, None)
            return makers.get(first)
        self.quarantine[key] = f"`{first}` and `{min(others)}` of `{self.over}` make different rows of `{key}`"
        return None

    def load(self, values: Mapping[Any, _Rows]) -> None:
        """Takes up what the view has made, by maker, after the table's rows."""
        for maker, rows in values.items():
            for key, row in rows.items():
                self.makers.setdefault(key, {})[maker] = row
        for key, makers in self.makers.items():
            if len(makers) > 1:
                self._agreed(key, makers)

    def drop_unmade(self, offset: int) -> None:
        """Deletes the rows that nobody makes: those of a snapshot that an earlier edition of the view has made."""
        for key in [key for key in self.table.rows if key not in self.makers]:
            self.table.put(key, None, offset)
