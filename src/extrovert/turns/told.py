"""What a model is told beside what it is asked, for the log: without keys, and made once."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, cast

import msgspec

from extrovert.core.ids import canonical, fingerprint
from extrovert.core.log import Told
from extrovert.core.typed import typed

__all__ = ["HIDDEN", "shown", "told_of"]

HIDDEN = "[key]"
"""What is in the log in the place of what nobody is to see."""
SECRET = ("key", "token", "secret", "password", "credentials")
"""How the names of settings end that hold such."""
SECRETIVE = ("header", "auth", "cookie")
"""What the names of others have in them."""
WHO = re.compile(r"(?<=://)[^/?#]*@")
WHAT = re.compile(r"\?.*")
"""Of an address, who calls, and what is asked there."""


@lru_cache(4_096)
def told_of(instructions: str, parameters: str, output: Any, tools: str = "") -> Told:
    """The entry for these instructions and parameters, this wanted type, and these tools, as JSON."""
    schema = canonical(typed(output).schema)
    kept = canonical(shown(msgspec.json.decode(parameters))) if parameters else b"null"
    name = fingerprint(instructions, kept, schema, *([tools] if tools else []))
    offered = msgspec.Raw(tools.encode() or b"null")
    return Told(name, msgspec.Raw(schema), instructions, msgspec.Raw(kept), offered)


def shown(value: Any) -> Any:
    """A parameter without what may be a key: by the name under which it is, and in addresses who calls."""
    match value:
        case dict():
            named = cast(dict[str, Any], value)
            return {name: _hidden(one) if _secret(name) else shown(one) for name, one in named.items()}
        case list():
            return list(map(shown, cast(list[Any], value)))
        case str() if "://" in value:
            return WHAT.sub(f"?{HIDDEN}", WHO.sub(f"{HIDDEN}@", value))
        case _:
            return value


def _secret(name: str) -> bool:
    low = name.lower()
    return low.endswith(SECRET) or any(word in low for word in SECRETIVE)


def _hidden(value: Any) -> Any:
    """The value with all that it holds hidden, but for names."""
    if isinstance(value, dict):
        return {name: _hidden(one) for name, one in cast(dict[str, Any], value).items()}
    return HIDDEN if value else value
