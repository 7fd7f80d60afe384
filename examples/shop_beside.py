"""The shop beside one that offers from an index refreshed every five minutes; what each of them shows is counted.

    extrovert run examples/shop_beside.py

At each click both say what they show: the live one its page, the other one the best hit of the same search over a copy.
"""

from datetime import datetime, timedelta

from examples import shop_data
from examples.shop import Click, Product, app, clicks, page, products, sessions
from extrovert import Record, Turn, WordLlama

__all__ = ["app"]


class Refresh(Record):
    index: str
    at: datetime


class Shown(Record):
    shop: str
    customer: str
    sku: str
    sold_out: bool


class Count(Record):
    shop: str
    shown: int
    sold_out: int


def add(count: Count | None, one: Shown) -> Count:
    so_far = count or Count(one.shop, 0, 0)
    return Count(one.shop, so_far.shown + 1, so_far.sold_out + one.sold_out)


refreshes = app.stream("refreshes", Refresh, key=Refresh.index)
copies = app.table("copies", Product, key=Product.sku)
copied = app.search("copied", over=copies, text=[Product.title, Product.about], embedder=WordLlama())
shown = app.stream("shown", Shown, key=Shown.shop)
counts = app.table("counts", Count, key=Count.shop, source=shown, fold=add)
app.source(shop_data.refresher)


@app.agent(wakes_on=refreshes)
async def refresh(turn: Turn, _refresh: Refresh) -> None:
    for product in products.all():
        turn.put(copies, product)


@app.agent(wakes_on=clicks)
async def look(turn: Turn, click: Click) -> None:
    """What do the two show to who has just clicked, and could it be bought at this moment?"""
    words = " ".join(sessions[click.customer].words)
    hits = copied.search(words, limit=1, where=lambda product: product.stock > 0)
    offer = page.get(click.customer)
    skus = {"live": offer and offer.choice.sku, "refreshed": hits[0].key if hits else None}
    for shop, sku in skus.items():
        if sku is not None:
            turn.emit(shown, Shown(shop, click.customer, sku, sold_out=products[sku].stock == 0))


@app.effect
async def say(text: str) -> None:
    print(text, flush=True)


@app.agent(wakes_on=counts, when=lambda count: count.shop == "refreshed", rest=timedelta(seconds=10))
async def report(turn: Turn, other: Count) -> None:
    live = counts.get("live") or Count("live", 0, 0)
    ours, theirs = f"{live.sold_out:,} of {live.shown:,}", f"{other.sold_out:,} of {other.shown:,}"
    turn.effect(say, f"sold out when shown: {ours} offers of the live shop, {theirs} from the refreshed index")
