"""What every command shares: --home, --config, --json, and how a command says that it failed."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from dgis import failpoints, logs, settings
from dgis.configuration import Configuration

Home = Annotated[
    Path | None,
    typer.Option("--home", help="Where the gateway keeps its data [default: ./var].", show_default=False),
]
Config = Annotated[Path | None, typer.Option("--config", help="TOML configuration file.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]

FAILED = 1  # refused or failed; 2 is a usage error (docs/operations.md)

# What is printed comes from images and operators: no square bracket or colon of it is an instruction.
console = Console(highlight=False, markup=False, emoji=False)
errors = Console(stderr=True, highlight=False, markup=False, emoji=False)


def fail(message: str) -> NoReturn:
    """Say what went wrong and what to do about it on standard error, and exit with 1."""
    errors.print(message, style="red", markup=False)
    raise typer.Exit(FAILED)


def load_configuration(home: Path | None, config: Path | None, role: str = "cli") -> Configuration:
    """Return the effective configuration with logging set up for it; a wrong one ends the command."""
    try:
        configuration = settings.load(config, home)
    except settings.ConfigurationError as error:
        fail(str(error))
    level = configuration.log.level if role != "cli" else "warning"
    logs.configure(level, configuration.log.format, role)
    failpoints.arm(configuration.failpoints)
    return configuration


def table(*columns: str) -> Table:
    """Return a table whose cells are folded, never cut: a UID is copied whole or is of no use."""
    made = Table()
    for column in columns:
        made.add_column(column, overflow="fold")
    return made


def print_json(value: object) -> None:
    """Print one JSON document on standard output."""
    json.dump(value, sys.stdout, indent=2, default=str)
    sys.stdout.write("\n")


@contextmanager
def failures_in_words(*kinds: type[Exception]) -> Iterator[None]:
    """Turn the named errors, whose texts are written for people, into `fail`."""
    try:
        yield
    except kinds as error:
        fail(str(error))
