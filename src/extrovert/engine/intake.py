"""Intake: what comes in is decoded and validated here; good records go to the log, bad ones to the dead letters."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec

from extrovert.context.stream import Stream
from extrovert.core.errors import DeclarationError, InputError
from extrovert.core.event import Arrival
from extrovert.core.log import Dead, Events
from extrovert.engine.shard import Shard

__all__ = ["Intake", "Report"]

MAX_LINE = 1 << 20
MAX_KEY = 512

_encoder = msgspec.json.Encoder()


class Report(msgspec.Struct):
    """What became of a batch: how many records were accepted, and (line, cause) of those that were not."""

    accepted: int = 0
    rejected: list[tuple[int, str]] = []

    def add(self, other: Report) -> None:
        self.accepted += other.accepted
        self.rejected.extend(other.rejected)


class Intake:
    """Takes in JSON lines and typed records for the streams of one shard."""

    def __init__(self, shard: Shard) -> None:
        self.shard = shard
        self._streams = shard.fold.streams
        self._decoders = {name: msgspec.json.Decoder(s.event) for name, s in self._streams.items()}
        self._times = {name: _time_fields(s.event) for name, s in self._streams.items()}

    def stream(self, name: str) -> Stream[Any]:
        """The stream of this name. Raises `DeclarationError` with those that there are."""
        found = self._streams.get(name)
        if found is None:
            known = ", ".join(sorted(self._streams)) or "none"
            raise DeclarationError(f"There is no stream `{name}`. This app has: {known}.")
        return found

    def lines(self, name: str, text: bytes, *, source: str = "", first_line: int = 1) -> Report:
        """Takes in JSON lines, one record each; blank lines count but are passed over. All are durable later."""
        since_us = self.shard.options.wall_us()
        stream = self.stream(name)
        text = text.strip(b"\n") if first_line == 1 and not text.startswith(b"\n") else text
        records = self._all_good(stream, text)
        if records is not None:
            body = b'{"kind":"events","stream":%b,"source":%b,"data":[%b]}' % (
                _encoder.encode(name),
                _encoder.encode(source),
                text.replace(b"\n", b","),
            )
            self.shard.accept(Events(name, []), records, encoded=body, since_us=since_us)
            return Report(len(records))
        return self._one_by_one(stream, text, source, first_line, since_us)

    def _all_good(self, stream: Stream[Any], text: bytes) -> list[Any] | None:
        """All the records, where every line is a good one; else None."""
        if len(text) > MAX_LINE and any(len(line) > MAX_LINE for line in text.split(b"\n")):
            return None
        try:
            if not text.isascii():
                text.decode()
            records = self._decoders[stream.name].decode_lines(text)
            if len(records) != text.count(b"\n") + 1 or not _good_keys(list(map(stream.key_of, records))):
                return None
            if self._times[stream.name]:
                for record in records:
                    self._check_times(stream, record)
        except (ValueError, InputError, RecursionError, AttributeError):
            return None
        return records

    def _one_by_one(self, stream: Stream[Any], text: bytes, source: str, first_line: int, since_us: int) -> Report:
        report = Report(0, [])
        good: list[tuple[bytes, Any]] = []

        def flush() -> None:
            if good:
                raws = [msgspec.Raw(raw) for raw, _ in good]
                body = Events(stream.name, raws, source)
                self.shard.accept(body, [record for _, record in good], since_us=since_us)
                report.accepted += len(good)
                good.clear()

        for number, line in enumerate(text.split(b"\n"), start=first_line):
            raw = line.strip()
            if not raw:
                continue
            try:
                good.append((raw, self._decode(stream, raw)))
            except InputError as error:
                flush()
                self.shard.bury(dead_letter(stream.name, raw, error.cause, source=source, line=number))
                report.rejected.append((number, error.cause))
        flush()
        return report

    def _decode(self, stream: Stream[Any], raw: bytes) -> Any:
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
        self.check(stream, record)
        return record

    def check(self, stream: Stream[Any], record: Any) -> None:
        """What types cannot say: a usable key, times with a zone. Raises `InputError`."""
        key = stream.key_of(record)
        if not _good_keys((key,)):
            raise InputError(
                stream.name, f"the key `{stream.key}` must be a whole number or 1 to {MAX_KEY} characters of text"
            )
        self._check_times(stream, record)

    def _check_times(self, stream: Stream[Any], record: Any) -> None:
        for field in self._times[stream.name].get(type(record), ()):  # pyright: ignore[reportUnknownArgumentType]
            value = getattr(record, field)
            if isinstance(value, datetime) and value.tzinfo is None:
                raise InputError(
                    stream.name, f"`{field}` is {value.isoformat()}, without a time zone; add Z or an offset"
                )

    def arrivals(self, source: str, arrivals: Sequence[Arrival], position: int) -> Report:
        """Takes in a source's arrivals of one moment; `position` is that after the last of them."""
        report = Report(0, [])
        start = 0
        for end in range(1, len(arrivals) + 1):
            if end == len(arrivals) or arrivals[end].stream != arrivals[start].stream:
                run = arrivals[start:end]
                report.add(self._run(self.stream(run[0].stream), source, run, position - (len(arrivals) - end)))
                start = end
        return report

    def _run(self, stream: Stream[Any], source: str, arrivals: Sequence[Arrival], position: int) -> Report:
        since_us = self.shard.options.wall_us()
        report = Report(0, [])
        good: list[Arrival] = []
        for arrival in arrivals:
            try:
                if arrival.data is not None:
                    self.check(stream, arrival.data)
                good.append(arrival)
            except (InputError, AttributeError) as error:
                cause = error.cause if isinstance(error, InputError) else f"not a record of this stream: {error}"
                self.shard.bury(dead_letter(stream.name, _encoder.encode(arrival.data), cause, source=source))
                report.rejected.append((0, cause))
        raws = [msgspec.Raw(_encoder.encode(arrival.data)) for arrival in good]
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


def _good_keys(keys: Iterable[Any]) -> bool:
    return all((type(key) is str and 0 < len(key) <= MAX_KEY) or type(key) is int for key in keys)


def _time_fields(event: Any) -> dict[type, tuple[str, ...]]:
    """The fields of each record type of a stream that can hold a moment."""
    found: dict[type, tuple[str, ...]] = {}
    info = msgspec.inspect.type_info(event)
    for kind in info.types if isinstance(info, msgspec.inspect.UnionType) else (info,):
        if isinstance(kind, msgspec.inspect.StructType):
            fields = tuple(field.encode_name for field in kind.fields if _holds_time(field.type))
            if fields:
                found[kind.cls] = fields
    return found


def _holds_time(kind: msgspec.inspect.Type) -> bool:
    if isinstance(kind, msgspec.inspect.UnionType):
        return any(_holds_time(option) for option in kind.types)
    return isinstance(kind, msgspec.inspect.DateTimeType)
