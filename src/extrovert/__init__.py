"""Extrovert: agents that wake because the world changed, decide on what is true now, and act once."""

from extrovert.app import App
from extrovert.connectors.csv import Csv
from extrovert.connectors.lines import Lines
from extrovert.connectors.mcp.result import McpResult
from extrovert.connectors.mcp.server import McpLook, McpServer
from extrovert.connectors.parquet import Parquet
from extrovert.context import aggregates
from extrovert.context.aggregates import Aggregate
from extrovert.context.changes import Change
from extrovert.context.expiry import before
from extrovert.context.freshness import heard_within
from extrovert.context.index import Index
from extrovert.context.learner import Learner
from extrovert.context.query import Hit
from extrovert.context.range_index import RangeIndex
from extrovert.context.schedule import Tick
from extrovert.context.search import Search
from extrovert.context.shape import First, Shape, Steps, when
from extrovert.context.spans import Session, Sliding, Tumbling
from extrovert.context.stream import Stream
from extrovert.context.table import Table
from extrovert.context.view import View
from extrovert.context.where import between
from extrovert.context.window import Window
from extrovert.core.errors import (
    AlreadyRunning,
    BeforeHistory,
    CorruptionError,
    DeclarationError,
    ExtrovertError,
    GuardFailed,
    InputError,
    MissingExtra,
    MissingRow,
    PermanentError,
    Refuse,
    TransientError,
    TurnError,
)
from extrovert.core.event import Arrival
from extrovert.core.ports import Embedder
from extrovert.core.record import Record
from extrovert.core.untrusted import Untrusted
from extrovert.models.embedding import WordLlama
from extrovert.queries.result import SqlResult
from extrovert.surfaces.http.mounting import asgi
from extrovert.surfaces.http.settings import Http
from extrovert.turns.chat import Chat
from extrovert.turns.conversation import Conversations, Folding, Open, Said, Spoken
from extrovert.turns.declare import Agent, Backoff, Effect, Model, Policy, Price, Thinking
from extrovert.turns.exchange import Calling, Calls, Result
from extrovert.turns.guards import Condition, Guard
from extrovert.turns.intended import Intended
from extrovert.turns.invalidated import Correction, DecisionInvalidated
from extrovert.turns.limits import Breaker, Limits
from extrovert.turns.outcome import Outcome
from extrovert.turns.permits import Permits
from extrovert.turns.prompt import Prompt, Section
from extrovert.turns.recordings import Recorded
from extrovert.turns.talk import Changed, Talk
from extrovert.turns.tools import Tool
from extrovert.turns.turn import Turn
from extrovert.turns.waits import Approval

__all__ = [
    "Agent",
    "Aggregate",
    "AlreadyRunning",
    "App",
    "Approval",
    "Arrival",
    "Backoff",
    "BeforeHistory",
    "Breaker",
    "Calling",
    "Calls",
    "Change",
    "Changed",
    "Chat",
    "Condition",
    "Conversations",
    "Correction",
    "CorruptionError",
    "Csv",
    "DecisionInvalidated",
    "DeclarationError",
    "Effect",
    "Embedder",
    "ExtrovertError",
    "First",
    "Folding",
    "Guard",
    "GuardFailed",
    "Hit",
    "Http",
    "Index",
    "InputError",
    "Intended",
    "Learner",
    "Limits",
    "Lines",
    "McpLook",
    "McpResult",
    "McpServer",
    "MissingExtra",
    "MissingRow",
    "Model",
    "Open",
    "Outcome",
    "Parquet",
    "PermanentError",
    "Permits",
    "Policy",
    "Price",
    "Prompt",
    "RangeIndex",
    "Record",
    "Recorded",
    "Refuse",
    "Result",
    "Said",
    "Search",
    "Section",
    "Session",
    "Shape",
    "Sliding",
    "Spoken",
    "SqlResult",
    "Steps",
    "Stream",
    "Table",
    "Talk",
    "Thinking",
    "Tick",
    "Tool",
    "TransientError",
    "Tumbling",
    "Turn",
    "TurnError",
    "Untrusted",
    "View",
    "Window",
    "WordLlama",
    "aggregates",
    "asgi",
    "before",
    "between",
    "heard_within",
    "when",
]
