"""Learners: models that learn from the events of a stream, one after the other, as part of the fold of the log."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, cast

import msgspec

from extrovert.context.operator import Failure, Figures
from extrovert.context.stream import Stream
from extrovert.core.errors import CorruptionError
from extrovert.core.ids import canonical, fingerprint
from extrovert.core.record import Record

if TYPE_CHECKING:
    from extrovert.context.live import LiveContext

__all__ = ["Learner", "LearnerState", "Learns"]

T = TypeVar("T")
Lesson = tuple[Any, Any]
"""What is learnt from one event: its features, and its label where there are labels."""

MOST_LESSONS = 1_000
"""After so many lessons the model is kept anew, to go back to when one fails."""


class Learns(Protocol):
    """What learns one event at a time, `learn_one(features)` or `learn_one(features, label)`, as the estimators of the
    library river do. It also has `predict_one`, `predict_proba_one` or `score_one`, which do not change it."""

    @property
    def learn_one(self) -> Callable[..., Any]: ...


class Learner(Generic[T]):
    """A learner as declared: `make` gives a model that has learnt nothing, which then learns from the events of a
    stream. Made by `App.learner`.

    Another `definition`, which has the functions and the versions of the `libraries`, may learn otherwise; by its
    `parameters` an answer is known to be that of this one.
    """

    makes = ""

    def __init__(
        self,
        name: str,
        make: Callable[[], Learns],
        over: Stream[T],
        features: Callable[[T], Mapping[str, Any] | Record | str],
        label: Callable[[T], Any] | None,
        *,
        definition: str,
        libraries: Mapping[str, str],
    ) -> None:
        self.name = name
        self.make = make
        self.over = over
        self.features = features
        self.label = label
        self.definition = definition
        self.libraries = libraries
        self.parameters = canonical({"definition": fingerprint(definition), "libraries": dict(libraries)}).decode()
        self.on = (over.name,)

    @property
    def asked_as(self) -> str:
        """The name under which it is asked."""
        return f"learner:{self.name}"

    def begin(self, context: LiveContext) -> LearnerState:
        return LearnerState(self)

    def lesson_of(self, event: Any) -> Lesson | None:
        """What is to be learnt from an event; None for nothing. Raises what the functions raise, and `ValueError`."""
        label = None if self.label is None else self.label(event)
        if self.label is not None and label is None:
            return None
        if label is not None and not isinstance(label, int | float | str):
            raise ValueError(f"its label is a {type(label).__name__}; a label is a text, a number, a bool, or None")
        if isinstance(label, float) and not isfinite(label):
            raise ValueError(f"its label is {label}")
        return features_in(self.features(event)), label

    def asked_about(self, about: Any) -> Any:
        """The features of what it is asked about: an event of its stream, or facts, whose fields are the features."""
        return features_in(self.features(about) if self.over.holds(about) else about)


class _Saved(msgspec.Struct):
    learnt: int
    model: bytes


class LearnerState:
    """A learner in one live context: the `model`, and how many events it has `learnt` from.

    A model that fails over a lesson may have learnt half of it. So it goes back to the model that was `kept`, and
    learns the lessons since then again.
    """

    def __init__(self, declared: Learner[Any]) -> None:
        self.declared = declared
        self.model: Any = declared.make()
        self.learnt = 0
        self._lessons: list[Lesson] = []
        self._kept = b""
        self._keep()

    def take(
        self, stream: str, keys: Sequence[Any], records: Sequence[Any], offsets: Sequence[int]
    ) -> Sequence[Failure]:
        """Learns from each record, in order; from a tombstone there is nothing to learn."""
        failures: list[Failure] = []
        for place, record in enumerate(records):
            try:
                lesson = None if record is None else self.declared.lesson_of(record)
                if lesson is not None:
                    self._learn(lesson)
            except Exception as error:
                failures.append((place, f"learner `{self.declared.name}`: {type(error).__name__}: {error}"))
        return failures

    def _learn(self, lesson: Lesson) -> None:
        try:
            self._teach(lesson)
        except Exception:
            self._go_back()
            raise
        self.learnt += 1
        self._lessons.append(lesson)
        if len(self._lessons) >= MOST_LESSONS:
            self._keep()

    def _teach(self, lesson: Lesson) -> None:
        features, label = lesson
        given = features if isinstance(features, str) else dict(features)
        if self.declared.label is None:
            self.model.learn_one(given)
        else:
            self.model.learn_one(given, label)

    def _keep(self) -> None:
        self._kept = pickle.dumps(self.model)
        self._lessons.clear()

    def _go_back(self) -> None:
        self.model = pickle.loads(self._kept)  # noqa: S301 -- it was kept in this process
        for lesson in self._lessons:
            self._teach(lesson)
        self._keep()

    def passed(self, offset: int) -> None:
        """It waits for no moment."""

    def save(self) -> bytes:
        self._keep()
        return canonical(_Saved(self.learnt, self._kept))

    def load(self, state: bytes) -> None:
        """Takes up a model from a snapshot, which is trusted as the log beside it is."""
        saved = msgspec.json.decode(state, type=_Saved)
        try:
            self.model = pickle.loads(saved.model)  # noqa: S301 -- our own, by the same definition and libraries
        except Exception as error:
            raise CorruptionError(
                f"The snapshot's model of learner `{self.declared.name}` cannot be read: {type(error).__name__}: "
                f"{error}. Delete the snapshot beside the log (snapshot.sqlite), and it is learnt from the log again."
            ) from error
        self.learnt, self._kept = saved.learnt, saved.model
        self._lessons.clear()

    def figures(self) -> Figures:
        """How many events it has learnt from."""
        return Figures("learner", holds="learnt", held=self.learnt)


def features_in(given: Any) -> Any:
    """Features as a model takes them: a dict, or a text. Raises `ValueError` for what would spoil a model."""
    if isinstance(given, str):
        return given
    if isinstance(given, Record):
        found: dict[str, Any] = {name: getattr(given, name) for name in given.__struct_fields__}
    elif isinstance(given, Mapping):
        found = dict(cast("Mapping[str, Any]", given))
    else:
        raise ValueError(f"its features are a {type(given).__name__}; they are a dict, a record or a text")
    for name, value in found.items():
        if isinstance(value, float) and not isfinite(value):
            raise ValueError(f"its feature `{name}` is {value}")
    return found
