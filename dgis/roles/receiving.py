"""Wiring only: what the web door receives images with; a receive log of its own, beside the DICOM door's."""

import sqlalchemy as sa

from catalog.contributors import PublisherGrant
from dgis.accounting import Accounts
from dgis.cache.indexer import Indexer
from dgis.chores.door import measuring, retiring
from dgis.configuration import Configuration
from dgis.ingest import ingester
from dgis.keeping import Keeper
from dgis.keyholder.client import KeyholderClient
from dgis.parts import cache_owner, now_ms, open_receive_log
from dgis.retention.allowance import Allowance
from dgis.stow.storing import StoreLimits, Storing
from dgis.trail.recorder import Recorder
from dgis.worker import Chore, once

_ACCOUNTS_SECONDS = 1.0


class Receiving:
    """The parts; `start` and `stop` are those of the thread that indexes what was received."""

    def __init__(
        self,
        configuration: Configuration,
        engine: sa.Engine,
        keyholder: KeyholderClient,
        recorder: Recorder,
    ) -> None:
        """Open the receive log of the home.

        Raises:
            StartError: the home cannot be written.
        """
        name, facility = configuration.gateway.name, configuration.gateway.facility
        self.log = open_receive_log(configuration)
        grant = PublisherGrant(fields=configuration.publish.grant_by)
        ingest = ingester(facility, keyholder.pseudonyms, grant)
        self._indexer = Indexer(self.log, engine, ingest, cache_owner(configuration))
        self._accounts = Accounts(engine, name)
        reading = engine.execution_options(read_only=True)
        allowance = Allowance(reading, facility, configuration.quotas)
        web = configuration.web
        limits = StoreLimits(web.store_instance_bytes, web.stores_at_once)
        self.storing = Storing(self.log, Keeper(now_ms, allowance), recorder, self._accounts, limits)
        self.chores = [
            Chore("accounts", _ACCOUNTS_SECONDS, once(self._accounts.write)),
            *retiring(engine, self.log, name),
            *measuring(allowance),
        ]

    def start(self) -> None:
        """Begin to index, with what an earlier process left."""
        self._indexer.start()

    def stop(self) -> None:
        """Take nothing more, and index what is durable, where the database lets us."""
        self.log.close()
        self._indexer.stop()

    def write(self) -> None:
        """Write down what was counted and not written yet."""
        self._accounts.write()
