"""Heard: reading, in the engine, when the sources of streams were last heard, and who waits to hear of them."""

from __future__ import annotations

from extrovert.core.time import from_us
from extrovert.engine.loop import Engine
from extrovert.surfaces.protocol import AgentFreshness, Freshness, HeldTurn, StreamFreshness

__all__ = ["freshness_of"]


def freshness_of(engine: Engine) -> Freshness:
    """How fresh the context of an engine is now."""
    fold = engine.shard.fold
    held = [turn for turn in fold.running.values() if turn.silent]
    turns = [HeldTurn(one.id, one.agent.name, one.key, list(one.silent), from_us(one.wake.at_us)) for one in held]
    agents = [
        AgentFreshness(
            agent=agent.name,
            fresh_within_ms=None if agent.fresh_us is None else agent.fresh_us / 1000,
            stale=agent.stale_fallback.model or agent.stale,
            held=sum(one.agent == agent.name for one in turns),
        )
        for agent in fold.agents.values()
        if agent.fresh_us is not None or any(one.agent == agent.name for one in turns)
    ]
    return Freshness(from_us(engine.clock.now_us()), _streams(engine, turns), agents, turns)


def _streams(engine: Engine, held: list[HeldTurn]) -> list[StreamFreshness]:
    """The streams that have a source, the one that has been silent longest first."""
    fold, now_us = engine.shard.fold, engine.clock.now_us()
    context = fold.context
    followed: dict[str, list[str]] = {}
    for state in (*context.tables.values(), *context.views.values()):
        for stream in context.origins.of(state.declared):
            followed.setdefault(stream, []).append(state.name)
    sources: dict[str, list[str]] = {}
    for source in engine.declared.sources:
        for name, state in context.freshness.states().items():
            if name == getattr(source, "stream", None) or state.source == source.name:
                sources.setdefault(name, []).append(source.name)
    found: list[StreamFreshness] = []
    for stream, age_us in engine.shard.ages(context.freshness.states(), now_us).items():
        found.append(
            StreamFreshness(
                stream=stream,
                sources=sources.get(stream, []),
                followed_by=list(dict.fromkeys(followed.get(stream, []))),
                heard_at=None if age_us is None else from_us(now_us - age_us),
                age_ms=None if age_us is None else age_us / 1000,
                held=sum(stream in one.silent for one in held),
            )
        )
    return sorted(found, key=lambda one: (one.age_ms is not None, -(one.age_ms or 0)))
