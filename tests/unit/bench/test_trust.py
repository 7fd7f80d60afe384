"""The crash-and-stale benchmark: the world outside does what the scenario says, and it is told as it was."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from bench.peers.processes import Failed
from bench.peers.systems import System
from bench.trust.comparing import Cell, Total, compared, words
from bench.trust.job import Question, ask, changes, find_order, place_order, read_price
from bench.trust.outside import AFTER, BEFORE, ITEM, outside
from bench.trust.scenarios import OURS, Case, cases
from bench.trust.trial import Trial, attempt

ONE = System(name="one", title="One", module="none", works=())
TWO = System(name="two", title="Two", module="none", works=())


def case(name: str) -> Case:
    return next(one for one in cases() if one.name == name)


def trial(*booked: tuple[int, int], asked: int = 1, closed: int = 0, again: int = 0, left: bool = False) -> Trial:
    return Trial(asked=asked, closed=closed, again=again, sent=len(booked), booked=list(booked), left=left, version="1")


# ---- the world outside


def test_the_model_says_how_many_can_be_bought_and_the_price_changes_while_it_thinks() -> None:
    with outside(case("change, keys")) as (world, port):
        price = read_price(port, ITEM)
        quantity = ask(port, Question(ITEM, price, 1_000))

        assert (price, quantity) == (BEFORE, 1_000 // BEFORE)
        assert read_price(port, ITEM) == AFTER
        assert ask(port, Question(ITEM, AFTER, 1_000)) == 1_000 // AFTER
        assert [(one.price, one.closed) for one in world.asks] == [(BEFORE, False), (AFTER, False)]


def test_who_follows_the_prices_is_told_of_each_once() -> None:
    with outside(case("calm, keys")) as (world, port):
        position, found = changes(port, 0)
        assert found == [{"item": ITEM, "price": BEFORE}]
        assert changes(port, position) == (position, [])
        world.change()
        assert changes(port, position) == (position + 1, [{"item": ITEM, "price": AFTER}])


def test_a_question_that_nobody_waits_for_any_more_counts_as_cut_off() -> None:
    with outside(case("calm, keys")) as (world, port):
        body = b'{"model":"m","messages":[{"role":"user","content":"{\\"price\\":10,\\"budget\\":1}"}]}'
        with socket.create_connection(("127.0.0.1", port)) as client:
            head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
            client.sendall(head.encode() + body)
            _until(lambda: bool(world.asks))
        _until(lambda: world.asks[0].closed)


@pytest.mark.parametrize(("shop", "booked"), [("keys", 1), ("look-up", 2), ("neither", 2)])
def test_a_shop_that_knows_keys_books_an_order_once(shop: str, booked: int) -> None:
    with outside(case(f"crash, {shop}")) as (world, port):
        world.killed.set()  # the crash has been
        first = place_order(port, "job-1", ITEM, 100, BEFORE)
        world.change()
        second = place_order(port, "job-1", ITEM, 100, BEFORE)

        assert (first == second) == (booked == 1)
        assert find_order(port, "job-1") == first
        assert find_order(port, "job-2") is None
        assert world.sent == 2
        assert [(one.price, one.costs) for one in world.booked] == [(BEFORE, BEFORE), (BEFORE, AFTER)][:booked]


def test_who_orders_is_killed_when_the_order_is_booked() -> None:
    with outside(case("crash, keys")) as (world, port):
        victim = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        world.pid = victim.pid
        ordering = threading.Thread(target=_order_in_vain, args=(port,), daemon=True)
        ordering.start()

        assert victim.wait(30) == -9
        assert len(world.booked) == 1


def _order_in_vain(port: int) -> None:
    try:
        place_order(port, "job-1", ITEM, 100, BEFORE)
    except OSError:
        return


def _until(holds: object) -> None:
    assert callable(holds)
    waited = threading.Event()
    for _ in range(1_000):
        if holds():
            return
        waited.wait(0.01)
    raise AssertionError("it does not come to hold")


def test_extrovert_orders_once_at_the_new_price_though_it_was_killed() -> None:
    found = attempt(case("change, crash, neither"), OURS, Path(sys.executable))

    assert isinstance(found, Trial), found
    assert (found.booked, found.left, found.right) == ([(AFTER, AFTER)], True, True)


# ---- what came of it


def test_a_trial_in_words() -> None:
    assert words(trial((10, 10))) == "1 order at 10, asked 1"
    assert words(trial((10, 12), asked=2, closed=1)) == "1 order **at 10, when it cost 12**, asked 2 (1 cut off)"
    assert words(trial((10, 10), (10, 10))) == "**2 orders** at 10, at 10, asked 1"
    assert words(trial((12, 12), left=True)) == "1 order at 12, asked 1, left to a person"
    assert words(trial()) == "**0 orders**, asked 1"


def test_runs_that_differ_are_told_apart() -> None:
    cell = Cell(case=case("calm, keys"), system="one", trials=[trial((10, 10)), trial((10, 10)), trial((10, 12))])

    assert cell.text() == "2 of 3: 1 order at 10, asked 1; 1 of 3: 1 order **at 10, when it cost 12**, asked 1"


def test_only_one_order_at_the_price_of_that_moment_is_right() -> None:
    trials = [trial((10, 10)), trial((10, 12)), trial((10, 10), (10, 10), again=1), trial(), trial((12, 12), left=True)]
    total = Total.of([Cell(case=case("calm, keys"), system="one", trials=trials)])

    assert (total.runs, total.right, total.twice, total.stale, total.left, total.again) == (5, 2, 1, 1, 1, 1)


def test_all_do_each_case_as_often_and_who_cannot_be_run_is_told_as_such() -> None:
    done: list[str] = []

    def do(of: Case, system: System) -> Trial | Failed:
        done.append(f"{of.name}, {system.name}")
        return trial((10, 10)) if of.name == "calm, keys" else Failed("it broke")

    wanted = [case("calm, keys"), case("change, keys")]
    cells = compared(wanted, [ONE, TWO], {"two": "not installed: no network"}, 2, 1, do)

    assert sorted(done) == ["calm, keys, one"] * 2 + ["change, keys, one"] * 2
    assert [(cell.system, cell.text()) for cell in cells] == [
        ("one", "1 order at 10, asked 1"),
        ("two", "not installed: no network"),
        ("one", "failed: it broke"),
        ("two", "not installed: no network"),
    ]
