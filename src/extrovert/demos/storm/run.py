"""Runs of the storm, supervised: each in its own process, started again when it was killed, audited at its end."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import msgspec

from extrovert.core.errors import ExtrovertError
from extrovert.demos.storm.receiver import receiving
from extrovert.demos.storm.summary import Audit, Summary
from extrovert.demos.storm.worker import Progress, Spec

__all__ = ["RunFailed", "run", "run_all"]

AUDITOR = files("extrovert.demos.storm") / "auditor.py"
REFUNDS = files("extrovert.demos.storm") / "refund_auditor.py"
CORRECTIONS = files("extrovert.demos.storm") / "correction_auditor.py"
BUDGET = files("extrovert.demos.storm") / "budget_auditor.py"
Watch = Callable[[str, Progress], None]


class RunFailed(ExtrovertError):
    """A worker ended with an error; the message is what it said."""


async def run(name: str, spec: Spec, watch: Watch, *, http: bool = False) -> tuple[Summary, int]:
    """Runs `spec` to its end and audits it; returns the summary and how often the engine was killed.

    With `http` its messages and payments go to a server that outlives the engine.
    """
    if http:
        with receiving(Path(spec.data)) as port:
            return await run(name, msgspec.structs.replace(spec, port=port), watch)
    kills = 0
    while (code := await _engine(name, spec, watch)) != 0:
        if code != -signal.SIGKILL or spec.crash_every is None:
            raise RunFailed(f"The engine of run `{name}` ended with exit code {code}; its log is in {spec.data}.")
        kills += 1
    summary, *audits = await asyncio.gather(
        _output("-m", "extrovert.demos.storm.summary", spec.data),
        _output("-I", str(AUDITOR), spec.data, "--json"),
        _output("-I", str(REFUNDS), spec.data),
        _output("-I", str(CORRECTIONS), spec.data),
        _output("-I", str(BUDGET), spec.data),
    )
    found = msgspec.json.decode(summary, type=Summary)
    counts = dict(count for audit in audits for count in msgspec.json.decode(audit).items())
    found.refunds, found.invalidated = counts["refunds"], counts["invalidated"]
    found.written, found.by_form, found.spent_usd = counts["written"], counts["by_form"], counts["spent_usd"]
    found.late_events, found.corrected_events = counts["late_events"], counts["corrected_events"]
    counts["stale_decisions"] += counts["stale_as_of"]
    found.audit = msgspec.convert(counts, type=Audit)
    return found, kills


async def run_all(specs: dict[str, Spec], watch: Watch) -> dict[str, Summary]:
    """Runs several, as many at a time as there are processors, the longest first: those on the oldest copies."""
    room = asyncio.Semaphore(max(1, os.cpu_count() or 1))
    found: dict[str, Summary] = {}

    async def one(name: str, spec: Spec) -> None:
        async with room:
            found[name] = (await run(name, spec, watch))[0]

    longest_first = sorted(specs.items(), key=lambda item: item[1].refresh_s or 0, reverse=True)
    await asyncio.gather(*(one(name, spec) for name, spec in longest_first))
    return {name: found[name] for name in specs}


async def _engine(name: str, spec: Spec, watch: Watch) -> int:
    """One engine process, from start to end; returns its exit code."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "extrovert.demos.storm.worker",
        msgspec.json.encode(spec).decode(),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        async for line in process.stdout:
            if line.endswith(b"\n"):
                watch(name, msgspec.json.decode(line, type=Progress))
        return await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _output(*arguments: str) -> bytes:
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    if process.returncode != 0:
        raise RunFailed(f"`python {' '.join(arguments)}` ended with exit code {process.returncode}.")
    return output
