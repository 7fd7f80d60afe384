"""A shop that never offers what is sold out: each customer gets an offer for what they are after in this session.

What stock or a new price has made untrue is gone from the page in the same step, and an agent writes another offer.
"""

import os
from datetime import datetime, timedelta

from examples import shop_data
from extrovert import App, Permits, Record, Refuse, Thinking, Turn, Untrusted, WordLlama

app = App("shop")


class Product(Record):
    sku: str
    title: str
    about: str
    euros: float
    stock: int
    at: datetime


class Click(Record):
    customer: str
    words: Untrusted[str]  # what was searched for, or the title of what was looked at
    at: datetime


class Session(Record):
    customer: str
    words: Untrusted[tuple[str, ...]]  # of the last clicks


class Choice(Record):
    sku: str
    title: str
    euros: float


class Wish(Record):
    customer: str
    words: Untrusted[tuple[str, ...]]
    choices: list[Choice]


class Words(Record):
    sku: str
    text: Untrusted[str]


class Offer(Record):
    customer: str
    choice: Choice
    text: Untrusted[str]


def follow(session: Session | None, click: Click) -> Session:
    return Session(click.customer, ((session.words if session else ()) + (click.words,))[-3:])


products = app.table("products", Product, key=Product.sku)
catalogue = app.search("catalogue", over=products, text=[Product.title, Product.about], embedder=WordLlama())
clicks = app.stream("clicks", Click, key=Click.customer)
sessions = app.table("sessions", Session, key=Session.customer, source=clicks, fold=follow, ttl=timedelta(minutes=5))
offers = app.table("offers", Offer, key=Offer.customer)
app.source(shop_data.warehouse)
app.source(shop_data.customers)


@app.view(over=sessions)
def wishes(session: Session) -> Wish | None:
    """What fits and is there. It does not say how many are left, so a sale disturbs nobody unless it is the last."""
    hits = catalogue.search(" ".join(session.words), limit=3, where=lambda product: product.stock > 0)
    return Wish(session.customer, session.words, [Choice(h.row.sku, h.row.title, h.row.euros) for h in hits])


@app.view(over=offers)
def page(offer: Offer) -> Offer | None:
    """What the customer sees: an offer for as long as it is true, whether or not another one has been written yet."""
    product = products[offer.choice.sku]
    return offer if product.stock > 0 and product.euros == offer.choice.euros else None


@app.policy(thinks=Thinking(timedelta(seconds=2)))
def plain(wish: Wish) -> Words:
    return Words(wish.choices[0].sku, f"The {wish.choices[0].title}, yours for {wish.choices[0].euros:.2f} euros.")


@app.agent(wakes_on=wishes, model=os.environ.get("EXTROVERT_MODEL") or plain, when_tainted=Permits(writes=[offers]))
async def sell(turn: Turn, wish: Wish | None) -> None:
    """You write an offer for a customer: the choice that fits best, in one sentence that names its price."""
    if wish is None or not wish.choices:
        return turn.delete(offers, turn.key)
    words = await turn.ask(wish, output=Words)
    choice = {one.sku: one for one in wish.choices}.get(words.sku)
    if choice is None or f"{choice.euros:.2f}" not in words.text:
        raise Refuse("take one of the choices, and name its price")
    turn.put(offers, Offer(wish.customer, choice, words.text))
