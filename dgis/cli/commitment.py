"""`dgis commitment list|show|retry|notices`: what modalities asked to be kept for sure, and who is told."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from catalog.audit.values import Event
from dgis.availability.queue import listed as waiting_notices
from dgis.cli.common import AsJson, Config, Home, console, fail, print_fields, print_json, print_table
from dgis.cli.opening import opened
from dgis.commitment.overview import again, listed, shown
from dgis.parts import now_ms
from dgis.trail.acts import act, record

app = typer.Typer(help="Storage commitments: what was asked, found and told.", no_args_is_help=True)

_LISTED = ("id", "from", "state", "requested", "instances", "committed", "failed", "reports", "trouble")
_SHOWN = ("place", "instance", "state", "reason", "found")

Number = Annotated[int, typer.Argument(metavar="ID", help="As `dgis commitment list` shows it.")]


@app.command("list")
def list_transactions(
    every: Annotated[bool, typer.Option("--all", help="Show what is over, too.")] = False,
    transaction: Annotated[
        str | None,
        typer.Option("--transaction", metavar="UID", help="By the UID in the requestor's log."),
    ] = None,
    home: Home = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """List transactions that are not over, and those whose report nobody took; newest first."""
    with opened(home, config) as gateway, gateway.reading() as connection:
        rows = listed(connection, every=every, transaction_uid=transaction)
    if as_json:
        print_json(rows)
        return
    if not rows:
        console.print("no transactions" if every or transaction else "no transaction is open")
        return
    print_table(_LISTED, map(_cells, rows))


@app.command()
def show(number: Number, home: Home = None, config: Config = None, as_json: AsJson = False) -> None:
    """Show one transaction and, until it is reported, how each of its instances stands."""
    with opened(home, config) as gateway, gateway.reading() as connection:
        row = shown(connection, number)
    if row is None:
        fail(f"no transaction {number} (dgis commitment list --all)")
    if as_json:
        print_json(row)
        return
    print_fields({name: value for name, value in row.items() if name != "of"})
    if row["of"]:
        print_table(_SHOWN, map(_instance_cells, row["of"]))


@app.command()
def retry(number: Number, home: Home = None, config: Config = None, as_json: AsJson = False) -> None:
    """Look at a transaction, or send its report, now; also one whose report was given up."""
    with opened(home, config) as gateway, gateway.engine.begin() as connection:
        done = again(connection, number, now_ms())
        if done:
            happening = act(gateway.gateway_id, Event.COMMITMENT, "retry", {"transaction": number})
            record(connection, gateway.gateway_id, happening)
    if not done:
        fail(f"transaction {number} is over, or there is none (dgis commitment list --all)")
    if as_json:
        print_json({"retried": number})
    else:
        console.print(f"transaction {number} is due now; dgis commitment show {number}")


@app.command()
def notices(home: Home = None, config: Config = None, as_json: AsJson = False) -> None:
    """List series, by pseudonym, of which destinations are still to be told (notify)."""
    with opened(home, config) as gateway, gateway.reading() as connection:
        rows = waiting_notices(connection)
    if as_json:
        print_json(rows)
        return
    if not rows:
        console.print("nobody waits to be told of a series")
        return
    print_table(
        ("destination", "series", "tries", "trouble"),
        (
            (row["destination"], row["series_key"], str(row["attempts"]), row["last_error"] or "")
            for row in rows
        ),
    )


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    requested = datetime.fromtimestamp(row["requested_ms"] / 1000, UTC).isoformat(timespec="seconds")
    counts = (row["instances"], row["committed"], row["failed"], row["attempts"])
    return (
        str(row["id"]),
        row["calling_ae"],
        row["state"],
        requested,
        *map(str, counts),
        row["last_error"] or "",
    )


def _instance_cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    reason = "" if row["reason"] is None else f"0x{row['reason']:04X}"
    return (str(row["place"]), row["instance_key"] or "", row["state"], reason, row["standing"] or "")
