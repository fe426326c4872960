"""From the configuration to what a rebuild works with; a home without keys gives the de-identified half."""

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from catalog.contributors import PublisherGrant
from deid.pseudonyms import Pseudonyms
from dgis import database, fleet, parts
from dgis.configuration import Configuration
from dgis.keyholder.pseudonyms import pseudonymiser
from dgis.publisher.about import Contributions
from dgis.rebuild.objects import Taking
from dgis.rebuild.reading import Reading, Secrets
from dgis.rebuild.rebuilder import Means
from dgis.rebuild.writing import Writing
from dgis.retriever.records import Shelf
from replica.context import Replicas
from replica.source import Reporter

_THREADS = 2


@contextmanager
def means_of(configuration: Configuration, *, verify: bool) -> Iterator[Means]:
    """Open database, nodes and keys; no other rebuild of this database runs meanwhile.

    Raises:
        StartError: the database does not answer, keys are there and cannot be used, or another one runs.
    """
    engine = parts.open_database(configuration)
    try:
        with database.alone(engine, "rebuild") as alone:
            if not alone:
                raise parts.StartError("another rebuild of this database runs")
            yield _means(configuration, engine, verify=verify)
    finally:
        engine.dispose()


def _means(configuration: Configuration, engine: sa.Engine, *, verify: bool) -> Means:
    own = fleet.open_fleet(configuration)
    replicas = Replicas(engine, own, fleet.rules(configuration))
    reading = engine.execution_options(read_only=True)
    shelf = Shelf(reading, own, Reporter(engine, parts.now_ms))
    gateway = configuration.gateway
    grant = PublisherGrant(fields=configuration.publish.grant_by)
    return Means(
        Taking(replicas, verify),
        Reading(engine, shelf, _secrets(configuration)),
        Writing(engine, grant, gateway.facility, gateway.name),
        parts.now_ms,
        _THREADS,
    )


def _secrets(configuration: Configuration) -> Secrets | None:
    """Open the keys; None where there never were any under this home: then they are not made, either."""
    if parts.first_start_makes_keys(configuration):
        return None
    site, keys = parts.open_keys(configuration)
    names = pseudonymiser(Pseudonyms(site, configuration.gateway.facility))
    return Secrets(keys, names, Contributions(site))
