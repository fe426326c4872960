"""What erases, deletes, withdraws or replaces an instance while its part is merged wins: nothing returns."""

import pytest
import sqlalchemy as sa

from catalog.remove import remove_instance
from catalog.tables import DEID, PHI
from dgis.departed import notes
from dgis.departed.tables import departed
from dgis.departed.values import Why
from dgis.retention import holds
from dgis.retention.configuration import RetentionRule
from dgis.retention.due import due
from dgis.retention.removal import Removing, remove_series
from dgis.review.values import Choice
from replica.locate import locate
from storage_nodes.addresses import Kind
from storage_nodes.names import RecordKey
from tests.unit.dgis.erasure.erasing import patient_key, shred
from tests.unit.dgis.merger.merging import (
    as_sent,
    consider,
    forms,
    job,
    merge,
    merger,
    originals,
    records,
    small,
)
from tests.unit.dgis.review.conftest import desk, transcoder  # noqa: F401 (fixtures, found by name)
from tests.unit.dgis.site import phantom

KEEP = (RetentionRule(keep_days=30),)


def between(site, act):
    """Merge, with something that happens after everything was put and before the commit."""
    site.clock.pass_seconds(120)
    own = merger(site)
    put = own._put

    def putting(*arguments):
        stored = put(*arguments)
        act()
        return stored

    own._put = putting
    assert own.run_once()


def expire(site):
    with site.engine.begin() as connection:
        connection.execute(sa.update(PHI.instance).values(received_ms=0))
    with site.engine.connect() as connection:
        (one,) = due(connection, KEEP, site.clock())
    series = one.series
    removed = remove_series(site.engine, series, Removing(KEEP, "gateway-1/worker"), site.clock())
    assert removed is not None
    return removed


def told(site):
    return {(row.record_key, row.instance_key, row.why) for row in site.rows(departed)}


def test_an_erasure_wins(site):
    images = small(site)
    before, old = forms(site), records(site)
    between(site, lambda: shred(site, patient_key(site, images[0])))
    assert site.rows(PHI.instance) == []
    assert records(site) == old
    assert forms(site) == before
    assert merge(site) == 0
    assert job(site) is None


def test_an_erasure_after_the_merge_leaves_no_companion_to_be_found(site):
    images = small(site)
    old = records(site)
    merge(site)
    before = forms(site)
    shred(site, patient_key(site, images[0]))
    assert forms(site) == before
    with site.engine.connect() as connection:
        assert locate(connection, site.grid.fleet, map(RecordKey, [*old, *records(site)]), Kind.SEALED) == {}


def test_a_deletion_wins(site):
    small(site)
    between(site, lambda: expire(site))
    assert (site.rows(PHI.instance), site.rows(DEID.instance), records(site)) == ([], [], [])
    assert merge(site) == 0
    assert job(site) is None


def test_a_deletion_after_the_merge_is_told_of_the_old_parts_as_well(site):
    small(site)
    old = records(site)
    merge(site)
    (new,) = records(site)
    expire(site)
    assert told(site) == {(key, "", Why.REMOVED.value) for key in [*old, new]}
    with site.engine.connect() as connection:
        for kind in Kind:
            assert locate(connection, site.grid.fleet, map(RecordKey, [*old, new]), kind) == {}


def test_a_withdrawal_wins_and_the_series_is_merged_without_it(site, desk):  # noqa: F811
    images = small(site)
    (key, *_others) = forms(site)
    between(site, lambda: desk.say([key], Choice.WITHDRAW))
    assert len(records(site)) == 3
    assert key not in forms(site)
    assert merge(site) == 1
    assert len(records(site)) == 1
    assert key not in forms(site)
    assert originals(site) == as_sent(images)


def test_a_withdrawal_after_the_merge_is_told_of_the_old_parts_as_well(site, desk):  # noqa: F811
    small(site)
    old = records(site)
    merge(site)
    (key, *_others) = forms(site)
    desk.say([key], Choice.WITHDRAW)
    assert told(site) == {(each, key, Why.WITHDRAWN.value) for each in [*old, *records(site)]}


def test_what_was_replaced_meanwhile_is_not_in_the_new_record(site):
    images = small(site)

    def replace():
        with site.engine.begin() as connection:
            row = connection.scalars(
                sa.select(PHI.instance.c.id).where(
                    PHI.instance.c.sop_instance_uid == images[0].sop_instance_uid
                )
            ).one()
            notes.add_instances(connection, [row], Why.REPLACED, site.clock())
            remove_instance(connection, row)

    between(site, replace)
    assert len(records(site)) == 3
    consider(site)
    assert merge(site) == 1
    assert len(forms(site)) == 5
    assert originals(site) == as_sent(images[1:])


def test_a_hold_wins(site):
    images = small(site)
    before = records(site)

    def hold():
        with site.engine.begin() as connection:
            holds.hold_everything(connection, "a lawsuit", "somebody", site.clock())

    between(site, hold)
    assert records(site) == before
    assert originals(site) == as_sent(images)


@pytest.mark.parametrize("late", [1, 2])
def test_images_that_come_meanwhile_are_another_part(site, late):
    images = phantom(6 + late)
    for start in (0, 2, 4):
        site.publish(images[start : start + 2])
    consider(site)
    between(site, lambda: site.publish(images[6:]))
    assert len(records(site)) == 2
    assert originals(site) == as_sent(images)
