"""Intake: what comes in is decoded and validated here; good records go to the log, bad ones to the dead letters."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from io import BytesIO
from itertools import chain, compress, islice
from operator import attrgetter
from typing import Any

import msgspec

from extrovert.context.stream import Stream
from extrovert.core.errors import DeclarationError, InputError
from extrovert.core.event import Arrival, Batch, Spoilt
from extrovert.core.keys import all_good_keys
from extrovert.core.log import Dead, Events, Position
from extrovert.core.zones import moments, without_zone
from extrovert.engine.shard import Shard

__all__ = ["Intake", "Report"]

MAX_LINE = 1 << 20
BATCH = 128
"""How many lines make one entry: few enough that records are still in the processor's cache when they are applied."""

MAX_DEPTH = 100
"""How deep a record may be nested: far less than a decoder bears, so that what is in the log can always be read."""

_NESTING = re.compile(rb'"(?:[^"\\]|\\.)*+"|[\[\]{}]')

_encoder = msgspec.json.Encoder()


class Report(msgspec.Struct):
    """What became of a batch: how many records were accepted, and (line, cause) of those that were not.

    `duplicates` counts those that had come before, and so change nothing.
    """

    accepted: int = 0
    rejected: list[tuple[int, str]] = []
    duplicates: int = 0

    def add(self, other: Report) -> None:
        self.accepted += other.accepted
        self.rejected.extend(other.rejected)
        self.duplicates += other.duplicates


