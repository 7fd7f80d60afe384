"""Messages of the OpenAI protocol: what a client asks, and what it is answered."""

from __future__ import annotations

from collections.abc import Sequence
from secrets import token_hex
from typing import Any

import msgspec
from starlette.responses import Response

from extrovert.engine.transcript import Answer
from extrovert.surfaces.http.refusing import Refusal
from extrovert.turns.conversation import Earlier

__all__ = ["Asked", "asked_of", "completion", "piece", "problem"]

KINDS = {400: "invalid_request_error", 404: "invalid_request_error"}


class _Part(msgspec.Struct):
    type: str
    text: str = ""


class _Message(msgspec.Struct):
    role: str
    content: str | list[_Part] | None = None


class _Options(msgspec.Struct):
    include_usage: bool = False


class _Body(msgspec.Struct):
    model: str
    messages: list[_Message]
    stream: bool | None = False
    stream_options: _Options | None = None
    metadata: dict[str, Any] | None = None
    n: int | None = 1


class Asked:
    """What a client asks: the last of its messages is what is said, the others went before."""

    def __init__(self, body: _Body) -> None:
        self.model = body.model
        self.stream = bool(body.stream)
        self.metadata = body.metadata
        self.wants_usage = body.stream_options is not None and body.stream_options.include_usage
        said = [Earlier("assistant" if one.role == "assistant" else "user", _text(one)) for one in _told(body)]
        if not said or said[-1].role != "user":
            raise Refusal(400, "wrong", "The last of `messages` is what is said: give it the role `user`.")
        self.text = said[-1].text
        self.earlier = said[:-1]


_body_of = msgspec.json.Decoder(_Body)


def asked_of(body: bytes) -> Asked:
    """What is asked. Raises `Refusal` for what cannot be answered."""
    try:
        found = _body_of.decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise Refusal(400, "wrong", f"This is no request for a completion: {error}.") from error
    if found.n not in (None, 1):
        raise Refusal(400, "wrong", "There is one answer: leave out `n`.")
    return Asked(found)


def _told(body: _Body) -> list[_Message]:
    """What was said. Instructions are the app's, so a client's are passed over, and so is what its tools gave."""
    return [one for one in body.messages if one.role in ("user", "assistant") and one.content]


def _text(message: _Message) -> str:
    if isinstance(message.content, str):
        return message.content
    for part in message.content or ():
        if part.type != "text":
            raise Refusal(400, "wrong", f"A message is text here, not {part.type!r}.")
    return "\n".join(part.text for part in message.content or ())


# ---- answers


def completion(asked: Asked, created: int, answer: Answer) -> dict[str, Any]:
    """A whole answer."""
    message = {"role": "assistant", "content": answer.said.text, "refusal": None}
    return {
        "id": f"chatcmpl-{token_hex(12)}",
        "object": "chat.completion",
        "created": created,
        "model": asked.model,
        "choices": [{"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}],
        "usage": _usage(answer),
    }


def piece(
    asked: Asked, name: str, created: int, delta: Any, *, ends: bool = False, usage: Answer | None = None
) -> dict[str, Any]:
    """A piece of a streamed answer: some words more, its end, or what it took."""
    choices: Sequence[Any] = (
        [] if usage is not None else [{"index": 0, "delta": delta, "finish_reason": "stop" if ends else None}]
    )
    found: dict[str, Any] = {
        "id": name,
        "object": "chat.completion.chunk",
        "created": created,
        "model": asked.model,
        "choices": choices,
    }
    if asked.wants_usage:
        found["usage"] = None if usage is None else _usage(usage)
    return found


def _usage(answer: Answer) -> dict[str, int]:
    taken, given = answer.tokens_in, answer.tokens_out
    return {"prompt_tokens": taken, "completion_tokens": given, "total_tokens": taken + given}


def problem(refusal: Refusal) -> Response:
    """What went wrong, in the protocol's shape."""
    error = {
        "message": refusal.message,
        "type": KINDS.get(refusal.status, "server_error"),
        "param": None,
        "code": refusal.code,
    }
    return Response(
        msgspec.json.encode({"error": error}), refusal.status, refusal.headers, media_type="application/json"
    )
