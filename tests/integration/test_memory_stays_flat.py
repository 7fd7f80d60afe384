"""Memory is bounded where state is: ten million events through a thousand keys, and as much is held at their end as
after the first of them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from tests.integration.ten_million import KEYS

EVENTS = 10_000_000
STATM = Path("/proc/self/statm")


@pytest.mark.slow
@pytest.mark.skipif(not STATM.exists(), reason="the resident memory of a process is read where Linux has it")
def test_ten_million_events_through_a_thousand_keys_leave_memory_flat(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.integration.ten_million", str(EVENTS), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.splitlines()]
    assert told[-1]["events"] == EVENTS
    quarter = len(told) // 4
    early, late = told[quarter : 2 * quarter], told[-quarter:]
    for what in ("rss_mib", "files"):
        before, after = (median(one[what] for one in some) for some in (early, late))
        assert after <= 1.1 * before, f"{what} grew from {before:,.0f} to {after:,.0f}"
    for what, before in early[-1]["held"].items():
        assert told[-1]["held"][what] <= before + KEYS, f"{what}: {before:,}, and {told[-1]['held'][what]:,} at the end"