class Intake:
    """Takes in JSON lines and typed records for the streams of one shard."""

    def __init__(self, shard: Shard) -> None:
        self.shard = shard
        self._streams = shard.fold.streams
        self._decoders = {name: msgspec.json.Decoder(s.event) for name, s in self._streams.items()}
        self._times = {name: moments(s.event) for name, s in self._streams.items()}
        self._zones = {name: _zones(times) for name, times in self._times.items()}

    def stream(self, name: str) -> Stream[Any]:
        """The stream of this name. Raises `DeclarationError` with those that there are."""
        found = self._streams.get(name)
        if found is None:
            known = ", ".join(sorted(self._streams)) or "none"
            raise DeclarationError(f"There is no stream `{name}`. This app has: {known}.")
        if found.made_by:
            raise DeclarationError(f"Nothing can be sent to stream `{name}`: its events are made by {found.made_by}.")
        return found

    def lines(
        self,
        name: str,
        text: bytes,
        *,
        source: str = "",
        first_line: int = 1,
        where: str = "",
        position: Position = None,
        again: bool = False,
    ) -> Report:
        """Takes in JSON lines, one record each; blank lines count but are passed over. All are durable later.

        `where` names the file for dead letters; `position` is that of the source after them. With `again`
        they are not compared with what came before.
        """
        stream = self.stream(name)
        origin = (source, where or source)
        report = Report(0, [])
        left = BytesIO(text)
        while lines := list(islice(left, BATCH)):
            report.add(self._batch(stream, lines, origin, first_line, again))
            first_line += len(lines)
        if position is not None:
            self.moved(stream.name, source, position)
        return report

    def moved(self, stream: str, source: str, position: Position) -> None:
        """A source has been read up to here: one step with what it brought, since nothing is awaited in between."""
        self.shard.accept(Events(stream, [], source, position), [])

    def _batch(
        self, stream: Stream[Any], lines: list[bytes], origin: tuple[str, str], first_line: int, again: bool
    ) -> Report:
        """Takes in lines as one entry of the log where all are good, else one by one."""
        source = origin[0]
        since_us = self.shard.options.wall_us()
        data = b"".join(lines).removesuffix(b"\n").replace(b"\n", b",")
        found = self._all_good(stream, data, lines)
        if found is None:
            return self._one_by_one(stream, lines, origin, first_line, since_us, again)
        records, keys = found
        duplicates = 0
        if stream.id and not again and not all(fresh := self._fresh(stream, source, records)):
            duplicates = fresh.count(False)
            lines, records, keys = (list(compress(them, fresh)) for them in (lines, records, keys))
            data = b",".join(line.removesuffix(b"\n") for line in lines)
        if records:
            body = b"%b%b]}" % (_head(stream.name, source), data)
            self.shard.accept(Events(stream.name, [], source, keys=keys), records, encoded=body, since_us=since_us)
        return Report(len(records), [], duplicates)

    def _fresh(self, stream: Stream[Any], source: str, records: Sequence[Any]) -> list[bool]:
        """Which of these records have not come before."""
        return self.shard.fold.seen[stream.name].fresh(source, records, self.shard.now_us)

    def _all_good(self, stream: Stream[Any], text: bytes, lines: list[bytes]) -> tuple[list[Any], list[Any]] | None:
        """The records and keys, where every line is good; else None. Loops in C, since most lines come this way."""
        longest = max(map(len, lines))
        if longest > MAX_LINE or (longest > 2 * MAX_DEPTH and _too_deep_ones(text, lines)):  # each level needs two
            return None
        try:
            if not text.isascii():
                text.decode()
            records = list(map(self._decoders[stream.name].decode, lines))
            keys = list(map(stream.key_of, records))
            return (records, keys) if all_good_keys(keys) and self._have_zones(stream, records) else None
        except (ValueError, InputError, RecursionError):
            return None

    def _have_zones(self, stream: Stream[Any], records: list[Any]) -> bool:
        """Whether all times have a zone. Raises `InputError` for some that have none."""
        zones = self._zones[stream.name]
        try:
            return all(all(map(zone, records)) for zone in zones)
        except AttributeError:  # not each record has each of these fields
            return not any(without_zone(record, stream.event) for record in records)

    def _one_by_one(
        self,
        stream: Stream[Any],
        lines: list[bytes],
        origin: tuple[str, str],
        first_line: int,
        since_us: int,
        again: bool,
    ) -> Report:
        source, where = origin
        report = Report(0, [])
        good: list[tuple[bytes, Any]] = []

        def flush() -> None:
            if stream.id and not again:
                fresh = self._fresh(stream, source, [record for _, record in good])
                report.duplicates += fresh.count(False)
                good[:] = compress(good, fresh)
            if good:
                raws = [msgspec.Raw(raw) for raw, _ in good]
                body = Events(stream.name, raws, source)
                self.shard.accept(body, [record for _, record in good], since_us=since_us)
                report.accepted += len(good)
                good.clear()

        for number, line in enumerate(lines, start=first_line):
            raw = line.strip()
            if not raw:
                continue
            try:
                good.append((raw, self.decode(stream, raw)))
            except InputError as error:
                flush()
                self.shard.bury(dead_letter(stream.name, raw, error.cause, source=where, line=number))
                report.rejected.append((number, error.cause))
        flush()
        return report

    def decode(self, stream: Stream[Any], raw: bytes) -> Any:
        """One record from one line. Raises `InputError` with the cause where it is not good."""
        if len(raw) > MAX_LINE:
            raise InputError(stream.name, f"the line is {len(raw):,} bytes long; at most {MAX_LINE:,} are taken")
        try:
            raw.decode()
            record = self._decoders[stream.name].decode(raw)
        except UnicodeDecodeError as error:
            raise InputError(stream.name, f"not UTF-8: {error.reason} at byte {error.start}") from error
        except (ValueError, RecursionError) as error:
            raise InputError(stream.name, str(error)) from error
        if _too_deep(raw):
            raise InputError(stream.name, f"it is nested more than {MAX_DEPTH} deep")
        self.check(stream, record)
        return record

    def check(self, stream: Stream[Any], record: Any) -> None:
        """What types cannot say: a usable key, times with a zone. Raises `InputError`."""
        wrong = stream.wrong(record)
        if wrong:
            raise InputError(stream.name, wrong)

    def batch(self, name: str, source: str, batch: Batch) -> Report:
        """Takes in what a live source handed over; with its position it is one step."""
        report = Report(0, [])
        for spoilt in batch.spoilt:
            self.spoilt(name, batch.where or source, spoilt)
            report.rejected.append((spoilt.line or 0, spoilt.cause))
        report.add(
            self.lines(
                name, batch.text, source=source, first_line=batch.line, where=batch.where, position=batch.position
            )
        )
        return report

    def spoilt(self, stream: str, where: str, spoilt: Spoilt) -> None:
        """Keeps what a source could not make a record of."""
        self.shard.bury(dead_letter(stream, spoilt.raw, spoilt.cause, source=where, line=spoilt.line))

    def arrivals(self, source: str, arrivals: Sequence[Arrival], position: Position) -> Report:
        """Takes in a source's arrivals of one moment; `position` is that after the last of them."""
        report = Report(0, [])
        start = 0
        for end in range(1, len(arrivals) + 1):
            if end == len(arrivals) or arrivals[end].stream != arrivals[start].stream:
                run = arrivals[start:end]
                after = position if end == len(arrivals) else position - (len(arrivals) - end)
                report.add(self._run(self.stream(run[0].stream), source, run, after))
                start = end
        return report

    def _run(self, stream: Stream[Any], source: str, arrivals: Sequence[Arrival], position: Position) -> Report:
        since_us = self.shard.options.wall_us()
        report = Report(0, [])
        good: list[Arrival] = []
        raws: list[msgspec.Raw] = []
        decode = self._decoders[stream.name].decode
        for arrival in arrivals:
            if arrival.spoilt is not None:
                self.spoilt(stream.name, source, arrival.spoilt)
                report.rejected.append((arrival.spoilt.line or 0, arrival.spoilt.cause))
                continue
            try:
                raw = _encoder.encode(arrival.data)
                if arrival.data is not None:
                    self.check(stream, arrival.data)
                    decode(raw)  # what would not come back, such as NaN, is not logged
                good.append(arrival)
                raws.append(msgspec.Raw(raw))
            except (InputError, AttributeError, TypeError, ValueError, OverflowError, msgspec.MsgspecError) as error:
                cause = error.cause if isinstance(error, InputError) else f"not a record of this stream: {error}"
                raw = repr(arrival.data).encode()
                self.shard.bury(dead_letter(stream.name, raw, cause, source=source, line=arrival.line))
                report.rejected.append((arrival.line or 0, cause))
        if stream.id:
            fresh = self._fresh(stream, source, [arrival.data for arrival in good])
            report.duplicates += fresh.count(False)
            good, raws = list(compress(good, fresh)), list(compress(raws, fresh))
        keys = None
        if any(arrival.data is None for arrival in good):
            keys = [a.key if a.data is None else stream.key_of(a.data) for a in good]
        body = Events(stream.name, raws, source, position, keys)
        self.shard.accept(body, [arrival.data for arrival in good], since_us=since_us)
        report.accepted += len(good)
        return report


