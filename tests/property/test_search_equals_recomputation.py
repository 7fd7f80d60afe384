"""Laws of search: it equals a naive look at every present row, whatever came before, and no ghost is ever found."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from math import log, sqrt
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extrovert import App, Embedder, Record
from extrovert.context.keywords import Keywords, Terms
from extrovert.context.live import LiveContext
from extrovert.context.query import Query
from extrovert.context.search_state import SearchState
from extrovert.context.vectors import EXACT as EXACT_VECTORS
from extrovert.context.vectors import Vectors, decoded, encoded
from extrovert.core.ids import fingerprint

WORDS = ["red", "blue", "lamp", "table", "Rot", "ω"]
KEYS = [f"k{number}" for number in range(12)]
EXACT = 1e-6
"""The index rounds weights to 2^-32; documents of below 32 words keep their lengths."""

_texts = st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join)
_queries = st.lists(st.sampled_from(WORDS), max_size=4).map(" ".join)
_changes = st.lists(st.tuples(st.sampled_from(KEYS), st.none() | _texts), max_size=60)


class Doc(Record):
    key: str
    text: str
    group: int = 0


def in_group(doc: Doc) -> bool:
    return doc.group == 1


def naive(texts: dict[Any, str], query: str) -> dict[Any, float]:
    """BM25 of each text that has any of the words, as the formula says it."""
    split = {key: re.findall(r"\w+", text.casefold()) for key, text in texts.items()}
    average = sum(map(len, split.values())) / len(split) if split else 1.0
    scores: dict[Any, float] = {}
    for word in set(re.findall(r"\w+", query.casefold())):
        size = sum(word in found for found in split.values())
        idf = log(1 + (len(split) - size + 0.5) / (size + 0.5))
        for key, found in split.items():
            often = Counter(found)[word]
            if often:
                norm = 1.2 * (1 - 0.75 + 0.75 * len(found) / average)
                scores[key] = scores.get(key, 0.0) + idf * often * 2.2 / (often + norm)
    return scores


def same(found: list[tuple[float, Any]], scores: dict[Any, float], limit: int) -> None:
    """The found (score, key) are the best of `scores`, in order; scores nearer than `EXACT` count as equal."""
    expected = sorted(scores.values(), reverse=True)[:limit]
    assert [score for score, _ in found] == pytest.approx(expected, abs=EXACT)
    for score, key in found:
        assert scores[key] == pytest.approx(score, abs=EXACT)
    assert found == sorted(found, key=lambda pair: (-pair[0], pair[1]))
    assert len({key for _, key in found}) == len(found)


@settings(max_examples=300)
@given(_changes, _queries, st.integers(1, 15))
def test_keyword_search_equals_a_look_at_every_text(
    changes: list[tuple[str, str | None]], query: str, limit: int
) -> None:
    index, texts = Keywords(), dict[str, str]()
    for key, text in changes:
        if text is None:
            index.remove(key)
            texts.pop(key, None)
        else:
            index.put(key, text)
            texts[key] = text
    terms = Terms(index, query)
    scores = naive(texts, query)
    found = [(-less, key) for less, key in index.best(terms, limit)]
    same(found, scores, limit)
    everything = index.best(terms, len(KEYS))
    assert index.best(terms, limit) == everything[:limit]
    assert index.best_of(terms, limit, list(texts)) == everything[:limit]
    odd = [ranked for ranked in everything if int(ranked[1][1:]) % 2]
    assert index.best(terms, limit, lambda key: int(key[1:]) % 2 == 1) == odd[:limit]
    for less, key in everything:
        assert terms.score(texts[key]) == -less


@given(_changes)
def test_an_index_that_everything_has_left_is_empty(changes: list[tuple[str, str | None]]) -> None:
    index = Keywords()
    for key, text in changes:
        index.put(key, text or "")
    for key in KEYS:
        index.remove(key)
    assert (index.documents, index.postings, index.length) == ({}, {}, 0)


@settings(max_examples=50)
@given(st.integers(0, 2**32), st.integers(1, 20))
def test_stopping_early_misses_nothing_among_many(seed: int, limit: int) -> None:
    from random import Random

    random = Random(seed)
    index = Keywords()
    for number in random.sample(range(600), 600):
        count = random.choice([1, 2, 3, 5, 40])
        index.put(number, " ".join(random.choices("abcdefgh", weights=[128, 64, 32, 16, 8, 4, 2, 1], k=count)))
    terms = Terms(index, " ".join(random.sample("abcdefgh", random.randint(1, 4))))
    assert index.best(terms, limit) == index.best_of(terms, limit, range(600))


@settings(max_examples=20)
@given(st.integers(0, 2**32), st.integers(1, 20))
def test_with_and_without_numpy_the_same_is_found_whatever_came_and_went(seed: int, limit: int) -> None:
    from random import Random

    random = Random(seed)
    index, texts = Keywords(), dict[int, str]()
    for _ in range(4_000):
        number = random.randrange(2_000)
        if random.random() < 0.2:
            index.remove(number)
            texts.pop(number, None)
            continue
        count = random.choice([1, 2, 3, 5, 40, 700])
        texts[number] = " ".join(random.choices("abcdefgh", weights=[512, 256, 128, 8, 4, 2, 1, 1], k=count))
        index.put(number, texts[number])
    terms = Terms(index, " ".join(random.sample("abcdefgh", random.randint(1, 4))))
    found, some = index.best(terms, limit), index.best(terms, limit, lambda number: number % 97 == 0)
    assert found == index.best_of(terms, limit, texts)
    assert some == index.best_of(terms, limit, [number for number in texts if number % 97 == 0])
    assert all(terms.score(texts[number]) == -less for less, number in found)
    index._tally = None  # pyright: ignore[reportPrivateUsage]
    assert index.best(terms, limit) == found
    assert index.best(terms, limit, lambda number: number % 97 == 0) == some


@settings(max_examples=3, deadline=None)
@given(st.integers(0, 2**32))
def test_among_many_vectors_the_signs_propose_the_nearest_whatever_came_before(seed: int) -> None:
    numpy: Any = pytest.importorskip("numpy")
    random = numpy.random.default_rng(seed)
    count, dimensions = EXACT_VECTORS + 2_000, 64
    topics = random.normal(size=(200, dimensions))

    def made(rows: int) -> list[Any]:
        return [
            decoded(encoded(one, dimensions))
            for one in topics[random.integers(0, 200, rows)] + random.normal(size=(rows, dimensions))
        ]

    vectors, again = Vectors(dimensions), Vectors(dimensions)
    codes: dict[int, Any] = {key: code for key, code in enumerate(made(count))}  # noqa: C416
    for key, code in codes.items():
        vectors.put(key, code)
    for key in range(0, count, 2):  # half of them change, some by way of not being there
        if key % 3:
            vectors.remove(key)
    for key, code in zip(range(0, count, 2), made(count // 2), strict=True):
        codes[key] = code
        vectors.put(key, code)
    for key in random.permutation(count).tolist():
        again.put(key, codes[key])
    matrix = numpy.array(list(codes.values()), dtype=numpy.float64)
    matrix /= numpy.linalg.norm(matrix, axis=1, keepdims=True)
    met = 0
    for asked in made(20):
        found = vectors.best(asked, 10)
        assert again.best(asked, 10) == found
        met += len({key for _, key in found} & set(numpy.argsort(-(matrix @ asked))[:10].tolist()))
        rare = vectors.best(asked, 10, lambda key: key % 1_000 == 7)
        assert rare == vectors.best_of(asked, 10, range(7, count, 1_000))[:10]
    assert met >= 0.95 * 200


_docs = st.builds(Doc, key=st.sampled_from(KEYS), text=_texts, group=st.integers(0, 1))
_batches = st.lists(st.lists(_docs, min_size=1, max_size=8) | st.sampled_from(KEYS), max_size=15)


def live(embedder: Embedder | None = None) -> tuple[LiveContext, SearchState]:
    app = App("docs")
    docs = app.table("docs", Doc, key=Doc.key)
    docs.index(Doc.group)
    app.search("find", over=docs, text=Doc.text, embedder=embedder)
    declared = app.declared()
    context = LiveContext(declared.tables, declared.views, declared.operators)
    state = context.operators["find"]
    assert isinstance(state, SearchState)
    return context, state


def fill(context: LiveContext, batches: list[Any]) -> dict[str, Doc]:
    rows: dict[str, Doc] = {}
    offset = 0
    for batch in batches:
        if isinstance(batch, str):
            offset += 1
            context.offset = offset
            context.tables["docs"].put(batch, None, offset)
            rows.pop(batch, None)
        else:
            first, offset = offset + 1, offset + len(batch)
            context.fold("docs", [doc.key for doc in batch], batch, range(first, offset + 1))
            rows.update({doc.key: doc for doc in batch})
        context.settle()
    return rows


@settings(max_examples=150)
@given(_batches, _queries.filter(bool))
def test_a_search_over_a_table_finds_present_rows_alone(batches: list[Any], query: str) -> None:
    context, search = live()
    rows = fill(context, batches)
    scores = naive({key: doc.text for key, doc in rows.items()}, query)
    for where in ((), (("group", 1),)):
        hits = search.find(Query(query, 5, where), {})
        kept = {key: score for key, score in scores.items() if not where or rows[key].group == 1}
        same([(hit.score, hit.key) for hit in hits], kept, 5)
        assert [hit.row for hit in hits] == [rows[hit.key] for hit in hits]
        one = Query(query, 5, (), in_group if where else None)
        assert search.find(one, {}) == hits


@settings(max_examples=100)
@given(_batches, _queries.filter(bool))
def test_one_by_one_or_in_batches_is_the_same(batches: list[Any], query: str) -> None:
    (context, search), (other, one_by_one) = live(), live()
    fill(context, batches)
    fill(other, [one for batch in batches for one in ([batch] if isinstance(batch, str) else [[doc] for doc in batch])])
    assert search.find(Query(query, 9), {}) == one_by_one.find(Query(query, 9), {})


class Witness:
    order = (2, 0)


@settings(max_examples=150)
@given(_batches.filter(bool), _queries.filter(bool))
def test_whoever_searched_is_told_when_the_hits_change(batches: list[Any], query: str) -> None:
    context, search = live()
    fill(context, batches[:-1])
    selector = Query(query, 3)
    search.watch(selector, Witness())
    before = search.token(selector)
    fill(context, batches[-1:])
    if search.token(selector) != before:
        assert context.take_touched()


class Toy:
    """A text's vector says how often each word is in it."""

    name = "toy"
    dimensions = len(WORDS)

    def embed(self, texts: Sequence[str], /) -> Sequence[Sequence[float]]:
        return [self.vector(text) for text in texts]

    def vector(self, text: str) -> list[float]:
        return [float(text.split().count(word)) for word in WORDS]


