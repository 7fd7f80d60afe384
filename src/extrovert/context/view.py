"""Views: pure functions of one row and what they look up, kept current by their tracked reads."""

from __future__ import annotations

from collections.abc import Callable
from inspect import Parameter, isasyncgenfunction, iscoroutinefunction, isgeneratorfunction, signature
from typing import TYPE_CHECKING, Any, TypeVar

from msgspec import inspect

from extrovert.context.keyed import Keyed
from extrovert.context.made import Made, MadeState
from extrovert.context.reads import Readable, ReadSet, Scope, scope, swap
from extrovert.context.shards import EVERYWHERE, Border
from extrovert.context.where import Between
from extrovert.core.errors import DeclarationError, MissingRow

if TYPE_CHECKING:
    from extrovert.context.live import LiveContext
    from extrovert.context.table import Table, TableState

__all__ = ["View", "ViewState", "check_function", "check_keys"]

K = TypeVar("K")
V = TypeVar("V")

MAX_ROUNDS = 100
"""How many rounds of evaluation one change may cause; views stacked less deep than this come to rest."""

MOST_WRITTEN = 1_000
"""A view of which more keys have changed than this, and than twice those there are, is saved as a whole."""


class View(Keyed[K, V]):
    """A view as declared: `view[key]` is its value for the row at `key`. Made by `App.view`.

    `over` is the name of a table or, with `over_view`, of a view, whose keys are of the `key_type`; with `keys` only
    keys between two are looked at. `makes` is the table that holds the rows that it makes, if it makes several.
    """

    def __init__(
        self,
        name: str,
        over: str,
        function: Callable[[Any], Any],
        *,
        key_type: Any,
        over_view: bool = False,
        keys: Between | None = None,
        makes: Made[Any, Any] | None = None,
    ) -> None:
        self.name = name
        self.key_type = key_type
        self.over = over
        self.function = function
        self.over_view = over_view
        self.keys = keys
        self.makes = makes

    def __getitem__(self, key: K) -> V:
        """The value at `key`. Raises `MissingRow` where there is none."""
        value = self.get(key)
        if value is None:
            raise MissingRow("View", self.name, key, scope().label)
        return value

    def get(self, key: K) -> V | None:
        """The value at `key`, or None."""
        here = scope()
        return here.look(here.context.views[self.name], key)


def check_function(name: str, function: Callable[..., Any], *, rows: bool) -> None:
    """Raises `DeclarationError` for what cannot be a view: it is called with one row, and gives its value at once."""
    parameters = list(signature(function).parameters.values())
    if len(parameters) != 1 or parameters[0].kind is Parameter.KEYWORD_ONLY:
        raise DeclarationError(f"View `{name}` must take one parameter, the row.")
    if iscoroutinefunction(function) or isasyncgenfunction(function):
        raise DeclarationError(f"View `{name}` is `async`, but a view waits for nothing: declare it with `def`.")
    if isgeneratorfunction(function) and not rows:
        raise DeclarationError(
            f"View `{name}` yields several values. Say by which field they are told apart: key=<a field of the record>."
        )


def check_keys(where: str, table: Table[Any, Any], keys: Between | None) -> None:
    """Raises `DeclarationError` where a range of keys is not of the type of a table's keys."""
    if keys is None:
        return
    if not isinstance(keys, Between):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise DeclarationError(f"{where}: keys= is between(low, high), not {keys!r}.")
    kind = int if isinstance(inspect.type_info(table.key_type), inspect.IntType) else str
    if any(end is not None and type(end) is not kind for end in keys[:2]):
        raise DeclarationError(
            f"{where} is over keys between {keys.low!r} and {keys.high!r}, but those of table `{table.name}`, "
            f"`{table.key}`, are {kind.__name__}."
        )


class Node:
    """One row's place in a view: what its evaluation read, to be told when that changes."""

    __slots__ = ("key", "reads", "view")

    def __init__(self, view: ViewState, key: Any) -> None:
        self.view = view
        self.key = key
        self.reads: ReadSet = {}

    @property
    def order(self) -> tuple[Any, ...]:
        return (0, self.view.rank, self.key)


