"""The whole gateway on PostgreSQL: the same way in and out, and the same promises after kill -9."""

from collections import Counter

import pytest

from dgis.demo import kinds, phantoms
from dgis.demo.people import PEOPLE
from tests.gateway import Gateway
from tests.tools import pixels, wire
from tests.tools.client import Client
from tests.tools.crash import QUICK, trial
from tests.tools.fetching import HOSPITAL, RESEARCH, get_everything

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.xdist_group("gateway-postgres")]

_PLAN = ((kinds.CT, PEOPLE[0], 6), (kinds.MR, PEOPLE[1], 6), (kinds.PET, PEOPLE[2], 12))


def test_images_come_back_from_the_nodes_as_they_came_in(postgres_url):
    instances = [one for kind, person, count in _PLAN for one in phantoms.series(kind, person, count)]
    pairs = [(kind.sop_class_uid, wire.EXPLICIT) for kind, _, _ in _PLAN]
    with Gateway(database_url=postgres_url) as gateway:
        contexts = [(sop_class, [syntax]) for sop_class, syntax in pairs]
        with Client(gateway.address, HOSPITAL, contexts) as client:
            statuses = [
                client.store(one.sop_class_uid, one.sop_instance_uid, one.transfer_syntax, one.dataset)
                for one in instances
            ]
        assert statuses == [0] * len(instances)
        gateway.wait_published()
        gateway.cli("cache", "evict", "--all")
        gateway.take_away("b")
        originals = get_everything(gateway.address, HOSPITAL, pairs)
        deidentified = get_everything(gateway.address, RESEARCH, pairs)
        assert not list(gateway.home.glob("*.sqlite"))
    assert {one.sop_instance_uid: one.dataset for one in originals} == {
        one.sop_instance_uid: one.dataset for one in instances
    }
    assert not {one.sop_instance_uid for one in deidentified} & {one.sop_instance_uid for one in instances}
    assert Counter(pixels.fingerprint(one.dataset, one.transfer_syntax) for one in deidentified) == Counter(
        pixels.fingerprint(one.dataset, wire.EXPLICIT) for one in instances
    )


@pytest.mark.parametrize(
    "point", ["cache.before_index_commit", "publish.before_commit", "publish.after_commit"]
)
def test_kills_break_no_promise(point, postgres_url):
    gateway = Gateway(QUICK, database_url=postgres_url)
    try:
        verdict = trial(gateway, point, [1, 1], seed=1)
    finally:
        gateway.discard()
    assert verdict.kept, verdict
