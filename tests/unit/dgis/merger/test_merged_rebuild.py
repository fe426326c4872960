"""A database made anew from the nodes knows of merges: from the new record alone, or beside the old ones."""

import pytest
import sqlalchemy as sa

from catalog.tables import PHI
from dgis.departed.notes import Teller
from dgis.merger.tables import merged_part
from dgis.review.values import Choice
from replica import clean
from replica.tables import replica_object
from storage_nodes.addresses import Kind
from tests.tools import burned_in
from tests.unit.dgis.erasure.erasing import patient_key, shred
from tests.unit.dgis.merger.merging import (
    as_sent,
    consider,
    forms,
    in_parts,
    merge,
    originals,
    records,
    small,
)
from tests.unit.dgis.rebuild.building import rebuild
from tests.unit.dgis.rebuild.databases import catalog, put_back, saved
from tests.unit.dgis.rebuild.test_rebuild import assert_same
from tests.unit.dgis.review.conftest import desk, transcoder  # noqa: F401 (fixtures, found by name)


def sweep(site):
    """The grace time is over: the old objects go from the nodes."""
    site.clock.pass_seconds(3601)
    while clean.run_once(site.grid.replicas).copies:
        pass


@pytest.mark.parametrize("database", ["empty", "of before", "of now"])
@pytest.mark.parametrize("swept", [False, True], ids=["old ones left", "old ones gone"])
def test_the_new_record_is_taken(site, swept, database):
    images = small(site)
    old, older = records(site), saved(site.engine)
    merge(site)
    before, shown, new = catalog(site.engine), forms(site), records(site)
    if swept:
        sweep(site)
    if database != "of now":
        put_back(site.engine, {} if database == "empty" else older)
    site.restorer.forget()
    assert rebuild(site).complete
    assert_same(before, site)
    assert records(site) == new
    assert forms(site) == shown
    assert originals(site) == as_sent(images)
    live = {row.record_key for row in site.rows(replica_object) if row.superseded_ms is None}
    assert live == set(new)
    assert rebuild(site).complete
    assert_same(before, site)
    if not swept:
        assert {row.record_key for row in site.rows(merged_part)} == set(old)


def test_reviews_and_what_was_sealed_whole_are_what_they_were(site, desk):  # noqa: F811
    images = in_parts(site, burned_in.series(8), count=4)
    for key in desk.keys()[0:5:2]:
        desk.say([key], Choice.RELEASE)
        desk.carry_out()
    consider(site)
    merge(site)
    before, shown = catalog(site.engine), forms(site)
    sweep(site)
    put_back(site.engine, {})
    assert rebuild(site).complete
    assert_same(before, site)
    assert forms(site) == shown
    assert originals(site) == as_sent(images)


@pytest.mark.parametrize("when", ["before the merge", "after it"])
def test_what_was_withdrawn_comes_back_from_no_old_record(site, desk, when):  # noqa: F811
    small(site)
    key, *_others = forms(site)
    if when == "before the merge":
        desk.say([key], Choice.WITHDRAW)
    merge(site)
    if when == "after it":
        desk.say([key], Choice.WITHDRAW)
    Teller(site.engine, site.grid.fleet, site.clock).run_once()
    before = catalog(site.engine)
    put_back(site.engine, {})
    assert rebuild(site).complete
    assert key not in forms(site)
    assert_same(before, site)


def test_where_the_new_companion_is_lost_the_old_parts_are_taken(site):
    images = small(site)
    old = records(site)
    merge(site)
    (new,) = records(site)
    with site.engine.connect() as connection:
        gone = connection.scalars(
            sa.select(replica_object.c.name).where(
                replica_object.c.record_key == new, replica_object.c.kind == Kind.SEALED
            )
        ).all()
    for node in site.grid.memory.values():
        for name in gone:
            del node.objects[name]
    put_back(site.engine, {})
    site.restorer.forget()
    assert not rebuild(site).complete
    assert records(site) == old
    assert originals(site) == as_sent(images)


def test_an_erased_patient_stays_erased(site):
    images = small(site)
    merge(site)
    shred(site, patient_key(site, images[0]))
    shown = forms(site)
    put_back(site.engine, {})
    assert rebuild(site).complete
    assert forms(site) == shown
    assert site.rows(PHI.instance) == []
