"""`extrovert approvals`, `approve` and `deny`: what turns ask of persons, and the persons' answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from extrovert.surfaces.options import AppOption, DataOption, JsonOption

if TYPE_CHECKING:
    from pathlib import Path

    from extrovert.engine.approving import PendingApproval

__all__ = ["approvals", "approve", "deny"]

IdArgument = Annotated[str, typer.Argument(metavar="ID", help="As `approvals` lists it, or AGENT:KEY.")]
ByOption = Annotated[str | None, typer.Option("--by", help="Who says so; else your user name.", show_default=False)]
NoteOption = Annotated[str, typer.Option("--note", help="What is to be said about it.", show_default=False)]


def approvals(app: AppOption = None, data: DataOption = None, as_json: JsonOption = False) -> None:
    """List what turns ask of persons and nobody has answered, the oldest first.

    A turn that waits holds nothing up. When its answer comes it runs again: what it would do on it hangs on what is
    true then. An agent that is declared with on_conflict="hold" asks here too whether a disturbed turn may go on.

    With --json, one object a line: id, turn, agent, key, what, who, asked_at, until and otherwise.

    Examples:
      extrovert approvals
      extrovert approve refund:C-17
    """
    from extrovert.core.time import from_us
    from extrovert.surfaces.apps import locate
    from extrovert.surfaces.printing import columns, console, json_lines, moment, short
    from extrovert.surfaces.protocol import Approvals, ListApprovals
    from extrovert.surfaces.reaching import one, reached

    with reached(locate(app, data)) as engine:
        found = one(engine.ask(ListApprovals()), Approvals).waiting
    if as_json:
        json_lines(
            {
                "id": pending.id,
                "turn": pending.turn,
                "agent": pending.agent,
                "key": pending.key,
                "what": pending.what,
                "who": pending.who,
                "asked_at": from_us(pending.asked_us),
                "until": None if pending.until_us is None else from_us(pending.until_us),
                "otherwise": pending.otherwise,
            }
            for pending in found
        )
        return
    out = console()
    if not found:
        out.print("Nobody waits for an approval.")
        return
    heads = ("id", "asked (UTC)", "who", "what", "else")
    rows = [(one.id, moment(one.asked_us), one.who, short(one.what, 300), _else(one)) for one in found]
    out.print(columns(heads, rows))


def _else(pending: PendingApproval) -> str:
    from extrovert.surfaces.printing import moment

    if pending.until_us is None:
        return "waits on"
    return f"{'approved' if pending.otherwise else 'denied'} at {moment(pending.until_us)}"


def approve(
    name: IdArgument,
    by: ByOption = None,
    note: NoteOption = "",
    app: AppOption = None,
    data: DataOption = None,
) -> None:
    """Approve what a turn asks a person.

    It is durable when the command ends. Where the app does not run, the turn goes on when it is run.

    Examples:
      extrovert approve refund:C-17
      extrovert approve refund:C-17@8812/5f20aa --by ann --note "as agreed"
    """
    _decide(name, True, by, note, app, data)


def deny(
    name: IdArgument,
    by: ByOption = None,
    note: NoteOption = "",
    app: AppOption = None,
    data: DataOption = None,
) -> None:
    """Deny what a turn asks a person.

    Examples:
      extrovert deny refund:C-17 --note "too late"
    """
    _decide(name, False, by, note, app, data)


def _decide(name: str, granted: bool, by: str | None, note: str, app: str | None, data: Path | None) -> None:
    from getpass import getuser

    from extrovert.surfaces.apps import locate
    from extrovert.surfaces.printing import console, plain, short
    from extrovert.surfaces.protocol import Approvals, Decide
    from extrovert.surfaces.reaching import one, reached
    from extrovert.turns.waits import Approval

    answer = Approval(granted, getuser() if by is None else by, note)
    with reached(locate(app, data)) as engine:
        (pending,) = one(engine.ask(Decide(name, answer)), Approvals).waiting
    said: Any = "Approved" if granted else "Denied"
    console().print(f"{said}: {plain(pending.turn)}: {short(pending.what)}", soft_wrap=True)
