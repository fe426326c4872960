"""`dgis export catalog`: the de-identified catalog as files for analysis."""

from pathlib import Path
from typing import Annotated

import typer

from catalog.audit.values import Event
from catalog.release import Releases
from dgis import parts
from dgis.cli.common import AsJson, Config, Home, console, fail, failures_in_words, print_json
from dgis.cli.opening import opened
from dgis.trail.acts import act, record

app = typer.Typer(help="Files for analysis, de-identified whoever writes them.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """With a callback it stays a group though it has one command."""


@app.command()
def catalog(
    to: Annotated[Path, typer.Option("--to", help="Folder for the Parquet files.")],
    home: Home = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Write patients, studies, series and instances as Parquet, with a schema and a README."""
    try:
        from dgis.export.parquet import export_catalog  # noqa: PLC0415 (of the extra `client`)
    except ModuleNotFoundError as error:
        fail(f"an export needs {error.name}: pip install 'dgis[client]'")
    with failures_in_words(OSError), opened(home, config) as gateway:
        releases = Releases(gateway.engine, f"{gateway.gateway_id}/cli", parts.now_ms)
        rows = export_catalog(releases, to)
        with gateway.engine.begin() as connection:
            told = act(gateway.gateway_id, Event.QUERY, "export catalog", {"rows": {**rows}})
            record(connection, gateway.gateway_id, told)
    if as_json:
        print_json({"folder": str(to), "rows": rows})
    else:
        listed = ", ".join(f"{count} {name}" for name, count in rows.items())
        console.print(f"{listed} in {to}", markup=False, soft_wrap=True)
