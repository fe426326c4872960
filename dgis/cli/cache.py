"""`dgis cache status|evict`: what lies in the cache, and freeing what is safely published."""

from dataclasses import asdict
from typing import Annotated

import typer

from catalog.audit.values import Event, Json
from dgis.cache import status as cache
from dgis.cache.eviction import Evictor
from dgis.cli.common import AsJson, Config, Home, console, print_fields, print_json
from dgis.cli.opening import opened
from dgis.trail.acts import act, record

app = typer.Typer(help="The gateway's cache of originals.", no_args_is_help=True)


@app.command()
def status(home: Home = None, config: Config = None, as_json: AsJson = False) -> None:
    """Show what lies in the cache."""
    with opened(home, config) as gateway, gateway.reading() as connection:
        values = asdict(cache.status(connection, gateway.log.files, gateway.log.space, gateway.gateway_id))
    if as_json:
        print_json(values)
        return
    print_fields(values)


@app.command()
def evict(
    everything: Annotated[bool, typer.Option("--all", help="Free all that is published.")] = False,
    home: Home = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Free what is safely published, least recently used first; without --all down to the low mark."""
    with opened(home, config) as gateway:
        evictor = Evictor(gateway.log.files, gateway.engine, gateway.gateway_id, gateway.log.space)
        done = evictor.evict(None) if everything else evictor.run_once()
        freed: dict[str, Json] = {"instances": done.instances, "bytes": done.bytes, "all": everything}
        with gateway.engine.begin() as connection:
            record(connection, gateway.gateway_id, act(gateway.gateway_id, Event.DELETE, "cache", freed))
    if as_json:
        print_json(asdict(done))
    else:
        console.print(f"{done.instances} instances, {done.bytes} bytes freed; {done.in_use} in use stay")
