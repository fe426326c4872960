"""A facility that has stored its quota is refused, and taken again when something is deleted."""

import pytest
import sqlalchemy as sa

from catalog.tables import PHI
from dgis.retention.allowance import Allowance, use_of
from dgis.retention.configuration import Quota
from tests.unit.dgis.site import FACILITY, phantom

IMAGES = phantom(3)


def allowance(site, **most):
    return Allowance(
        site.engine, FACILITY, (Quota(facility="Elsewhere", instances=1), Quota(facility=FACILITY, **most))
    )


def test_without_a_quota_nothing_is_counted_or_refused(site):
    own = Allowance(site.engine, FACILITY, (Quota(facility="Elsewhere", instances=1),))
    assert not own.limited
    own.took(10**12)
    assert own.exceeded() == ""


@pytest.mark.parametrize("most", [{"instances": 3}, {"bytes": sum(len(image.dataset) for image in IMAGES)}])
def test_what_lies_there_at_the_start_counts(site, most):
    assert allowance(site, **most).exceeded() == ""
    site.receive(IMAGES)
    assert "quota of the facility is reached" in allowance(site, **most).exceeded()
    more = {name: value + 1 for name, value in most.items()}
    assert allowance(site, **more).exceeded() == ""


def test_what_is_taken_counts_at_once_and_once(site):
    own = allowance(site, instances=4)
    for image in IMAGES:
        own.took(len(image.dataset))
    assert own.exceeded() == ""
    site.receive(IMAGES)
    own.count()
    assert own.exceeded() == ""  # they have rows now, and are not counted twice
    own.took(1)
    assert own.exceeded()


def test_what_is_deleted_makes_room_when_all_is_counted_anew(site):
    site.receive(IMAGES)
    own = allowance(site, instances=3)
    assert own.exceeded()
    with site.engine.begin() as connection:
        connection.execute(
            sa.delete(PHI.instance).where(PHI.instance.c.sop_instance_uid == IMAGES[0].sop_instance_uid)
        )
    own._turn = 0
    own.count()
    assert own.exceeded() == ""


def test_a_database_that_is_away_leaves_the_numbers_as_they_were(site, monkeypatch):
    site.receive(IMAGES)
    own = allowance(site, instances=3)

    def away():
        raise sa.exc.OperationalError("SELECT", {}, OSError())

    monkeypatch.setattr(site.engine, "connect", away)
    own.count()
    assert own.exceeded()


def test_status_says_how_much_is_used(site):
    site.receive(IMAGES)
    with site.engine.connect() as connection:
        said = use_of(
            connection, (Quota(facility=FACILITY, instances=3), Quota(facility="Elsewhere", bytes=10))
        )
    assert said[FACILITY]["instances"] == 3
    assert said[FACILITY]["bytes"] == sum(len(image.dataset) for image in IMAGES)
    assert (said[FACILITY]["full"], said["Elsewhere"]["full"]) == (True, False)
