"""`dgis database copy`: the way from SQLite to PostgreSQL."""

from typing import Annotated

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from sqlalchemy import Engine
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from catalog.audit.values import Event
from dgis import parts
from dgis.cli.common import AsJson, Config, Home, console, errors, fail, failures_in_words, print_json
from dgis.cli.opening import opened
from dgis.cli.running import running_roles
from dgis.configuration import CatalogDatabase, Configuration
from dgis.copying import NotCopied, copy
from dgis.trail.acts import act, record

app = typer.Typer(help="The database.", no_args_is_help=True)


@app.callback()
def database() -> None:
    """The database."""


@app.command("copy")
def copy_command(
    to: Annotated[str, typer.Option(help="SQLAlchemy URL of an empty database, postgresql+psycopg://...")],
    home: Home = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Copy every row into an empty database, in one transaction; the gateway must not run."""
    with opened(home, config) as gateway:
        running = running_roles(gateway.configuration.gateway.home)
        if running:
            fail(
                f"the gateway runs ({', '.join(running)}): stop it first, what it writes now would be missing"
            )
        target = _target(gateway.configuration, to)
        try:
            with failures_in_words(NotCopied), _busy() as progress:
                task = progress.add_task("copying", total=None)
                seen = 0

                def told(table: str, rows: int) -> None:
                    nonlocal seen
                    seen += rows
                    progress.update(task, description=f"{seen} rows, {table}")

                with gateway.engine.begin() as source, target.connect() as connection:
                    rows = copy(source, connection, told)
                    done = act(gateway.gateway_id, Event.CONFIGURATION, "database copied", {"rows": rows})
                    record(connection, gateway.gateway_id, done)
                    connection.commit()
        except SQLAlchemyError as error:
            fail(f"nothing was copied: the database failed ({type(error).__name__})")
        finally:
            target.dispose()
    if as_json:
        print_json({"rows": rows})
    else:
        console.print(f"{rows} rows copied; set catalog.url and start the gateway", markup=False)


def _target(configuration: Configuration, url: str) -> Engine:
    try:
        return parts.open_database(configuration.model_copy(update={"catalog": CatalogDatabase(url=url)}))
    except (ArgumentError, ModuleNotFoundError):
        fail("--to is no SQLAlchemy URL; PostgreSQL's begins with postgresql+psycopg://")
    except parts.StartError as error:
        fail(str(error))


def _busy() -> Progress:
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    return Progress(*columns, console=errors, transient=True)