def cosines(texts: dict[Any, str], query: str) -> dict[Any, float]:
    """The likeness of each text to the query, from their vectors in whole numbers, where there is any."""
    likes: dict[Any, float] = {}
    asked = whole(Toy().vector(query))
    for key, text in texts.items():
        given = whole(Toy().vector(text))
        dot = sum(a * b for a, b in zip(asked, given, strict=True))
        if dot > 0:
            likes[key] = dot / sqrt(sum(a * a for a in asked) * sum(b * b for b in given))
    return likes


def whole(vector: list[float]) -> list[int]:
    peak = max(map(abs, vector))
    return [round(part / peak * 127) for part in vector] if peak else [0] * len(vector)


def code_of(text: str) -> str:
    return encoded(Toy().vector(text), Toy.dimensions)


@settings(max_examples=200)
@given(_changes, _queries, st.integers(1, 15))
def test_vector_search_equals_a_look_at_every_vector(
    changes: list[tuple[str, str | None]], query: str, limit: int
) -> None:
    vectors, texts = Vectors(Toy.dimensions), dict[str, str]()
    for key, text in changes:
        if text is None:
            vectors.remove(key)
            texts.pop(key, None)
        else:
            vectors.put(key, decoded(code_of(text)))
            texts[key] = text
    code = decoded(code_of(query))
    found = [(-less, key) for less, key in vectors.best(code, limit)]
    same(found, cosines(texts, query), limit)
    everything = vectors.best(code, len(KEYS))
    assert vectors.best(code, limit) == everything[:limit]
    assert vectors.best_of(code, limit, KEYS) == everything[:limit]
    odd = [ranked for ranked in everything if int(ranked[1][1:]) % 2]
    assert vectors.best(code, limit, lambda key: int(key[1:]) % 2 == 1) == odd[:limit]
    again = Vectors(Toy.dimensions)
    again.restore(vectors.keys, vectors.codes())
    assert again.best(code, limit) == everything[:limit]


