"""Learning: what a learner is made of, checked when it is declared, and what it is known by."""

from __future__ import annotations

import io
import pickle
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from extrovert.context.flow import written
from extrovert.context.learner import Learner
from extrovert.context.stream import Stream
from extrovert.core.errors import DeclarationError
from extrovert.core.ids import canonical

__all__ = ["learner_of"]


def learner_of(
    name: str,
    make: Callable[[], Any],
    over: Stream[Any],
    features: Callable[[Any], Any],
    label: Callable[[Any], Any] | None,
) -> Learner[Any]:
    """The learner of these functions. Raises `DeclarationError` where it could not be a fold of the log."""
    where = f"Learner `{name}`"
    for what, function in (("the model", make), ("features=", features), ("label=", label or features)):
        if not callable(function):
            raise DeclarationError(f"{where}: {what} is given as a function, not as {function!r}.")
    model = make()
    if not callable(getattr(model, "learn_one", None)):
        raise DeclarationError(
            f"{where}: its function makes a {type(model).__name__}, which has no learn_one. Give a function that makes "
            f"what learns one event at a time, such as an estimator of river."
        )
    saved = _saved(where, model)
    if saved != _saved(where, make()):
        raise DeclarationError(
            f"{where}: two models that its function makes are not alike, so that a replay of the log would learn "
            f"something else. Where the model draws by chance, give it a seed: seed=1."
        )
    parts = _Parts(saved)
    parts.load()
    functions = [written(one) for one in (make, features, label, *parts.own) if one is not None]
    definition = canonical([over.name, functions, parts.libraries]).decode()
    return Learner(name, make, over, features, label, definition=definition, libraries=parts.libraries)


def _saved(where: str, model: Any) -> bytes:
    try:
        return pickle.dumps(model)
    except Exception as error:
        raise DeclarationError(
            f"{where}: its model cannot be kept in a snapshot: {type(error).__name__}: {error}. Where it holds a "
            f"function, give one that has a name in its module, not a lambda."
        ) from error


class _Parts(pickle.Unpickler):
    """What a pickled model is made of: the `libraries` with their versions, and classes and functions of the user's
    `own`, of which there is no version."""

    def __init__(self, saved: bytes) -> None:
        super().__init__(io.BytesIO(saved))
        self.libraries: dict[str, str] = {}
        self.own: list[Any] = []

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        found = super().find_class(module_name, global_name)
        library = module_name.partition(".")[0]
        if library not in self.libraries and library not in sys.stdlib_module_names:
            try:
                self.libraries[library] = version(library)
            except PackageNotFoundError:
                self.own.append(found)
        return found
