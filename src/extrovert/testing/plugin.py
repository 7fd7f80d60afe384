"""The pytest plugin: the `world` fixture, and coroutine tests that use it."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from extrovert.testing.world import World

__all__ = ["pytest_pyfunc_call", "world"]


@pytest.fixture
def world(request: pytest.FixtureRequest) -> Generator[World]:
    """A fresh world for the `app` of the test's module (or for a fixture named `app`, where there is one)."""
    from extrovert.testing.world import World

    module: Any = getattr(request, "module", None)
    app: Any = getattr(module, "app", None) or request.getfixturevalue("app")
    with World(app) as made:
        yield made


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Runs a coroutine test that uses a world, in a loop of its own."""
    if "world" not in pyfuncitem.fixturenames or not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    wanted = inspect.signature(pyfuncitem.obj).parameters
    asyncio.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in wanted}))
    return True
