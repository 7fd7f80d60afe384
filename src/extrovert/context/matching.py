"""Matching: the matches under way of one pattern, advanced by events in order of time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from heapq import heapify, heappop, heappush
from typing import Any

from extrovert.context.shape import Shape

__all__ = ["Match", "Matching"]


class Match:
    """A match under way: the events so far, each with the number of its stream; its time is over at `due_us`."""

    __slots__ = ("due_us", "events", "number", "streams")

    def __init__(self, number: int, due_us: int, events: tuple[Any, ...], streams: tuple[int, ...]) -> None:
        self.number = number
        self.due_us = due_us
        self.events = events
        self.streams = streams


class Matching:
    """Follows a shape by key. An event begins a match where it fits the first step, and a match takes the first event
    that fits its next step, whatever comes between ("skip till next match").

    Unless `overlapping`, the match that is complete first ends all others of its key, so that an event is in one match.
    Within one key matches stand in the order in which they began. The time of what is over is to be dealt with before
    an event of that time or later is taken.
    """

    def __init__(self, shape: Shape[*tuple[Any, ...]], most: int, overlapping: bool) -> None:
        self.shape = shape
        self.most = most
        self.overlapping = overlapping
        self.number = 0
        self.under_way: dict[Any, list[Match]] = {}
        self._count = 0
        self._due: list[tuple[int, int, Any]] = []

    def __len__(self) -> int:
        return self._count

    def take(self, key: Any, event: Any, stream: int, at_us: int) -> tuple[list[Match], bool]:
        """The matches that `event` completes, and whether there was room for one that it would begin.

        Raises what the user's functions raise: then nothing has changed.
        """
        shape = self.shape
        present = self.under_way.get(key, ())
        left: list[Match] = []
        complete: list[Match] = []
        for match in present:
            if shape.fits(match.events, event):
                grown = Match(match.number, match.due_us, (*match.events, event), (*match.streams, stream))
                done = len(grown.events) == len(shape.steps) and not shape.fires
                (complete if done else left).append(grown)
                if done and not self.overlapping:
                    self._put(key, [])
                    return complete, True
            elif not shape.barred(match.events, event):
                left.append(match)
        begins, room = shape.fits((), event), len(left) < self.most
        if begins and room:
            self.number += 1
            left.append(Match(self.number, at_us + shape.span_us, (event,), (stream,)))
            heappush(self._due, (at_us + shape.span_us, self.number, key))
        if present or left:
            self._put(key, left)
        return complete, room or not begins

    def over(self, until_us: int) -> Iterable[tuple[Any, Match]]:
        """Drops the matches whose time is over by `until_us`, in order; gives those that are complete by it."""
        while self._due and self._due[0][0] <= until_us:
            _, number, key = heappop(self._due)
            present = self.under_way.get(key, [])
            match = next((one for one in present if one.number == number), None)
            if match is None:
                continue
            fired = self.shape.fires and len(match.events) == len(self.shape.steps)
            ends_all = fired and not self.overlapping
            self._put(key, [] if ends_all else [one for one in present if one is not match])
            if fired:
                yield key, match

    def next_us(self) -> int | None:
        """When the time of a match is over next."""
        while self._due:
            due_us, number, key = self._due[0]
            if any(one.number == number for one in self.under_way.get(key, ())):
                return due_us
            heappop(self._due)
        return None

    def restore(self, number: int, under_way: Iterable[tuple[Any, Sequence[Match]]]) -> None:
        """Takes up matches that were under way."""
        self.number = number
        self.under_way = {key: list(matches) for key, matches in under_way}
        self._count = sum(map(len, self.under_way.values()))
        self._sort_out()

    def _put(self, key: Any, matches: list[Match]) -> None:
        self._count += len(matches) - len(self.under_way.get(key, ()))
        if matches:
            self.under_way[key] = matches
        else:
            self.under_way.pop(key, None)
        if len(self._due) > 2 * self._count + 64:
            self._sort_out()

    def _sort_out(self) -> None:
        """Forgets when what has ended would have been over: the list stays as long as there are matches."""
        self._due = [(one.due_us, one.number, key) for key, matches in self.under_way.items() for one in matches]
        heapify(self._due)
