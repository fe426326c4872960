"""What every command shares: --home, --config, --json, and how a command says that it failed."""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.cells import cell_len, set_cell_size
from rich.console import Console

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
    errors.print(message, style="red", markup=False, soft_wrap=True)  # paths and keys are there to be copied
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


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows in aligned columns, a line each however long: a UID is copied whole or is of no use."""
    lines = [columns, *rows]
    widths = [max(map(cell_len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = (set_cell_size(cell, width) for cell, width in zip(line, widths, strict=True))
        console.print("  ".join(cells).rstrip(), style="bold" if line is columns else None, soft_wrap=True)


def print_fields(fields: Mapping[str, object]) -> None:
    """Print names and values, a line each; what ends in `_ms` (epoch milliseconds) as local time."""
    names = {name: name.removesuffix("_ms").replace("_", " ") for name in fields}
    width = max(map(len, names.values()), default=0) + 2
    for name, value in fields.items():
        shown = moment(value) if name.endswith("_ms") and isinstance(value, int) else value
        text = "" if shown is None else str(shown)
        console.print(f"{names[name]:{width}}{text}".rstrip(), markup=False, soft_wrap=True)


def moment(epoch_ms: int) -> str:
    """Return local time with its offset from UTC, for people."""
    return datetime.fromtimestamp(epoch_ms / 1000, UTC).astimezone().isoformat(sep=" ", timespec="seconds")


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
