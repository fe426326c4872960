"""`dgis node list|add|read-only|drain|remove`: which nodes serve, and taking them in and out of service."""

from dataclasses import asdict
from typing import Annotated, Any

import typer

from catalog.audit.values import Event, Json
from dgis import fleet, nodes
from dgis.cli.care import busy, replicas_of
from dgis.cli.common import (
    AsJson,
    Config,
    Home,
    console,
    fail,
    failures_in_words,
    print_json,
    print_table,
)
from dgis.cli.moving import Travelled, balance, empty
from dgis.cli.opening import Opened, opened
from dgis.parts import now_ms
from dgis.trail.acts import act, record
from replica import leaving
from replica.admission import NotAdmitted, check_ours, try_out
from replica.context import Replicas
from replica.placement import why_impossible
from replica.standing import admit_first, decide, read_standing
from replica.values import NodeState
from storage_nodes.addresses import Kind
from storage_nodes.wrappers.verify import Proof, Verified

app = typer.Typer(help="The storage nodes.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The node's name in the configuration.", show_default=False)]
Rate = Annotated[
    int | None,
    typer.Option(
        "--bytes-per-second", min=1, help="Of copies made here [default: care.move_bytes_per_second]."
    ),
]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Leave the copying to the worker.")]


@app.callback()
def about() -> None:
    """The storage nodes."""


@app.command("list")
def list_nodes(home: Home = None, config: Config = None, as_json: AsJson = False) -> None:
    """List the nodes: what was decided about them, how they do, what lies on them."""
    with opened(home, config) as gateway:
        own = fleet.open_fleet(gateway.configuration)
        own.probe()
        with gateway.reading() as connection:
            rows = nodes.rows(connection, gateway.configuration, own)
    if as_json:
        print_json(rows)
        return
    print_table(("node", "kind", "site", "state", "answers", "MiB", "copies", "health"), map(_row, rows))


def _row(row: dict[str, Any]) -> tuple[str, ...]:
    held = [f"{count} {state}" for state, count in row["copies"].items()]
    held += [f"{row['dark']} unknown to the index"] if row["dark"] else []
    return (
        row["name"],
        row["kind"],
        row["site"],
        row["state"],
        "yes" if row["answers"] else "NO",
        str(row["bytes"] >> 20),
        ", ".join(held) or "none",
        row["health"],
    )


