"""What the flight assistant asks, and written rules that answer where no model is given.

The rules answer from the facts alone, as a model would: they know no flight and no passenger.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Literal, get_args

from msgspec import Meta

from examples.assistant_data import Booking, Flight, Place, Refund, Rule, Seat
from extrovert import Hit, Record, Refuse, Table, Talk, Untrusted
from extrovert.turns.conversation import Known

__all__ = ["Asked", "Case", "Choice", "Offer", "Reply", "Stranded", "Trip", "answer", "asked_of", "case_of", "choose"]


Name = Annotated[str, Meta(max_length=80)]
"""A short text. The answers of a model are bounded, since a small one may go on without end."""


class Trip(Record):
    """A booking, and how its flight is doing."""

    flight_id: str
    origin: str
    destination: str
    departs_at: datetime
    minutes_late: int
    seat_id: str
    state: Literal["booked", "cancelled", "left"]
    refund: Refund


class Offer(Record):
    """A free seat today. `leaves` is the time of day, `dollars` what it costs this passenger to change to it."""

    seat_id: str
    place: Place
    city: str
    leaves: str
    dollars: int

    @property
    def flight_id(self) -> str:
        return self.seat_id.partition("/")[0]

    @property
    def origin(self) -> str:
        return self.flight_id.split("-")[2]


class Case(Record):
    """All that is known of a passenger: what they booked, how it is doing, what else there is, earliest first, and what
    is remembered of them."""

    booking: Booking
    trip: Trip
    offers: list[Offer]
    remembered: list[str]

    @property
    def passenger(self) -> str:
        return self.booking.passenger

    def offer(self, seat_id: str) -> Offer:
        """The offer of this seat. Raises `Refuse` where there is none."""
        for offer in self.offers:
            if offer.seat_id == seat_id:
                return offer
        raise Refuse(f"{seat_id} is not among the seats that are free")

    def booked(self, to: Offer) -> Booking:
        """The booking, once it is changed to an offer."""
        return self.booking.but(flight_id=to.flight_id, seat_id=to.seat_id, paid=self.booking.paid + to.dollars)


class Stranded(Record):
    """Who needs a seat, and what they wished when they booked."""

    case: Case
    wish: Untrusted[str]


class Choice(Record):
    """The seat to take, by its `seat_id`, and what to tell the passenger."""

    seat_id: Name
    words: Annotated[str, Meta(max_length=300)]


class Reply(Record):
    """What to say. `remember` is a fact about the passenger to be kept ("": none), `take` the id of the seat to change
    to, if they have asked for just that ("": none), `refund` whether they want their money back."""

    text: Annotated[str, Meta(max_length=500)]
    remember: Name = ""
    take: Name = ""
    refund: bool = False


class Asked(Record):
    """What a conversation is about now. Where nothing is said, `was` is the trip as it was last told."""

    case: Case
    was: Trip | None
    rules: list[str]
    before: list[str]
    said: list[str]

    def checked(self, reply: Reply, flights: Table[str, Flight], rules: Table[str, Rule]) -> Reply:
        """The reply. Raises `Refuse` where it does what nobody has asked for, or names a price that nobody has told it
        or a flight that there is not; a model may have looked up more than what it was told."""
        if (reply.take or reply.refund) and not self.said:
            raise Refuse("the passenger has asked for nothing now")
        if reply.refund and self.case.trip.refund in ("asked", "paid"):
            raise Refuse(f"a refund is {self.case.trip.refund} already")
        prices = {str(offer.dollars) for offer in self.case.offers} | {str(self.case.booking.paid)}
        prices |= {price for rule in rules.all() for price in re.findall(r"\$(\d+)", rule.text)}
        for price in re.findall(r"\$(\d+)", reply.text):
            if price not in prices:
                raise Refuse(f"${price} is the price of nothing")
        for flight in re.findall(r"\b[A-Z0-9]{2}-\d+-[A-Z]{3}-\d{4}\b", reply.text):
            if flights.get(flight) is None:
                raise Refuse(f"there is no flight {flight}")
        return reply


# ---- the facts


def case_of(
    booking: Booking, flight: Flight, free: Sequence[tuple[Flight, Sequence[Seat]]], rule: Rule, known: Known | None
) -> Case:
    """What is known of a passenger. Of each other flight there is the cheapest seat of each kind."""
    late = (flight.departs_at - flight.scheduled_at) // timedelta(minutes=1)
    state = "cancelled" if flight.cancelled else "left" if flight.departed else "booked"
    trip = Trip(
        flight.flight_id,
        flight.origin,
        flight.destination,
        flight.departs_at,
        late,
        booking.seat_id,
        state,
        booking.refund,
    )
    offers: dict[tuple[str, Place], Offer] = {}
    for other, seats in free if state != "left" and booking.refund in ("", "denied") else ():
        for seat in sorted(seats, key=lambda seat: (seat.dollars, seat.seat_id)) if other.open else ():
            dollars = costs(rule, trip, booking, seat)
            offer = Offer(seat.seat_id, seat.place, other.city, f"{other.departs_at:%H:%M}", dollars)
            offers.setdefault((other.flight_id, seat.place), offer)
    first = sorted(offers.values(), key=lambda offer: (offer.leaves, offer.seat_id))
    return Case(booking, trip, first, known.facts if known else [])


def costs(rule: Rule, trip: Trip, booking: Booking, seat: Seat) -> int:
    """What it costs to change to a seat, by the rule of the fare."""
    if trip.state == "cancelled" or trip.minutes_late >= rule.free_after_minutes:
        return 0
    return rule.fee + max(0, seat.dollars - booking.paid)


def asked_of(case: Case, was: Trip | None, rules: Sequence[Hit[Rule]], talk: Talk[Trip]) -> Asked:
    """What a conversation is about now."""
    before = [one.text for one in talk.messages if one.role == "user"]
    return Asked(case, was, [hit.row.text for hit in rules], before, list(talk.said))


# ---- the rules


def choose(stranded: Stranded) -> Choice:
    """The first flight from the airport that they wish for, from their city, or from any; where they like to sit."""
    case = stranded.case
    offers = [offer for offer in case.offers if offer.origin in stranded.wish]
    offers = offers or of_city(case.offers, case.remembered) or case.offers
    best = min(offers, key=lambda offer: (offer.leaves, offer.place != case.booking.likes, offer.seat_id))
    return Choice(best.seat_id, f"{case.trip.flight_id} is cancelled. You now have {told(best)}.")


def answer(asked: Asked) -> Reply:
    """Answers what is said, or tells what has changed."""
    trip, said = asked.case.trip, " ".join(asked.said).lower()
    if not said:
        return Reply(news(trip, asked.was))
    city = next((offer.city for offer in asked.case.offers if offer.city.lower() in said), "")
    fact = f"The passenger is in {city}." if city else ""
    if has(said, "my money back", "want a refund", "refund me") and trip.refund in ("", "denied"):
        return Reply("I have asked the desk to pay you back, and will tell you what they say.", fact, refund=True)
    offers = wanted(asked, [*asked.case.remembered, fact])
    if has(said, "i take", "i'll take", "book it", "yes"):
        flights = re.findall(r"\b[a-z0-9]{2}-\d+\b", said)
        for offer in offers:
            if not flights or any(offer.flight_id.lower().startswith(f"{flight}-") for flight in flights):
                return Reply(f"I change you to {told(offer)}, for ${offer.dollars}.", fact, take=offer.seat_id)
    parts = [f"I will remember that you are in {city}."] if city and fact not in asked.case.remembered else []
    if has(said, "on time", "late", "my flight", "delayed", "cancelled"):
        parts.append(state(trip))
    on_time = trip.state == "booked" and not trip.minutes_late
    if has(said, "else", "other", "instead", "seat", "i take", "i'll take", "book it") and not (
        on_time and "if not" in said
    ):
        parts.append(offered(offers))
    return Reply(" ".join(parts or asked.rules[:1]) or "That I do not know.", fact)


# ---- which


def wanted(asked: Asked, remembered: Sequence[str]) -> list[Offer]:
    """The offers from their city (else from the airport that they booked), in the place that they named last."""
    case = asked.case
    offers = of_city(case.offers, remembered)
    offers = offers or [offer for offer in case.offers if offer.origin == case.trip.origin]
    named = [place for text in [*asked.before, *asked.said] for place in get_args(Place) if place in text.lower()]
    place = named[-1] if named else case.booking.likes
    return [offer for offer in offers if offer.place == place]


def of_city(offers: Sequence[Offer], remembered: Sequence[str]) -> list[Offer]:
    return [offer for offer in offers if any(offer.city in fact for fact in remembered)]


def has(said: str, *words: str) -> bool:
    return any(re.search(rf"\b{word}\b", said) for word in words)


# ---- in words


def told(offer: Offer) -> str:
    """A seat in words."""
    number = offer.seat_id.partition("/")[2]
    return f"{offer.place} seat {number} on {offer.flight_id} from {offer.origin} at {offer.leaves}"


def offered(offers: Sequence[Offer]) -> str:
    if not offers:
        return "There is no such seat tonight."
    return "Tonight there is " + ", or ".join(f"{told(offer)}, for ${offer.dollars}" for offer in offers[:3]) + "."


def state(trip: Trip) -> str:
    """How the flight is doing, in a sentence."""
    if trip.refund == "paid":
        return f"Your money for {trip.flight_id} has been paid back."
    match trip.state:
        case "cancelled":
            return f"{trip.flight_id} to {trip.destination} is cancelled."
        case "left":
            return f"{trip.flight_id} to {trip.destination} left at {trip.departs_at:%H:%M}."
        case _:
            late = f"{trip.minutes_late} minutes late" if trip.minutes_late else "on time"
            leaves = f"it leaves {trip.origin} at {trip.departs_at:%H:%M}"
            return f"{trip.flight_id} to {trip.destination} is {late}: {leaves}, and you have {seat_of(trip)}."


def seat_of(trip: Trip) -> str:
    return f"seat {trip.seat_id.partition('/')[2]}"


def news(trip: Trip, was: Trip | None) -> str:
    """What a passenger wants to know of a change; "" where that is nothing."""
    parts: list[str] = []
    if was is not None and was.flight_id != trip.flight_id:
        leaves = f"from {trip.origin} at {trip.departs_at:%H:%M}"
        parts.append(f"You now fly on {trip.flight_id}, {leaves}, {seat_of(trip)}, and no longer on {was.flight_id}.")
    elif trip.refund != "paid" and (was is None or (was.state, was.departs_at) != (trip.state, trip.departs_at)):
        parts.append(state(trip))
    if was is None or was.refund != trip.refund:
        parts.append({"paid": state(trip), "denied": "The desk has not agreed to pay you back."}.get(trip.refund, ""))
    return " ".join(filter(None, parts))
