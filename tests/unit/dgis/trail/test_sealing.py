import pytest
import sqlalchemy as sa

from catalog.audit import trail
from catalog.audit.chain import Fault
from catalog.audit.seal import signing_key
from catalog.audit.values import Event, Happening
from catalog.tables import audit, audit_head, audit_seal
from dgis.trail.sealing import PREFIX, TrailSealer
from dgis.trail.verifying import verify
from storage_nodes.addresses import Kind

WRITER = "gateway-1/dicom"
KEY = signing_key(bytes(range(32)))


@pytest.fixture
def sealer(site):
    return TrailSealer(site.engine, site.grid.fleet, KEY, site.clock)


def write(site, count, writer=WRITER):
    with site.engine.begin() as connection:
        happenings = [Happening(Event.QUERY, f"caller-{number}") for number in range(count)]
        trail.append(connection, writer, happenings, site.clock())


def verified(site, key=KEY):
    with site.engine.connect() as connection:
        return verify(connection, site.grid.fleet, key.public_key())


def nodes(site):
    return [site.grid.fleet.node(Kind.SEALED, name) for name in site.grid.fleet.names(Kind.SEALED)]


def test_heads_that_moved_are_signed_and_lie_on_every_node(site, sealer):
    write(site, 3)
    write(site, 2, "gateway-1/worker")
    assert sealer.run_once() == 2
    assert sealer.run_once() == 0
    for node in nodes(site):
        assert len(list(node.list(PREFIX))) == 2
    done = verified(site)
    assert (done.entries, done.writers, done.heads, done.forged) == (5, 2, 2, 0)
    assert done.findings == []
    write(site, 1)
    assert sealer.run_once() == 1
    assert verified(site).heads == 3


def rewritten(site):
    """Whoever owns the database makes the trail anew, one entry changed, with a head to match."""
    with site.engine.begin() as connection:
        entries = list(trail.entries(connection, WRITER))
        connection.execute(sa.delete(audit))
        connection.execute(sa.delete(audit_head))
        connection.execute(sa.delete(audit_seal))
        happenings = [
            Happening(Event.QUERY, "nobody") if entry.number == 2 else entry.happening for entry in entries
        ]
        trail.append(connection, WRITER, happenings, entries[0].at_ms)


def cut(site):
    with site.engine.begin() as connection:
        connection.execute(sa.delete(audit).where(audit.c.number > 2))
        connection.execute(sa.update(audit_head).values(number=2))
        connection.execute(sa.delete(audit_seal))


def emptied(site):
    with site.engine.begin() as connection:
        for table in (audit, audit_head, audit_seal):
            connection.execute(sa.delete(table))


@pytest.mark.parametrize(
    ("tamper", "fault"), [(rewritten, Fault.REWRITTEN), (cut, Fault.CUT), (emptied, Fault.UNKNOWN)]
)
def test_who_owns_the_database_is_contradicted_by_the_nodes(site, sealer, tamper, fault):
    write(site, 5)
    sealer.run_once()
    tamper(site)
    assert [finding.fault for finding in verified(site).findings] == [fault]


def test_heads_of_another_key_are_forged(site, sealer):
    write(site, 1)
    TrailSealer(site.engine, site.grid.fleet, signing_key(bytes(32)), site.clock).run_once()
    done = verified(site)
    assert (done.heads, done.findings) == (0, [])
    assert done.forged > 0


def test_a_node_that_is_away_is_named_and_the_others_speak(site, sealer):
    write(site, 2)
    away = site.grid.fleet.names(Kind.SEALED)[0]
    site.grid.flaky[away].script("*=down")
    assert sealer.run_once() == 1
    done = verified(site)
    assert (done.unreachable, done.heads, done.findings) == ([away], 1, [])
