"""`extrovert effects` and `extrovert settle`: effects that wait, and a person's word about one."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from extrovert.surfaces.options import AppOption, DataOption, JsonOption, LimitOption

if TYPE_CHECKING:
    from extrovert.surfaces.protocol import EffectInfo

__all__ = ["effects", "settle"]


class As(StrEnum):
    """What a person can say of an effect."""

    done = "done"
    not_done = "not-done"
    withdrawn = "withdrawn"


def effects(
    state: Annotated[
        str | None,
        typer.Option(
            help="Only in this state: intended, performing, unknown, failed or withdrawn.", show_default=False
        ),
    ] = None,
    limit: LimitOption = 50,
    app: AppOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the effects that are not at their end, and those that came to a bad one, oldest first.

    An effect is unknown where it may have happened. One that can be looked up, or performed again, goes on by itself,
    at the time shown; of others a person says what is true: see `extrovert settle`. One that waits behind another is
    shown with its key.

    With --json, one object a line: key, effect, args, state, since, tries, error, retry_at, behind, undoes and undo.

    Examples:
      extrovert effects
      extrovert effects --state unknown --json
    """
    from extrovert.surfaces.apps import locate
    from extrovert.surfaces.printing import columns, console, json_lines, moment, short
    from extrovert.surfaces.protocol import Effects, ListEffects
    from extrovert.surfaces.reaching import one, reached

    with reached(locate(app, data)) as engine:
        found = one(engine.ask(ListEffects()), Effects).effects
    found = [effect for effect in found if state in (None, effect.state)]
    shown = found[-limit:]
    if as_json:
        json_lines(shown)
        return
    out = console()
    if not found:
        out.print("No effects wait." if state is None else f"No effects are {state}.")
        return
    heads = ("key", "effect", "state", "since (UTC)", "tries", "why", "arguments")
    rows = [
        (effect.key, effect.effect, effect.state, moment(effect.since), effect.tries, _why(effect), short(effect.args))
        for effect in shown
    ]
    out.print(columns(heads, rows, right=("tries",)))
    if len(found) > limit:
        out.print(f"The latest {limit} of {len(found):,}; for more: --limit")


def _why(effect: EffectInfo) -> str:
    from extrovert.surfaces.printing import moment

    said: list[str] = [effect.error] if effect.error else []
    if effect.behind:
        said.append(f"behind {effect.behind}")
    if effect.retry_at is not None:
        said.append(f"goes on at {moment(effect.retry_at)}")
    elif effect.state == "unknown":
        said.append("waits for a person")
    return "; ".join(said)


def settle(
    key: Annotated[str, typer.Argument(metavar="KEY", help="The effect's key, as `extrovert effects` shows it.")],
    said: Annotated[As, typer.Option("--as", help="What is true of it.")],
    outcome: Annotated[
        str | None, typer.Option(metavar="JSON", help="With done: what came of it.", show_default=False)
    ] = None,
    because: Annotated[str, typer.Option(help="How that is known.", show_default=False)] = "",
    by: Annotated[str | None, typer.Option(help="Who says so. Else the user's name.", show_default=False)] = None,
    app: AppOption = None,
    data: DataOption = None,
) -> None:
    """Say what became of an effect that is unknown. It is logged, with who said so.

    As done, it is settled. As not-done, it is performed (again). As withdrawn, it did not happen and shall not; an
    effect that waits can be withdrawn too. The earlier effects of a decision of which one is withdrawn are undone.

    Examples:
      extrovert settle pay:O-17@8812/0 --as done --outcome '"receipt 4711"'
      extrovert settle pay:O-17@8812/0 --as not-done --because "not in the bank's list"
    """
    from getpass import getuser

    import msgspec

    from extrovert.core.errors import DeclarationError
    from extrovert.surfaces.apps import locate
    from extrovert.surfaces.printing import console, plain
    from extrovert.surfaces.protocol import Settle, SettledAs
    from extrovert.surfaces.reaching import one, reached

    if outcome is not None and said is not As.done:
        raise DeclarationError("--outcome is for --as done.")
    raw: Any = b"null" if outcome is None else outcome.encode()
    try:
        msgspec.json.decode(raw)
    except msgspec.DecodeError as error:
        raise DeclarationError(f"--outcome is no JSON: {error}.") from error
    with reached(locate(app, data)) as engine:
        request = Settle(key, said.value, by or getuser(), because, msgspec.Raw(raw))
        one(engine.ask(request), SettledAs)
    console().print(f"{plain(key)} is {said.value}.", soft_wrap=True)