def dead_letter(stream: str, raw: bytes, cause: str, *, source: str = "", line: int | None = None) -> Dead:
    """A dead letter that keeps what came in, whatever bytes it is."""
    try:
        text, encoding = raw.decode(), "utf-8"
    except UnicodeDecodeError:
        text, encoding = b64encode(raw).decode(), "base64"
    return Dead(stream=stream, cause=cause, raw=text, encoding=encoding, source=source, line=line)


@lru_cache(maxsize=1024)
def _head(stream: str, source: str) -> bytes:
    """How the body of an entry with events begins, up to the first one."""
    return b'{"kind":"events","stream":%b,"source":%b,"data":[' % (_encoder.encode(stream), _encoder.encode(source))


def _too_deep_ones(text: bytes, lines: list[bytes]) -> bool:
    """Whether a line is nested too deep. (To replace bytes is by far the quickest way to count them.)"""
    opened = 2 * len(text) - len(text.replace(b"{", b"")) - len(text.replace(b"[", b""))
    return opened - len(lines) >= MAX_DEPTH and any(map(_too_deep, lines))


def _too_deep(raw: bytes) -> bool:
    if raw.count(b"{") + raw.count(b"[") <= MAX_DEPTH:
        return False
    depth = 0
    for found in _NESTING.finditer(raw):
        mark = found[0]
        depth += (mark in (b"{", b"[")) - (mark in (b"}", b"]"))
        if depth > MAX_DEPTH:
            return True
    return False


def _zones(times: Mapping[type, tuple[str, ...]]) -> list[Callable[[Any], Any]]:
    """What takes the zone from each of the time fields."""
    return [attrgetter(f"{field}.tzinfo") for field in dict.fromkeys(chain(*times.values()))]
