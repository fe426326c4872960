"""The `dgis` command: what there is, and the module of each, loaded when it is asked for.

Loading them all takes a second of processor time; `dgis serve` and its children would pay it at every start.
"""

from importlib import import_module
from typing import Any, cast

import typer
from typer.core import TyperGroup
from typer.main import get_command

from dgis.cli.uniform import with_home

_COMMANDS = {
    "serve": "dgis.cli.serve:serve",
    "demo": "dgis.cli.demo:demo",
    "status": "dgis.cli.status:status",
    "wait": "dgis.cli.status:wait",
    "series": "dgis.cli.status:app",
    "find": "dgis.cli.find:find_command",
    "fetch": "dgis.cli.fetch:fetch",
    "cohort": "dgis.cli.cohort:app",
    "export": "dgis.cli.export:app",
    "cache": "dgis.cli.cache:app",
    "conflicts": "dgis.cli.conflicts:app",
    "commitment": "dgis.cli.commitment:app",
    "review": "dgis.cli.review:app",
    "record": "dgis.cli.record:app",
    "node": "dgis.cli.node:app",
    "scrub": "dgis.cli.care:scrub",
    "repair": "dgis.cli.care:repair",
    "rebuild": "dgis.cli.rebuild:rebuild",
    "backup": "dgis.cli.backup:app",
    "restore": "dgis.cli.backup:restore",
    "hold": "dgis.cli.hold:app",
    "retention": "dgis.cli.retention:app",
    "deid": "dgis.cli.deid:deid",
    "keys": "dgis.cli.keys:app",
    "audit": "dgis.cli.audit:app",
    "grant": "dgis.cli.grant:app",
    "consent": "dgis.cli.consent:app",
    "patient": "dgis.cli.patient:app",
    "explain": "dgis.cli.explain:explain_command",
    "viewer": "dgis.cli.viewer:app",
    "account": "dgis.cli.account:app",
    "credential": "dgis.cli.credential:app",
    "config": "dgis.cli.config:app",
    "database": "dgis.cli.database:app",
    "doctor": "dgis.cli.doctor:doctor",
}


def _root() -> None:
    """DICOM grid gateway: receives images, packs de-identified series, keeps copies, gives them back."""


class _LoadedWhenAsked(TyperGroup):
    """Commands by name; a module is imported when its command is run, or listed by --help."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401 (the CLI library's own context)
        del ctx
        return list(_COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ANN401 (as above)
        del ctx
        place = _COMMANDS.get(cmd_name)
        if place is None:
            return None
        module, _, name = place.partition(":")
        found = getattr(import_module(module), name)
        around = typer.Typer(add_completion=False, rich_markup_mode=None)
        around.callback()(_root)  # with a callback it is a group, however few commands are in it
        if isinstance(found, typer.Typer):
            around.add_typer(found, name=cmd_name)
        else:
            around.command(cmd_name)(found)
        return with_home(cast("TyperGroup", get_command(around)).commands[cmd_name])


app = typer.Typer(
    name="dgis",
    cls=_LoadedWhenAsked,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # a traceback's local values may hold patient data
    rich_markup_mode=None,
)
app.callback()(_root)


def run() -> None:
    """Run the command line; the entry point of the `dgis` script."""
    app()
