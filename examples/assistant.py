"""The flight assistant of a storm: it watches, rebooks, tells and talks, and asks before it pays anybody back."""

import os
from datetime import timedelta

from examples import assistant_data, assistant_rules
from examples.assistant_data import Booking, Flight, Rule, Seat, Wish
from examples.assistant_rules import Case, Choice, Offer, Reply, Stranded, Trip, asked_of, case_of
from extrovert import App, Open, Permits, Prompt, Section, Talk, Turn

MODEL = os.environ.get("EXTROVERT_MODEL")  # such as openai:gpt-5-mini, or local; without one, written rules answer
app = App("assistant")
flights = app.table("flights", Flight, key=Flight.flight_id)
bookings = app.table("bookings", Booking, key=Booking.passenger)
wishes = app.table("wishes", Wish, key=Wish.passenger)
seats = app.table("seats", Seat, key=Seat.seat_id)
rules = app.table("rules", Rule, key=Rule.rule_id)
flights_to, seats_of = flights.index(Flight.destination), seats.index(Seat.flight_id, Seat.passenger)
rulebook = app.search("rulebook", over=rules, text=Rule.text)
talks = app.conversations("assistant")
talking = talks.open.index(Open.user)
tell, pay = app.effect(assistant_data.tell), app.effect(assistant_data.pay)
choose, answer = app.policy(assistant_rules.choose), app.policy(assistant_rules.answer)
assistant_data.feed_to(app)


@app.view(over=bookings)
def cases(booking: Booking) -> Case:  # how a flight is doing, and what else there is, at what price for this passenger
    flight, rule = flights[booking.flight_id], rules[f"change-{booking.fare}"]
    free = [(other, seats_of[other.flight_id, ""]) for other in flights_to[flight.destination] if other != flight]
    return case_of(booking, flight, free, rule, talks.known.get(booking.passenger))


@app.view(over=talks.open)
def trip(talk: Open) -> Trip | None:
    return cases[talk.user].trip if bookings.get(talk.user) else None


def change(turn: Turn, case: Case, to: Offer) -> None:
    turn.put(seats, seats[case.booking.seat_id].but(passenger=""))
    turn.put(seats, seats[to.seat_id].but(passenger=case.passenger))
    turn.put(bookings, case.booked(to))
    if to.dollars:
        turn.effect(pay, case.passenger, -to.dollars)


@app.agent(
    wakes_on=cases,
    when=lambda case: case.trip.state == "cancelled" and bool(case.offers),
    model=MODEL or choose,
    max_reruns=2,
    on_conflict="guarded",  # the world does not wait for a slow model
    when_tainted=Permits(effects=[tell], writes=[bookings, seats], trusted={tell: {"passenger": Booking.passenger}}),
)
async def rebook(turn: Turn, case: Case) -> None:
    """Choose another seat for an airline's passenger whose flight is cancelled, and tell them in one sentence."""
    wish = wishes.get(case.passenger)  # anybody can write anything there, so the turn is bound by what it permits
    choice = await turn.ask(Stranded(case, wish.text if wish else ""), output=Choice)
    change(turn, case, case.offer(choice.seat_id))
    if not talking.count(case.passenger):  # who is talking with us is told there
        turn.effect(tell, case.passenger, choice.words)


@app.chat(talks, rests_on=trip, model=MODEL or answer, quiet=timedelta(seconds=2), max_reruns=2, on_conflict="guarded")
async def assistant(turn: Turn, talk: Talk[Trip]) -> str | None:
    """You are an airline's assistant. Answer what the passenger says now; if nothing, tell them what has changed."""
    if talk.ground is None:
        return "I find no booking of yours."
    case, was = cases[talk.user], talk.changed and talk.changed.old
    found = rulebook.search(" ".join(talk.said), limit=2, where=lambda rule: rule.fare in ("", case.booking.fare))
    prompt = Prompt(
        "Offer only seats that are free, name what they cost, and keep to the rules.",
        Section("Rules", found, fields=(Rule.text,), gives_way=1),
        Section("Remembered", talk.facts),
        Section("Booking", case.booking, ages=False),
        Section("Trip", case.trip, ages=False),
        Section("Trip as last told", was),
        Section("Free seats", case.offers, ages=False, gives_way=2),
        Section("Said before", talk.messages, fields=("role", "text")),
        Section("Said now", talk.said),
        budget_tokens=3_000,
        facts=(asked := asked_of(case, was, found, talk)),
    )
    reply = asked.checked(await turn.ask(prompt, output=Reply, tools=[flights_to, rulebook]), flights, rules)
    if reply.remember:
        talk.remember(reply.remember)
    if reply.take:
        change(turn, case, case.offer(reply.take))
    if reply.refund:
        turn.put(bookings, bookings[talk.user].but(refund="asked"))
    return reply.text or None


@app.agent(wakes_on=cases, when=lambda case: case.trip.refund == "asked")
async def refund(turn: Turn, case: Case) -> None:
    if approved := await turn.approval(case.booking, who="desk", until=turn.now() + timedelta(hours=4)):
        turn.effect(pay, case.passenger, case.booking.paid)
        turn.put(seats, seats[case.booking.seat_id].but(passenger=""))
    turn.put(bookings, case.booking.but(refund="paid" if approved else "denied"))
