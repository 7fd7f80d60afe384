"""Context for a prompt: what its reads take while 500 documents a second arrive, are found at once.

100,000 documents of 30 words of a vocabulary with Zipf's frequencies, embedded by WordLlama. The engine runs as in
`extrovert run`; in its loop, documents come in groups of five, half of them updates, between reads of contexts:
five rows by key, ten by an index and a window; then also a search by words, and one by words and meaning. Times are of
the reads alone, by the wall clock. Each document that came must be found by the very next read.

At the end, hits by words must be those of a plain recomputation of BM25, and the recall of the vectors is measured
against all cosines; by then some documents are updates.
"""

from __future__ import annotations

import asyncio
import re
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from math import log1p
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from bench.feeding import feed
from bench.measuring import Figure, Scale, expect
from extrovert import App, Record, Tumbling, WordLlama
from extrovert import aggregates as agg
from extrovert.context.query import Query
from extrovert.context.search_state import SearchState
from extrovert.engine.hosting import hosted
from extrovert.engine.loop import Engine

__all__ = ["measure"]

DOCUMENTS = 100_000
VOCABULARY = 30_000
WORDS = 30
EACH = 10
GROUP = 5
PAUSE_S = 0.01
SECONDS = 10
CHECKED = 20
RECALLED = 100


class Document(Record):
    doc_id: str
    shelf: str
    text: str


class Visit(Record):
    doc_id: str
    at: datetime


class Visits(Record):
    doc_id: str
    starts_at: datetime
    ends_at: datetime
    visits: int


class Texts:
    """Texts of made-up words, some of which are much more frequent than others."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        syllables = [a + b for a in "bdfgklmnprstvz" for b in ("a", "e", "i", "o", "u", "an", "er", "is", "on")]
        made = {
            "".join(self.random.choices(syllables, k=self.random.randint(1, 4))): None for _ in range(2 * VOCABULARY)
        }
        self.words = list(made)[:VOCABULARY]
        self.weights = list(accumulate(1 / rank for rank in range(1, len(self.words) + 1)))

    def text(self, count: int) -> str:
        return " ".join(self.random.choices(self.words, cum_weights=self.weights, k=count))

    def document(self, number: int, more: str = "") -> Document:
        return Document(f"D{number:07}", f"S{number // EACH:06}", self.text(WORDS) + more)

    def query(self) -> str:
        return self.text(self.random.randint(2, 6))


def measure(scale: Scale) -> list[Figure]:
    """Microseconds of the reads, the processor's microseconds for each document, and the recall."""
    with tempfile.TemporaryDirectory() as directory:
        return asyncio.run(_measured(scale, Path(directory)))


class _Library:
    """The app."""

    def __init__(self) -> None:
        self.app = App("library")
        self.documents = self.app.table("documents", Document, key=Document.doc_id)
        self.by_shelf = self.documents.index(Document.shelf)
        self.visits = self.app.stream("visits", Visit, key=Visit.doc_id)
        self.window = self.app.window(
            self.visits,
            Visits,
            at=Visit.at,
            spans=Tumbling(timedelta(minutes=1)),
            keep=timedelta(days=1),
            visits=agg.count(),
        )
        self.by_words = self.app.search("by_words", over=self.documents, text=Document.text)
        self.fused = self.app.search("fused", over=self.documents, text=Document.text, embedder=WordLlama())


