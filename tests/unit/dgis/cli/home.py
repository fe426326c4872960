"""A small real home for the commands: images received and published in this process by the worker's parts."""

import json
import time

from typer.testing import CliRunner

from catalog.contributors import PublisherGrant
from deid.pseudonyms import Pseudonyms
from dgis import fleet, parts, settings
from dgis.cache.indexer import Indexer
from dgis.cache.values import StoreMeta
from dgis.chores.publishing import Secrets, publishing
from dgis.cli.main import app
from dgis.grants import apply_standing_grants
from dgis.identity.wire import to_json
from dgis.ingest import ingester
from dgis.keyholder.pseudonyms import pseudonymiser
from dgis.keyholder.restore import Restorer
from dgis.keyholder.server import KeyholderServer
from dgis.retriever.records import Shelf
from replica.context import Replicas
from replica.source import Reporter
from tests.tools.logging_apart import logging_apart
from tests.unit.dgis.site import PUBLISHER

CLEARED = '[cli]\nassertions = { user = "pacs", department = "Radiology", institution = "Demo Hospital" }\n'
_PATIENCE = "[publish]\nstable_age_seconds = 0\nafter_release_seconds = 0\n"


class Home:
    """The home and the two configurations by which commands look at it."""

    def __init__(self, folder):
        self.folder = folder
        self.uncleared = folder.parent / f"{folder.name}-uncleared.toml"
        self.cleared = folder.parent / f"{folder.name}-cleared.toml"
        self.uncleared.write_text(_PATIENCE)
        self.cleared.write_text(_PATIENCE + CLEARED)
        self.configuration = settings.load(self.uncleared, folder)

    def run(self, *arguments, cleared=False):
        config = self.cleared if cleared else self.uncleared
        with logging_apart():
            return CliRunner().invoke(app, [*arguments, "--home", str(self.folder), "--config", str(config)])

    def json(self, *arguments, cleared=False, code=0):
        done = self.run(*arguments, "--json", cleared=cleared)
        assert done.exit_code == code, done.output + repr(done.exception)
        return json.loads(done.stdout)

    def receive(self, images):
        """Receive and index."""
        engine = parts.open_database(self.configuration)
        with engine.begin() as connection:
            apply_standing_grants(connection, self.configuration, parts.now_ms())
        secrets, _keys = parts.open_keys(self.configuration)
        log = parts.open_receive_log(self.configuration)
        names = pseudonymiser(Pseudonyms(secrets, self.configuration.gateway.facility))
        grant = PublisherGrant(fields=self.configuration.publish.grant_by)
        facility = self.configuration.gateway.facility
        ingest = ingester(facility, lambda of: [names(each) for each in of], grant)
        indexer = Indexer(log, engine, ingest, parts.cache_owner(self.configuration))
        writer = log.association()
        for image in images:
            entry = writer.begin(_meta(image))
            entry.write(memoryview(image.dataset))
            entry.commit()
        writer.finish(released=True)
        while indexer.run_once():
            pass
        log.close()
        log.backlog.close()
        engine.dispose()

    def publish(self):
        """Let the worker's chores run until a series that was due is through."""
        engine = parts.open_database(self.configuration)
        secrets, keys = parts.open_keys(self.configuration)
        fleet.prepare_new_nodes(self.configuration)
        rules = fleet.rules(self.configuration)
        replicas = Replicas(engine, fleet.open_fleet(self.configuration), rules)
        log = parts.open_receive_log(self.configuration)
        shelf = Shelf(engine, replicas.fleet, Reporter(engine, parts.now_ms))
        restorer = Restorer(shelf, keys, 1)
        means = Secrets(secrets, keys, restorer)
        time.sleep(0.002)  # the clock is in milliseconds: what came just now is due in the next
        for chore in publishing(self.configuration, log.files, means, replicas, 1):
            while chore.run_once():
                pass
        restorer._threads.shutdown()
        log.close()
        engine.dispose()

    def worker(self):
        """Answer restores at the home's socket; returns what to stop."""
        engine = parts.open_database(self.configuration)
        secrets, keys = parts.open_keys(self.configuration)
        own = fleet.open_fleet(self.configuration)
        shelf = Shelf(engine, own, Reporter(engine, parts.now_ms))
        names = pseudonymiser(Pseudonyms(secrets, self.configuration.gateway.facility))
        restorer = Restorer(shelf, keys, 1)
        server = KeyholderServer(parts.keyholder_socket(self.configuration), restorer, names)
        server.start()

        def stop():
            server.stop()
            restorer._threads.shutdown()
            engine.dispose()

        return stop


def _meta(image):
    return StoreMeta(
        sop_class_uid=image.sop_class_uid,
        sop_instance_uid=image.sop_instance_uid,
        transfer_syntax=image.transfer_syntax,
        calling_ae="HOSPITAL",
        called_ae="DGIS",
        peer_address="127.0.0.1",
        received_ms=parts.now_ms(),
        assertions=to_json(PUBLISHER),
    )
