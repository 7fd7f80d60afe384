"""The default embedder: WordLlama, which runs offline on the CPU with weights that its package brings."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Any

from extrovert.core.errors import MissingExtra

__all__ = ["WordLlama"]


class WordLlama:
    """Word vectors of a language model, put together per text: 256 dimensions, some 100 µs for a sentence.

    The model is loaded when it is first used. Raises `MissingExtra` where its package is not installed.
    """

    name = "wordllama-256"
    dimensions = 256

    def __init__(self) -> None:
        if find_spec("wordllama") is None:
            raise MissingExtra("The package `wordllama`, for searching by meaning,", "search")
        self._lock = Lock()
        self._model: Any = None

    def embed(self, texts: Sequence[str], /) -> Sequence[Sequence[float]]:
        if self._model is None:
            with self._lock:
                self._model = self._model or _loaded()
        return self._model.embed(list(texts))


def _loaded() -> Any:
    import wordllama  # pyright: ignore

    weights: Any = Path(wordllama.__file__).parent  # pyright: ignore
    return wordllama.WordLlama.load(cache_dir=weights, disable_download=True)  # pyright: ignore
