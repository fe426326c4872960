"""Wiring only: the routes of `/api` that read and administer the grid."""

from functools import partial

import sqlalchemy as sa
from fastapi import APIRouter

from dgis import fleet
from dgis.api import auditing, deleting, granting, page, publishing, reading
from dgis.api import jobs as asked
from dgis.api.access import Access
from dgis.cache.log import ReceiveLog
from dgis.commitment.opening import known_destinations
from dgis.configuration import Configuration
from dgis.parts import now_ms
from dgis.trail.public import public_file, read_public
from dgis.trail.recorder import Recorder
from dgis.web.logins import Logins


def interface(
    configuration: Configuration, engine: sa.Engine, log: ReceiveLog, recorder: Recorder, logins: Logins
) -> list[APIRouter]:
    """Return the routes; acts are recorded in the chain of the web door."""
    access = Access(engine, now_ms)
    writer = f"{configuration.gateway.name}/web"
    own_fleet = fleet.open_fleet(configuration)
    grid = reading.Reading(configuration, access, log, own_fleet, recorder)
    proof = auditing.Proof(own_fleet, partial(read_public, public_file(configuration.gateway.home)))
    jobs = asked.Jobs(access, configuration.gateway.name, writer, known_destinations(configuration))
    return [
        reading.routes(grid, logins),
        granting.routes(granting.Granting(access, writer), logins),
        auditing.routes(auditing.Auditing(access, writer, proof), logins),
        asked.routes(jobs, logins),
        deleting.routes(deleting.Deleting(access, writer), logins),
        publishing.routes(publishing.Publishing(access, configuration.gateway.name), logins),
        page.routes(),
    ]
