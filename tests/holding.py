"""How much something holds: all objects that can be reached from it, whatever keeps them."""

from __future__ import annotations

import gc
from collections.abc import Iterable
from sys import getsizeof
from types import BuiltinFunctionType, CodeType, FrameType, FunctionType, ModuleType
from typing import Any, NamedTuple

__all__ = ["Held", "held"]

_SHARED = type | ModuleType | FunctionType | BuiltinFunctionType | CodeType | FrameType


class Held(NamedTuple):
    """Objects and their bytes."""

    objects: int
    bytes: int


def held(*roots: Any, without: Iterable[Any] = ()) -> Held:
    """What can be reached from `roots`, not through `without`, nor through functions, types and modules."""
    seen = {id(one) for one in without}
    left = [root for root in roots if id(root) not in seen]
    size = count = 0
    while left:
        one = left.pop()
        if id(one) not in seen and not isinstance(one, _SHARED):
            seen.add(id(one))
            count += 1
            size += getsizeof(one)
            left += gc.get_referents(one)
    return Held(count, size)
