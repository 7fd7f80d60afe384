"""Agents that work together: operations, finance and customer care of an airline, through streams alone."""

import os
from datetime import timedelta

from examples import together_events as say
from examples.together_data import outside
from extrovert import App, Outcome, Thinking, Turn

app = App("together")
news = app.stream("news", say.Flight, key=say.Flight.flight_id)
seats_wanted = app.stream("seats_wanted", say.SeatWanted, key=say.SeatWanted.case)
seats = app.stream("seats", say.Seat | say.NoSeat | say.Released, key=say.Seat.case)
money_wanted = app.stream("money_wanted", say.MoneyWanted, key=say.MoneyWanted.case)
money = app.stream("money", say.Granted, key=say.Granted.case)
rebooked = app.stream("rebooked", say.Rebooked, key=say.Rebooked.case)

# ---- operations: has the flights, and knows no passenger
flights = app.table("flights", say.Flight, key=say.Flight.flight_id, source=news)
cheapest = flights.range_index(say.Flight.destination, say.Flight.euros)
held = app.table(
    "held", say.Seat, key=say.Seat.case, source=seats, fold=lambda _, it: it if isinstance(it, say.Seat) else None
)
held_on = held.index(say.Seat.flight_id)


@app.agent(wakes_on=seats_wanted)
async def find_seat(turn: Turn, wanted: say.SeatWanted) -> None:
    there = (flight for flight in cheapest.under(wanted.destination) if not flight.cancelled)
    found = next((flight for flight in there if held_on.count(flight.flight_id) < flight.seats), None)
    turn.emit(seats, say.Seat(wanted.case, found.flight_id, found.euros) if found else say.NoSeat(wanted.case))


# ---- finance: has the money, and knows no flight
@app.policy(thinks=Thinking(timedelta(seconds=2)))
def frugal(wanted: say.MoneyWanted) -> bool:
    return wanted.euros <= 200


@app.agent(wakes_on=money_wanted, model=os.environ.get("EXTROVERT_MODEL") or frugal)
async def grant(turn: Turn, wanted: say.MoneyWanted) -> None:
    """You guard an airline's money. Is this worth it? More than 200 euros for a passenger never are."""
    turn.emit(money, say.Granted(wanted.case, await turn.ask(wanted, output=bool)))


@app.effect(idempotent=True)
async def pay(case: str, booking_id: str, euros: int, *, idempotency_key: str = "") -> None:
    outside.pay(booking_id, euros)


@app.agent(wakes_on=rebooked, when=lambda it: it.euros > 0)
async def settle(turn: Turn, it: say.Rebooked) -> None:
    turn.effect(pay, it.case, it.booking_id, it.euros)


# ---- customer care: has the bookings, and asks the others
bookings = app.table("bookings", say.Booking, key=say.Booking.booking_id)
heard = app.table("heard", say.Flight, key=say.Flight.flight_id, source=news)
heard_of = heard.index(say.Flight.destination, say.Flight.cancelled)


@app.effect(idempotent=True)
async def void(booking_id: str, flight_id: str, *, idempotency_key: str = "") -> None:
    outside.void(booking_id, flight_id)


@app.effect(idempotent=True, undo=void)
async def issue(booking_id: str, flight_id: str, *, idempotency_key: str = "") -> None:
    outside.issue(booking_id, flight_id)


@app.view(over=bookings)
def stranded(booking: say.Booking) -> say.Booking | None:
    return booking if booking.status == "booked" and heard[booking.flight_id].cancelled else None


@app.agent(wakes_on=stranded)
async def care(turn: Turn, booking: say.Booking) -> None:
    off = [flight.flight_id for flight in heard_of[booking.destination, True]]
    seat = await turn.request(seats_wanted, say.SeatWanted(turn.id, booking.destination, off), seats, key=turn.id)
    if isinstance(seat, say.Seat) and seat.euros:
        costs = say.MoneyWanted(turn.id, seat.euros, f"a seat on {seat.flight_id} to {booking.destination}")
        answer = await turn.request(money_wanted, costs, money, key=turn.id, until=turn.now() + timedelta(minutes=5))
        seat = seat if answer and answer.granted else None
    if isinstance(seat, say.Seat):
        turn.put(bookings, booking.but(flight_id=seat.flight_id, case=turn.id))
        turn.effect(issue, booking.booking_id, seat.flight_id)
        turn.emit(rebooked, say.Rebooked(turn.id, booking.booking_id, seat.euros))
    else:
        turn.put(bookings, booking.but(status="at the desk"))
        turn.emit(seats, say.Released(turn.id))


@app.agent(wakes_on=app.outcomes(pay), when=lambda it: it.state == "failed")
async def take_back(turn: Turn, it: Outcome) -> None:
    case, booking = it.args[0], bookings[it.args[1]]
    turn.undo(case)
    turn.put(bookings, booking.but(status="at the desk" if booking.case == case else booking.status))
    turn.emit(seats, say.Released(case))
