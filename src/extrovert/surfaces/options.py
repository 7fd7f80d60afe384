"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["AppOption", "DataOption", "JsonOption", "LimitOption"]

AppOption = Annotated[
    str | None,
    typer.Option(
        "--app",
        metavar="FILE[:app]",
        help="The app. Else the one that DIR belongs to, or `app` under [tool.extrovert] in pyproject.toml.",
        show_default=False,
    ),
]
DataOption = Annotated[
    Path | None,
    typer.Option(
        "--data", metavar="DIR", help="Where its state is. Else .extrovert beside the app.", show_default=False
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Write JSON on stdout, as described above.")]
LimitOption = Annotated[int, typer.Option("--limit", min=1, metavar="N", help="Show at most so many.")]
