"""`dgis rebuild`: index and catalog made anew from the nodes, rows of originals where the keys are."""

from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

from catalog.audit.values import Event
from deid.keys.values import KeysError
from dgis import parts
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
from dgis.rebuild.opened import means_of
from dgis.rebuild.rebuilder import NodesMissing, Rebuilder
from dgis.rebuild.values import Report
from dgis.trail.acts import act, record


def rebuild(
    verify: Annotated[
        bool, typer.Option("--verify", help="Hash every copy that is taken in: reads all of it.")
    ] = False,
    home: Home = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Make the replica index and the catalog anew from the nodes; rows of originals where the keys are.

    What the database has stays. Killed, the same command goes on. Exit code 1 where something on the nodes
    could not be made anew; run it again when nodes or keys are back.
    """
    configuration = load_configuration(home, config)
    told = (parts.StartError, KeysError, NodesMissing)
    with failures_in_words(*told), means_of(configuration, verify=verify) as means, _busy() as progress:
        task = progress.add_task("asking the nodes", total=None)

        def show(what: str, done: int, count: int) -> None:
            progress.update(task, description=f"{what}: {done}", completed=done, total=count or None)

        report = Rebuilder(means, show).run()
        gateway = configuration.gateway.name
        detail = {"parts": report.parts, "complete": report.complete}
        with means.writing.engine.begin() as connection:
            record(connection, gateway, act(gateway, Event.CONFIGURATION, "rebuild", {**detail}))
    _say(report, as_json=as_json)
    if not report.complete:
        raise typer.Exit(FAILED)


def _busy() -> Progress:
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn())
    return Progress(*columns, console=errors, transient=True)


def _say(report: Report, *, as_json: bool) -> None:
    if as_json:
        print_json(report.as_json())
        return
    said = report.as_json()
    print_fields({name: said[name] for name in ("parts", "deidentified_instances", "originals")})
    print_fields({f"objects {name}": count for name, count in said["objects"].items() if count})
    for trouble, count in report.troubles.items():
        console.print(f"{count} parts: {trouble}", soft_wrap=True)
    for node, trouble in report.unreachable.items():
        console.print(
            f"trouble: {node} does not answer ({trouble}); run this again when it does", soft_wrap=True
        )
    if report.objects.damaged:
        console.print("trouble: some objects have no copy that opens; run this again with more nodes")
    console.print("not on any node, and so not made anew:")
    for line in report.not_rebuilt:
        console.print(f"  {line}", soft_wrap=True)
