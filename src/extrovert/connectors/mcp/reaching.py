"""The way to an MCP server: a program that is started here, or an address."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from extrovert.core.errors import DeclarationError, PermanentError
from extrovert.core.record import Record
from extrovert.models.keys import MIN_SECRET, SECRET, without_keys

__all__ = ["Way", "way_of"]


class Way(Record):
    """`command` is started, and spoken to through its standard input and output; or there is a `url`.

    `env` are variables that the program is given, `pass_env` the names of those of this process that it gets too;
    `token_env` names the one that holds the token for the address. A call may take `timeout_s`.
    """

    command: tuple[str, ...] = ()
    url: str = ""
    env: Mapping[str, str] = {}
    pass_env: tuple[str, ...] = ()
    token_env: str = ""
    timeout_s: float = 60.0

    def token(self) -> str:
        """The token for the address; "" where none is declared. Raises `PermanentError` where it is not there."""
        return _variable(self.token_env) if self.token_env else ""

    def without_secrets(self, text: str) -> str:
        """Text without the token and the keys that the server was given, which it may say back."""
        for name, value in self.env.items():
            text = text.replace(value, "[key]") if name.endswith(SECRET) and len(value) >= MIN_SECRET else text
        return without_keys(text, self.token_env or None)

    def variables(self) -> dict[str, str]:
        """The variables of the program, beside those that every program gets."""
        return {**{name: _variable(name) for name in self.pass_env}, **self.env}


def way_of(
    where: str,
    command: Sequence[str] | None,
    url: str | None,
    *,
    env: Mapping[str, str] | None = None,
    pass_env: Sequence[str] = (),
    token_env: str = "",
    timeout_s: float = 60.0,
) -> Way:
    """The way as it is declared. Raises `DeclarationError` where it is none, or two."""
    if isinstance(command, str):
        raise DeclarationError(f"{where}: command= is a list, as in command=[{command!r}].")
    if bool(command) == bool(url):
        raise DeclarationError(f"{where} has one way to it: command=[…] or url=….")
    if url and not url.startswith(("http://", "https://")):
        raise DeclarationError(f"{where}: url= begins with http:// or https://, and is not {url!r}.")
    if token_env and not url:
        raise DeclarationError(f"{where}: token_env= goes with url=; give a program its variables by pass_env=.")
    return Way(tuple(command or ()), url or "", env or {}, tuple(pass_env), token_env, timeout_s)


def _variable(name: str) -> str:
    found = os.environ.get(name, "")
    if not found:
        raise PermanentError(f"The environment variable {name}, which an MCP server needs, is not set.")
    return found
