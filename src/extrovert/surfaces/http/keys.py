"""Keys: who may come in. With a token, or by the program's own check; without either, from this machine alone."""

from __future__ import annotations

import os
from collections.abc import Mapping
from hashlib import sha256
from hmac import compare_digest
from inspect import isawaitable

from extrovert.core.errors import DeclarationError
from extrovert.surfaces.http.refusing import Refusal
from extrovert.surfaces.http.settings import Http

__all__ = ["Keys", "credential"]

TOKEN = "EXTROVERT_TOKEN"  # noqa: S105 (the name of a variable)
MIN_TOKEN = 16
HOW = "Make one: export {}=$(openssl rand -hex 32)"


class Keys:
    """The tokens of a host, kept as their hashes, and its own check. Raises `DeclarationError` where one is not good.

    Where `needed` is false, nobody has to show one.
    """

    def __init__(self, http: Http) -> None:
        self._who = http.who
        self._tokens: dict[bytes, str | None] = {}
        named = http.token_env or TOKEN
        if http.token_env or os.environ.get(named):
            self._add(named, None)
        for variable, user in http.tokens.items():
            self._add(variable, user)
        self.needed = bool(self._tokens) or http.who is not None

    def _add(self, variable: str, user: str | None) -> None:
        token = os.environ.get(variable, "").strip()
        if not token:
            raise DeclarationError(f"Http: the environment variable {variable} holds no token. {HOW.format(variable)}")
        if len(token) < MIN_TOKEN:
            raise DeclarationError(
                f"Http: the token in {variable} is shorter than {MIN_TOKEN} characters. {HOW.format(variable)}"
            )
        hashed = _hash(token)
        if hashed in self._tokens:
            raise DeclarationError(
                f"Http: the token in {variable} is that of another variable, too. Give each its own."
            )
        self._tokens[hashed] = user

    def fits(self, headers: Mapping[str, str]) -> tuple[bool, str | None]:
        """Whether a request shows a token that is known, and its user, if it stands for one.

        All are compared, each in constant time, so that the time tells nothing.
        """
        shown = _hash(credential(headers))
        fits, user = False, None
        for known, whose in self._tokens.items():
            if compare_digest(shown, known):
                fits, user = True, whose
        return fits, user

    async def known(self, headers: Mapping[str, str], fits: bool, user: str | None) -> str | None:
        """The user who sends a request, or None where that is not known. Raises `Refusal` where it may not come in."""
        if fits or not self.needed:
            return user
        found = None if self._who is None else self._who(headers)
        if isawaitable(found):
            found = await found
        if found is None:
            raise Refusal(
                401,
                "not_authenticated",
                "This host wants a token that it knows: send the header `Authorization: Bearer TOKEN`.",
                {"www-authenticate": "Bearer"},
            )
        return found


def credential(headers: Mapping[str, str]) -> str:
    """The token that a request shows; empty where it shows none."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _hash(token: str) -> bytes:
    return sha256(token.encode("utf-8", "surrogateescape")).digest()
