"""With an embedder, rows are found by what they mean; until a row's vector is there, its words find it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from threading import Event, get_ident

import pytest

from extrovert import App, MissingExtra, Record, Table, TransientError
from extrovert.context.query import Query
from extrovert.context.search_state import SearchState
from extrovert.core.ids import canonical
from extrovert.core.log import Embedded
from extrovert.turns.fold import Fold
from tests.hosts import Host, replayed, serving, until

pytest.importorskip("numpy")

SOON = 0.2
TOPICS = {"lamp": 0, "light": 0, "lantern": 0, "table": 1, "desk": 1, "chair": 2, "seat": 2}


class Toy:
    """A text's vector says how often each topic is in it; `embedded` keeps what it was given."""

    name = "toy"
    dimensions = 4

    def __init__(self) -> None:
        self.embedded: list[list[str]] = []
        self.error: Exception | None = None

    def embed(self, texts: Sequence[str], /) -> Sequence[Sequence[float]]:
        self.embedded.append(list(texts))
        if self.error is not None:
            raise self.error
        if any("poison" in text for text in texts):
            raise ValueError("that is poison")
        return [self.vector(text) for text in texts]

    def vector(self, text: str) -> Sequence[float]:
        parts = [0.0, 0.0, 0.0, 0.1]
        for word in text.split():
            if word in TOPICS:
                parts[TOPICS[word]] += 1.0
        return parts


class Product(Record):
    sku: str
    title: str
    stock: int = 1


class Wish(Record):
    customer: str
    text: str


def shop(embedder: Toy) -> App:
    app = App("shop")
    products = app.table("products", Product, key=Product.sku)
    wishes = app.table("wishes", Wish, key=Wish.customer)
    catalogue = app.search("catalogue", over=products, text=Product.title, embedder=embedder)

    @app.view(over=wishes)
    def wished(wish: Wish) -> list[str]:
        return [hit.key for hit in catalogue.search(wish.text, limit=1, where=in_stock)]

    return app


def in_stock(product: Product) -> bool:
    return product.stock > 0


class Shop:
    def __init__(self, path: Path, embedder: Toy | None = None) -> None:
        self.embedder = embedder or Toy()
        self.host = Host(shop(self.embedder), path / "log.sqlite")
        tables: dict[str, Table[str, Product]] = {table.name: table for table in self.host.declared.tables}
        self.products = tables["products"]
        self.wishes = tables["wishes"]

    @property
    def search(self) -> SearchState:
        return state_of(self.host.fold)

    def found(self, text: str, limit: int = 1) -> list[str]:
        return [hit.key for hit in self.search.find(Query(text, limit), {})]


def state_of(fold: Fold) -> SearchState:
    state = fold.context.operators["catalogue"]
    assert isinstance(state, SearchState)
    return state


LAMP = Product("p1", "a red lamp")
DESK = Product("p2", "a red desk")
CHAIR = Product("p3", "a red chair")


