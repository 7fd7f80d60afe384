"""Events: the input of all works, the same for everybody, made from a seed.

Each is a line of JSON with ten fields, about 193 bytes. `value` is above `LIMIT` for one in a thousand; a sensor then
sends nothing for the next `QUIET` events, so that who triggers on rows sees what one sees who triggers on events.
`taken_at` goes on evenly for 200 s, and one in ten is older than that by up to 30 s. The last line has the key
`END_KEY` and a time an hour later, so that event time moves past the end of all windows.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

__all__ = ["END_KEY", "LIMIT", "START", "line", "write"]

START = datetime(2026, 2, 8, tzinfo=UTC)
LIMIT = 100_000
HOT = 0.001
QUIET = 20_000
SPAN_US = 200_000_000
LATE = 0.1
MOST_LATE_US = 30_000_000
AT_A_TIME = 10_000
END_KEY = "sensor-end"


def line(key: str, sequence: int, at: datetime, value: int, chance: float = 0.5) -> str:
    """One event as JSON."""
    return (
        f'{{"sensor_id":"{key}","sequence":{sequence},"taken_at":"{at:%Y-%m-%dT%H:%M:%S.%f}Z","value":{value},'
        f'"site":"site-{sequence % 2_000:05}","kind":"heat","unit":"mK","battery":{chance:.3f},'
        f'"firmware":"4.11.{sequence % 9}","ok":true}}\n'
    )


def write(path: Path, count: int, keys: int, seed: int = 2026) -> None:
    """Writes `count` events of up to `keys` keys, the last of which is that of `END_KEY`."""
    chance = Random(seed)
    with path.open("w", encoding="ascii", newline="\n") as file:
        lines: list[str] = []
        quiet_until: dict[int, int] = {}
        for sequence in range(count - 1):
            at_us = sequence * SPAN_US // count
            if chance.random() < LATE:
                at_us = max(0, at_us - chance.randrange(1, MOST_LATE_US + 1))
            sensor = chance.randrange(keys)
            while quiet_until.get(sensor, 0) > sequence:
                sensor = chance.randrange(keys)
            if chance.random() < HOT:
                value = LIMIT + 1 + chance.randrange(1_000)
                quiet_until[sensor] = sequence + QUIET
            else:
                value = chance.randrange(LIMIT)
            at = START + timedelta(microseconds=at_us)
            lines.append(line(f"sensor-{sensor:06}", sequence, at, value, chance.random()))
            if len(lines) == AT_A_TIME:
                file.writelines(lines)
                lines.clear()
        end = START + timedelta(microseconds=SPAN_US, hours=1)
        file.writelines([*lines, line(END_KEY, count - 1, end, 0)])
