"""Fingerprints and chance, both pure functions of what they are given."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import msgspec

from extrovert.core.typed import as_json

__all__ = ["canonical", "chance", "fingerprint"]

_ENCODER = msgspec.json.Encoder(order="deterministic", enc_hook=as_json)


def canonical(value: Any) -> bytes:
    """The one JSON text for `value`: equal values give equal bytes, whatever the order of dicts and sets."""
    return _ENCODER.encode(value)


def fingerprint(*parts: bytes | str) -> str:
    """24 hex digits of BLAKE2b over the parts; the parts' borders count."""
    joined = b""
    for part in parts:
        raw = part.encode() if isinstance(part, str) else part
        joined += len(raw).to_bytes(8, "little") + raw
    return blake2b(joined, digest_size=12).hexdigest()


def chance(*parts: object) -> float:
    """A number strictly between 0 and 1, uniform over the parts and always the same for the same parts."""
    raw = blake2b("\x1f".join(map(str, parts)).encode(), digest_size=8).digest()
    return (int.from_bytes(raw, "little") + 0.5) / 2**64
