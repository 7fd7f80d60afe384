"""Search: the rows of a table by what their text says, current with every change, and a tracked read like any other.

An index proposes and the live table decides: filters look at the rows as they are now, a row that was updated is found
by its new text alone, and one that was deleted not at all, from the very next read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from msgspec import inspect

from extrovert.context.index import IndexState
from extrovert.context.keywords import Keywords, Ranked, Terms
from extrovert.context.reads import Readable, scope, swap
from extrovert.context.table import Table, TableState, field_name
from extrovert.core.errors import DeclarationError, TurnError
from extrovert.core.ids import canonical
from extrovert.core.record import Record

if TYPE_CHECKING:
    from extrovert.context.live import LiveContext
    from extrovert.context.operator import Failure

__all__ = ["Hit", "Query", "Search", "SearchState", "text_fields"]

K = TypeVar("K")
R = TypeVar("R", bound=Record)

MAX_LIMIT = 1_000
FEW = 200
"""Where an index leaves fewer rows than this, each is scored; else where it leaves fewer than the rarest word does."""


class Hit(NamedTuple, Generic[R]):
    """A row that was found. Scores are comparable within one search alone."""

    row: R
    score: float
    key: Any


class Query(NamedTuple):
    """What is searched for: a text, how many hits at most, the values that fields must have, a condition on rows."""

    text: str
    limit: int
    where: tuple[tuple[str, Any], ...] = ()
    condition: Callable[[Any], bool] | None = None

    def plain(self) -> dict[str, Any]:
        """The query as the ledger shows it."""
        shown: dict[str, Any] = {"text": self.text, "limit": self.limit}
        if self.where:
            shown["where"] = dict(self.where)
        if self.condition is not None:
            shown["condition"] = getattr(self.condition, "__qualname__", type(self.condition).__name__)
        return shown


class Search(Generic[K, R]):
    """A search as declared: `policies.search("lost luggage", limit=3)`. Made by `App.search`."""

    on: Sequence[str] = ()

    def __init__(self, name: str, over: Table[K, R], text: tuple[str, ...]) -> None:
        self.name = name
        self.over = over
        self.text = text
        self.definition = canonical(["search", over.name, text]).decode()

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
            return Query(text, limit, (), where)
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
        return SearchState(self, context.tables[self.over.name])


class SearchState(Readable):
    """The index of a search. The token of a query is the (key, version) of each of its hits.

    It follows its table as an index does, in the same step as each row is written, and is part of the operators for
    the sake of snapshots.
    """

    __slots__ = ("declared", "keywords", "table", "text_of")

    def __init__(self, declared: Search[Any, Any], table: TableState) -> None:
        super().__init__("search", declared.name)
        self.declared = declared
        self.table = table
        self.keywords = Keywords()
        self.text_of = _text_of(declared.text)
        table.indexes.append(self)

    # ---- read

    def look(self, selector: Any) -> tuple[list[Hit[Any]], Any]:
        hits = self.find(selector, {})
        versions = self.table.versions
        return hits, tuple([(hit.key, versions[hit.key]) for hit in hits])

    def token(self, selector: Any) -> Any:
        try:
            return self.look(selector)[1]
        except Exception as error:  # a user's condition, which will tell its reader the same
            return f"{type(error).__name__}: {error}"

    def find(self, query: Query, instead: Mapping[Any, Any]) -> list[Hit[Any]]:
        """The hits, with the rows `instead` (None: none there) in the place of those of these keys.

        How rare words are is taken from the table as it is.
        """
        accepts = _accepts(query)
        rows = self.table.rows
        outer = swap(None)  # a condition that looks at more than its row would not be told when that changes
        try:
            ranked = self._by_keywords(query, accepts, instead)
        finally:
            swap(outer)
        return [Hit(instead[key] if key in instead else rows[key], -less, key) for less, key in ranked]

    def _by_keywords(self, query: Query, accepts: Callable[[Any], bool], instead: Mapping[Any, Any]) -> list[Ranked]:
        keywords, rows = self.keywords, self.table.rows
        terms = Terms(keywords, query.text)
        bucket = self._bucket(query, terms)
        if bucket is not None:
            found = keywords.best_of(terms, query.limit, [key for key in bucket if key not in instead])
        elif query.where or query.condition or instead:
            found = keywords.best(terms, query.limit, lambda key: key not in instead and accepts(rows[key]))
        else:
            return keywords.best(terms, query.limit)
        for key, row in instead.items():
            score = 0.0 if row is None or not accepts(row) else terms.score(self.text_of(row))
            if score:
                found.append((-score, key))
        return sorted(found)[: query.limit] if instead else found

    def _bucket(self, query: Query, terms: Terms) -> Iterable[Any] | None:
        """The keys that an index over the very fields of the filter leaves, where it is quicker to score them all."""
        names = {name for name, _ in query.where}
        for index in self.table.indexes if names else ():
            if isinstance(index, IndexState) and set(index.declared.fields) == names:
                values = dict(query.where)
                place = [values[name] for name in index.declared.fields]
                bucket = index.buckets.get(tuple(place) if len(place) > 1 else place[0])
                keys = {} if bucket is None else bucket.keys
                sizes = self.keywords.sizes
                if len(keys) <= max(FEW, min((sizes[word] for word in terms.weights), default=0)):
                    return keys
        return None

    # ---- following its table

    @property
    def place_of(self) -> Callable[[Any], Any]:
        """What of a row the index holds."""
        return self.text_of

    @property
    def watched(self) -> bool:
        """Whether anybody wants to know of changes."""
        return bool(self.watchers)

    def move(self, key: Any, old: Any, new: Any) -> None:
        """The row at `key` is about to change from `old` to `new` (None where there is none)."""
        before, after = self.text_of(old), self.text_of(new)
        if before != after:
            if after is None:
                self.keywords.remove(key)
            else:
                self.keywords.put(key, after)
        self._touch()

    def add(self, keys: Sequence[Any], rows: Sequence[Any]) -> None:
        """The `rows` at `keys`, where there is none, are about to come."""
        for key, row in zip(keys, rows, strict=True):
            self.keywords.put(key, self.text_of(row))
        if keys:
            self._touch()

    def _touch(self) -> None:
        """A row of the table changes: any search may have other hits, since how rare a word is hangs on all rows."""
        for watchers in self.watchers.values():
            self.table.context.touch(watchers)

    # ---- as an operator

    def take(
        self, stream: str, keys: Sequence[Any], records: Sequence[Any], offsets: Sequence[int]
    ) -> Sequence[Failure]:
        return ()

    def passed(self, offset: int) -> None: ...

    def save(self) -> bytes:
        return b"null"

    def load(self, state: bytes) -> None: ...


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


def _text_of(fields: tuple[str, ...]) -> Callable[[Any], Any]:
    """The text of a row, its fields one below the other; None where there is no row."""
    texts = attrgetter(*fields)
    if len(fields) == 1:
        return lambda row: None if row is None else texts(row) or ""
    return lambda row: None if row is None else "\n".join([text or "" for text in texts(row)])


def _accepts(query: Query) -> Callable[[Any], bool]:
    """Whether a row passes the filter of a query."""
    if query.condition is not None:
        condition = query.condition
        return lambda row: bool(condition(row))
    if not query.where:
        return lambda row: True
    values = [value for _, value in query.where]
    wanted: Any = tuple(values) if len(values) > 1 else values[0]
    seen_of = attrgetter(*[name for name, _ in query.where])
    return lambda row: seen_of(row) == wanted