@app.command()
def add(
    name: Name,
    adopt: Annotated[
        bool, typer.Option("--adopt", help="Take it with objects on it that are not known here.")
    ] = False,
    no_wait: NoWait = False,
    bytes_per_second: Rate = None,
    home: Home = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Take a configured node into service (again), and bring its share of the copies to it.

    The node must answer, take an object and give it back, and be empty or hold objects of this grid. From the
    decision on the worker moves copies; ended early, this command loses nothing.
    """
    with opened(home, config) as gateway:
        _configured(gateway, name)
        with gateway.engine.begin() as connection:
            admit_first(connection, fleet.served_until_now(gateway.configuration), now_ms())
        if _state(gateway, name) in {NodeState.NEW, NodeState.REMOVED}:
            fleet.prepare(gateway.configuration, {name})
        replicas = replicas_of(gateway)
        with failures_in_words(NotAdmitted):
            _try_out(gateway, replicas, name, adopt=adopt)
        _decide(gateway, name, NodeState.ACTIVE)
        _travel(gateway, replicas, name, no_wait=no_wait, rate=bytes_per_second, as_json=as_json)


@app.command("read-only")
def read_only(name: Name, home: Home = None, config: Config = None) -> None:
    """Give a node no more objects; what it holds counts. `dgis node add` takes it back."""
    with opened(home, config) as gateway:
        _configured(gateway, name)
        _check_rules_without(gateway, replicas_of(gateway), name)
        _decide(gateway, name, NodeState.READ_ONLY)
    console.print(f"{name} is read only")


@app.command()
def drain(
    name: Name,
    no_wait: NoWait = False,
    bytes_per_second: Rate = None,
    home: Home = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Bring every copy on a node to others; its copies are read meanwhile, and do not count.

    Repeat it where it was interrupted: it goes on. `dgis node add` takes the node back instead.
    """
    with opened(home, config) as gateway:
        _configured(gateway, name)
        replicas = replicas_of(gateway)
        _check_rules_without(gateway, replicas, name)
        _decide(gateway, name, NodeState.DRAINING)
        _travel(gateway, replicas, name, no_wait=no_wait, rate=bytes_per_second, as_json=as_json, away=True)


@app.command()
def remove(
    name: Name,
    force: Annotated[
        bool, typer.Option("--force", help="For a node that is lost: make its copies anew elsewhere.")
    ] = False,
    home: Home = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Take a node out of service; refused while an object would have fewer copies than its rule asks for."""
    with opened(home, config) as gateway:
        known = {entry.name for entry in gateway.configuration.nodes}
        with gateway.reading() as connection:
            known |= nodes.known(connection)
        if name not in known:
            fail(f"there is no node {name} (dgis node list)")
        replicas = replicas_of(gateway)
        replicas.fleet.probe()
        with busy("looking for what would miss it"):
            missed = leaving.missed(replicas, name)
        if missed.below and not force:
            fail(
                f"{missed.below} objects would have fewer copies than their rule asks for: "
                f"dgis node drain {name}, or --force if it is lost for good"
            )
        _decide(gateway, name, NodeState.REMOVED)
        forgotten = 0
        with busy("forgetting its copies"):
            while some := leaving.forget_removed(replicas):
                forgotten += some
    result = {"name": name, "forgotten": forgotten, "made_anew": missed.below, "without_copy": missed.lost}
    if as_json:
        print_json(result)
    else:
        console.print(f"{name} is removed; take its [[nodes]] entry out of the configuration", markup=False)
        if missed.below:
            console.print(f"the worker makes copies of {missed.below} objects elsewhere", markup=False)
    if missed.lost:
        fail(f"{missed.lost} objects have no other known copy; they are back if the node is (dgis node add)")


def _configured(gateway: Opened, name: str) -> None:
    if name not in {entry.name for entry in gateway.configuration.nodes}:
        fail(f"{name} is not in the configuration: write a [[nodes]] entry first (dgis config check)")


def _state(gateway: Opened, name: str) -> NodeState:
    with gateway.reading() as connection:
        return read_standing(connection).of(name)


def _try_out(gateway: Opened, replicas: Replicas, name: str, *, adopt: bool) -> None:
    for kind in Kind:
        node = replicas.fleet.node(kind, name)
        assert node is not None, "it is configured"
        try_out(Verified(node, Proof.READ_BACK))
        if not adopt:
            with gateway.reading() as connection:
                check_ours(connection, kind, node)


def _check_rules_without(gateway: Opened, replicas: Replicas, name: str) -> None:
    """Refuse what would leave a rule without the nodes it asks for."""
    replicas.fleet.probe()
    with gateway.reading() as connection:
        replicas.look_at_nodes(connection)
    if replicas.fleet.standing.of(name) in {NodeState.READ_ONLY, NodeState.DRAINING}:
        return
    for kind in Kind:
        left = [place for place in replicas.fleet.homes(kind, ()) if place.node != name]
        for rule in replicas.rules:
            why = why_impossible(rule, left)
            if why is not None:
                fail(f"without {name} a rule of placement cannot be kept: {why}")


def _decide(gateway: Opened, name: str, state: NodeState) -> None:
    serving = fleet.served_until_now(gateway.configuration)
    with gateway.engine.begin() as connection:
        decide(connection, serving, name, state, now_ms())
        detail: dict[str, Json] = {"node": name, "state": str(state)}
        record(connection, gateway.gateway_id, act(gateway.gateway_id, Event.CONFIGURATION, "node", detail))


def _travel(
    gateway: Opened,
    replicas: Replicas,
    name: str,
    *,
    no_wait: bool,
    rate: int | None,
    as_json: bool,
    away: bool = False,
) -> None:
    travelled = Travelled(0, 0)
    if not no_wait:
        rate = rate or gateway.configuration.care.move_bytes_per_second
        with busy("looking at the copies") as progress:
            replicas.fleet.probe()
            travelled = empty(replicas, name, rate, progress) if away else balance(replicas, rate, progress)
    elif away:
        leaving.make_due(replicas, name)
    state = _state(gateway, name)
    if as_json:
        print_json({"name": name, "state": str(state), **asdict(travelled)})
    else:
        what = "left to the worker" if no_wait else f"{travelled.copied} copies made"
        console.print(f"{name} is {state}, {what}", markup=False)
    if travelled.waiting:
        fail(f"{travelled.waiting} objects wait for their next attempt; the worker goes on (dgis status)")
