"""Patterns: an operator that follows streams by key, and makes an event of each match of a shape."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from extrovert.context.ahead import ahead_span, limit, too_far
from extrovert.context.matching import Match, Matching
from extrovert.context.operator import Failure, Figures
from extrovert.context.shape import Shape, source_of
from extrovert.context.stream import Stream
from extrovert.context.table import field_name
from extrovert.core.declaring import records
from extrovert.core.errors import DeclarationError
from extrovert.core.ids import canonical
from extrovert.core.record import Record
from extrovert.core.time import span_us, to_us
from extrovert.core.zones import moments, without_zone

if TYPE_CHECKING:
    from extrovert.context.live import LiveContext

__all__ = ["Pattern", "pattern_of"]


class Pattern(msgspec.Struct, frozen=True, kw_only=True):
    """A pattern as declared. `at` is the field with the time of an event ("": the engine's time is taken), and
    `disorder_us` how far events may be out of the order of it. `most` bounds, for each key, the matches under way and
    the events that wait for their turn; `ahead_us` is how far the time of an event may be ahead of the engine's."""

    stream: Stream[Any]
    sources: tuple[Stream[Any], ...]
    shape: Shape[*tuple[Any, ...]]
    make: Callable[..., Any]
    at: str
    disorder_us: int
    overlapping: bool
    most: int
    ahead_us: int | None

    @property
    def name(self) -> str:
        return self.stream.name

    @property
    def on(self) -> Sequence[str]:
        return [source.name for source in self.sources]

    @property
    def makes(self) -> str:
        return self.stream.name

    @property
    def definition(self) -> str:
        events = [msgspec.json.schema(source.event) for source in self.sources]
        options = [self.at, self.disorder_us, self.overlapping, self.most, self.ahead_us]
        return canonical([self.on, events, self.shape.definition, source_of(self.make), options]).decode()

    def begin(self, context: LiveContext) -> _Following:
        return _Following(self, context)


def pattern_of(
    stream: Stream[Any],
    on: Sequence[Stream[Any]],
    shape: Any,
    make: Callable[..., Any],
    *,
    at: Any,
    disorder: timedelta | None,
    overlapping: bool,
    most: int,
    ahead: timedelta | None,
) -> Pattern:
    """The pattern that makes the events of `stream`. Raises `DeclarationError`."""
    where = f"Pattern `{stream.name}`"
    if shape.__class__ is not Shape:
        raise DeclarationError(f"{where}: match= is not bounded in time; end it with .within(timedelta(…)).")
    if stream in on:
        raise DeclarationError(f"{where} follows itself.")
    if most < 1:
        raise DeclarationError(f"{where}: most= is how many matches of a key may be under way; at least 1.")
    known = [event for source in on for event in records(f"Stream `{source.name}`", source.event)]
    for event in shape.events:
        if not any(issubclass(one, event) for one in known):
            names = ", ".join(f"`{source.name}`" for source in on) or "no stream"
            raise DeclarationError(f"{where} looks for {event.__name__}, which does not come on {names}; see on=.")
    if (at is None) != (disorder is None):
        raise DeclarationError(
            f"{where}: at= (the field with the time of an event) and disorder= (how far events may be out of the order "
            f"of it) go together. Leave both out to take the engine's time."
        )
    followed = [event for event in known if issubclass(event, shape.events)]
    fields = {} if at is None else {field_name(where, event, at): event for event in followed}
    for field, event in fields.items():
        if field not in moments(event).get(event, ()):
            raise DeclarationError(f"{where}: the time of an event, `{field}`, must be a datetime.")
    return Pattern(
        stream=stream,
        sources=tuple(on),
        shape=shape,
        make=make,
        at=next(iter(fields), ""),
        disorder_us=span_us(disorder or 0),
        overlapping=overlapping,
        most=most,
        ahead_us=ahead_span(where, ahead),
    )


class _Waiting(NamedTuple):
    """An event that waits for those before it: `number` counts them, `stream` is the place among the sources."""

    at_us: int
    number: int
    key: Any
    stream: int
    offset: int
    record: Any


class _Saved(msgspec.Struct):
    number: int
    arrived: int
    ahead_us: int | None
    asked: list[int]
    waiting: list[tuple[int, int, Any, int, int, msgspec.Raw]]
    under_way: list[tuple[Any, list[tuple[int, int, list[int], list[msgspec.Raw]]]]]


class _Following:
    """A pattern's state.

    Its time is the engine's, or that of the events: the latest of these, and from there on as the engine's goes on, so
    that a silent stream holds nothing back; never later than the engine's. Events are taken in the order of that time
    when `disorder_us` have gone by, and what comes after its turn is a failure.
    """

    def __init__(self, declared: Pattern, context: LiveContext) -> None:
        self._declared = declared
        self._context = context
        self._matching = Matching(declared.shape, declared.most, declared.overlapping)
        self._places = {source.name: place for place, source in enumerate(declared.sources)}
        self._waiting: list[_Waiting] = []
        self._crowd: dict[Any, int] = {}
        self._arrived = 0
        self._ahead_us: int | None = None if declared.at else 0
        self._asked: list[int] = []

    # ---- what comes

    def take(
        self, stream: str, keys: Sequence[Any], records: Sequence[Any], offsets: Sequence[int]
    ) -> Sequence[Failure]:
        place, events = self._places[stream], self._declared.shape.events
        for key, record, offset in zip(keys, records, offsets, strict=True):
            if isinstance(record, events):
                if self._declared.at:
                    self._line_up(key, record, place, offset)
                    self._take_turns(offset)
                else:
                    now_us = self._context.expiry.now_us
                    self._be_over(now_us, offset)
                    self._match(key, record, place, offset, now_us, offset)
        self._ask()
        return ()

    def passed(self, offset: int) -> None:
        now_us = self._context.expiry.now_us
        while self._asked and self._asked[0] <= now_us:
            heappop(self._asked)
        self._take_turns(offset)
        self._ask()

    def _line_up(self, key: Any, record: Any, place: int, offset: int) -> None:
        """Puts an event where it belongs by its time; one whose turn is over is a failure."""
        at = getattr(record, self._declared.at)
        if at is None:
            self._spoil(place, record, offset, f"it has no time: `{self._declared.at}` is null")
            return
        at_us, turn_us, now_us = to_us(at), self._turn_us(), self._context.expiry.now_us
        ahead_us = min(0, at_us - now_us)
        if wrong := too_far(at_us, limit(now_us, self._declared.ahead_us)):
            self._spoil(place, record, offset, wrong)
        elif turn_us is not None and at_us < turn_us:
            late_s = (turn_us - at_us + self._declared.disorder_us) / 1_000_000
            self._spoil(place, record, offset, f"it came {late_s:g} s late; disorder= says how late is still taken")
        elif self._crowd.get(key, 0) >= self._declared.most:
            self._spoil(place, record, offset, f"{self._declared.most} events of its key wait already; see most=")
        else:
            self._arrived += 1
            heappush(self._waiting, _Waiting(at_us, self._arrived, key, place, offset, record))
            self._crowd[key] = self._crowd.get(key, 0) + 1
            self._ahead_us = ahead_us if self._ahead_us is None else max(self._ahead_us, ahead_us)

    def _turn_us(self) -> int | None:
        """The time up to which it is the turn of events; None where no event has told yet."""
        if self._ahead_us is None:
            return None
        return self._context.expiry.now_us + self._ahead_us - self._declared.disorder_us

    def _take_turns(self, offset: int) -> None:
        """Takes the events whose turn has come and deals with what is over meanwhile, all in order of time."""
        turn_us = self._turn_us()
        if turn_us is None:
            return
        while self._waiting and self._waiting[0].at_us <= turn_us:
            event = heappop(self._waiting)
            left = self._crowd[event.key] - 1
            if left:
                self._crowd[event.key] = left
            else:
                del self._crowd[event.key]
            self._be_over(event.at_us, offset)
            self._match(event.key, event.record, event.stream, event.offset, event.at_us, offset)
        self._be_over(turn_us, offset)

    def _match(self, key: Any, record: Any, place: int, came: int, at_us: int, offset: int) -> None:
        try:
            complete, room = self._matching.take(key, record, place, at_us)
        except Exception as error:
            self._spoil(place, record, came, f"{type(error).__name__}: {error}")
            return
        if not room:
            self._spoil(place, record, came, f"{self._declared.most} matches of its key are under way; see most=")
        for match in complete:
            self._make(match, offset)

    def _be_over(self, until_us: int, offset: int) -> None:
        for _, match in self._matching.over(until_us):
            self._make(match, offset)

    # ---- what comes of it

    def _make(self, match: Match, offset: int) -> None:
        declared = self._declared
        try:
            made = declared.make(*declared.shape.given(match.events))
            if made is not None:
                wanted = declared.stream.event
                if not isinstance(made, wanted):
                    raise TypeError(f"its make gave a {type(made).__name__}, not a {wanted.__name__}")
                msgspec.json.decode(canonical(made), type=wanted)
                if wrong := without_zone(made, wanted):
                    raise ValueError(wrong)
        except Exception as error:
            self._spoil(match.streams[-1], match.events[-1], offset, f"{type(error).__name__}: {error}")
        else:
            if made is not None:
                self._context.produce(declared.name, made, offset)

    def _spoil(self, place: int, record: Record, offset: int, cause: str) -> None:
        stream = self._declared.sources[place].name
        self._context.spoil(stream, record, offset, f"pattern `{self._declared.name}`: {cause}")

    def _ask(self) -> None:
        """Asks for the next moment at which something comes of time alone. A match that is only dropped then can wait
        for a while, and so can events for those next to them: each moment costs an entry of the log."""
        shape, moments, disorder_us = self._declared.shape, self._asked, self._declared.disorder_us
        over_us = self._matching.next_us() if shape.fires or not moments else None
        if over_us is not None and not shape.fires:
            over_us += shape.span_us
        turn_us = self._waiting[0].at_us + min(disorder_us // 8, shape.span_us // 2) if self._waiting else None
        due_us = min((moment for moment in (over_us, turn_us) if moment is not None), default=None)
        if due_us is None:
            return
        wanted_us = due_us + disorder_us - (self._ahead_us or 0)
        if not moments or wanted_us < moments[0]:
            heappush(moments, wanted_us)
            self._context.wake_at(wanted_us, self._declared.name)

    def figures(self) -> Figures:
        """The matches under way, and the events that wait for their turn."""
        waiting, turn_us = len(self._waiting), self._turn_us()
        holds = f"matches, {waiting} waiting events" if waiting else "matches"
        latest_us = None if turn_us is None else turn_us + self._declared.disorder_us
        return Figures("pattern", holds, len(self._matching), 0, 0, latest_us, turn_us, min(self._asked, default=None))

    # ---- snapshots

    def save(self) -> bytes:
        def raws(records: Iterable[Any]) -> list[msgspec.Raw]:
            return [msgspec.Raw(msgspec.json.encode(record)) for record in records]

        waiting = [(*one[:5], msgspec.Raw(msgspec.json.encode(one.record))) for one in sorted(self._waiting, key=_turn)]
        under_way = [
            (key, [(one.number, one.due_us, list(one.streams), raws(one.events)) for one in matches])
            for key, matches in self._matching.under_way.items()
        ]
        number, asked = self._matching.number, sorted(self._asked)
        return msgspec.json.encode(_Saved(number, self._arrived, self._ahead_us, asked, waiting, under_way))

    def load(self, state: bytes) -> None:
        decode = [msgspec.json.Decoder(source.event).decode for source in self._declared.sources]
        saved = msgspec.json.decode(state, type=_Saved)
        self._arrived, self._ahead_us, self._asked = saved.arrived, saved.ahead_us, saved.asked
        self._waiting = [_Waiting(*one[:5], decode[one[3]](one[5])) for one in saved.waiting]
        heapify(self._waiting)
        for one in self._waiting:
            self._crowd[one.key] = self._crowd.get(one.key, 0) + 1
        under_way: list[tuple[Any, list[Match]]] = []
        for key, matches in saved.under_way:
            restored: list[Match] = []
            for number, due_us, streams, raws in matches:
                events = tuple(decode[place](raw) for place, raw in zip(streams, raws, strict=True))
                restored.append(Match(number, due_us, events, tuple(streams)))
            under_way.append((key, restored))
        self._matching.restore(saved.number, under_way)
        for at_us in saved.asked:
            self._context.wake_at(at_us, self._declared.name)


def _turn(waiting: _Waiting) -> tuple[int, int]:
    return waiting.at_us, waiting.number
