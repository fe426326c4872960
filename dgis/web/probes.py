"""What `/readyz` looks at: database, worker, the room on the disk, nodes enough to publish."""

import os
from collections import Counter
from collections.abc import Callable, Iterable

import sqlalchemy as sa
from prometheus_client.parser import text_string_to_metric_families

from dgis.configuration import Configuration
from dgis.web.health import Probe
from storage_nodes.addresses import Kind

_NODE_UP = "dgis_node_up"
_WORKER = "worker"

Texts = Callable[[], Iterable[tuple[str, str]]]


def probes(
    configuration: Configuration, engine: sa.Engine, worker_answers: Callable[[], bool], figures: Texts
) -> list[Probe]:
    """Return the probes; `figures` is what the other roles wrote down, as (role, text)."""
    cache = configuration.cache
    return [
        Probe("database", lambda: _answers(engine), "the database does not answer", needed=True),
        Probe(
            "worker",
            worker_answers,
            "the worker does not answer: images are kept, nothing is published, no seal is opened",
            needed=True,
        ),
        Probe(
            "disk",
            lambda: _free_bytes(configuration) >= cache.free_floor_bytes,
            "the disk of the home is at its floor (cache.free_floor_bytes): images are refused",
            needed=False,
        ),
        Probe(
            "quorum",
            lambda: nodes_up(figures()) >= configuration.placement.write_quorum,
            "fewer nodes answer than placement.write_quorum: images are kept, nothing is published",
            needed=False,
        ),
    ]


def nodes_up(texts: Iterable[tuple[str, str]]) -> int:
    """Return how many nodes the worker reaches, of the kind of object that has fewer."""
    up: Counter[str] = Counter()
    for text in (text for role, text in texts if role == _WORKER):
        for family in text_string_to_metric_families(text):
            if family.name == _NODE_UP:
                up.update(sample.labels["kind"] for sample in family.samples if sample.value)
    return min(up[kind.value] for kind in Kind)


def _answers(engine: sa.Engine) -> bool:
    try:
        with engine.execution_options(read_only=True).connect() as connection:
            connection.execute(sa.select(1))
    except sa.exc.SQLAlchemyError:
        return False
    return True


def _free_bytes(configuration: Configuration) -> int:
    disk = os.statvfs(configuration.gateway.home)
    return disk.f_bavail * disk.f_frsize
