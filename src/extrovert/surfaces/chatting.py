"""`extrovert chat`: a conversation with an app that runs, in the terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from extrovert.surfaces.options import DataOption

if TYPE_CHECKING:
    from collections.abc import Iterator

    from extrovert.surfaces.overhearing import Listen
    from extrovert.surfaces.protocol import Reply
    from extrovert.surfaces.reaching import Running
    from extrovert.surfaces.screen import Screen

__all__ = ["chat"]


def chat(
    app: Annotated[
        str | None,
        typer.Argument(metavar="FILE[:app]", help="The app: a Python file, and its name there.", show_default=False),
    ] = None,
    user: Annotated[
        str | None, typer.Option("--as", metavar="USER", help="Who speaks; else your user name.", show_default=False)
    ] = None,
    conversation: Annotated[
        str, typer.Option("--conversation", metavar="ID", help="Which conversation of theirs.")
    ] = "terminal",
    name: Annotated[
        str, typer.Option("--chat", metavar="NAME", help="Which chat, where the app has several.", show_default=False)
    ] = "",
    data: DataOption = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Write one JSON object on stdout for all that is heard, by its `type`.")
    ] = False,
) -> None:
    """Talk with an app that runs.

    What is typed is said, a line at a time. Words are shown as they come, and taken back openly where they do not hold
    any more; an answer is complete when it is committed. When something changes that the conversation rests on, the
    assistant speaks first. A conversation goes on where it ended. Ctrl-D ends it.

    Lines from a pipe are said one after the other, each when the one before is answered; exit code 1 if one got no
    answer.

    Examples:
      extrovert chat airline.py --as ann
      echo "is my flight on time?" | extrovert chat airline.py --as ann
    """
    from getpass import getuser
    from threading import Thread

    from extrovert.surfaces.apps import locate
    from extrovert.surfaces.overhearing import Listen, Listening
    from extrovert.surfaces.reaching import connected
    from extrovert.surfaces.screen import Screen

    speaker, place = user or getuser(), locate(app, data)
    screen = Screen(as_json=as_json)
    with connected(place) as saying, connected(place) as listening:
        heard = listening.ask(Listen(name, conversation, speaker))
        begun = next(heard)
        assert isinstance(begun, Listening)
        screen.begin(begun)
        Thread(target=_listen, args=(heard, screen), daemon=True).start()
        _talk(saying, screen, Listen(begun.chat, conversation, speaker))
    if screen.ended:
        raise typer.Exit(1)


def _listen(replies: Iterator[Reply], screen: Screen) -> None:
    """Shows what is heard, until the engine ends."""
    from extrovert.surfaces.overhearing import Overheard
    from extrovert.surfaces.reaching import EngineGone

    try:
        for reply in replies:
            if isinstance(reply, Overheard):
                screen.show(reply.heard)
    except (EngineGone, OSError, ValueError):
        pass  # it has ended, or the command has
    finally:
        screen.gone()


def _talk(engine: Running, screen: Screen, to: Listen) -> None:
    """Says line after line; from a pipe, each when the one before has come to its end."""
    from secrets import token_hex

    from extrovert.surfaces.overhearing import SaidAs, Say
    from extrovert.surfaces.reaching import EngineGone, one

    for line in sys.stdin:
        if not line.strip():
            continue
        ended = screen.ended
        said = one(engine.ask(Say(to.chat, to.conversation, to.user, line.strip(), token_hex(8))), SaidAs)
        if not sys.stdin.isatty() and not screen.wait_for(said.id, ended):
            raise EngineGone("The engine stopped before it answered. Run it again: the answer is then given.")
