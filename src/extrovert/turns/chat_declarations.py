"""Declarations of conversations, and of the chats that are held in them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar, Unpack, overload

from extrovert.context.nodes import value_type
from extrovert.context.stream import Stream
from extrovert.context.view import View
from extrovert.core.declaring import add, check_name
from extrovert.core.errors import DeclarationError
from extrovert.turns.chat import Chat, ChatFunction, folded, fullness, shifting, speaking_first, speaking_to
from extrovert.turns.conversation import Conversations, Known, Memory, Message, Open, Said, Spoken, opened
from extrovert.turns.declarations import TurnDeclarations
from extrovert.turns.declare import AgentOptions, Model, Policy

__all__ = ["ChatDeclarations"]

G = TypeVar("G")
COUNTS_ONCE_WITHIN = timedelta(days=1)
LEAST_TOKENS = 50
UNASKED = ("quiet", "max_wait", "rest")
"""Options that are about speaking first: who asks is answered at once."""


class ChatDeclarations(TurnDeclarations):
    """What an app declares of conversations. `App` is one of these."""

    def __init__(self) -> None:
        super().__init__()
        self._talks: dict[str, Conversations] = {}
        self._chats: dict[str, Chat[Any]] = {}

    def conversations(
        self,
        name: str,
        *,
        open_for: timedelta = timedelta(hours=1),
        keep: timedelta = timedelta(days=30),
        budget: int = 2_000,
        summary: int = 500,
        facts: int = 50,
    ) -> Conversations:
        """Declares conversations: what is said in them, and what is remembered of that, in streams and tables.

        A conversation is open for the time `open_for` after a user has last spoken in it; what it was about is
        remembered for the time `keep` after the last message, and what is known of a user likewise. Messages of about
        `budget` tokens are told word for word, those before in a summary of at most `summary` tokens; of a user at most
        so many `facts` are remembered.
        """
        check_name("conversation", name)
        for what, given in (("budget", budget), ("summary", summary)):
            if given < LEAST_TOKENS:
                raise DeclarationError(f"Conversations `{name}`: {what}= are tokens, at least {LEAST_TOKENS}.")
        if facts < 1:
            raise DeclarationError(f"Conversations `{name}`: facts= must be 1 or more.")
        said = self.stream(
            f"{name}-said", Said, key="conversation", shard_by="user", id="id", horizon=COUNTS_ONCE_WITHIN
        )
        memory = self.table(f"{name}-memory", Memory, key=Memory.conversation, shard_by="user", ttl=keep)
        talks = Conversations(
            name,
            said=said,
            spoken=self.stream(f"{name}-answers", Spoken, key="conversation", shard_by="user"),
            open=self.table(
                f"{name}-open", Open, key=Open.conversation, source=said, fold=opened, shard_by="user", ttl=open_for
            ),
            messages=self.table(f"{name}-messages", Message, key=Message.id, shard_by="user", ttl=keep),
            memory=memory,
            known=self.table(f"{name}-known", Known, key=Known.user, ttl=keep),
            by_thread=memory.index(Memory.user, Memory.thread),
            budget=budget,
            summary=summary,
            most_facts=facts,
        )
        return add(self._talks, "conversation", name, talks)

    @overload
    def chat(
        self,
        talks: Conversations,
        *,
        rests_on: View[Any, G],
        model: Policy[Any] | Model | str | None = None,
        sums_up: Policy[Any] | Model | str | None = None,
        streams: bool = True,
        **options: Unpack[AgentOptions],
    ) -> Callable[[ChatFunction[G]], Chat[G]]: ...
    @overload
    def chat(
        self,
        talks: Conversations,
        *,
        model: Policy[Any] | Model | str | None = None,
        sums_up: Policy[Any] | Model | str | None = None,
        streams: bool = True,
        **options: Unpack[AgentOptions],
    ) -> Callable[[ChatFunction[None]], Chat[None]]: ...
    def chat(
        self,
        talks: Conversations,
        *,
        rests_on: View[Any, Any] | None = None,
        model: Policy[Any] | Model | str | None = None,
        sums_up: Policy[Any] | Model | str | None = None,
        streams: bool = True,
        **options: Any,
    ) -> Any:
        """Declares a chat: the decorated `async def name(turn, talk)` returns what the assistant says.

        It runs for each message in `talks` (those that come while it runs are answered together in the next turn), with
        the context as it then is; its answer is committed with the decision. `talk.said` are the texts to be answered.

        With `rests_on`, a view over `talks.open`, it also runs when the value of that is another one than the user was
        told and nobody waits for an answer: `talk.changed` has the old and the new value, and what it returns is said
        unasked (None: nothing). `quiet`, `max_wait` and `rest` say how soon and how often that may be.

        The words of what it asks for as text are sent to those who listen while the model says them, and taken back
        openly where they do not hold. With streams=False an answer is sent once it is committed: for a function that
        also asks for texts that are not for the user.

        `model` answers its asks. `sums_up`, a model or a policy of `Folding`, folds older messages into a summary; else
        the model does, or, where that is a policy or none, the beginnings of the messages are kept. The other options
        are those of `App.agent`.
        """
        self._check_own("A chat", "what it is held in", talks.said, Stream)
        if rests_on is not None:
            self._check_own("A chat", "rests_on=", rests_on, View)
            if rests_on.over_view or rests_on.over != talks.open.name:
                raise DeclarationError(
                    f"A chat rests on a view over its open conversations, and `{rests_on.name}` is over "
                    f"`{rests_on.over}`. Declare it so: @app.view(over=talks.open)."
                )
        if talks.name in self._chats:
            raise DeclarationError(f"Conversations `{talks.name}` have a chat already. Declare others for another one.")

        def declare(function: ChatFunction[Any]) -> Chat[Any]:
            name = function.__name__
            asked = {option: given for option, given in options.items() if option not in UNASKED}
            answers = _named(speaking_to(talks, rests_on, function), name, function)
            agent = self.agent(wakes_on=talks.said, model=model, **asked)(answers)
            unasked = None
            if rests_on is not None:
                shifted = self.view(over=talks.open)(_named(shifting(talks, rests_on), f"{name}-shifted"))
                speaks = speaking_first(talks, rests_on, value_type(rests_on) or Any, function)
                unasked = self.agent(wakes_on=shifted, model=model, **options)(
                    _named(speaks, f"{name}-unasked", function)
                )
            full = self.view(over=talks.memory)(_named(fullness(talks), f"{name}-full"))
            by = sums_up or (model if isinstance(model, str) or (isinstance(model, Model) and model.prompted) else None)
            folds = self.agent(wakes_on=full, model=by)(_named(folded(talks, asks=by is not None), f"{name}-summary"))
            chat: Chat[Any] = Chat(name, talks, agent, unasked, folds, streams=streams)
            self._chats[talks.name] = chat
            return chat

        return declare


def _named(function: Any, name: str, like: Callable[..., Any] | None = None) -> Any:
    """The function under the name that it has in the ledger, and with the instructions of another one."""
    function.__name__ = name
    if like is not None:
        function.__doc__ = like.__doc__
    return function
