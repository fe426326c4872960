"""`dgis scrub`, `dgis repair`: the copies on the nodes, looked at and made good now."""

from typing import Any

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn

from dgis import fleet
from dgis.cli.common import FAILED, AsJson, Config, Home, console, errors, print_fields, print_json
from dgis.cli.opening import Opened, opened
from dgis.overview import copies
from dgis.parts import now_ms
from replica import check, fill, review
from replica.context import Replicas
from replica.survey import survey
from storage_nodes.addresses import Kind

_AT_ONCE = 20


def repair(home: Home = None, config: Config = None, as_json: AsJson = False) -> None:
    """Compare nodes with the index, check what is suspicious, and copy until each object has its number."""
    with opened(home, config) as gateway:
        replicas = replicas_of(gateway)
        with busy("repairing") as progress:
            totals = _repair(replicas, progress)
        with gateway.reading() as connection:
            words = copies(connection)["words"]
    _finish({**totals, "words": words}, as_json=as_json)


def scrub(home: Home = None, config: Config = None, as_json: AsJson = False) -> None:
    """Re-read and re-hash every copy on every node, then repair what was found."""
    with opened(home, config) as gateway:
        replicas = replicas_of(gateway)
        totals = {"good": 0, "bad": 0, "lost": 0, "unreachable": 0}
        began_ms = now_ms()
        with busy("scrubbing") as progress:
            while True:
                checked = check.run_once(replicas, _AT_ONCE, began_ms)
                totals = {name: count + getattr(checked, name) for name, count in totals.items()}
                progress.update(progress.task_ids[0], description=f"scrubbing: {totals}")
                if not checked.good + checked.bad + checked.lost:
                    break  # nothing left, or only nodes that do not answer: those wait for the next scrub
            repaired = _repair(replicas, progress)
        with gateway.reading() as connection:
            words = copies(connection)["words"]
    _finish({**totals, **repaired, "words": words}, as_json=as_json)


def _repair(replicas: Replicas, progress: Progress) -> dict[str, int]:
    replicas.fleet.probe()
    found = {"missing": 0, "checked_bad": 0, "checked_lost": 0, "copied": 0}
    for kind in Kind:
        for name in replicas.fleet.names(kind):
            found["missing"] += survey(replicas, kind, name).missing
    while True:
        checked = check.run_once(replicas, _AT_ONCE)
        found["checked_bad"] += checked.bad
        found["checked_lost"] += checked.lost
        if not checked.good + checked.bad + checked.lost:
            break
    after = 0
    while (after := review.run_once(replicas, after).next_id) > 0:
        pass
    for filled in fill.run_to_the_end(replicas):
        found["copied"] = filled.copied
        progress.update(progress.task_ids[0], description=f"copied {found['copied']}")
    return found


def replicas_of(gateway: Opened) -> Replicas:
    """Return index, nodes and rules of an opened gateway."""
    own = fleet.open_fleet(gateway.configuration)
    return Replicas(gateway.engine, own, fleet.rules(gateway.configuration))


def busy(what: str) -> Progress:
    """Return what shows that a command is at work."""
    progress = Progress(SpinnerColumn(), TextColumn("{task.description}"), console=errors, transient=True)
    progress.add_task(what, total=None)
    return progress


def _finish(values: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(values)
    else:
        print_fields({name: value for name, value in values.items() if name != "words"})
        for line in values["words"]:
            console.print(line, markup=False)
    if any(line.startswith("trouble") for line in values["words"]):
        raise typer.Exit(FAILED)
