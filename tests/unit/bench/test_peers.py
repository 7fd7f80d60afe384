"""The harness of the comparison: the same work for all, no wrong result unnoticed, a peer that fails stops nobody."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from bench.machine import Machine
from bench.measuring import Figure
from bench.peers import events
from bench.peers.comparing import Compared, Row, compare, wrong
from bench.peers.environments import environment
from bench.peers.found import Entry, load, merged, save
from bench.peers.processes import Failed, perform
from bench.peers.runners import plain
from bench.peers.systems import JOBS, OURS, PLAIN, Aim, Job, System
from bench.peers.verdicts import aim_text, best_peer, verdict
from bench.peers.work import Latencies, Outcome, Reading, Task, latest_digests, percentiles, window_digests
from bench.peers.writing import markers, page, tables

PEER = System(name="peer", title="Peer", module="none", works=("W1",))
OTHER = System(name="other", title="Other", module="none", works=("W1",))
W1 = Job(name="W1", work="W1", what="rows and counts", aim=Aim(peer=2, plain=0.6))
RIGHT = {"keys": 2, "latest": "abc"}


def outcome(seconds: float = 1.0, **results: object) -> Outcome:
    return Outcome(seconds=seconds, processor_s=seconds, results={**RIGHT, **results}, version="1.0")


def made(path: Path, count: int = 3_000, keys: int = 50, seed: int = 1) -> Path:
    events.write(path, count, keys, seed)
    return path


def task(file: Path, work: str = "W1", count: int = 3_000) -> Task:
    return Task(
        work=work, file=str(file), count=count, limit=events.LIMIT, end_key=events.END_KEY, scratch=str(file.parent)
    )


# ---- the events


def test_a_seed_makes_the_same_events_each_time_and_another_one_makes_others(tmp_path: Path) -> None:
    one, two, three = (made(tmp_path / name, seed=seed) for name, seed in (("a", 1), ("b", 1), ("c", 2)))

    assert one.read_bytes() == two.read_bytes()
    assert one.read_bytes() != three.read_bytes()


def test_events_are_as_the_works_need_them(tmp_path: Path) -> None:
    lines = made(tmp_path / "a", count=40_000, keys=4_000).read_bytes().splitlines()
    rows = [msgspec.json.decode(line, type=Reading, strict=True) for line in lines]

    assert [row.sequence for row in rows] == list(range(40_000))
    assert 180 < sum(map(len, lines)) / len(lines) < 205
    assert rows[-1].sensor_id == events.END_KEY
    assert rows[-1].taken_at > max(row.taken_at for row in rows[:-1]) + timedelta(minutes=30)
    behind: list[timedelta] = []
    latest = datetime.min.replace(tzinfo=UTC)
    for row in rows[:-1]:
        latest = max(latest, row.taken_at)
        behind.append(latest - row.taken_at)
    assert max(behind) <= timedelta(seconds=30)
    assert 0.07 < sum(delay > timedelta(0) for delay in behind) / len(behind) < 0.11
    hot = {row.sensor_id: row.sequence for row in rows if row.value > events.LIMIT}
    assert 10 < len(hot) < 100
    assert not [row for row in rows if hot.get(row.sensor_id, 1 << 30) < row.sequence <= hot[row.sensor_id] + 19_999]


# ---- the plain loop, by which all others are judged


def test_the_plain_loop_finds_what_a_look_at_each_event_finds(tmp_path: Path) -> None:
    file = made(tmp_path / "a")
    rows = [msgspec.json.decode(line, type=Reading) for line in file.read_bytes().splitlines()]
    latest = {row.sensor_id: row.sequence for row in rows}
    counts = {key: sum(row.sensor_id == key for row in rows) for key in latest}
    wanted = latest_digests(latest, counts, [row.sequence for row in rows if row.value > events.LIMIT])
    windows: dict[tuple[str, int], list[int]] = {}
    for row in rows:
        second = int(row.taken_at.timestamp())
        windows.setdefault((row.sensor_id, second - second % 60), []).append(row.value)

    assert plain.keep_latest(task(file)).results == wanted
    assert plain.keep_durable(task(file, "W3")).results == wanted
    assert plain.close_minutes(task(file, "W4")).results == window_digests(
        [(key, start, len(values), sum(values)) for (key, start), values in windows.items()], events.END_KEY
    )


@pytest.mark.parametrize("work", ["W1", "W3", "W4", "W8"])
def test_extrovert_comes_to_the_same_results_as_the_plain_loop(tmp_path: Path, work: str) -> None:
    file = made(tmp_path / "a")

    found = perform(Path(sys.executable), "ours", task(file, work))
    right = plain.WORKS[work](task(file, work))

    assert isinstance(found, Outcome)
    assert wrong(found.results, right.results) == ""
    assert found.seconds > 0
    assert found.peak_mb > 1


# ---- the check


def test_one_row_that_is_older_is_wrong() -> None:
    right = latest_digests({"a": 7, "b": 9}, {"a": 1, "b": 2}, [7])

    assert wrong(latest_digests({"b": 9, "a": 7}, {"b": 2, "a": 1}, [7]), right) == ""
    assert "latest" in wrong(latest_digests({"a": 6, "b": 9}, {"a": 1, "b": 2}, [7]), right)
    assert "counts" in wrong(latest_digests({"a": 7, "b": 9}, {"a": 2, "b": 1}, [7]), right)
    assert "triggers is 2, not 1" in wrong(latest_digests({"a": 7, "b": 9}, {"a": 1, "b": 2}, [7, 7]), right)
    assert "keys" in wrong({}, right)


def test_a_window_that_lacks_an_event_is_wrong() -> None:
    right = window_digests([("a", 0, 2, 30), ("end", 3600, 1, 0)], "end")

    assert wrong(window_digests([("a", 0, 2, 30)], "end"), right) == ""
    assert "rows" in wrong(window_digests([("a", 0, 2, 31)], "end"), right)
    assert "events is 1, not 2" in wrong(window_digests([("a", 0, 1, 30)], "end"), right)
    assert "windows" in wrong(window_digests([("a", 0, 1, 10), ("a", 60, 1, 20)], "end"), right)


# ---- the comparison


def test_runs_alternate_and_begin_with_another_one_each_time() -> None:
    order: list[str] = []

    def do(system: System, job: Job) -> Outcome:
        order.append(system.name)
        return outcome()

    compare(W1, [PLAIN, OURS, PEER], {}, runs=2, events=10, perform=do)

    assert order == ["plain", "extrovert", "peer", "plain", "peer", "extrovert"]


def test_a_wrong_result_has_no_figures_and_is_not_tried_again() -> None:
    asked: list[str] = []

    def do(system: System, job: Job) -> Outcome:
        asked.append(system.name)
        return outcome(latest="xyz") if system is PEER else outcome()

    compared = compare(W1, [PLAIN, OURS, PEER], {}, runs=3, events=10, perform=do)

    assert compared.row("peer") is None
    assert compared.rows[2].problem == "wrong: latest is xyz, not abc"
    assert asked.count("peer") == 1
    assert asked.count("extrovert") == 3
    assert best_peer(compared) is None


def test_who_cannot_be_installed_or_run_is_told_and_the_rest_goes_on() -> None:
    def do(system: System, job: Job) -> Outcome | Failed:
        assert system is not PEER
        return Failed("exit code 1") if system is OTHER else outcome()

    compared = compare(W1, [PLAIN, OURS, PEER, OTHER], {"peer": "no wheel"}, runs=2, events=10, perform=do)

    assert [row.problem for row in compared.rows] == ["", "", "no wheel", "not run: exit code 1"]
    ours = compared.row("extrovert")
    assert ours is not None
    assert ours.values == [10, 10]


def test_without_the_plain_loop_nobody_has_figures() -> None:
    def do(system: System, job: Job) -> Failed:
        return Failed("no")

    compared = compare(W1, [PLAIN, OURS], {}, runs=1, events=10, perform=do)

    assert compared.row("extrovert") is None
    assert "plain loop failed" in compared.rows[1].problem


def test_ratios_are_of_the_pairs() -> None:
    ours = Row(system="extrovert", title="", values=[10, 40, 90])
    peer = Row(system="peer", title="", values=[10, 10, 10])

    assert ours.ratio(peer) == 4
    assert peer.ratio(ours) == 0.25


def test_what_a_runner_says_before_it_fails_is_the_reason(tmp_path: Path) -> None:
    found = perform(Path(sys.executable), "none", task(tmp_path / "a"))

    assert isinstance(found, Failed)
    assert "exit code 1" in found.why
    assert "No module named" in found.why


def test_an_environment_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    found = environment(("peer",), tmp_path / "file")

    assert isinstance(found, Failed)
    assert found.why.startswith("not installed: ")
    assert "file" in found.why


# ---- what is told


def compared(ours: float, peer: float, loop: float) -> Compared:
    rows = [
        Row(system=system.name, title=system.title, version="1", values=[value], processor=[1.0])
        for system, value in ((PLAIN, loop), (OURS, ours), (PEER, peer))
    ]
    return Compared(job=W1, events=10, rows=rows)


def test_an_aim_is_met_or_what_it_lacks_is_told() -> None:
    assert aim_text(W1.aim) == "≥ 2 × the best peer; ≥ 60 % of a plain loop"
    assert aim_text(Aim(per_s=5_000)) == "≥ 5,000/s"
    assert verdict(compared(ours=300_000, peer=150_000, loop=500_000), None) == "met"
    assert verdict(compared(ours=300_000, peer=200_000, loop=600_000), None) == (
        "missed: 1.50 of the best peer, 0.50 of a plain loop"
    )


def test_so_many_a_second_are_aimed_at() -> None:
    job = Job(name="W8", work="W8", what="", aim=Aim(per_s=5_000))

    for found, wanted in (5_000.0, "met"), (4_999.0, "missed: 4,999/s"):
        ours = Row(system=OURS.name, title="", values=[found])
        assert verdict(Compared(job=job, events=1, rows=[ours]), None) == wanted


def test_latencies_are_aimed_at_from_above() -> None:
    job = Job(name="W2", work="W2", what="", aim=Aim(p50_ms=0.1, p99_ms=0.5, peer=1), rate=10)
    ours = Row(system=OURS.name, title="", values=[0.2], p99s=[0.4])
    peer = Row(system="peer", title="Peer", values=[0.1], p99s=[9.0])

    assert verdict(Compared(job=job, events=1, rows=[ours, peer]), None) == "missed: p50 0.20 ms, above Peer"


def test_percentiles_leave_the_first_tenth_out() -> None:
    found = percentiles([9.0] * 10 + [0.001] * 89 + [0.002], [0.0] * 100)

    assert found == Latencies(p50_ms=1.0, p99_ms=2.0, worst_ms=2.0, behind_ms=0.0)


def entry(name: str, **what: object) -> Entry:
    on = Machine("Processor", 2, 0.0, 8, "Linux", "3.11", "0.22", "3.40", "abc")
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return Entry(name=name, at=at, command="python -m bench.peers", machine=on, runs=3, **what)  # pyright: ignore


def test_the_page_has_the_tables_between_its_markers_and_keeps_the_rest() -> None:
    figure = Figure(bench="joins", what="joins", unit="evaluations/s", runs=[123_456.0], aim="100,000")
    found = tables([entry("W1", compared=compared(300_000, 150_000, 500_000)), entry("W5", figures=[figure])])

    begin, end = markers()
    text = page(f"before\n{begin}\nold\n{end}\nafter\n", found)

    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    assert "| **W1**: rows and counts | 300,000/s | 150,000/s (Peer) | 500,000/s | 2.00 | 0.60 |" in text
    assert "123,456 evaluations/s" in text
    assert page(text, found) == text
    with pytest.raises(ValueError, match="markers"):
        page("nothing", found)


def test_a_work_that_is_measured_anew_takes_the_place_of_what_was_kept(tmp_path: Path) -> None:
    path = tmp_path / "found.json"
    save([entry("W1"), entry("W3")], path)

    save(merged(load(path), [entry("W1", problem="failed"), entry("W2")], ["W1", "W2", "W3"]), path)

    assert [(one.name, one.problem) for one in load(path)] == [("W1", "failed"), ("W2", ""), ("W3", "")]


def test_every_job_is_done_by_us_by_a_plain_loop_and_by_a_peer() -> None:
    from bench.peers.systems import SYSTEMS

    for job in JOBS:
        names = [one.name for one in SYSTEMS if job.work in one.works and (not job.only or one.name in job.only)]
        assert names[:2] == ["plain", "extrovert"]
        assert len(names) > 2
