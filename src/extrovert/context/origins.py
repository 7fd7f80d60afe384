"""Origins: the streams from outside on which what is read hangs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from extrovert.context.history import HistoryState
from extrovert.context.index import CountState, Index, IndexState
from extrovert.context.range_index import RangeCountState, RangeIndex, RangeIndexState
from extrovert.context.reads import Readable, ReadSet
from extrovert.context.search import Search
from extrovert.context.search_state import SearchState
from extrovert.context.sizes import SizeState
from extrovert.context.stream import Stream
from extrovert.context.table import Table, TableState
from extrovert.context.view import View, ViewState
from extrovert.context.whole import WholeTable

if TYPE_CHECKING:
    from extrovert.context.live import LiveContext
    from extrovert.context.operator import DeclaredOperator

__all__ = ["Origins"]

NOTHING: frozenset[str] = frozenset()


class Origins:
    """For everything that can be read in one live context, the streams that nothing inside makes and that it follows.

    A derived stream, a window or a pattern has those of what it follows, a view those of what was read for it, key by
    key; of rows that a view makes, those of whoever makes them. What turns write has none that could grow old, but for
    the stream that can fill it.
    """

    def __init__(self, context: LiveContext, operators: Iterable[DeclaredOperator]) -> None:
        self._context = context
        operators = list(operators)
        self._makes: Mapping[str, Sequence[str]] = {one.makes: one.on for one in operators if one.makes}
        self._fills: Mapping[str, Sequence[str]] = {one.name: one.on for one in operators if not one.makes}
        self._known: dict[Readable, frozenset[str]] = {}
        self._streams: dict[str, frozenset[str]] = {}
        self._tables: dict[str, frozenset[str]] = {}

    def of_reads(self, reads: ReadSet) -> set[str]:
        """Those of all that was read."""
        found: set[str] = set()
        apart: set[Readable] = set()
        for of in {of for of, _ in reads}:
            origins = self._known.get(of)
            if origins is None and self._alike(of):
                origins = self._known[of] = self._of(of, None)
            if origins is None:
                apart.add(of)
            else:
                found |= origins
        if apart:
            found.update(*(self._of(of, selector) for of, selector in reads if of in apart))
        return found

    def _alike(self, of: Readable) -> bool:
        """Whether all that can be read there has the same origins, come what may."""
        of = of.index if isinstance(of, CountState | RangeCountState) else of
        table = getattr(of, "table", of)
        return not isinstance(of, ViewState) and table.name not in self._context.views

    def of(self, declared: object) -> frozenset[str]:
        """Those of a table, window, view, search, index or stream, as declared."""
        context = self._context
        match declared:
            case Stream():
                return self._of_stream(declared.name)
            case Table():
                return self._of_table(context.tables[declared.name])
            case View():
                return self._of_view(context.views[declared.name])
            case Search():
                name: str = declared.over.name  # pyright: ignore[reportUnknownMemberType]
                return self._of_table(context.tables[name])
            case Index() | RangeIndex():
                return self._of_table(context.tables[declared.table])
            case _:
                raise TypeError(f"a {type(declared).__name__} follows no stream")

    def _of(self, of: Readable, selector: Any) -> frozenset[str]:
        match of:
            case ViewState():
                return self._of_value(of, selector)
            case TableState():
                view = self._context.views.get(of.name)
                makers = view.made.makers.get(selector) if view is not None and view.made is not None else None
                if view is None or not makers:
                    return self._of_table(of)
                return _all(self._of_value(view, maker) for maker in makers)
            case IndexState() | RangeIndexState() | SearchState() | WholeTable() | SizeState() | HistoryState():
                return self._of_table(of.table)
            case CountState() | RangeCountState():
                return self._of_table(of.index.table)
            case _:
                return NOTHING

    def _of_stream(self, name: str) -> frozenset[str]:
        found = self._streams.get(name)
        if found is None:
            made = self._context.freshness.is_made(name)
            found = _all(map(self._of_stream, self._makes.get(name, ()))) if made else frozenset((name,))
            self._streams[name] = found
        return found

    def _of_table(self, table: TableState) -> frozenset[str]:
        view = self._context.views.get(table.name)
        if view is not None:
            return self._of_view(view)
        found = self._tables.get(table.name)
        if found is None:
            stream = table.declared.stream
            follows = (stream,) if stream else self._fills[table.name]
            found = self._tables[table.name] = _all(map(self._of_stream, follows))
        return found

    def _of_view(self, view: ViewState) -> frozenset[str]:
        """Those of all of its values."""
        others = (of for of in view.follows if of is not view)
        return self._of_over(view) | _all(self._of_whole(of) for of in others)

    def _of_whole(self, of: Readable) -> frozenset[str]:
        return self._of_view(of) if isinstance(of, ViewState) else self._of(of, None)

    def _of_over(self, view: ViewState) -> frozenset[str]:
        declared = view.declared
        if declared.over_view:
            return self._of_view(self._context.views[declared.over])
        return self._of_table(self._context.tables[declared.over])

    def _of_value(self, view: ViewState, key: Any) -> frozenset[str]:
        """Those of the value at one key: of the row or value that it is over, and of what was read for it."""
        context, declared = self._context, view.declared
        over = context.views[declared.over] if declared.over_view else context.tables[declared.over]
        found = self._of(over, key)
        node = view.nodes.get(key)
        if node is not None and node.reads:
            found |= self.of_reads(node.reads)
        return found


def _all(some: Iterable[frozenset[str]]) -> frozenset[str]:
    return NOTHING.union(*some)
