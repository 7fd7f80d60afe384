"""The app: a named set of declarations, with the sources that feed it, and ways to run it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from extrovert.context.learner import Learner, Learns
from extrovert.context.stream import Stream
from extrovert.core.declaring import add
from extrovert.core.errors import DeclarationError
from extrovert.core.ports import LiveSource, TimedSource
from extrovert.core.record import Record
from extrovert.core.time import span_us
from extrovert.turns.chat_declarations import ChatDeclarations
from extrovert.turns.heard import check_heard
from extrovert.turns.invalidated import check_reach
from extrovert.turns.permits import check_permits

if TYPE_CHECKING:
    from extrovert.connectors.mcp.server import McpServer
    from extrovert.engine.declared import Declared
    from extrovert.engine.hosting import Beside
    from extrovert.engine.loop import Engine
    from extrovert.queries.result import SqlResult

__all__ = ["App"]

T = TypeVar("T")


class App(ChatDeclarations):
    """A named set of declarations. It holds no state: an engine runs it on a store.

    What is wrong with a declaration is a `DeclarationError`, here or when the app is started, never later. With
    `strict_shards` views and turns keep to their shard, as they will have to where state is split over machines. The
    log is kept for the `retention`; without one, for ever. When `max_hops` decisions have followed from one another
    with nothing from outside, the next wake is a dead letter: agents wake each other without end.
    """

    def __init__(
        self, name: str, *, strict_shards: bool = False, retention: timedelta | None = None, max_hops: int = 100
    ) -> None:
        super().__init__()
        if max_hops < 1:
            raise DeclarationError(f"App `{name}`: max_hops= must be 1 or more, not {max_hops}.")
        if retention is not None and retention <= timedelta(0):
            raise DeclarationError(f"App `{name}`: retention= must be longer than nothing, not {retention}.")
        self.retention_us = None if retention is None else span_us(retention)
        self.name = name
        self.strict_shards = strict_shards
        self.max_hops = max_hops
        self._sources: dict[str, TimedSource | LiveSource] = {}
        self._mcp_servers: dict[str, McpServer] = {}

    def source(self, source: TimedSource | LiveSource) -> None:
        """Declares a source that feeds streams of this app."""
        add(self._sources, "source", source.name, source)

    def mcp(
        self,
        name: str,
        *,
        tools: Path,
        command: Sequence[str] = (),
        url: str = "",
        env: Mapping[str, str] | None = None,
        pass_env: Sequence[str] = (),
        token_env: str = "",
        timeout: timedelta = timedelta(minutes=1),
    ) -> McpServer:
        """Declares an MCP server of others, whose tools turns use: a program that `command` starts, or a `url`.

        What it says of its tools is in the file `tools`, which `extrovert mcp-tools` writes. The program gets the
        variables `env`, and those that `pass_env` names from here; `token_env` names the variable with the token for
        the url. A call may take `timeout`. See `docs/mcp.md`.
        """
        from extrovert.connectors.mcp.reaching import way_of
        from extrovert.connectors.mcp.server import McpServer
        from extrovert.connectors.mcp.tool_file import read

        way = way_of(
            f"MCP server `{name}`",
            command,
            url,
            env=env,
            pass_env=pass_env,
            token_env=token_env,
            timeout_s=timeout.total_seconds(),
        )
        return add(self._mcp_servers, "MCP server", name, McpServer(name, way, read(tools), self.effect))

    def learner(
        self,
        name: str,
        make: Callable[[], Learns],
        *,
        over: Stream[T],
        features: Callable[[T], Mapping[str, Any] | Record | str],
        label: Callable[[T], Any] | None = None,
    ) -> Learner[T]:
        """Declares a learner: what `make` gives, such as a pipeline of river, learns from each event of a stream.

        It learns `features(event)` (a dict, a record, or a text) with `label(event)`; where that is None, nothing.
        Without `label=` it learns features alone, as detectors of anomalies do. It is the model of an agent, or is
        asked beside: `turn.ask(facts, output=float, of=risk)`, and answers with what it has learnt by then. Its
        functions are pure. See `docs/learners.md`.
        """
        from extrovert.models.learning import learner_of

        self._check_own(f"Learner `{name}`", "over=", over, Stream)
        return add(self._operators, "learner", name, learner_of(name, make, over, features, label))

    def _learners(self) -> list[Learner[Any]]:
        return [cast("Learner[Any]", one) for one in self._operators.values() if isinstance(one, Learner)]

    # ---- running

    def declared(self) -> Declared:
        """All declarations, checked together. Raises `DeclarationError`."""
        from extrovert.engine.calls import Answerer
        from extrovert.engine.declared import Declared
        from extrovert.models.answering import answering
        from extrovert.models.local_process import LocalProcess
        from extrovert.models.policy import PolicyModel
        from extrovert.models.predicting import LearnerModel
        from extrovert.models.weights import weigh

        check_heard(self._agents.values(), self._streams, self._tables, self._sources)
        check_permits(self._agents.values(), self._effects, self._tables, self._streams)
        models = self._known_models()
        weigh(models, self._agents.values())
        if self._horizon_us is not None:
            check_reach(self.name, self._horizon_us, self._tables.values(), self.retention_us)
        known = {"stream": self._streams, "table": self._tables, "view": self._views}
        for agent in self._agents.values():
            if agent.on not in known[agent.source]:
                raise DeclarationError(
                    f"Agent `{agent.name}` wakes on {agent.source} `{agent.on}`, which another app has declared. "
                    f"Declare it with this one."
                )

        def answerers(seed: int) -> dict[str, Answerer]:
            found: dict[str, Answerer] = {
                f"policy:{name}": PolicyModel(policy, seed) for name, policy in self._policies.items()
            }
            found |= {one.asked_as: LearnerModel(one) for one in self._learners()}
            processes: dict[Path, LocalProcess] = {}
            for name, model in models.items():
                found[name] = found[model.of] if model.of.startswith("policy:") else answering(model, processes)
            return found

        return Declared(
            name=self.name,
            streams=list(self._streams.values()),
            tables=list(self._tables.values()),
            views=list(self._views.values()),
            agents=list(self._agents.values()),
            effects=list(self._effects.values()),
            guards=list(self._guards.values()),
            outcomes=dict(self._outcomes),
            sources=list(self._sources.values()),
            operators=list(self._operators.values()),
            strict_shards=self.strict_shards,
            max_hops=self.max_hops,
            horizon_us=self._horizon_us,
            retention_us=self.retention_us,
            answerers=answerers,
            models=models,
            chats=list(self._chats.values()),
            published=dict(self._published),
            closed=[server.close for server in self._mcp_servers.values()],
        )

    @asynccontextmanager
    async def serving(
        self, data: Path | str = ".extrovert", *, beside: Sequence[Beside] = (), **settings: Any
    ) -> AsyncGenerator[Engine]:
        """Runs the app inside another program, in real time, with its state in the directory `data`.

        What is `beside` it runs as long as it does, such as `Http(port=8000)`.
        """
        from extrovert.engine.hosting import hosted

        async with hosted(self.declared(), Path(data), beside=beside, **settings) as engine:
            yield engine

    async def sql(self, engine: Engine, query: str, *, limit: int | None = 1_000, seconds: float = 60) -> SqlResult:
        """Answers one SELECT over the tables and views as they are now, beside the loop; see `docs/sql.md`.

        At most `limit` rows are returned. Raises `MissingExtra` without the extra `sql`, `DeclarationError` for a query
        that cannot be run, `ExtrovertError` for one that fails or takes longer than `seconds`.
        """
        from extrovert.engine.querying import answered

        return await answered(engine, query, limit=limit, seconds=seconds)
