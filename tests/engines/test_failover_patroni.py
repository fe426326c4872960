"""The primary is killed under load: Patroni promotes the standby, and no acknowledged row is lost."""

import os
import threading
import time

import pytest
import sqlalchemy as sa

from dgis.postgres import server_engine
from dgis.transactions import WORKER, again
from tests.engines.patroni import running_patroni
from tests.gateway import Gateway, wait_until
from tests.tools import crash
from tests.tools.pressure import PAIRS, Pressure
from tests.tools.report import show

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.xdist_group("patroni")]


TIMES = int(os.environ.get("DGIS_TEST_FAILOVERS", "1"))


class Writer(threading.Thread):
    """Inserts rows, a transaction each; remembers which were acknowledged, and the longest time without."""

    def __init__(self, url):
        super().__init__(daemon=True)
        self.engine = server_engine(sa.make_url(url), "worker")
        self.acknowledged, self.longest_gap_seconds = [], 0.0
        self.enough = threading.Event()
        with self.engine.begin() as connection:
            connection.exec_driver_sql("CREATE TABLE acknowledged (number bigint PRIMARY KEY)")

    def run(self):
        number, last = 0, time.monotonic()
        while not self.enough.wait(0.005):
            number += 1
            again(lambda number=number: self._insert(number), WORKER)
            now = time.monotonic()
            self.longest_gap_seconds = max(self.longest_gap_seconds, now - last)
            last = now
            self.acknowledged.append(number)

    def _insert(self, number):
        with self.engine.begin() as connection:  # bears repetition where the answer to a commit was lost
            connection.execute(
                sa.text("INSERT INTO acknowledged VALUES (:number) ON CONFLICT DO NOTHING"),
                {"number": number},
            )

    def stored(self):
        with self.engine.connect() as connection:
            return set(connection.exec_driver_sql("SELECT number FROM acknowledged").scalars())


@pytest.mark.timeout(300 + 300 * TIMES)
def test_a_primary_that_is_killed_under_load_costs_no_acknowledged_row(request, monkeypatch):
    with running_patroni() as cluster, Gateway(database_url=cluster.url) as gateway:
        writer = Writer(cluster.url)
        writer.start()
        with Pressure(gateway, senders=1) as pressure:
            for _ in range(TIMES):
                pressure.wait_for_stores(10)
                first = cluster.primary()
                cluster.kill_node(first)
                pressure.wait_for_stores(4)  # images are received while there is no primary
                wait_until(cluster.primary, 120, "the standby is promoted", 0.2)
                assert cluster.primary() != first
                pressure.wait_for_finds(3)
                cluster.start_node(first)
                cluster.wait_until_safe()  # the one that was killed is back, as the standby
        writer.enough.set()
        writer.join()
        assert set(pressure.stored) == {0}
        rows_lost = set(writer.acknowledged) - writer.stored()
        gateway.wait_published(240)
        monkeypatch.setattr(crash, "_PAIRS", PAIRS)
        journal = pressure.answered()
        lost = crash._lost(gateway, journal)
        doubled, damaged = crash._on_nodes(gateway)
        writer.engine.dispose()
        show(
            request,
            f"Patroni, {TIMES} fail-over under load: {len(writer.acknowledged)} rows acknowledged, "
            f"lost {len(rows_lost)}; longest gap between commits {writer.longest_gap_seconds:.1f} s, "
            f"between answered queries {pressure.longest_gap_seconds:.1f} s; "
            f"{len(journal.acknowledged)} images, lost {len(lost)}, published twice {len(doubled)}, "
            f"damaged {len(damaged)}",
        )
        assert rows_lost == set()
        assert (lost, doubled, damaged) == ((), (), ())
