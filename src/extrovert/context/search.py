"""Search: the rows of a table by what their text says, current with every change, and a tracked read like any other.

An index proposes and the live table decides: filters look at the rows as they are now, a row that was updated is found
by its new text alone, and one that was deleted not at all, from the very next read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from msgspec import inspect

from extrovert.context.query import Hit, Query
from extrovert.context.reads import scope
from extrovert.context.search_state import SearchState
from extrovert.context.table import Table, field_name
from extrovert.core.errors import DeclarationError, MissingExtra, TurnError
from extrovert.core.ids import canonical
from extrovert.core.ports import Embedder
from extrovert.core.record import Record

if TYPE_CHECKING:
    from extrovert.context.live import LiveContext

__all__ = ["Search", "text_fields"]

K = TypeVar("K")
R = TypeVar("R", bound=Record)

MAX_LIMIT = 1_000


class Search(Generic[K, R]):
    """A search as declared: `policies.search("lost luggage", limit=3)`. Made by `App.search`."""

    on: Sequence[str] = ()
    makes = ""

    def __init__(self, name: str, over: Table[K, R], text: tuple[str, ...], embedder: Embedder | None = None) -> None:
        if embedder is not None and find_spec("numpy") is None:
            raise MissingExtra("The package `numpy`, for searching by meaning,", "search")
        self.name = name
        self.over = over
        self.text = text
        self.embedder = embedder
        model = None if embedder is None else [embedder.name, embedder.dimensions]
        self.definition = canonical(["search", over.name, text, model]).decode()

    def search(
        self, text: str, *, limit: int = 10, where: Mapping[Any, Any] | Callable[[R], bool] | None = None
    ) -> list[Hit[R]]:
        """The `limit` rows that fit `text` best, best first; of equal ones, the smallest keys.

        `where` is the values that fields must have, `{Policy.airline: "AA"}`, or a pure function of the row alone.
        A turn finds the rows that it wrote itself as it wrote them. As a read, it changes when its hits do: which rows
        they are, in which order, or what is in them; not when only the scores do.
        """
        here = scope()
        state = here.context.operators[self.name]
        assert isinstance(state, SearchState)
        written = here.written(self.over.name)
        query = self._query(text, limit, where)
        found: list[Hit[R]] = here.look(state, query._replace(limit=limit + len(written)) if written else query)
        return state.find(query, written) if written else found

    def _query(self, text: str, limit: int, where: Any) -> Query:
        if not 0 < limit <= MAX_LIMIT:
            raise TurnError(f"Search `{self.name}` was given limit={limit}; it must be from 1 to {MAX_LIMIT}.")
        if where is None:
            return Query(text, limit)
        if callable(where):
            return Query(text, limit, (), cast(Callable[[Any], bool], where))
        fields = self.over.record.__struct_fields__
        values: dict[str, Any] = {}
        for field, value in where.items():
            name: str = field if isinstance(field, str) else getattr(field, "__name__", "?")
            if name not in fields:
                raise TurnError(f"Search `{self.name}` was given where= with `{name}`, which its rows do not have.")
            values[name] = value
        query = Query(text, limit, tuple(sorted(values.items())))
        try:
            hash(query)
        except TypeError:
            raise TurnError(
                f"Search `{self.name}` was given where={where!r}, with a value that cannot be looked up, such as a "
                f"list. Give a function of the row instead: where=lambda row: …"
            ) from None
        return query

    def begin(self, context: LiveContext) -> SearchState:
        """Its state in one live context, empty."""
        return SearchState(self.name, self.text, self.embedder, context.tables[self.over.name])


def text_fields(where: str, record: type[Record], text: Any) -> tuple[str, ...]:
    """The names of the fields that hold text. Raises `DeclarationError` for others."""
    several = isinstance(text, list | tuple)
    fields: tuple[Any, ...] = tuple(text) if several else (text,)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    names = tuple(field_name(where, record, field) for field in fields)
    if not names:
        raise DeclarationError(f"{where} names no field that holds text: text=[…].")
    info = inspect.type_info(record)
    assert isinstance(info, inspect.StructType)
    kinds = {field.name: field.type for field in info.fields}
    for name in names:
        kind = kinds[name]
        options = kind.types if isinstance(kind, inspect.UnionType) else (kind,)
        if not all(isinstance(option, inspect.StrType | inspect.NoneType) for option in options):
            raise DeclarationError(f"{where}: its field `{name}` is no text. Name fields of type `str`.")
    return names
