"""A run of AG-UI: what is heard of a conversation, as the events that Pydantic AI's agents have."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

from ag_ui.core import RunAgentInput
from pydantic import ValidationError
from pydantic_ai import CustomEvent, PartDeltaEvent, PartEndEvent, PartStartEvent, TextPart, TextPartDelta
from pydantic_ai.ui import NativeEvent
from pydantic_ai.ui.ag_ui import AGUIAdapter, AGUIEventStream
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from extrovert.core.errors import ExtrovertError
from extrovert.engine.saying import say, take
from extrovert.engine.talking import hearing
from extrovert.engine.transcript import Answer, Corrected, Heard, NoAnswer, Words
from extrovert.surfaces.http.chat import chat_named
from extrovert.surfaces.http.paced import HEADERS, Paced
from extrovert.surfaces.http.refusing import Refusal
from extrovert.surfaces.http.site import Site
from extrovert.surfaces.http.speaker import place_of
from extrovert.turns.conversation import Earlier

__all__ = ["CorrectionEvent", "run"]


@dataclass(kw_only=True)
class CorrectionEvent(CustomEvent, name="correction"):
    """The message that was just begun does not hold any more; the next one is in its place."""

    message: str


async def run(site: Site, request: Request) -> Response:
    """Says the last message, where that is the user's, and answers it; else it waits until something is said unasked.

    The thread is the conversation, and the run the message: the same run again is the same message.
    """
    chat = chat_named(site.engine, request)
    try:
        asked = AGUIAdapter[None, str].build_run_input(await request.body())
    except ValidationError as error:
        raise Refusal(400, "wrong", f"This is no input of a run: {error.error_count()} errors in it.") from error
    place, said = place_of(request, asked.thread_id), _said(asked)
    if said and said[-1].role == "user":
        taken = take(
            site.engine,
            chat,
            conversation=place.conversation,
            user=place.user,
            text=said[-1].text,
            id=asked.run_id,
            earlier=said[:-1],
        )
        coming = Paced(say(site.engine, chat, taken, place.conversation))
    else:
        coming = Paced(_unasked(site, chat, place.conversation), site.stopping)
    stream = AGUIEventStream[None, str](asked, accept=request.headers.get("accept"))
    lines = stream.encode_stream(stream.transform_stream(_events(coming)))
    return StreamingResponse(lines, headers=HEADERS, media_type=stream.content_type)


def _said(asked: RunAgentInput) -> list[Earlier]:
    """What was said, as text; the app's instructions are its own, and so are its tools."""
    found: list[Earlier] = []
    for message in asked.messages:
        content: Any = message.content
        if message.role not in ("user", "assistant") or not content:
            continue
        if not isinstance(content, str):
            if any(part.type != "text" for part in content):
                raise Refusal(400, "wrong", "A message is text here.")
            content = "\n".join(part.text for part in content)
        found.append(Earlier("assistant" if message.role == "assistant" else "user", content))
    return found


async def _unasked(site: Site, chat: Any, conversation: str) -> AsyncGenerator[Heard]:
    """What the assistant says first, up to its end."""
    with hearing(site.engine, chat, conversation) as heard:
        async for one in heard:
            yield one
            if isinstance(one, Answer):
                return


async def _events(coming: Paced[Heard]) -> AsyncGenerator[NativeEvent]:
    index, text, open_ = 0, "", False
    async for heard in coming:
        match heard:
            case Words():
                if not open_:
                    yield PartStartEvent(index=index, part=TextPart(""))
                text, open_ = text + heard.text, True
                yield PartDeltaEvent(index=index, delta=TextPartDelta(heard.text))
            case Corrected():
                if open_:
                    yield PartEndEvent(index=index, part=TextPart(text))
                yield CorrectionEvent(message=heard.text)
                index, text, open_ = index + 1, "", False
            case Answer():
                if open_:
                    yield PartEndEvent(index=index, part=TextPart(text))
                return
            case NoAnswer():
                raise ExtrovertError("The assistant could not answer. Say it again, or look at the dead letters.")
            case None:
                pass
