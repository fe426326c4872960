"""Wiring only: what a door sends images with, the same for every door; it holds no key."""

from dataclasses import dataclass

import sqlalchemy as sa

from catalog.release import Releases
from dgis import fleet
from dgis.cache.files import SegmentFiles
from dgis.cache.index import CacheIndex
from dgis.cache.reach import reach_of
from dgis.configuration import Configuration
from dgis.keyholder.client import KeyholderClient
from dgis.parts import near_copies, now_ms, scratch
from dgis.retriever.records import Shelf
from dgis.retriever.retriever import Retriever
from dgis.transcode.transcoder import GatewayTranscoder
from replica.fleet import Fleet
from replica.source import Reporter


@dataclass(frozen=True, slots=True)
class Serving:
    """The parts of a door that find, fetch and convert; the keyholder gives it what lies sealed."""

    fleet: Fleet
    index: CacheIndex
    shelf: Shelf
    retriever: Retriever
    transcoder: GatewayTranscoder
    releases: Releases


def serving(
    configuration: Configuration,
    engine: sa.Engine,
    files: SegmentFiles,
    keyholder: KeyholderClient,
    writer: str,
) -> Serving:
    """Return them; what they release is recorded by `writer`.

    Raises:
        OSError: the home cannot be written.
    """
    reading = engine.execution_options(read_only=True)
    own_fleet = fleet.open_fleet(configuration)
    index = CacheIndex(files, configuration.gateway.name)
    shelf = Shelf(reading, own_fleet, Reporter(engine, now_ms), near_copies(configuration))
    return Serving(
        own_fleet,
        index,
        shelf,
        Retriever(reading, index, shelf, keyholder, now_ms),
        GatewayTranscoder(folder=scratch(configuration)),
        Releases(engine, writer, now_ms, reach_of(configuration.gateway.name)),
    )