_lives = st.lists(st.lists(_docs, min_size=1, max_size=8) | st.sampled_from([*KEYS, "embed", "embed stale", "load"]))


@settings(max_examples=200)
@given(_lives, _queries.filter(bool))
def test_words_and_meaning_together_find_present_rows_as_they_are(life: list[Any], query: str) -> None:
    context, search = live(Toy())
    rows: dict[str, Doc] = {}
    has: dict[str, str] = {}
    offset = 0
    stale = search.batch(3)
    for act in life:
        if act == "load":
            context, search = loaded(search, rows)
        elif act in ("embed", "embed stale"):
            batch = stale if act == "embed stale" else search.batch(3)
            marks = [fingerprint(one.text) for one in batch]
            search.embedded("toy", [one.key for one in batch], marks, [code_of(one.text) for one in batch])
            has.update((one.key, one.text) for one in batch if one.key in rows and rows[one.key].text == one.text)
        else:
            stale = search.batch(3)
            offset = act_on(context, rows, act, offset)
        has = {key: text for key, text in has.items() if key in rows and rows[key].text == text}
        assert search.vectors is not None
        gone = set(has) - set(search.vectors.keys)
        assert gone <= between(act)  # a text that went and came back within a batch may need its vector again
        has = {key: text for key, text in has.items() if key not in gone}
        assert sorted(search.vectors.keys) == sorted(has)
        assert sorted(search.waiting) == sorted(key for key in rows if rows[key].text.strip() and key not in has)

        scores = naive({key: doc.text for key, doc in rows.items()}, query)
        likes = cosines(has, query)
        proposed = {key for key, doc in rows.items() if doc.group == 1 and (key in scores or key in likes)}
        hits = search.find(Query(query, 5, (("group", 1),)), {})
        assert len(hits) == min(5, len(proposed))
        assert {hit.key for hit in hits} <= proposed
        assert [hit.row for hit in hits] == [rows[hit.key] for hit in hits]
        assert hits == sorted(hits, key=lambda hit: (-hit.score, hit.key))


