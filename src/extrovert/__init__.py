"""Extrovert: agents that wake because the world changed, decide on what is true now, and act once."""

from extrovert.app import App
from extrovert.context.expiry import before
from extrovert.context.index import Index, RangeIndex
from extrovert.context.query import Hit
from extrovert.context.search import Search
from extrovert.context.stream import Stream
from extrovert.context.table import Table
from extrovert.context.view import View
from extrovert.core.errors import (
    AlreadyRunning,
    CorruptionError,
    DeclarationError,
    ExtrovertError,
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
from extrovert.models.embedding import WordLlama
from extrovert.turns.declare import Agent, Effect, Policy, Thinking
from extrovert.turns.turn import Turn

__all__ = [
    "Agent",
    "AlreadyRunning",
    "App",
    "Arrival",
    "CorruptionError",
    "DeclarationError",
    "Effect",
    "Embedder",
    "ExtrovertError",
    "Hit",
    "Index",
    "InputError",
    "MissingExtra",
    "MissingRow",
    "PermanentError",
    "Policy",
    "RangeIndex",
    "Record",
    "Refuse",
    "Search",
    "Stream",
    "Table",
    "Thinking",
    "TransientError",
    "Turn",
    "TurnError",
    "View",
    "WordLlama",
    "before",
]
