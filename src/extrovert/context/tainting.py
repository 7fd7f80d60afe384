"""Tainting: which of the text that is read in live context came from outside, and so may hold instructions.

Rows and events say it themselves, by the types of their fields. A view's value is followed down to what was read for
it: text in it that stands in no trusted field there is from outside, if any of that is. What a fold or a stream's
function makes is taken at its type's word; where that marks nothing, all text in it is from outside, if what it is
made of has such.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, get_type_hints

from extrovert.context.changes import follow
from extrovert.context.derived import Derived
from extrovert.context.history import Beyond, HistoryState
from extrovert.context.index import IndexState
from extrovert.context.range_index import RangeIndexState
from extrovert.context.search_state import SearchState
from extrovert.context.table import TableState
from extrovert.context.view import ViewState
from extrovert.context.whole import WholeTable
from extrovert.context.window import Window
from extrovert.core.untrusted import WHEN, Text, is_marked, marked, texts

if TYPE_CHECKING:
    from extrovert.context.live import LiveContext
    from extrovert.context.operator import DeclaredOperator
    from extrovert.context.reads import Readable
    from extrovert.context.stream import Stream
    from extrovert.context.view import View

__all__ = ["Found", "Tainting"]


class Found:
    """What was found in what was read: the names of text from `outside`, the texts in trusted fields, and the `rows`
    (and events) that nothing has made of text from outside. What cannot taint is looked at when these are asked for."""

    def __init__(self) -> None:
        self.outside: dict[str, None] = {}
        self._trusted: set[str | bytes] = set()
        self._rows: list[Any] = []
        self._later: list[Callable[[Found], None]] = []

    @property
    def trusted(self) -> set[str | bytes]:
        self._look_now()
        return self._trusted

    @property
    def rows(self) -> list[Any]:
        self._look_now()
        return self._rows

    def add(self, text: Text, name: str, *, outside: bool) -> None:
        """A text. One that says nothing is from nowhere."""
        if not outside:
            self._trusted.add(text.value)
        elif text.value.strip():
            self.outside[f"{name}: {text.where}" if text.where else name] = None

    def keep(self, *rows: Any) -> None:
        """Rows and events as they came."""
        self._rows += rows

    def trust(self, texts: Iterable[str | bytes]) -> None:
        """Texts that stand in trusted fields."""
        self._trusted.update(texts)

    def later(self, look: Callable[[Found], None]) -> None:
        """What can be looked at later: it adds nothing from outside."""
        self._later.append(look)

    def _look_now(self) -> None:
        while self._later:
            self._later.pop()(self)


class _Kind(NamedTuple):
    """Which text of a table or stream is from outside: where it is `clean` none; that of the fields that are marked;
    and with `made` all but that of the fields `spared`."""

    clean: bool
    made: bool = False
    spared: frozenset[str] = frozenset()


_CLEAN, _MARKED = _Kind(clean=True), _Kind(clean=False)


class Tainting:
    """What can be read in one live context, and heard on its streams, as to text from outside."""

    def __init__(self, context: LiveContext, operators: Iterable[DeclaredOperator]) -> None:
        operators = list(operators)
        self._context = context
        self._events: dict[str, Any] = {}
        self._makers = {one.makes: one for one in operators if one.makes}
        self._windows: dict[str, Window[Any]] = {one.name: one for one in operators if isinstance(one, Window)}
        self._streams: dict[str, _Kind] = {}
        self._tables: dict[str, _Kind] = {}
        self._values = {name: _value_type(view.declared) for name, view in context.views.items()}
        self._marked = {name for name, kind in self._values.items() if marked(kind)}
        self._following: set[tuple[ViewState, Any]] = set()

    def declare(self, streams: Iterable[Stream[Any]]) -> None:
        """Says which streams there are."""
        self._events = {stream.name: stream.event for stream in streams}

    @cached_property
    def any(self) -> bool:
        """Whether anything that can be read or heard is marked as text from outside."""
        return any(map(marked, self._kinds))

    @cached_property
    def ever(self) -> bool:
        """Whether any of that is marked always, and not only where a turn has said so that had read such text."""
        return any(marked(kind) for kind in self._kinds if not hasattr(kind, WHEN))

    @property
    def _kinds(self) -> Iterable[Any]:
        records = [table.declared.record for table in self._context.tables.values()]
        return (*self._events.values(), *self._values.values(), *records)

    # ---- what was read

    def look(self, of: Readable, selector: Any, value: Any, name: str, found: Found) -> None:
        """Adds what a read gave to what was `found`, under the read's `name`."""
        match of:
            case ViewState():
                self._value(of, selector, value, name, found)
            case TableState():
                self._row(of, selector, value, name, found)
            case IndexState() | RangeIndexState() | WholeTable():
                for row in value:
                    self._row(of.table, of.table.key_of(row), row, name, found)
            case SearchState():
                for hit in value:
                    self._row(of.table, hit.key, hit.row, name, found)
            case HistoryState() if not isinstance(value, Beyond):
                self._row(of.table, selector[0], value, name, found)
            case _:
                pass  # a count, a moment, whether a source was heard

    def old(self, of: ViewState | TableState, key: Any, value: Any, name: str, found: Found) -> None:
        """Adds a value that is not there any more. What it was made of may have been other than it is."""
        if isinstance(of, TableState) and self._makes(of) is None:
            self._row(of, key, value, name, found)
            return
        view = of if isinstance(of, ViewState) else self._context.views[of.name]
        made = any(not self._clean(one) for one in (self._over(view), *view.follows))
        for text in texts(value, self._values[view.name]):
            found.add(text, name, outside=text.outside or (made and text.value not in found.trusted))

    def event(self, stream: str, event: Any, name: str, found: Found) -> None:
        """Adds an event of a stream."""
        of = self._of_stream(stream)
        if of.clean:
            found.later(lambda found: self._texts(event, self._events[stream], of, name, found))
        else:
            self._texts(event, self._events[stream], of, name, found)

    def _row(self, table: TableState, key: Any, row: Any, name: str, found: Found) -> None:
        if row is None:
            return
        view = self._makes(table)
        if view is None or view.made is None:
            self._texts(row, table.declared.record, self._of_table(table), name, found)
            return
        sources = Found()
        for maker in view.made.makers.get(key, ()):
            self._sources(view, maker, sources)
        _derived(row, table.declared.record, sources, name, found)

    def _value(self, view: ViewState, key: Any, value: Any, name: str, found: Found) -> None:
        if value is not None:
            sources = Found()
            self._sources(view, key, sources)
            _derived(value, self._values[view.name], sources, name, found)

    def _sources(self, view: ViewState, key: Any, found: Found) -> None:
        """Adds what a view's value at a key is made of."""
        if (view, key) in self._following:
            return  # it looks at itself
        self._following.add((view, key))
        try:
            node = view.nodes.get(key)
            for of, selector in ((self._over(view), key), *(node.reads if node is not None else ())):
                self.look(of, selector, of.look(selector)[0], of.name, found)
        finally:
            self._following.discard((view, key))

    def _texts(self, value: Any, kind: Any, of: _Kind, name: str, found: Found) -> None:
        for text in texts(value, kind):
            made = of.made and text.where.rpartition(".")[2] not in of.spared
            found.add(text, name, outside=text.outside or made)
        if not of.made:
            found.keep(value)

    # ---- what it is made of

    def _over(self, view: ViewState) -> TableState | ViewState:
        declared = view.declared
        return self._context.views[declared.over] if declared.over_view else self._context.tables[declared.over]

    def _makes(self, table: TableState) -> ViewState | None:
        """The view that makes the rows of a table."""
        return self._context.views.get(table.name)

    def _clean(self, of: Readable) -> bool:
        """Whether nothing that is read there can be text from outside. Of a view that hangs on the key: no."""
        table = getattr(of, "table", of)
        return not isinstance(of, ViewState) and isinstance(table, TableState) and self._of_table(table).clean

    def pure(self, of: Readable, within: tuple[ViewState, ...] = ()) -> bool:
        """Whether nothing that can be read there now is text from outside."""
        table = getattr(of, "table", of)
        view = of if isinstance(of, ViewState) else self._makes(table) if isinstance(table, TableState) else None
        if view is None:
            return not isinstance(table, TableState) or self._of_table(table).clean
        if view in within:
            return True
        return view.name not in self._marked and all(
            self.pure(one, (*within, view)) for one in (self._over(view), *view.follows)
        )

    def _of_stream(self, name: str) -> _Kind:
        found = self._streams.get(name)
        if found is None:
            maker = self._makers.get(name)
            parents = [] if maker is None else list(map(self._of_stream, maker.on))
            if isinstance(maker, Derived) and maker.flow.keeps and len(parents) == 1:
                found = parents[0]
            else:
                found = _made(self._events[name], parents)
            self._streams[name] = found
        return found

    def _of_table(self, table: TableState) -> _Kind:
        found = self._tables.get(table.name)
        if found is None:
            declared = table.declared
            parents = [self._of_stream(declared.stream)] if declared.stream else []
            window = self._windows.get(table.name)
            if window is not None:
                parents = list(map(self._of_stream, window.on))
                found = _made(declared.record, parents, _spared(window, parents))
            elif parents and declared.fold in (None, follow):
                found = parents[0]
            elif self._makes(table) is not None:
                found = _MARKED
            else:
                found = _made(declared.record, parents)
            self._tables[table.name] = found
        return found