class ViewState(Readable):
    """The values of a view in one live context.

    A value's token is the offset of the change that brought it; 0 where there is none. A key whose evaluation raised
    is in `quarantine` with the error and has no value until something that it read changes. `follows` counts what was
    read for its values.
    """

    __slots__ = (
        "_keys",
        "_written",
        "context",
        "declared",
        "follows",
        "made",
        "nodes",
        "quarantine",
        "rank",
        "rows",
        "table",
        "values",
        "versions",
        "views",
    )

    def __init__(self, declared: View[Any, Any], over: TableState | ViewState, context: LiveContext, rank: int) -> None:
        super().__init__("view", declared.name)
        self.declared = declared
        self.rows: dict[Any, Any] = over.values if isinstance(over, ViewState) else over.rows
        self.table: TableState = over.table if isinstance(over, ViewState) else over
        self.context = context
        self.rank = rank
        self.nodes: dict[Any, Node] = {}
        self.values: dict[Any, Any] = {}
        self.versions: dict[Any, int] = {}
        self.quarantine: dict[Any, str] = {}
        self.views: list[ViewState] = []
        self.follows: dict[Readable, int] = {}
        self.made = None if declared.makes is None else MadeState(context.tables[declared.name], declared.over)
        self._keys = declared.keys
        self._written: dict[Any, None] | None = {}
        over.views.append(self)

    def quarantined(self) -> dict[Any, str]:
        """The keys that have no value because something is wrong, with the cause.

        Where the view makes rows these are the keys of rows, and `table/key` of what it is over.
        """
        if self.made is None:
            return self.quarantine
        over = {f"{self.declared.over}/{key}": cause for key, cause in self.quarantine.items()}
        return over | {str(key): cause for key, cause in self.made.quarantine.items()}

    def take_written(self) -> dict[Any, None] | None:
        """The keys that were evaluated since the last call; None: more than are worth telling."""
        written, self._written = self._written, {}
        return written

    def look(self, selector: Any) -> tuple[Any, int]:
        return self.values.get(selector), self.versions.get(selector, 0)

    def token(self, selector: Any) -> int:
        return self.versions.get(selector, 0)

    def visited(self, border: Border, selector: Any, value: Any) -> None:
        border.reads(self.table.declared, f"view `{self.name}` at `{selector}`", (self.table.rows.get(selector),))

    def row_changed(self, key: Any) -> None:
        """The row under `key` came, changed or went."""
        node = self.nodes.get(key)
        if node is None:
            if self._keys is not None and not self._keys.holds(key):
                return
            node = self.nodes[key] = Node(self, key)
        self.context.stale_nodes[node] = None

    def evaluate(self, node: Node) -> None:
        """Brings the value of one node up to date, and touches whoever read it if it changed."""
        key = node.key
        row = self.rows.get(key) if self._keys is None or self._keys.holds(key) else None
        reads: ReadSet = {}
        written = self._written
        if written is not None:
            written[key] = None
        if row is None:
            value = None
            self.quarantine.pop(key, None)
            self.nodes.pop(key, None)
            if written is not None and len(written) > 2 * len(self.nodes) + MOST_WRITTEN:
                self._written = None
        else:
            value = self._value(key, row, reads)
        if reads.keys() != node.reads.keys():
            self._rewatch(node, reads)
        node.reads = reads
        self._set(key, value)

    def _value(self, key: Any, row: Any, reads: ReadSet) -> Any:
        inside = Scope(self.context, f"view `{self.name}` at `{key}`", reads)
        if self.context.strict_shards:
            over = self.table.declared
            home = EVERYWHERE if over.replicated else over.shard_of(self.table.rows[key])
            inside.border = Border(inside.label, home)
        outer = swap(inside)
        try:
            value = self.declared.function(row)
            if self.made is not None:
                value = self.made.checked(value, inside.border)
        except Exception as error:
            self.quarantine[key] = f"{type(error).__name__}: {error}"
            return None
        finally:
            swap(outer)
        if self.quarantine:
            self.quarantine.pop(key, None)
        return value

    def _rewatch(self, node: Node, reads: ReadSet) -> None:
        for of, selector in node.reads:
            if (of, selector) not in reads:
                of.unwatch(selector, node)
                self.follow(of, -1)
        for of, selector in reads:
            if (of, selector) not in node.reads:
                of.watch(selector, node)
                self.follow(of, 1)

    def follow(self, of: Readable, reads: int) -> None:
        """So many more (or fewer) reads of `of` are behind its values."""
        count = self.follows.get(of, 0) + reads
        if count:
            self.follows[of] = count
        else:
            del self.follows[of]

    def _set(self, key: Any, value: Any) -> None:
        old = self.values.get(key)
        try:
            if old == value:
                return
        except Exception as error:
            self.quarantine[key] = f"its values cannot be compared: {type(error).__name__}: {error}"
            if old is None:
                return
            value = None
        context = self.context
        if context.copies is not None:
            context.copies.keep_value(self, key)
        if value is None:
            del self.values[key]
            del self.versions[key]
        else:
            self.values[key] = value
            self.versions[key] = context.offset
        context.changed_values.setdefault((self.name, key), old)
        if self.made is not None:
            self.made.replace(key, old, value, context.offset)
        for view in self.views:
            view.row_changed(key)
        watchers = self.watchers.get(key)
        if watchers is not None:
            context.touch(watchers)
