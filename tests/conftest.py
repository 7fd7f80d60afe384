"""What all tests share: coroutine tests run in a loop of their own; the laws try the same examples at each run.

`pytest --hypothesis-profile=explore` tries other examples at each run, and prints how to repeat one that fails.
"""

from __future__ import annotations

import asyncio
import inspect

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "explore",
    derandomize=False,
    print_blob=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.register_profile("extrovert", settings.get_profile("explore"), derandomize=True)
settings.load_profile("extrovert")


def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Runs the coroutine tests that the `world` fixture's plugin leaves."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    wanted = inspect.signature(pyfuncitem.obj).parameters
    asyncio.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in wanted}))
    return True
