"""An engine in a process of its own, whose agent has asked a model on this machine, and which then waits.

`python -m tests.integration.a_local_model DATA` prints `answered` when the model has answered.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from tests.integration.test_a_local_model import Case, asking, heard


async def main() -> None:
    app, cases, _, answers, _ = asking()
    async with app.serving(Path(sys.argv[1])) as engine:
        await engine.send(cases, [Case("first")])
        await heard(lambda: answers)
        print("answered", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
