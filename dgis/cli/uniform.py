"""Every command takes `--home` and `--config`, so that a script can always say them."""

from copy import copy
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.main import get_command

_UNUSED = typer.Typer()
_Unused = Annotated[Path | None, typer.Option(help="Not needed here.", show_default=False)]


@_UNUSED.command()
def _takes(home: _Unused = None, config: _Unused = None) -> None:
    del home, config


def with_home(command: Any) -> Any:  # noqa: ANN401 (the CLI library's own commands)
    """Return a command, or a group of them, that takes these options also where it needs none of them."""
    for each in getattr(command, "commands", {}).values():
        with_home(each)
    if not hasattr(command, "commands"):
        known = {spelling for parameter in command.params for spelling in parameter.opts}
        for option in get_command(_UNUSED).params:
            if known.isdisjoint(option.opts) and option.name in _takes.__annotations__:
                command.params.append(unused := copy(option))
                unused.expose_value = False
    return command
