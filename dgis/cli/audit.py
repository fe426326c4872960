"""`dgis audit list|verify`: the trail, and that nobody altered it."""

from typing import Annotated

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn

from catalog.audit import trail
from catalog.audit.values import Entry, Event, Json
from dgis import fleet, parts
from dgis.cli.common import (
    FAILED,
    AsJson,
    Config,
    Home,
    console,
    errors,
    failures_in_words,
    moment,
    print_json,
    print_table,
)
from dgis.cli.opening import opened
from dgis.trail.acts import act, record
from dgis.trail.verifying import verify
from dgis.trail.words import entry_json, verified_json

app = typer.Typer(help="The audit trail, a store of identifying data itself.", no_args_is_help=True)


@app.command("list")
def list_entries(
    event: Annotated[Event | None, typer.Option(help="Only this kind of event.")] = None,
    limit: Annotated[int, typer.Option(help="Entries at most, the newest first.")] = 100,
    home: Home = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """List what happened, newest first; that it was listed is recorded, too."""
    with opened(home, config) as gateway, gateway.engine.begin() as connection:
        found = trail.latest(connection, limit, event=event)
        of: dict[str, Json] = {"event": event.value if event else "", "entries": len(found)}
        record(connection, gateway.gateway_id, act(gateway.gateway_id, Event.TRAIL, "list", of))
    if as_json:
        print_json([entry_json(entry) for entry in found])
        return
    columns = ("when", "event", "outcome", "count", "caller", "address", "detail")
    print_table(columns, map(_row, found))


@app.command("verify")
def verify_trail(home: Home = None, config: Config = None, as_json: AsJson = False) -> None:
    """Read the whole trail; exit with 1 where an entry was changed, is missing, or was not signed here."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"))
    with (
        failures_in_words(parts.StartError),
        opened(home, config) as gateway,
        gateway.reading() as connection,
        Progress(*columns, console=errors, transient=True) as progress,
    ):
        task = progress.add_task("reading the trail", total=None)
        done = verify(
            connection,
            fleet.open_fleet(gateway.configuration),
            parts.open_audit_key(gateway.configuration).public_key(),
            lambda entries: progress.update(task, description=f"{entries} entries read"),
        )
        with gateway.engine.begin() as writing:
            of: dict[str, Json] = {"findings": len(done.findings), "forged": done.forged}
            record(writing, gateway.gateway_id, act(gateway.gateway_id, Event.TRAIL, "verify", of))
    if as_json:
        print_json(verified_json(done))
    else:
        console.print(f"{done.entries} entries of {done.writers} writers, {done.heads} signed heads")
        for finding in done.findings:
            console.print(f"trouble  {finding.writer}, entry {finding.number}: {finding.fault.value}")
        if done.forged:
            console.print(f"trouble  {done.forged} heads were not signed with this site's key")
        for node in done.unreachable:
            console.print(f"not compared: the heads on {node}, which does not answer")
    if done.findings or done.forged:
        raise typer.Exit(FAILED)


def _row(entry: Entry) -> tuple[str, ...]:
    happening = entry.happening
    words = " ".join(f"{name}={value}" for name, value in happening.detail.items())
    told = (moment(entry.at_ms), happening.event.value, happening.outcome.name.lower(), str(happening.count))
    return (*told, _printable(happening.caller), happening.address, _printable(words))


def _printable(text: str) -> str:
    return "".join(each if each.isprintable() else "?" for each in text)