async def _measured(scale: Scale, data: Path) -> list[Figure]:
    library, texts, count = _Library(), Texts(1), scale.of(DOCUMENTS)
    async with hosted(library.app.declared(), data) as engine:
        encode: Any = msgspec.json.Encoder().encode_lines
        now = datetime.now(UTC)
        await feed(engine, "visits", [encode([Visit(f"D{number:07}", now) for number in range(1000)])], ahead=10_000)
        started = time.thread_time()
        for start in range(0, count, 1000):
            group = [texts.document(number) for number in range(start, min(count, start + 1000))]
            await feed(engine, "documents", [encode(group)], ahead=10_000)
        made = time.thread_time() - started
        await _embedded(engine)
        taken: dict[str, list[list[float]]] = {}
        for _ in range(scale.runs):
            for what, times in (await _run(engine, library, texts, max(1.0, scale.share * SECONDS))).items():
                taken.setdefault(what, []).append(sorted(times))
        await _embedded(engine)
        _check_words(engine, texts)
        recall = _recall(engine, texts)
    figures = [
        _figure(f"{what}, p{part}", "µs", [one[len(one) * part // 100] for one in runs], _aim(what, part))
        for what, runs in taken.items()
        for part in (50, 99)
    ]
    figures.append(_figure("a document fed, two searches (making it included)", "µs", [made / count * 1e6], ""))
    return [*figures, _figure("recall of the 10 nearest vectors", "", [recall], "0.95")]


async def _embedded(engine: Engine) -> None:
    """Waits until each document has its vector."""
    deadline = time.perf_counter() + 300
    while _search(engine, "fused").waiting and time.perf_counter() < deadline:  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    expect("documents without a vector", len(_search(engine, "fused").waiting), 0)


def _figure(what: str, unit: str, runs: list[float], aim: str) -> Figure:
    return Figure(bench="context", what=what, unit=unit, runs=runs, aim=aim)


def _aim(what: str, part: int) -> str:
    aims = {"rows, index, window": "100", "with words and meaning": "5,000"}
    return aims.get(what, "") if part == 99 else ""


async def _run(engine: Engine, library: _Library, texts: Texts, seconds: float) -> dict[str, list[float]]:
    taken: dict[str, list[float]] = {}
    random, present = texts.random, len(engine.shard.fold.context.tables["documents"].rows)
    began = time.perf_counter()
    rounds = 0
    while (now := time.perf_counter()) - began < seconds:
        if began + rounds * PAUSE_S > now:
            await asyncio.sleep(began + rounds * PAUSE_S - now)
        rounds += 1
        mark = f"mark{rounds}x{random.getrandbits(40)}"
        numbers = [random.randrange(present) for _ in range(GROUP // 2)] + [
            present + one for one in range(GROUP - GROUP // 2)
        ]
        present = max(present, numbers[-1] + 1)
        lines = b"\n".join(msgspec.json.encode(texts.document(number, f" {mark}")) for number in numbers)
        _timed(taken, f"{GROUP} documents taken in", lambda: engine.intake.lines("documents", lines))  # noqa: B023
        engine.nudge()
        keys = [f"D{random.randrange(present):07}" for _ in range(5)]
        shelf, visited = f"S{random.randrange(present // EACH):06}", f"D{random.randrange(1000):07}"

        def small() -> None:
            for key in keys:  # noqa: B023
                library.documents.get(key)
            library.by_shelf[shelf]  # noqa: B023
            library.window.latest(visited)  # noqa: B023

        query = texts.query()
        with engine.reading():
            found = {hit.key for hit in library.fused.search(mark)}
            expect("documents that just came", {f"D{number:07}" for number in numbers} <= found, True)
            _timed(taken, "rows, index, window", small)
            _timed(taken, "with words", lambda: (small(), library.by_words.search(query)))  # noqa: B023
            _timed(taken, "with words and meaning", lambda: (small(), library.fused.search(query)))  # noqa: B023
    return taken


def _timed(taken: dict[str, list[float]], what: str, read: Callable[[], Any]) -> None:
    began = time.perf_counter()
    read()
    taken.setdefault(what, []).append((time.perf_counter() - began) * 1e6)


def _search(engine: Engine, name: str) -> SearchState:
    state = engine.shard.fold.context.operators[name]
    assert isinstance(state, SearchState)
    return state


def _check_words(engine: Engine, texts: Texts) -> None:
    """Compares hits with BM25 as the formula says it (lengths are rounded by nothing here: all are below 33)."""
    search = _search(engine, "by_words")
    split = {key: Counter(re.findall(r"\w+", row.text)) for key, row in search.table.rows.items()}
    average = sum(often.total() for often in split.values()) / len(split)
    for _ in range(CHECKED):
        query = texts.query()
        scores: dict[str, float] = {}
        for word in set(query.split()):
            having = [(key, often[word], often.total()) for key, often in split.items() if word in often]
            idf = log1p((len(split) - len(having) + 0.5) / (len(having) + 0.5))
            for key, often, length in having:
                weight = idf * often * 2.2 / (often + 1.2 * (0.25 + 0.75 * length / average))
                scores[key] = scores.get(key, 0.0) + weight
        hits = search.find(Query(query, 10), {})
        best = [round(score, 5) for score in sorted(scores.values(), reverse=True)[:10]]
        expect(f"scores of {query!r}", [round(scores[hit.key], 5) for hit in hits], best)


def _recall(engine: Engine, texts: Texts) -> float:
    """What share of the ten vectors with the greatest cosines are the first ten of those found."""
    import numpy as np

    from extrovert.context.vectors import decoded, encoded

    search = _search(engine, "fused")
    vectors, embedder = search.vectors, search.embedder
    assert vectors is not None
    assert embedder is not None
    rows: Any = np.frombuffer(vectors.codes(), dtype=np.int8).reshape(len(vectors.keys), -1).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    found = 0
    for _ in range(RECALLED):
        [vector] = embedder.embed([texts.query()])
        code = decoded(encoded(vector, embedder.dimensions))
        nearest: Any = np.argpartition(-(rows @ code.astype(np.float32)), 10)[:10]
        found += len({vectors.keys[place] for place in nearest.tolist()} & {key for _, key in vectors.best(code, 10)})
    return found / 10 / RECALLED
