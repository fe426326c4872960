"""`dgis viewer install|status|remove`: OHIF, beside the page at `/`."""

from pathlib import Path
from typing import Annotated

import typer

from dgis.cli.common import (
    FAILED,
    AsJson,
    Config,
    Home,
    console,
    errors,
    failures_in_words,
    load_configuration,
    print_fields,
    print_json,
)
from dgis.viewer import installed, installing
from dgis.viewer.installed import Installed
from dgis.viewer.package import OHIF, ViewerError

app = typer.Typer(help="OHIF, an optional viewer that the web door serves.", no_args_is_help=True)


@app.command()
def install(
    file: Annotated[
        Path | None,
        typer.Option("--from", help=f"The file that `npm pack {OHIF.spec}` gave, where npm cannot fetch."),
    ] = None,
    home: Home = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Install the viewer, or install it anew; the gateway may run, and serves it at once."""
    place = load_configuration(home, config).gateway.home
    with failures_in_words(ViewerError):
        made = installing.install(place, file, lambda words: errors.print(f"{words} {OHIF.spec}"))
    if as_json:
        print_json(_said(made))
    else:
        console.print(f"{made.package} {made.version} is installed; open a study at / and press Open in OHIF")


@app.command()
def status(home: Home = None, config: Config = None, as_json: AsJson = False) -> None:
    """Say what is installed, and whether its files are whole."""
    place = load_configuration(home, config).gateway.home
    with failures_in_words(ViewerError):
        found = installed.read(place)
    wrong = [] if found is None else installing.damaged(place, found)
    if as_json:
        print_json({"installed": found is not None, **(_said(found) if found else {}), "damaged": wrong})
    elif found is None:
        console.print("no viewer is installed (dgis viewer install)")
    else:
        print_fields({**_said(found), "damaged": ", ".join(wrong) or "nothing"})
    if wrong:
        raise typer.Exit(FAILED)


@app.command()
def remove(home: Home = None, config: Config = None, as_json: AsJson = False) -> None:
    """Take the viewer away; the page at / shows studies without it."""
    place = load_configuration(home, config).gateway.home
    with failures_in_words(ViewerError):
        before = installing.remove(place)
    if as_json:
        print_json({"removed": before is not None, **(_said(before) if before else {})})
    else:
        console.print("no viewer was installed" if before is None else f"{before.version} removed")


def _said(found: Installed) -> dict[str, object]:
    return {
        "package": found.package,
        "version": found.version,
        "files": len(found.files),
        "bytes": sum(each.size for each in found.files.values()),
    }