async def test_rows_are_found_by_what_they_mean(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    await shop.host.send(shop.products, LAMP, DESK, CHAIR)
    assert shop.found("lantern") == ["p1"]
    assert shop.found("seat") == ["p3"]
    assert shop.embedder.embedded == [["a red lamp", "a red desk", "a red chair"], ["lantern"], ["seat"]]


async def test_until_a_vector_is_there_the_words_of_a_row_find_it(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.host.hand_in(shop.products, LAMP)
    assert shop.found("lamp") == ["p1"]
    assert shop.found("lantern") == []
    await shop.host.advance(SOON)
    assert shop.found("lantern") == ["p1"]


async def test_what_both_words_and_meaning_propose_leads(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    await shop.host.send(
        shop.products, LAMP.but(title="a light"), DESK.but(title="a lamp"), CHAIR.but(title="lamp oil")
    )
    assert shop.found("lamp", 3)[0] == "p2"


async def test_an_updated_row_is_not_found_by_what_it_meant(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    await shop.host.send(shop.products, LAMP, DESK)
    shop.host.hand_in(shop.products, LAMP.but(title="a red chair"))
    assert shop.found("lantern", 9) == ["p2"]  # which is like it a little, and the other one is not in question
    await shop.host.advance(SOON)
    assert shop.found("seat") == ["p1"]


async def test_a_vector_of_an_older_text_is_dropped(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.host.hand_in(shop.products, LAMP)
    batch = shop.search.batch(10)
    shop.host.hand_in(shop.products, LAMP.but(title="a red chair"))
    shop.search.embedded("toy", ["p1", "p9"], [batch[0].mark, "?"], ["fwAAAA==", "fwAAAA=="])
    assert shop.search.vectors is not None
    assert shop.search.vectors.keys == []
    await shop.host.settle()
    assert shop.found("seat") == ["p1"]


async def test_a_row_that_keeps_its_text_keeps_its_vector(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    await shop.host.send(shop.products, LAMP)
    await shop.host.send(shop.products, LAMP.but(stock=0))
    assert shop.embedder.embedded == [["a red lamp"]]
    assert shop.found("lantern") == ["p1"]


async def test_a_view_sees_a_vector_come(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    wished = shop.host.fold.context.views["wished"].values
    shop.host.hand_in(shop.wishes, Wish("c1", "lantern"))
    shop.host.hand_in(shop.products, LAMP)
    assert wished["c1"] == []
    await shop.host.advance(SOON)
    assert wished["c1"] == ["p1"]
    shop.host.hand_in(shop.products, LAMP.but(stock=0))
    assert wished["c1"] == []


async def test_replay_and_restart_take_vectors_from_the_log(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    await shop.host.send(shop.products, LAMP, DESK)
    shop.host.engine.keep_snapshot()
    await shop.host.send(shop.products, CHAIR, DESK.but(title="a red seat"))
    shop.host.hand_in(shop.products, Product("p4", "light"))
    live = shop.search.save()
    assert state_of(replayed(shop.host)).save() == live
    embedded = len(shop.embedder.embedded)
    shop.host.crash()
    assert len(shop.embedder.embedded) == embedded
    assert (shop.search.save(), list(shop.search.waiting)) == (live, ["p4"])
    await shop.host.settle()
    assert shop.embedder.embedded[embedded:] == [["light"]]


async def test_another_model_embeds_anew(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    await shop.host.send(shop.products, LAMP)
    await shop.host.stop()
    other = Toy()
    other.name = "toy-2"
    shop = Shop(tmp_path, other)
    await shop.host.settle()
    assert other.embedded == [["a red lamp"]]
    assert [body.model for body in shop.host.bodies(Embedded)] == ["toy", "toy-2"]


async def test_many_rows_are_embedded_in_batches(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    await shop.host.send(shop.products, *(Product(f"p{number:03}", f"lamp {number}") for number in range(150)))
    assert [len(texts) for texts in shop.embedder.embedded] == [64, 64, 22]


async def test_a_text_that_cannot_be_embedded_is_a_dead_letter_and_found_by_its_words(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    await shop.host.send(shop.products, LAMP, Product("p4", "poison for desk lice"), CHAIR)
    [letter] = shop.host.dead_letters()
    assert letter.cause == "search `catalogue`: embedder `toy`: ValueError: that is poison"
    assert (letter.stream, letter.key, letter.raw) == ("products", "p4", "poison for desk lice")
    assert shop.found("seat") == ["p3"]
    assert "p4" in shop.found("lice", 9)


async def test_an_embedder_that_cannot_now_is_tried_again_later(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.embedder.error = TransientError("busy")
    shop.host.hand_in(shop.products, LAMP)
    await shop.host.advance(2.0)
    assert len(shop.embedder.embedded) == 2
    shop.embedder.error = None
    await shop.host.advance(2.0)
    assert shop.found("lantern") == ["p1"]
    assert shop.host.dead_letters() == []


async def test_vectors_of_the_wrong_size_are_refused(tmp_path: Path) -> None:
    class Short(Toy):
        def vector(self, text: str) -> Sequence[float]:
            return [1.0]

    shop = Shop(tmp_path, Short())
    await shop.host.send(shop.products, LAMP)
    assert "a vector of shape (1,) was given instead of 4 numbers" in shop.host.dead_letters()[0].cause


async def test_vectors_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    class Broken(Toy):
        def vector(self, text: str) -> Sequence[float]:
            return [float("nan")] * 4

    shop = Shop(tmp_path, Broken())
    await shop.host.send(shop.products, LAMP)
    assert "no finite numbers" in shop.host.dead_letters()[0].cause


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from extrovert import WordLlama
    from extrovert.models import embedding

    monkeypatch.setattr(embedding, "find_spec", lambda _name: None)  # pyright: ignore
    with pytest.raises(MissingExtra, match=r'pip install "extrovert\[search\]"'):
        WordLlama()


def test_word_llama_puts_texts_near_where_their_meanings_are() -> None:
    pytest.importorskip("wordllama")
    from extrovert import WordLlama

    model = WordLlama()
    lost, gone, soup = model.embed(["my suitcase was lost", "missing luggage", "a recipe for soup"])
    assert len(lost) == model.dimensions

    def product(a: Sequence[float], b: Sequence[float]) -> float:
        return sum(float(x) * float(y) for x, y in zip(a, b, strict=True))

    assert product(lost, gone) > 2 * product(lost, soup)


async def test_in_real_time_embedding_goes_on_in_a_thread(tmp_path: Path) -> None:
    embedder, threads = Toy(), set[int]()

    class Threaded(Toy):
        def embed(self, texts: Sequence[str], /) -> Sequence[Sequence[float]]:
            threads.add(get_ident())
            return embedder.embed(texts)

    async with serving(shop(Threaded()), tmp_path) as engine:
        search = state_of(engine.shard.fold)
        rows = [canonical(Product(f"p{number:03}", "a lamp")) for number in range(100)]
        engine.intake.lines("products", b"\n".join(rows))
        assert not search.find(Query("lantern", 1), {})
        engine.nudge()
        await until(lambda: not search.waiting)
        assert get_ident() not in threads
        assert [hit.key for hit in search.find(Query("lantern", 1), {})] == ["p000"]
    assert [len(texts) for texts in embedder.embedded[:2]] == [64, 36]


async def test_an_embedder_that_hangs_does_not_keep_an_engine_from_ending(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("extrovert.engine.embedding.CLOSING_S", 0.01)
    called, released = Event(), Event()

    class Hanging(Toy):
        def embed(self, texts: Sequence[str], /) -> Sequence[Sequence[float]]:
            called.set()
            released.wait()
            return super().embed(texts)

    async with serving(shop(Hanging()), tmp_path) as engine:
        engine.intake.lines("products", canonical(Product("p1", "a lamp")))
        engine.nudge()
        await until(called.is_set)
    assert "embedder of search" in caplog.text
    released.set()

    async with serving(shop(Toy()), tmp_path) as engine:
        await until(lambda: not state_of(engine.shard.fold).waiting)
        assert state_of(engine.shard.fold).find(Query("lantern", 1), {})
