"""Mail: the events that running turns wait for, as a fold of what is delivered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from extrovert.core.ids import canonical
from extrovert.core.log import AskSent
from extrovert.turns.chain import outside as begun_outside
from extrovert.turns.request import Place
from extrovert.turns.running import Running
from extrovert.turns.waits import Awaited

__all__ = ["Mail", "address_of", "mail_for"]

Address = tuple[str, Any]
_awaited = msgspec.json.Decoder(Awaited)


def address_of(sent: AskSent) -> Address:
    """The stream and key (None: any) whose next event an ask of the kind next waits for."""
    awaited = _awaited.decode(sent.request)
    return awaited.stream, awaited.key


def mail_for(turn: Running) -> tuple[Place, msgspec.Raw] | None:
    """An ask of a turn for which an event has come, and that event."""
    for place, (sent, _) in turn.calls.items():
        if sent.kind == "next" and place not in turn.lost and (waiting := turn.inbox[address_of(sent)]):
            return place, msgspec.Raw(canonical(waiting[0][1]))
    return None


class Mail:
    """Who waits for events of which stream and key. What comes lies in `Running.inbox` until an answer takes it.

    `came` holds the turns for which something has come since it was last emptied.
    """

    def __init__(self) -> None:
        self.came: dict[Running, None] = {}
        self._listeners: dict[str, dict[Any, dict[Running, None]]] = {}

    def listen(self, turn: Running, address: Address) -> None:
        """From now on `turn` misses no event of this address."""
        turn.inbox.setdefault(address, [])
        stream, key = address
        self._listeners.setdefault(stream, {}).setdefault(key, {})[turn] = None

    def forget(self, turn: Running) -> None:
        """The turn has ended."""
        self.came.pop(turn, None)
        for stream, key in turn.inbox:
            of_stream = self._listeners[stream]
            of_stream[key].pop(turn, None)
            if not of_stream[key]:
                del of_stream[key]
                if not of_stream:
                    del self._listeners[stream]

    def delivered(
        self, stream: str, keys: Sequence[Any], records: Sequence[Any], offsets: Sequence[int], *, outside: bool
    ) -> None:
        """Events have come on a stream, from outside or not; a tombstone is none."""
        of_stream = self._listeners.get(stream)
        if of_stream is None:
            return
        for key, record, offset in zip(keys, records, offsets, strict=True):
            if record is not None:
                for wanted in (key, None):
                    for turn in of_stream.get(wanted, ()):
                        turn.inbox[stream, wanted].append((offset, record))
                        self.came[turn] = None
                        if outside:
                            turn.wake = begun_outside(turn.wake)
