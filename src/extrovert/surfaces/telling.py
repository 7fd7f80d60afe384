"""Telling the story of a decision to a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from rich.text import Text

from extrovert.core.asked import text_of
from extrovert.core.log import is_null
from extrovert.surfaces.attempts import Asked, Attempt
from extrovert.surfaces.lines import line_by_line
from extrovert.surfaces.printing import columns, moment, plain, short, span
from extrovert.surfaces.story import Act, Change, Read, Story
from extrovert.turns.exchange import Exchange, Result, calls_of
from extrovert.turns.outbox import UNDO
from extrovert.turns.running import WAITS
from extrovert.turns.waits import Approval, ApprovalAsked, Awaited, Sleep

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["tell_to"]

OUTCOMES = {
    "decided": "Decided",
    "shadow": "Decided as a shadow, so that nothing of it was done,",
    "gone": "Ended without a decision, since nothing was left to decide,",
    "stale": "Ended without a decision, since what it read was too old,",
    "contended": "Ended without a decision, since what it read went on changing,",
    "cycle": "Not begun, since agents woke each other without end,",
    "dropped": "Given up, as its agent declares or a person said,",
    "failed": "Failed",
}
WHYS = {
    "woken": "woken",
    "answered": "an answer came",
    "retried": "tried again after a failure",
    "changed": "what it had read changed",
    "heard": "its sources were heard again",
    "failed": "raised",
    "late": "its deadline had passed",
    "released": "a person let it go on",
}
STYLES = {
    "decided": "bold green",
    "shadow": "bold blue",
    "gone": "bold",
    "stale": "bold yellow",
    "contended": "bold yellow",
    "cycle": "bold yellow",
    "dropped": "bold yellow",
    "failed": "bold red",
}


def tell_to(out: Console, story: Story, *, lines: bool = False) -> None:
    """Prints the story; with `lines` its prompts whole, and where each line comes from. All times are in UTC."""
    out.print(Text(plain(story.id), style="bold"), soft_wrap=True)
    ended = Text(OUTCOMES.get(story.outcome, story.outcome), style=STYLES.get(story.outcome, "bold"))
    number = story.attempts_made
    ended.append(
        f" at {moment(story.at)} UTC (offset {story.offset}), {span(story.took_ms * 1000)} after its wake, "
        f"in {number} attempt{'s' if number > 1 else ''}.",
        style="not bold default",
    )
    out.print(ended, soft_wrap=True)
    if story.invalidated:
        out.print(Text("Invalidated: what it had read was not true then, as is known since.", style="bold yellow"))
    if story.cause:
        out.print(f"Because: {plain(story.cause)}", soft_wrap=True)
    if story.guarded:
        out.print("Its answers were given to earlier questions, since what it read went on changing.", soft_wrap=True)
    if story.context_age_ms is not None:
        out.print(f"Its sources had last been heard {span(story.context_age_ms * 1000)} before.", soft_wrap=True)
    _heard(out, story)
    _head(out, "Woken by")
    _wake(out, story)
    if story.reads:
        _head(out, f"Read ({len(story.reads)}, ages as of the commit)")
        out.print(
            columns(("kind", "what", "version", "age", "from"), map(_read, story.reads), right=("version", "age"))
        )
    if story.attempts:
        _head(out, "Attempts")
    for attempt in story.attempts:
        _attempt(out, attempt)
    if story.outcome in ("decided", "shadow"):
        out.print("       committed" if story.outcome == "decided" else "       kept", soft_wrap=True)
    _told(out, story)
    if lines:
        _lines(out, story)
    _outcome(out, story)


def _heard(out: Console, story: Story) -> None:
    """How old what it read was, by stream, and what of it may have instructed it."""
    told = [
        f"{plain(stream)}, never heard" if ms is None else f"{plain(stream)}, heard {span(ms * 1000)} before"
        for stream, ms in story.heard_ms.items()
    ]
    if told:
        out.print(f"Its reads hang on {'; '.join(told)}.", soft_wrap=True)
    if story.silent:
        silent = ", ".join(map(plain, story.silent))
        out.print(f"{silent}: older than its agent allows; its fallback answered.", soft_wrap=True)
    if story.tainted:
        tainted = ", ".join(map(plain, story.tainted))
        out.print(f"It had read text from outside, which may hold instructions: {tainted}.", soft_wrap=True)


def _conditions(out: Console, story: Story) -> None:
    if story.guards:
        _head(out, "Guarded: at the commit there held")
        for guard in story.guards:
            out.print(f"  {plain(guard)}", soft_wrap=True)
    if story.undoes:
        _head(out, "Would undo" if story.outcome == "shadow" else "Undid")
        for decision in story.undoes:
            out.print(f"  {plain(decision)}", soft_wrap=True)


def _effects(out: Console, story: Story) -> None:
    if story.effects:
        _head(out, "Effects")
        for act in story.effects:
            _act(out, act)
        ends = {act.state for act in story.effects}
        if ends & {"failed", "withdrawn"}:
            for act in story.effects:
                if act.state == "settled" and not act.undo and not act.key.endswith(UNDO):
                    out.print(f"  {plain(act.key)} has no undo: it stays done", soft_wrap=True)


def _outcome(out: Console, story: Story) -> None:
    _conditions(out, story)
    shadow = story.outcome == "shadow"
    if story.writes:
        _head(out, "Would write" if shadow else "Wrote")
        for write in story.writes:
            row = "deleted" if is_null(write.row) else short(write.row)
            out.print(f"  {_at(write.to, write.key)}  {row}", soft_wrap=True)
    if story.emits:
        _head(out, "Would emit" if shadow else "Emitted")
        for place, emit in enumerate(story.emits, start=1):
            offset = "" if shadow else f" @{story.offset + place}"
            out.print(f"  {_at(emit.to, emit.key)}{offset}  {short(emit.data)}", soft_wrap=True)
    _effects(out, story)
    _corrections(out, story)
    if story.outcome == "decided" and not (story.writes or story.emits or story.effects or story.undoes):
        _head(out, "Changed nothing")


def _corrections(out: Console, story: Story) -> None:
    if story.invalidated:
        _head(out, "Invalidated")
    for one in story.invalidated:
        out.print(
            f"  {moment(one.at)}  {_at(one.table, one.key)} as of {moment(one.as_of)}, read through "
            f"{plain(', '.join(one.through))}",
            soft_wrap=True,
        )
        for word, row in (("was", one.old), ("is", one.new)):
            out.print(f"       {word} {'nothing' if is_null(row) else short(row, 300)}", soft_wrap=True)
        out.print(f"       by @{one.version} {plain(one.by)}", soft_wrap=True)


def _head(out: Console, text: str) -> None:
    out.print()
    out.print(Text(text, style="bold"))


def _at(of: str, at: Any) -> str:
    return plain(of) if at is None else f"{plain(of)}/{plain(at) if isinstance(at, str) else short(at)}"


def _wake(out: Console, story: Story) -> None:
    change = story.wake
    for event in story.events:
        out.print(f"  @{event.offset} {moment(event.at)}  {_from(event)}", soft_wrap=True)
    if change is None:
        out.print(f"  a change of {plain(story.woken_by)}, due at {moment(story.due_at)}", soft_wrap=True)
    elif not story.events:
        woken_by = f"a change of {plain(story.woken_by)} at @{change.offset} {moment(change.at)}"
        out.print(f"  {woken_by}: {_from(change)}", soft_wrap=True)
    if story.after:
        out.print(f"  when the turn before had ended: {plain(story.after)}", soft_wrap=True)


def _from(change: Change) -> str:
    if change.data is None:
        return plain(change.by)
    return f"{plain(change.by)}  {'a deletion' if is_null(change.data) else short(change.data, 100)}"


def _read(read: Read) -> tuple[str, str, str, str, str]:
    where = _at(read.of, read.at)
    if read.change is None:
        nothing = read.version == 0 and read.kind not in ("count", "before", "fresh")
        return read.kind, where, plain(read.version), "", "nothing there" if nothing else ""
    age = "" if read.age_ms is None else span(read.age_ms * 1000)
    return read.kind, where, f"@{read.version}", age, _from(read.change)


def _attempt(out: Console, attempt: Attempt) -> None:
    why = WHYS.get(attempt.why, attempt.why)
    if attempt.changed:
        since = ", ".join(map(plain, attempt.changed))
        why = f"run again, since {since} had changed" if attempt.why == "changed" else f"{why}; {since} had changed"
    if attempt.failed:
        why = f"failed: {plain(attempt.failed)}"
    out.print(f"  {attempt.number}. {moment(attempt.at)}  {why}", soft_wrap=True)
    if attempt.silent:
        out.print(f"       held until it hears of {', '.join(map(plain, attempt.silent))}", soft_wrap=True)
    for reason in attempt.refused:
        out.print(f"       refused the answer: {plain(reason)}", soft_wrap=True)
    for ask in attempt.asked:
        _ask(out, ask)
    if attempt.joined:
        out.print("       asked the same as before: joined the call in flight", soft_wrap=True)
    if attempt.saved and not attempt.joined:
        out.print(f"       found {attempt.saved} answer{'s' if attempt.saved > 1 else ''} that it had", soft_wrap=True)
    if attempt.retry_at is not None:
        out.print(f"       to be tried again at {moment(attempt.retry_at)}", soft_wrap=True)


def _told(out: Console, story: Story) -> None:
    """What models were told beside what they were asked, in short."""
    for told in story.told:
        asks = sum(ask.told == told.told for attempt in story.attempts for ask in attempt.asked)
        _head(out, f"Told with {asks} ask{'s' if asks > 1 else ''}")
        if told.instructions:
            out.print(f"  instructions  {short(told.instructions, 400)}", soft_wrap=True)
        if not is_null(told.parameters):
            out.print(f"  parameters    {short(told.parameters, 400)}", soft_wrap=True)
        out.print(f"  answer        {short(told.schema, 400)}", soft_wrap=True)
        if not is_null(told.tools):
            names = [tool["name"] for tool in msgspec.json.decode(told.tools)]
            out.print(f"  tools         {plain(', '.join(names))}", soft_wrap=True)


def _lines(out: Console, story: Story) -> None:
    """The prompts, line by line."""
    for attempt in story.attempts:
        for ask in attempt.asked:
            if ask.lines:
                _head(out, f"Asked {plain(ask.model)} at {moment(ask.sent_at)}, line by line")
                out.print(line_by_line(text_of(ask.about, ask.steps), ask.lines))


def _ask(out: Console, ask: Asked) -> None:
    out.print(f"       {_asked(ask)}", soft_wrap=True)
    if ask.waited_for:
        waited = span((ask.waited_ms or 0) * 1000)
        out.print(f"       waited {waited} for {plain(ask.waited_for)}", soft_wrap=True)
    if ask.fallback:
        why = plain(ask.fallback_why)
        out.print(f"       {plain(ask.fallback)} was asked in its place, because of {why}", soft_wrap=True)
    if ask.answer is not None:
        after = "" if ask.thought_ms is None else f" after {span(ask.thought_ms * 1000)}"
        unused = "" if ask.used else " (not used in the end)"
        out.print(f"       {_answered(ask, ask.answer, after)}{unused}", soft_wrap=True)
    elif ask.cancelled:
        out.print("       cancelled, since a later attempt asked something else", soft_wrap=True)


def _asked(ask: Asked) -> str:
    """What was asked, or waited for."""
    match ask.kind:
        case "sleep":
            return f"waited until {moment(msgspec.json.decode(ask.about, type=Sleep).until_us)}"
        case "next":
            wait = msgspec.json.decode(ask.about, type=Awaited)
            sent = f"sent to {plain(wait.to)} {short(wait.event, 300)}, and " if wait.to else ""
            key = "" if wait.key is None else f" under {plain(wait.key)}"
            return f"{sent}waited for an event of {plain(wait.stream)}{key}{_until(wait.until_us)}"
        case "approval":
            asked = msgspec.json.decode(ask.about, type=ApprovalAsked)
            return f"asked {plain(asked.who or 'a person')} to approve {short(asked.what, 300)}{_until(asked.until_us)}"
        case _ if ask.steps > 1:
            results = msgspec.json.decode(ask.about, type=list[msgspec.Raw])[-1]
            came = msgspec.json.decode(results, type=Exchange).results
            return f"told {plain(ask.model)} what its calls gave: {'; '.join(map(_came, came))}"
        case _:
            about = msgspec.json.decode(ask.about, type=list[msgspec.Raw])[0] if ask.steps else ask.about
            return f"asked {plain(ask.model)} about {short(about, 400)}"


def _came(result: Result) -> str:
    """What came of a call of a tool."""
    return f"{plain(result.tool)}: {plain(result.error) if result.error else short(result.value, 200)}"


def _until(until_us: int | None) -> str:
    return "" if until_us is None else f", until {moment(until_us)}"


def _answered(ask: Asked, answer: msgspec.Raw, after: str) -> str:
    """What came of it."""
    if ask.kind == "approval":
        said = msgspec.json.decode(answer, type=Approval)
        note = f": {plain(said.note)}" if said.note else ""
        who = f" by {plain(said.by)}" if said.by else ", since nobody answered in time"
        return f"{'approved' if said.granted else 'denied'}{after}{who}{note}"
    if ask.kind in WAITS and is_null(answer):
        return f"the moment came{after}" if ask.kind == "sleep" else f"none came in time{after}"
    if ask.steps and (calls := calls_of(answer)) is not None:
        called = "; ".join(f"{plain(one.tool)} {short(one.arguments, 200)}" for one in calls.calls)
        return f"called tools{after}: {called}"
    return f"answered{after}: {short(answer, 400)}"


def _act(out: Console, act: Act) -> None:
    what = f"undo of {plain(act.key.removesuffix(UNDO))}: " if act.key.endswith(UNDO) else ""
    out.print(f"  {what}{act.effect} {short(act.args, 400)}  {act.state}", soft_wrap=True)
    for word, value in (("only if", act.guard), ("once for", act.once), ("can be undone by", act.undo)):
        if value:
            out.print(f"       {word} {plain(value)}", soft_wrap=True)
    for step in act.steps:
        told = "" if is_null(step.outcome) else f": {short(step.outcome)}"
        told += f": {plain(step.error)}" if step.error else ""
        told += f"; it is that of {plain(step.of)}" if step.of else ""
        told += f"; so says {plain(step.by)}" if step.by else ""
        again = "looked at" if step.state == "unknown" else "tried"
        told += "" if step.retry_at is None else f"; to be {again} again at {moment(step.retry_at)}"
        out.print(f"       {moment(step.at)}  {step.state}{told}", soft_wrap=True)
