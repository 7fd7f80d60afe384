"""A real engine is killed at random moments under load, again and again, against a real HTTP server that fails too:
nothing is lost, and nothing is done more often than its declaration allows."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from extrovert.engine.performing import CRASHED
from extrovert.stores.sqlite import SqliteStore
from tests.integration.shop import ITEMS, STOCK

ROOT = Path(__file__).parents[2]
ORDERS_PER_LIFE = 16


class Shop:
    """A till, a data directory, and the lives of an engine."""

    def __init__(self, home: Path, orders: int) -> None:
        self.data, self.record, self.orders = home / "data", home / "record", orders
        self.till = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.till", str(self.record)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.till.stdout is not None
        self.port = self.till.stdout.readline().strip()

    def close(self) -> None:
        self.till.terminate()
        self.till.communicate()

    def begin(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.integration.shop", str(self.data), self.port, str(self.orders)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def killed(self, after_s: float, *, at_work: bool) -> None:
        """A life that is ended so long after it began, or was at work."""
        process = self.begin()
        assert process.stdout is not None
        if at_work:
            assert process.stdout.readline() == "up\n", process.communicate()[1]
        time.sleep(after_s)
        process.kill()
        _, errors = process.communicate()
        assert process.returncode == -signal.SIGKILL, errors

    def finished(self) -> None:
        """A life that is left alone until it has nothing more to do."""
        process = self.begin()
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors

    def log(self) -> list[dict[str, Any]]:
        store = SqliteStore(self.data / "log.sqlite")
        bodies = [json.loads(entry.body) for entry in store.entries()]
        store.close()
        return bodies

    def asked(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.record.read_text().splitlines()]


@pytest.fixture
def homes(tmp_path: Path) -> Generator[list[Shop]]:
    shops: list[Shop] = []
    yield shops
    for shop in shops:
        shop.close()


def lived(home: Path, shops: list[Shop], kills: int) -> Shop:
    """A shop that was killed so often."""
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    chance = random.Random(seed)
    shop = Shop(home, kills * ORDERS_PER_LIFE)
    shops.append(shop)
    for _ in range(kills):
        at_work = chance.random() < 0.9
        shop.killed(chance.uniform(0, 0.2 if at_work else 0.4), at_work=at_work)
    shop.finished()
    return shop


def nothing_is_lost(shop: Shop, log: list[dict[str, Any]]) -> None:
    """Each order came once, was decided once, and on the stock that there was."""
    expected = {f"o{number}" for number in range(shop.orders)}
    came = Counter(data["order_id"] for body in log if body["kind"] == "events" for data in body["data"])
    assert came == dict.fromkeys(expected, 1)
    decided = [body for body in log if body["kind"] == "decided"]
    assert Counter(body["key"] for body in decided) == dict.fromkeys(expected, 1)
    left = {f"i{number}": STOCK for number in range(ITEMS)}
    for body in decided:
        (row,) = (write["row"] for write in body["writes"] if write["to"] == "stock")
        left[row["item"]] -= 1
        assert row["left"] == left[row["item"]]
    assert [body for body in log if body["kind"] in ("dead", "failed", "ended")] == []


def nothing_is_doubled(shop: Shop, log: list[dict[str, Any]]) -> None:
    """What was done at the till is what the effects' declarations allow, and what the log says."""
    intents = {
        f"{body['turn']}/{one['slot']}": one["effect"]
        for body in log
        if body["kind"] == "decided"
        for one in body["effects"]
    }
    states: dict[str, list[str]] = {key: [] for key in intents}
    for body in log:
        for move in body["moves"] if body["kind"] == "effects" else ():
            states[move["key"]].append(move["state"])
    asked = Counter(one["key"] for one in shop.asked())
    done = Counter(one["key"] for one in shop.asked() if one["done"])
    assert set(asked) <= set(intents)
    for key, effect in intents.items():
        steps = states[key]
        assert asked[key] <= steps.count("performing"), (effect, key)
        if effect == "neither":
            assert steps[-1] in ("settled", "unknown"), (key, steps)
            assert done[key] == 1 if steps[-1] == "settled" else done[key] <= 1, (key, steps)
        else:
            assert (done[key], steps[-1]) == (1, "settled"), (effect, key, steps)
    assert len(intents) == 3 * shop.orders


@pytest.mark.parametrize("kills", [20, pytest.param(200, marks=pytest.mark.slow)])
def test_nothing_is_lost_and_nothing_doubled_when_an_engine_is_killed(
    tmp_path: Path, homes: list[Shop], kills: int
) -> None:
    shop = lived(tmp_path, homes, kills)
    log = shop.log()
    nothing_is_lost(shop, log)
    nothing_is_doubled(shop, log)
    moves = [move for body in log if body["kind"] == "effects" for move in body["moves"]]
    cut_short = sum(move.get("error") == CRASHED for move in moves)
    ends = Counter(one["end"] for one in shop.asked())
    print(f"{shop.orders} orders, {kills} kills, {cut_short} effects cut short, at the till {dict(ends)}")
    assert cut_short > kills / 4  # the load is there: kills hit what is under way, and the till fails too
    assert min(ends["busy"], ends["cut"]) > 0
