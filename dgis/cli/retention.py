"""`dgis retention list|run`: what has been kept long enough, and deleting it."""

from typing import Annotated, Any

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn

from dgis import parts
from dgis.cli.common import (
    AsJson,
    Config,
    Home,
    console,
    errors,
    fail,
    moment,
    print_fields,
    print_json,
    print_table,
)
from dgis.cli.opening import opened
from dgis.retention.due import Due, due
from dgis.retention.removal import Removing
from dgis.retention.retainer import Retainer, delete_due
from dgis.trail.acts import operator

app = typer.Typer(help="Deleting what has been kept long enough.", no_args_is_help=True)

_COLUMNS = ("series", "modality", "facility", "instances", "last image", "kept for", "stays")


@app.command("list")
def list_due(home: Home = None, config: Config = None, as_json: AsJson = False) -> None:
    """List the series that the rules let go now, and those that a hold keeps; deletes nothing."""
    with opened(home, config) as gateway, gateway.reading() as connection:
        rules = gateway.configuration.retention.rules
        found = list(due(connection, rules, parts.now_ms()))
    _say(found, as_json=as_json)


@app.command()
def run(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    home: Home = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Delete what the rules let go, from every node, cache and table; stopped, the same command goes on."""
    with opened(home, config) as gateway:
        now_ms = parts.now_ms()
        with gateway.reading() as connection:
            found = list(due(connection, gateway.configuration.retention.rules, now_ms))
        if dry_run:
            _say(found, as_json=as_json)
            return
        going = [each for each in found if each.held is None]
        if going and not yes:
            asked = f"This deletes {len(going)} series for ever. Type {len(going)} to go on"
            if typer.prompt(asked, default="", show_default=False, err=True) != str(len(going)):
                fail("nothing was changed")
        who = operator(gateway.gateway_id)
        by = Removing(gateway.configuration.retention.rules, f"{gateway.gateway_id}/cli", who)
        totals = {"series": 0, "instances": 0, "deidentified": 0, "bytes": 0, "kept_after_all": 0}
        with Progress(
            SpinnerColumn(), TextColumn("{task.description}"), console=errors, transient=True
        ) as shown:
            task = shown.add_task("deleting", total=None)
            for each in delete_due(gateway.engine, by, now_ms):
                gone = each.removed
                totals["kept_after_all"] += gone is None
                if gone is not None:
                    totals["series"] += 1
                    totals["instances"] += gone.instances
                    totals["deidentified"] += gone.forms
                    totals["bytes"] += gone.size_bytes
                shown.update(task, description=f"deleted {totals['series']} of {len(going)} series")
            Retainer(gateway.engine, gateway.log.files, gateway.gateway_id, parts.now_ms).run_once(None)
    values = {**totals, "held": len(found) - len(going)}
    if as_json:
        print_json(values)
        return
    print_fields(values)
    console.print(
        "the nodes' copies are deleted by the workers within two hours, those of a node that is away "
        "when it is back (dgis status)",
        soft_wrap=True,
    )


def _say(found: list[Due], *, as_json: bool) -> None:
    if as_json:
        print_json([_json(each) for each in found])
        return
    print_table(_COLUMNS, map(_row, found))


def _json(each: Due) -> dict[str, Any]:
    one = each.series
    return {
        "series": one.series_key,
        "study": one.study_key,
        "patient": one.patient_key,
        "facility": one.facility,
        "modality": one.modality,
        "instances": one.instances,
        "originals": one.original,
        "last_ms": one.last_ms,
        "keep_days": each.keep_days,
        "held_by": each.held.id if each.held else None,
    }


def _row(each: Due) -> tuple[str, ...]:
    one = each.series
    stays = f"hold {each.held.id}: {each.held.reason}" if each.held else ""
    counted = (str(one.instances), moment(one.last_ms), f"{each.keep_days} days")
    return (one.series_key, one.modality, one.facility, *counted, stays)
