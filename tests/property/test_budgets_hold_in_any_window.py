"""Law: however asks arrive and end, no account takes more than its limits in any minute or hour, however it is laid,
and what waits is let through at the very moment from which there is room."""

from __future__ import annotations

from hypothesis import event, given
from hypothesis import strategies as st

from extrovert import Limits, Record
from extrovert.core.log import Admitted, Unanswered, Usage
from extrovert.turns.limits import HOUR_US, MINUTE_US, Need
from extrovert.turns.spending import Charge, Hold, Spending

ACCOUNT = "model:any"
FEW = st.one_of(st.none(), st.integers(1, 5))


class Arrival(Record):
    """An ask after so long, for so much, which ends after a while: answered having taken a part of that, or `how`."""

    after_us: int
    tokens: int
    nano_usd: int
    ends_us: int
    part: float
    how: str


class End(Record):
    at_us: int
    number: int
    arrival: Arrival


limits = st.builds(
    Limits,
    calls=FEW,
    requests_per_minute=FEW,
    tokens_per_minute=st.one_of(st.none(), st.integers(10, 50)),
    usd_per_hour=st.one_of(st.none(), st.integers(10, 50).map(lambda nano: f"{nano}e-9")),
)
spans = st.one_of(st.integers(0, 3), st.integers(0, MINUTE_US), st.sampled_from([MINUTE_US, HOUR_US, HOUR_US - 1]))
arrivals = st.lists(
    st.builds(
        Arrival,
        after_us=spans,
        tokens=st.integers(0, 12),
        nano_usd=st.integers(0, 12),
        ends_us=spans,
        part=st.floats(0, 1),
        how=st.sampled_from(["answered", "untold", "left", "free", "error"]),
    ),
    max_size=25,
)


class Run:
    """Asks go through one after the other, in their order, each at the first moment that its hold names."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.spending = Spending()
        self.charges: list[Charge] = []
        self.most_calls = 0
        self.waits = 0
        self._ends: list[End] = []
        self._now_us = 0

    def arrive(self, arrival: Arrival) -> None:
        self.pass_until(max(self._now_us, self._now_us + arrival.after_us))
        while (hold := self.hold(arrival)) is not None:
            if hold.never:
                event("never")
                return
            self.waits += 1
            if hold.until_us is None:
                self.pass_until(min(end.at_us for end in self._ends))
                continue
            assert hold.until_us > self._now_us
            ends = [end.at_us for end in self._ends if end.at_us < hold.until_us]
            self.pass_until(min([hold.until_us - 1, *ends]))
            assert self.hold(arrival) is not None or self._now_us in ends
            self.pass_until(hold.until_us if not self._ends else min(hold.until_us, *(e.at_us for e in self._ends)))
            if self._now_us == hold.until_us:
                again = self.hold(arrival)
                assert again is None or again.why != hold.why
        self.admit(arrival)

    def hold(self, arrival: Arrival) -> Hold | None:
        need = Need(arrival.tokens, arrival.nano_usd)
        return self.spending.account(ACCOUNT).hold(self.limits, need, self._now_us)

    def admit(self, arrival: Arrival) -> None:
        number = len(self.charges)
        body = Admitted("t", str(number), 0, ACCOUNT, [ACCOUNT], arrival.tokens, arrival.nano_usd)
        self.spending.admitted(body, number, self._now_us)
        charge = self.spending.in_flight("t", (str(number), 0))
        assert charge is not None
        self.charges.append(charge)
        self.most_calls = max(self.most_calls, self.spending.account(ACCOUNT).calls)
        self._ends.append(End(self._now_us + arrival.ends_us, number, arrival))

    def pass_until(self, now_us: int) -> None:
        """Time goes on, and asks end on the way."""
        for end in sorted(self._ends, key=lambda end: (end.at_us, end.number)):
            if end.at_us <= now_us:
                self._ends.remove(end)
                self.end(end)
        self._now_us = max(self._now_us, now_us)

    def end(self, end: End) -> None:
        arrival, place = end.arrival, (str(end.number), 0)
        tokens, nano_usd = int(arrival.tokens * arrival.part), int(arrival.nano_usd * arrival.part)
        match arrival.how:
            case "answered":
                usage = Usage("any", tokens, 0, cost_nano_usd=nano_usd)
                self.spending.answered("t", place, usage, end.at_us)
            case "untold":
                self.spending.answered("t", place, None, end.at_us)
            case "left":
                still = [(str(other.number), 0) for other in self._ends]
                self.spending.left("t", still, end.at_us)
            case how:
                self.spending.unanswered(Unanswered("t", *place, free=how == "free"), end.at_us)


def worst(charges: list[Charge], span_us: int, amounts: list[int]) -> int:
    """The most in any window of that span: it is one that begins with a charge."""
    both = list(zip((charge.at_us for charge in charges), amounts, strict=True))
    return max((sum(n for at_us, n in both if 0 <= at_us - begin_us < span_us) for begin_us, _ in both), default=0)


@given(limits, arrivals)
def test_no_account_takes_more_than_its_limits(limits: Limits, arrivals: list[Arrival]) -> None:
    run = Run(limits)
    for arrival in arrivals:
        run.arrive(arrival)
    event(f"waited: {min(run.waits, 3)}, sent: {min(len(run.charges), 3)}")
    assert run.most_calls <= (limits.calls or 25)
    if limits.requests_per_minute is not None:
        assert worst(run.charges, MINUTE_US, [1] * len(run.charges)) <= limits.requests_per_minute
    if limits.tokens_per_minute is not None:
        assert worst(run.charges, MINUTE_US, [charge.tokens for charge in run.charges]) <= limits.tokens_per_minute
    if limits.nano_usd_per_hour is not None:
        assert worst(run.charges, HOUR_US, [charge.nano_usd for charge in run.charges]) <= limits.nano_usd_per_hour


@given(limits, arrivals)
def test_a_snapshot_counts_alike(limits: Limits, arrivals: list[Arrival]) -> None:
    run = Run(limits)
    for arrival in arrivals:
        run.arrive(arrival)
        now_us = run._now_us  # pyright: ignore[reportPrivateUsage]
        again = Spending()
        again.load(run.spending.save(now_us), now_us)
        before, after = run.spending.account(ACCOUNT), again.account(ACCOUNT)
        assert (after.calls, after.tokens, after.nano_usd) == (before.calls, before.tokens, before.nano_usd)
        assert [one.at_us for one in after.minute] == [one.at_us for one in before.minute]
        assert again.save(now_us) == run.spending.save(now_us)
