"""What waits for a limit is shown while it waits, and told afterwards; so is who answered in a model's place."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO
from pathlib import Path

from rich.console import Console

from extrovert import Breaker, Limits, TransientError
from extrovert.core.time import from_us
from extrovert.surfaces.gauging import gauge
from extrovert.surfaces.inspecting import _show_work  # pyright: ignore[reportPrivateUsage]
from extrovert.surfaces.story import find, tell
from extrovert.surfaces.telling import tell_to
from tests.hosts import Host
from tests.spec.limited import BEGIN_US, Job, Limited, Told, limited


def shown(host: Host) -> str:
    out = Console(file=StringIO(), width=1000)
    _show_work(out, gauge(host.engine))
    assert isinstance(out.file, StringIO)
    return out.file.getvalue()


def told(host: Host, name: str) -> str:
    host.flush()
    out = Console(file=StringIO(), width=1000)
    tell_to(out, tell(host.store, find(host.store, name)))
    assert isinstance(out.file, StringIO)
    return out.file.getvalue()


async def test_what_waits_is_shown_with_what_it_waits_for_and_until_when() -> None:
    app, host = limited(None, Told(5), limits=Limits(calls=3, requests_per_minute=2))
    host.hand_in(app.jobs, *(Job(f"j{number}") for number in range(5)))
    await host.advance(1)
    (found,) = gauge(host.engine).limits
    assert (found.account, found.calls, found.requests, found.tokens, found.waiting) == ("model:gpt", 2, 2, 200, 3)
    assert found.waits_for == "2 requests a minute of model:gpt"
    assert found.until == from_us(BEGIN_US + 60_000_000)
    (agent,) = gauge(host.engine).agents
    assert (agent.running, agent.asking, agent.limited, agent.held) == (5, 5, 3, 0)
    line = next(line for line in shown(host).splitlines() if "model:gpt" in line)
    assert "2 of 3" in line
    assert "2 of 2" in line
    assert "0.0004" in line


async def test_it_is_shown_where_the_app_does_not_run_too(tmp_path: Path) -> None:
    app, host = limited(tmp_path / "log", Told(5), limits=Limits(calls=1))
    host.hand_in(app.jobs, Job("j0"), Job("j1"))
    await host.advance(1)
    host.flush()
    host.kill()
    host.settings = type(host.settings)(acting=False)
    host.begin()
    (found,) = gauge(host.engine).limits
    assert (found.calls, found.waiting, found.waits_for) == (1, 1, "")


async def test_an_open_breaker_is_shown() -> None:
    def fails(about: str) -> str:
        raise TransientError("down")

    app, host = limited(None, Told(does=fails), breaker=Breaker(failures=1))
    host.hand_in(app.jobs, Job("j0"))
    await host.advance(2)
    (found,) = gauge(host.engine).limits
    assert (found.breaker, found.waits_for) == ("open", "the breaker of model:gpt")
    await host.advance(27.9)
    assert gauge(host.engine).limits[0].breaker == "open"


async def test_the_story_of_a_decision_tells_for_what_its_ask_waited() -> None:
    app, host = limited(None, Told(5), limits=Limits(calls=1))
    await host.send(app.jobs, Job("j0"), Job("j1"))
    assert "waited" not in told(host, "work:j0")
    text = told(host, "work:j1")
    assert "waited 5.0 s for 1 calls at a time of model:gpt" in text
    assert "answered after 5.0 s" in text


async def test_and_who_answered_in_the_models_place_and_why() -> None:
    one = Limited()
    tight = one.app.model("tight", one.rule, limits=Limits(requests_per_minute=1, over="fallback"), fallback=one.gpt)
    jobs, _ = one.agent("other", tight, deadline=timedelta(minutes=5))
    host = Host(one.app, None, {"model:gpt": Told(2), "model:tight": Told(1)})
    await host.send(jobs, Job("j0"), Job("j1"))
    text = told(host, "other:j1")
    assert "asked model:tight about" in text
    assert "model:gpt was asked in its place, because of 1 requests a minute of model:tight" in text
    assert "in its place" not in told(host, "other:j0")
