"""Counts the messages that a run of the storm paid for beyond its budget, from its log file alone; imports nothing of
Extrovert.

Usage: python budget_auditor.py DIR [--examples N]. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
from collections import deque
from contextlib import closing
from pathlib import Path
from typing import Any

Json = dict[str, Any]

HOUR_US = 3_600_000_000
PRICE_MILLS, BUDGET_MILLS = 2, 10_000
"""What one message of the writer costs, and what an hour may: in thousandths of a dollar."""

WRITER, FORM = "model:writer", "policy:form"


class Audit:
    """Takes the entries of a log in order, and keeps what is `wrong`: a message asked of the writer when those of the
    hour until then had taken the budget, or one that was answered by whoever, and had never been let through."""

    def __init__(self) -> None:
        self.wrong: list[str] = []
        self.written = self.by_form = self.most_mills = 0
        self._hour: deque[int] = deque()
        self._sent: set[tuple[str, str, int]] = set()

    def take(self, offset: int, at_us: int, body: Json) -> None:
        """Takes one entry."""
        ask = (body["turn"], body["hash"], body["occurrence"])
        if body["kind"] == "answered":
            if ask not in self._sent:
                self.wrong.append(f"{offset}: {body['turn']} has an answer to what was never let through")
        elif body["model"] == FORM:
            self.by_form += 1
            self._sent.add(ask)
        elif body["model"] == WRITER:
            self._sent.add(ask)
            self._pay(offset, at_us, body["turn"])
        else:
            self.wrong.append(f"{offset}: {body['turn']} asked {body['model']}")

    def _pay(self, offset: int, at_us: int, turn: str) -> None:
        self.written += 1
        while self._hour and self._hour[0] + HOUR_US <= at_us:
            self._hour.popleft()
        self._hour.append(at_us)
        mills = PRICE_MILLS * len(self._hour)
        self.most_mills = max(self.most_mills, mills)
        if mills > BUDGET_MILLS:
            self.wrong.append(f"{offset}: {turn} took the hour to ${mills / 1000:.3f}")


def audit(directory: Path) -> Audit:
    """The audit of the run in `directory`."""
    found = Audit()
    path = (directory / "log.sqlite").resolve(strict=True)
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as log:
        query = "SELECT offset, at_us, CAST(body AS TEXT) FROM log WHERE kind IN ('admitted', 'answered')"
        for offset, at_us, text in log.execute(f"{query} ORDER BY offset"):
            body = json.loads(text)
            if body["turn"].startswith("tell:"):
                found.take(offset, at_us, body)
    return found


def main() -> None:
    """Audits what the command line names, and prints what was found."""
    parser = argparse.ArgumentParser(description="Audits the budget of a run of the storm from its log file alone.")
    parser.add_argument("directory", type=Path, metavar="DIR")
    parser.add_argument("--examples", type=int, default=0, metavar="N", help="show the first N that went wrong")
    options = parser.parse_args()
    found = audit(options.directory)
    told: Json = {"written": found.written, "by_form": found.by_form, "spent_usd": found.most_mills / 1000}
    told["overspent"] = len(found.wrong)
    print(json.dumps(told | ({"examples": found.wrong[: options.examples]} if options.examples else {})))


if __name__ == "__main__":
    main()