def _made(kind: Any, parents: Sequence[_Kind], spared: frozenset[str] = frozenset()) -> _Kind:
    """What is made, by a function, of what `parents` give."""
    if marked(kind):
        return _MARKED
    return _CLEAN if all(parent.clean for parent in parents) else _Kind(clean=False, made=True, spared=spared)


def _spared(window: Window[Any], parents: Sequence[_Kind]) -> frozenset[str]:
    """The fields of a window's rows that say what stands in trusted fields of its events."""
    if any(parent.made for parent in parents):
        return frozenset()
    fields = {window.key: window.key, **window.over}
    return frozenset(name for name, of in fields.items() if not any(is_marked(one, of) for one in window.follows))


def _derived(value: Any, kind: Any, sources: Found, name: str, found: Found) -> None:
    """Adds a value of which all text is from outside that stands in no trusted field of its sources, if they have any
    text from outside."""
    for text in texts(value, kind):
        strange = bool(sources.outside) and text.value not in sources.trusted
        found.add(text, name, outside=text.outside or strange)
    found.keep(*sources.rows)


def _value_type(view: View[Any, Any]) -> Any:
    """The type of a view's values as annotated, with its marks."""
    if view.makes is not None:
        return dict[Any, view.makes.record]
    try:
        return get_type_hints(view.function, include_extras=True).get("return", Any)
    except Exception:  # names that only a type checker knows, or that are gone
        return Any
