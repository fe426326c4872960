"""`dgis conflicts list|keep`: the same SOP Instance UID with different bytes, and the operator's choice."""

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from catalog.audit.values import Event, Json
from dgis import parts
from dgis.cache.conflicts import Conflicts, Disputed, Kept, NotKept
from dgis.cache.extent import EvictedError
from dgis.cache.verdicts import Choice
from dgis.cli.common import AsJson, Config, Home, console, fail, failures_in_words, print_json, print_table
from dgis.cli.opening import Opened, opened
from dgis.replace import replacer
from dgis.trail.acts import act, record

app = typer.Typer(help="Same SOP Instance UID, different bytes.", no_args_is_help=True)


@app.command("list")
def list_conflicts(
    decided: Annotated[bool, typer.Option("--decided", help="Show what was decided, too.")] = False,
    home: Home = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """List what waits for a choice: the first bytes are the instance, these were received later."""
    with opened(home, config) as gateway, gateway.reading() as connection:
        rows = [_row(each) for each in _conflicts(gateway).list(connection, resolved=decided)]
    if as_json:
        print_json(rows)
        return
    if not rows:
        console.print("no conflicts")
        return
    print_table(
        ("id", "kind", "received", "from", "bytes", "reason", "decided"),
        ((*(str(row[name]) for name in _COLUMNS), "yes" if row["decided"] else "") for row in rows),
    )
    console.print("dgis conflicts keep ID stored|other", markup=False)


@app.command()
def keep(
    conflict_id: Annotated[int, typer.Argument(metavar="ID")],
    choice: Annotated[
        Choice, typer.Argument(help="`stored`: the first bytes stay; `other`: these take over.")
    ],
    home: Home = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Decide which bytes are the instance; with `other` its series is published again with them."""
    with opened(home, config) as gateway, failures_in_words(parts.StartError, EvictedError):
        replace = replacer(gateway.configuration)
        with gateway.engine.connect() as connection:
            outcome = _conflicts(gateway).keep(connection, conflict_id, choice, replace)
            if isinstance(outcome, Kept):
                detail: dict[str, Json] = {"conflict": conflict_id}
                happening = act(gateway.gateway_id, Event.CONFLICT, choice.value, detail)
                record(connection, gateway.gateway_id, happening)
                connection.commit()
    if isinstance(outcome, NotKept):
        fail(f"nothing changed: {outcome.reason}")
    assert isinstance(outcome, Kept)
    if as_json:
        print_json({"kept": choice.value, "conflict": conflict_id})
    else:
        console.print(f"kept: {choice.value}")


_COLUMNS = ("id", "kind", "received", "from", "bytes", "reason")


def _conflicts(gateway: Opened) -> Conflicts:
    return Conflicts(gateway.log.files, parts.cache_owner(gateway.configuration))


def _row(disputed: Disputed) -> dict[str, Any]:
    received = datetime.fromtimestamp(disputed.received_ms / 1000, UTC)
    return {
        "id": disputed.id,
        "kind": disputed.kind.value,
        "received": received.isoformat(timespec="seconds"),
        "from": f"{disputed.calling_ae} {disputed.peer_address}",
        "bytes": disputed.location.length,
        "transfer_syntax": disputed.transfer_syntax,
        "reason": disputed.reason,
        "decided": disputed.resolved_ms is not None,
    }