def between(act: Any) -> set[str]:
    """The keys that have several texts in a batch."""
    texts: dict[str, set[str]] = {}
    for doc in () if isinstance(act, str) else act:
        texts.setdefault(doc.key, set()).add(doc.text)
    return {key for key, several in texts.items() if len(several) > 1}


def loaded(search: SearchState, rows: dict[str, Doc]) -> tuple[LiveContext, SearchState]:
    """The same in another life: the rows, and what was saved."""
    context, again = live(Toy())
    for offset, doc in enumerate(rows.values(), start=1):
        context.tables["docs"].put(doc.key, doc, offset)
    again.load(search.save())
    assert again.save() == search.save()
    for text in WORDS:
        assert again.find(Query(text, 9), {}) == search.find(Query(text, 9), {})
    return context, again


def act_on(context: LiveContext, rows: dict[str, Doc], act: Any, offset: int) -> int:
    if isinstance(act, str):
        context.tables["docs"].put(act, None, offset + 1)
        rows.pop(act, None)
        return offset + 1
    context.fold("docs", [doc.key for doc in act], act, range(offset + 1, offset + 1 + len(act)))
    rows.update({doc.key: doc for doc in act})
    return offset + len(act)


def test_among_texts_without_words_a_text_that_is_not_there_yet_has_a_score() -> None:
    index = Keywords()
    index.put("k", "")
    assert Terms(index, "red").score("a red lamp") > 0
