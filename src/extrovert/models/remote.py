"""Models that answer over HTTP: one request to a provider's model by Pydantic AI's `direct`, and what came of it.

The extra `models` brings the library, which is imported when a model is first asked.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.util import find_spec
from socket import gaierror
from typing import Any, cast

from msgspec import Raw

from extrovert.core.errors import ExtrovertError, MissingExtra, PermanentError, TransientError
from extrovert.core.log import Usage
from extrovert.models.keys import without_keys
from extrovert.models.messages import answer_of, messages, parameters
from extrovert.turns.declare import Model
from extrovert.turns.request import Reply, Request
from extrovert.turns.told import HIDDEN

__all__ = ["RemoteModel"]

MOST_PREPARED = 1_000
"""How many kinds of requests are kept prepared."""

REFUSED = frozenset({400, 401, 403, 404, 405, 409, 413, 415, 422, 425, 429})
"""With these a provider says that it has not begun to answer."""

HINTS = {
    400: "The provider does not accept the request: check the model's name, its settings and the output type.",
    401: "Check the API key.",
    403: "The API key may not use this model.",
    404: "Check the model's name and base_url=.",
}
TOO_LONG = "The prompt is longer than the model takes: ask about less."
"""What a 400 means that speaks of the context."""


class RemoteModel:
    """Answers requests by a provider's model. Cancelling a call closes its HTTP request.

    Raises `TransientError` for what may pass (429, 5xx, time-outs, lost connections), `PermanentError` for what will
    not. The error is `free` where the provider cannot have charged for it: it was not reached, or it refused. No
    message has the API key, nor a body that a provider echoes it in. With a `key`, that is the one.
    """

    def __init__(self, declared: Model, *, key: str = "") -> None:
        if find_spec("pydantic_ai") is None:
            raise MissingExtra("The package `pydantic-ai-slim`, for asking models,", "models")
        self.declared = declared
        self._key = key
        self._client: Any = None
        self._model: Any = None
        self._output_mode = ""
        self._settings: dict[str, Any] = {}

    async def __call__(self, request: Request) -> Reply:
        from pydantic_ai.direct import model_request

        given = self._given(request)
        try:
            response = await model_request(**given)
        except Exception as error:
            raise self._said(error) from None
        return Reply(self._answer(response, request), self._usage(response))

    async def streamed(self, request: Request, heard: Callable[[str], None]) -> Reply:
        """The answer, where `heard` is told its text piece by piece."""
        from pydantic_ai.direct import model_request_stream
        from pydantic_ai.messages import PartDeltaEvent, PartStartEvent, TextPart, TextPartDelta

        given = self._given(request)
        try:
            async with model_request_stream(**given) as stream:
                async for event in stream:
                    if isinstance(event, PartStartEvent) and isinstance(event.part, TextPart):
                        heard(event.part.content)
                    elif isinstance(event, PartDeltaEvent) and isinstance(event.delta, TextPartDelta):
                        heard(event.delta.content_delta)
                response = stream.get()
        except Exception as error:
            raise self._said(error) from None
        unsaid = response.finish_reason is None and self._client is not None  # OpenAI's protocol says how it ended
        if response.state != "complete" or unsaid:
            raise TransientError(f"Model `{self.declared.of}` could not be read: its answer was cut off in the middle")
        return Reply(answer_of(response, request), self._usage(response))

    async def close(self) -> None:
        """Closes the connections."""
        client, self._client, self._model = self._client, None, None
        if client is not None:
            await client.close()

    # ---- the model

    def _given(self, request: Request) -> dict[str, Any]:
        """What Pydantic AI is given."""
        model: Any = self._model or self._opened()
        settings = self._settings
        if request.output is Raw:
            from extrovert.models.conversing import conversation

            said, wants, own = conversation(request)
            settings = {**settings, **own} if own else settings
        else:
            said = messages(request)
            wants = parameters(request.output, request.tools, request.instructions, self._output_mode)
        return {"model": model, "messages": said, "model_settings": settings, "model_request_parameters": wants}

    def _answer(self, response: Any, request: Request) -> Raw:
        if request.output is not Raw:
            return answer_of(response, request)
        from extrovert.models.conversing import response_out

        return response_out(response)

    def _opened(self) -> Any:
        from pydantic_ai.models import infer_model

        try:
            self._model = self.declared.instance or infer_model(_reached(self.declared), self._provider)
            self._output_mode = self._model.profile.get("default_structured_output_mode", "tool")
            if self._model.profile.get("supports_json_schema_output", False):
                self._output_mode = "native"
            self._settings = {"timeout": self.declared.timeout_s, **self.declared.settings}
            if self._client is None:
                self._settings["max_retries"] = 0
            if self.declared.max_tokens is not None:
                self._settings["max_tokens"] = self.declared.max_tokens
            if self.declared.instance is None:
                self._model.prepare_request = _once(self._model.prepare_request, self._settings)
        except ExtrovertError:
            raise
        except Exception as error:
            told = f"Model `{self.declared.of}` cannot be reached: {self._clean(str(error))}"
            raise PermanentError(told, free=True) from None
        return self._model

    def _provider(self, name: str) -> Any:
        """The provider, over connections that are kept and do not slow down when there are many."""
        from pydantic_ai.providers import infer_provider_class

        provider: Callable[..., Any] = infer_provider_class(name)
        given: dict[str, Any] = {"api_key": self._key} if self._key else {}
        if self.declared.api_key_env is not None:
            key = os.environ.get(self.declared.api_key_env)
            if not key:
                raise PermanentError(
                    f"Model `{self.declared.name}` wants its API key in the environment variable "
                    f"{self.declared.api_key_env}, which is not set.",
                    free=True,
                )
            given["api_key"] = key
        if self.declared.base_url is not None:
            given["base_url"] = self.declared.base_url
        if name.startswith("openai") or name in ("ollama", "vllm", "litellm"):
            given = {"openai_client": self._lean(provider(**given).client)}
        return provider(**given)

    def _lean(self, client: Any) -> Any:
        """The same client, as it is for many requests."""
        from httpx2 import Limits
        from openai import DefaultAioHttpClient

        from extrovert.models.lean import LeanOpenAI

        unlimited = Limits(max_connections=0, max_keepalive_connections=None)  # None would be aiohttp's own: 100
        self._client = LeanOpenAI(
            api_key=client.api_key,
            base_url=client.base_url,
            max_retries=0,
            http_client=DefaultAioHttpClient(limits=unlimited),
        )
        return self._client

    # ---- what came of it

    def _usage(self, response: Any) -> Usage:
        used = response.usage
        cost = None
        if self.declared.price is not None:
            cost = self.declared.price.nano_usd(used.input_tokens, used.output_tokens)
        else:
            try:
                cost = round(response.cost().total_price * 1_000_000_000)
            except (LookupError, ValueError, AssertionError):  # no price is known
                cost = None
        return Usage(
            model=response.model_name or self.declared.of,
            input_tokens=used.input_tokens,
            output_tokens=used.output_tokens,
            cost_nano_usd=cost,
        )

    def _said(self, error: Exception) -> Exception:
        """The error by who must act. What the provider says is kept, short and without keys."""
        from pydantic_ai import exceptions as said

        if isinstance(error, ExtrovertError):
            return error
        of = f"Model `{self.declared.of}`"
        status = getattr(error, "status_code", None)
        if isinstance(status, int):
            detail = self._clean(_detail(getattr(error, "body", None)))
            if status in (408, 409, 425, 429) or status >= 500:
                wait_s = getattr(error, "retry_after", None)
                return TransientError(f"{of} answered {status}{detail}", retry_after_s=wait_s, free=status in REFUSED)
            hint = TOO_LONG if status == 400 and "context" in detail else HINTS.get(status, HINTS[400])
            return PermanentError(f"{of} answered {status}{detail}. {hint}", free=status in REFUSED)
        if isinstance(error, said.UserError):
            return PermanentError(f"{of} cannot be asked: {self._clean(str(error))}", free=True)
        if (unreached := _unreached(error)) is not None:
            return TransientError(f"{of} could not be reached: {self._clean(str(unreached))[:300]}", free=True)
        if isinstance(error, said.ModelTimeoutError | TimeoutError):
            return TransientError(f"{of} did not answer in {self.declared.timeout_s:g} s")
        return TransientError(f"{of} could not be read: {type(error).__name__}: {self._clean(str(error))[:300]}")

    def _clean(self, text: str) -> str:
        """Text without any key that a provider may have been given."""
        text = text.replace(self._key, HIDDEN) if self._key else text
        return without_keys(text, self.declared.api_key_env)


def _once(prepare: Callable[..., Any], own: dict[str, Any]) -> Callable[..., Any]:
    """`Model.prepare_request`, once for the same parameters: the schemas in them are then walked through once. That is
    for the model's `own` settings."""
    known: dict[int, tuple[Any, Any]] = {}

    def prepared(settings: Any, wants: Any) -> Any:
        if settings is not own:
            return prepare(settings, wants)
        found = known.get(id(wants))
        if found is None or found[0] is not wants:
            if len(known) >= MOST_PREPARED:
                known.clear()
            found = known[id(wants)] = (wants, prepare(settings, wants))
        return found[1]

    return prepared


def _reached(declared: Model) -> str:
    """The name under which Pydantic AI knows the model: at another address it is asked for chat completions, which all
    that speak OpenAI's protocol have."""
    kind, _, rest = declared.of.partition(":")
    if declared.local:
        return "openai-chat:local"
    return f"openai-chat:{rest}" if kind == "openai" and declared.base_url is not None else declared.of


def _unreached(error: BaseException | None) -> BaseException | None:
    """Why there was no connection, where that is what happened: then nothing was sent."""
    while error is not None and not isinstance(error, ConnectionRefusedError | gaierror):
        error = error.__cause__ or error.__context__
    return error


def _detail(body: Any) -> str:
    """What the provider says is wrong, in short."""
    for field in ("error", "message"):
        body = cast(dict[str, Any], body).get(field, cast(Any, body)) if isinstance(body, dict) else body
    return f": {str(body)[:300]}" if body else ""
