"""A model that fails, or is slow, trips its breaker: it is left alone for a while, then tried by one ask."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from extrovert import Breaker, DeclarationError, Limits, PermanentError, TransientError
from extrovert.core.log import Answered
from tests.hosts import Host, replayed
from tests.picture import picture
from tests.spec.limited import Job, Limited, Told, admitted, limited, sent_at

BREAKER = Breaker(failures=3, within=timedelta(seconds=10), open_for=timedelta(seconds=30))


def failing(until: Callable[[], bool], error: Exception | None = None) -> Told:
    """Fails as long as `until` is not true."""

    def does(about: str) -> str:
        if until():
            return "done"
        raise error or TransientError("down")

    return Told(does=does)


async def test_after_so_many_failures_it_is_asked_no_more_for_a_while() -> None:
    app, host = limited(None, failing(lambda: False), breaker=BREAKER)
    await host.send(app.jobs, Job("j0"))
    # It fails at 0, 1 and 3 seconds, and is open until 33. Then one ask tries it, and it is open again, until 63.
    assert [at for _, at in sent_at(host)] == [0, 1, 3, 33, 63]
    assert admitted(host)[3][1].waited_for == "the breaker of model:gpt"


async def test_then_one_ask_tries_it_and_the_others_wait_for_what_comes_of_that() -> None:
    told = Told(2, does=lambda about: "done")
    broken = [True]

    def does(about: str) -> str:
        if broken[0]:
            raise TransientError("down")
        return "done"

    told = Told(2, does=does)
    app, host = limited(None, told, breaker=BREAKER)
    host.hand_in(app.jobs, *(Job(f"j{number}") for number in range(3)))
    await host.advance(5)
    broken[0] = False
    await host.settle()
    # All three fail at 2 s; they are tried again at 3 s, wait until 32, and when the first of them is well, go on.
    assert sent_at(host)[3:] == [("j0", 32), ("j1", 34), ("j2", 34)]
    assert len(app.done) == 3


async def test_only_agents_of_that_model_wait() -> None:
    one = Limited(breaker=BREAKER)
    well = one.app.model("well", one.rule, breaker=BREAKER)
    other, _ = one.agent("other", well)
    host = Host(one.app, None, {"model:gpt": failing(lambda: False), "model:well": Told(1)})
    host.hand_in(one.jobs, Job("j0"))
    await host.advance(4)
    host.hand_in(other, Job("o0"))
    await host.advance(2)
    assert one.done == {"o0": "done"}
    assert sent_at(host)[-1] == ("o0", 4)


async def test_failures_count_within_a_span_only() -> None:
    app, host = limited(None, failing(lambda: False), breaker=BREAKER.but(within=timedelta(seconds=2)))
    await host.send(app.jobs, Job("j0"))
    assert [at for _, at in sent_at(host)] == [0, 1, 3, 7, 15]


async def test_an_answer_that_takes_too_long_counts_as_a_failure() -> None:
    app, host = limited(None, Told(6), breaker=Breaker(failures=2, slow=timedelta(seconds=5)))
    host.hand_in(app.jobs, Job("j0"), Job("j1"))
    await host.advance(6)
    await host.send(app.jobs, Job("j2"))
    assert sent_at(host) == [("j0", 0), ("j1", 0), ("j2", 36)]
    assert len(app.done) == 3


async def test_what_is_wrong_with_the_question_is_not_the_models_failure() -> None:
    app, host = limited(None, failing(lambda: False, PermanentError("no")), breaker=BREAKER)
    await host.send(app.jobs, *(Job(f"j{number}") for number in range(5)))
    assert [at for _, at in sent_at(host)] == [0] * 5
    assert len(host.dead_letters()) == 5


async def test_a_model_that_says_for_how_long_is_left_alone_by_all() -> None:
    error = TransientError("429", retry_after_s=20, free=True)
    fails = [True]
    app, host = limited(None, failing(lambda: not fails[0], error), limits=Limits(calls=5))
    host.hand_in(app.jobs, Job("j0"))
    await host.advance(1)
    fails[0] = False
    await host.send(app.jobs, Job("j1"))
    assert sent_at(host) == [("j0", 0), ("j0", 20), ("j1", 20)]
    assert "has asked to be left alone" in admitted(host)[2][1].waited_for


@pytest.mark.parametrize("snapshot", [False, True])
async def test_an_open_breaker_and_its_probe_survive_a_crash(tmp_path: Path, snapshot: bool) -> None:
    fails = [True]
    told = failing(lambda: not fails[0])
    told.thinks_us = 2_000_000
    app, host = limited(tmp_path / "log", told, breaker=BREAKER)
    host.hand_in(app.jobs, *(Job(f"j{number}") for number in range(3)))
    await host.advance(20)
    fails[0] = False

    def again() -> None:
        host.flush()
        if snapshot:
            host.engine.keep_snapshot()
        host.crash()
        assert picture(replayed(host))["spending"] == picture(host.fold)["spending"]

    again()
    await host.advance(33 - (host.clock.now_us() - app_begin(host)) / 1e6)
    assert [at for _, at in sent_at(host)][3:] == [32]
    again()  # while the probe thinks
    await host.settle()
    assert sent_at(host)[3:] == [("j0", 32), ("j1", 34), ("j2", 34)]
    assert len(host.bodies(Answered)) == 3


def app_begin(host: Host) -> int:
    return host.entries()[0].at_us


async def test_a_probe_that_nobody_waits_for_any_more_makes_room_for_another() -> None:
    fails = [True]
    told = failing(lambda: not fails[0])
    told.thinks_us = 2_000_000
    app, host = limited(None, told, breaker=BREAKER)
    host.hand_in(app.jobs, *(Job(f"j{number}", "one") for number in range(3)))
    await host.advance(33)
    fails[0] = False
    host.hand_in(app.jobs, Job("j0", "another"))
    await host.settle()
    assert sent_at(host)[3:] == [("j0", 32), ("j0", 33), ("j1", 35), ("j2", 35)]


@pytest.mark.parametrize("breaker", [Breaker(failures=0), Breaker(open_for=timedelta(0)), Breaker(within=timedelta(0))])
def test_a_breaker_that_cannot_work_is_refused(breaker: Breaker) -> None:
    options: dict[str, Any] = {"breaker": breaker}
    with pytest.raises(DeclarationError, match="Model `gpt`: a breaker takes at least 1 failure"):
        Limited(**options)
