"""`dgis demo`: the whole story on invented patients; exit code 1 when a claim did not hold."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from dgis import logs
from dgis.cli.common import FAILED, AsJson, console, fail, failures_in_words, print_json

_DemoHome = Annotated[
    Path | None,
    typer.Option(
        "--home", help="Keep the demo's data here [default: a temporary folder].", show_default=False
    ),
]


def demo(
    home: _DemoHome = None,
    write: Annotated[
        Path | None,
        typer.Option("--write", help="Only write 30 synthetic images into this folder.", show_default=False),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run a real gateway with three folder nodes through its paces; about a minute, nothing is left behind.

    With --home the demo's data is kept there to look at; the folder must be empty or an earlier demo's.
    With --write nothing runs: it makes images to push to a gateway of your own.
    """
    if write is not None:
        _write(write, as_json=as_json)
        return
    # No other command needs what the demo's clients and phantoms load.
    from dgis.demo.gateway import DemoError  # noqa: PLC0415
    from dgis.demo.story import run_demo  # noqa: PLC0415

    logs.silence_libraries()
    told = Console(highlight=False, file=sys.stderr if as_json else sys.stdout)
    try:
        checks = run_demo(home, told)
    except DemoError as error:
        fail(str(error))
    if as_json:
        print_json({"ok": checks.all_held, "checks": [asdict(check) for check in checks.made]})
    if not checks.all_held:
        raise typer.Exit(FAILED)


def _write(folder: Path, *, as_json: bool) -> None:
    from dgis.demo.files import write_files  # noqa: PLC0415 (as above)

    with failures_in_words(OSError):
        written = write_files(folder)
    if as_json:
        print_json({"files": written, "folder": str(folder)})
    else:
        console.print(f"{written} files of invented patients in {folder}", markup=False, soft_wrap=True)
