"""The OpenAI protocol: chats as models of a service that any chat client can talk with.

A chat is a model under its name. The client's last message is what is said; which conversation that is in, the client
names, or it follows from what the client sends of it. What the app's chat function is told is the conversation as it is
kept here, never the client's system messages.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncGenerator, Mapping, Sequence
from hashlib import sha256
from secrets import token_hex
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from extrovert.core.errors import DeclarationError, InputError
from extrovert.core.ids import fingerprint
from extrovert.engine.loop import Engine
from extrovert.engine.saying import chat_of, key_of, name_of, say, take
from extrovert.engine.transcript import Answer, Corrected, Heard, NoAnswer, Words
from extrovert.surfaces.http.openai_messages import Asked, asked_of, completion, piece, problem
from extrovert.surfaces.http.paced import HEADERS, Paced, event, sign_of_life
from extrovert.surfaces.http.refusing import Refusal
from extrovert.surfaces.http.site import Site
from extrovert.surfaces.http.speaker import Place, user_of
from extrovert.surfaces.http.threads import thread_found
from extrovert.turns.chat import Chat

__all__ = ["openai"]

CONVERSATION = "x-conversation-id"
MOST_RECENT = 1_000


async def openai(site: Site) -> Sequence[BaseRoute]:
    """`/v1/models` and `/v1/chat/completions`."""
    engine, recent = site.engine, _Recent()
    if not site.declared.chats:
        return ()

    async def models(_: Request) -> Response:
        return _json({"object": "list", "data": [_model(chat) for chat in site.declared.chats]})

    async def model(request: Request) -> Response:
        try:
            return _json(_model(_chat(engine, request.path_params["model"])))
        except Refusal as refusal:
            return problem(refusal)

    async def completions(request: Request) -> Response:
        try:
            return await _completed(engine, recent, request)
        except Refusal as refusal:
            return problem(refusal)
        except (DeclarationError, InputError) as error:
            return problem(Refusal(400, "wrong", str(error)))

    return [
        Route("/v1/models", models),
        Route("/v1/models/{model:path}", model),
        Route("/v1/chat/completions", completions, methods=["POST"]),
    ]


def _json(document: Any, headers: Mapping[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(document), headers=headers, media_type="application/json")


def _model(chat: Chat[Any]) -> dict[str, Any]:
    return {"id": chat.name, "object": "model", "created": 0, "owned_by": "extrovert"}


def _chat(engine: Engine, name: str) -> Chat[Any]:
    known = sorted(chat.name for chat in engine.declared.chats)
    if name not in known:
        raise Refusal(404, "model_not_found", f"There is no model {name!r}. There are: {', '.join(known)}.")
    return chat_of(engine, name)


class _Recent:
    """Where the latest requests went, by their id or content: a client that has lost its connection asks again."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, tuple[Place, str]] = OrderedDict()

    def get(self, name: str) -> tuple[Place, str] | None:
        return self._known.get(name)

    def note(self, name: str, place: Place, said: str) -> None:
        self._known[name] = (place, said)
        while len(self._known) > MOST_RECENT:
            self._known.popitem(last=False)


async def _completed(engine: Engine, recent: _Recent, request: Request) -> Response:
    body = await request.body()
    asked = asked_of(body)
    chat, user = _chat(engine, asked.model), user_of(request)
    key = request.headers.get("idempotency-key", "")
    name = fingerprint(user, chat.name, key or sha256(body).hexdigest(), request.headers.get(CONVERSATION, ""))
    again = bool(key) or request.headers.get("x-stainless-retry-count", "0") != "0"
    found = recent.get(name) if again else None
    place, said = found or (_place(engine, chat, user, asked, request.headers, key), key or token_hex(12))
    recent.note(name, place, said)
    taken = take(
        engine,
        chat,
        conversation=place.conversation,
        user=place.user,
        text=asked.text,
        id=said,
        earlier=asked.earlier,
    )
    heard = Paced(say(engine, chat, taken, place.conversation))
    called = name_of(user, place.conversation) or ""
    headers = {CONVERSATION: called} if called.isascii() else {}
    if asked.stream:
        lines = _lines(asked, engine.clock.now_us() // 1_000_000, heard)
        return StreamingResponse(lines, headers={**HEADERS, **headers}, media_type="text/event-stream")
    async for one in heard:
        match one:
            case Answer():
                return _json(completion(asked, engine.clock.now_us() // 1_000_000, one), headers)
            case NoAnswer():
                raise _unanswered()
            case None if await request.is_disconnected():
                break
            case _:
                pass
    raise _gone()


def _place(engine: Engine, chat: Chat[Any], user: str, asked: Asked, headers: Mapping[str, str], key: str) -> Place:
    """The conversation: as the client names it, or the one in which this follows, or a new one."""
    named = headers.get(CONVERSATION) or (asked.metadata or {}).get("conversation")
    if named is not None:
        return Place(user, key_of(user, str(named)))
    found = thread_found(engine, chat, user, asked.earlier, asked.text, key)
    return found or Place(user, key_of(user, f"c-{fingerprint(key)[:16] if key else token_hex(8)}"))


def _unanswered() -> Refusal:
    """What went wrong is in the dead letters: it may name what is nobody's business."""
    return Refusal(502, "no_answer", "The assistant could not answer. Say it again, or look at the dead letters.")


def _gone() -> Refusal:
    return Refusal(503, "gone", "What was heard came to its end before there was an answer. Ask the same again.")


def _error(refusal: Refusal) -> bytes:
    return event(msgspec.json.decode(problem(refusal).body))


async def _lines(asked: Asked, created: int, coming: Paced[Heard]) -> AsyncGenerator[bytes]:
    """The answer as it comes, as pieces of a completion."""
    ended = False
    name = f"chatcmpl-{token_hex(12)}"
    yield event(piece(asked, name, created, {"role": "assistant", "content": ""}))
    async for heard in coming:
        ended = isinstance(heard, Answer | NoAnswer)
        match heard:
            case None:
                yield sign_of_life()
            case Words():
                yield event(piece(asked, name, created, {"content": heard.text}))
            case Corrected():
                yield event(piece(asked, name, created, {"content": f"\n\n[Correction: {heard.text}]\n\n"}))
            case Answer():
                yield event(piece(asked, name, created, {}, ends=True))
                if asked.wants_usage:
                    yield event(piece(asked, name, created, None, usage=heard))
            case NoAnswer():
                yield _error(_unanswered())
    if not ended:
        yield _error(_gone())
    yield b"data: [DONE]\n\n"
