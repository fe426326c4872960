"""One SOP Instance UID, other bytes: answered with success, kept aside, and for an operator to decide."""

from dataclasses import replace

import pytest

from dgis.demo import kinds, phantoms
from dgis.demo.people import PEOPLE
from tests.gateway import Gateway
from tests.tools import pixels, wire
from tests.tools.client import Client
from tests.tools.fetching import HOSPITAL, RESEARCH, get_everything

pytestmark = pytest.mark.xdist_group("gateway-conflicts")

PAIRS = [(kinds.PET.sop_class_uid, wire.EXPLICIT)]


def store(gateway, *instances):
    with Client(gateway.address, HOSPITAL, [(abstract, [syntax]) for abstract, syntax in PAIRS]) as client:
        return [
            client.store(one.sop_class_uid, one.sop_instance_uid, one.transfer_syntax, one.dataset)
            for one in instances
        ]


def held(gateway, calling):
    return {one.sop_instance_uid: one.dataset for one in get_everything(gateway.address, calling, PAIRS)}


def test_the_first_bytes_stay_until_an_operator_chooses_others():
    first, neighbour = phantoms.series(kinds.PET, PEOPLE[2], 2)
    darker = bytes(len(first.pixels))
    other = replace(first, dataset=first.dataset.replace(first.pixels, darker), pixels=darker)
    assert other.dataset != first.dataset
    with Gateway() as gateway:
        assert store(gateway, first, neighbour, other, first) == [0, 0, 0, 0]
        gateway.wait_published()
        (conflict,) = gateway.json("conflicts", "list")
        gateway.cli("cache", "evict", "--all")
        both = {first.sop_instance_uid: first.dataset, neighbour.sop_instance_uid: neighbour.dataset}
        assert held(gateway, HOSPITAL) == both

        gateway.cli("conflicts", "keep", str(conflict["id"]), "other")
        (entry,) = gateway.json("audit", "list", "--event", "conflict")
        assert entry["detail"] == {"what": "other", "conflict": conflict["id"]}
        gateway.wait_published()
        gateway.cli("cache", "evict", "--all")
        assert held(gateway, HOSPITAL) == {**both, first.sop_instance_uid: other.dataset}
        research = held(gateway, RESEARCH).values()
        assert sorted(pixels.fingerprint(dataset, wire.EXPLICIT) for dataset in research) == sorted(
            pixels.fingerprint(one.dataset, wire.EXPLICIT) for one in (other, neighbour)
        )
        assert not [row for row in gateway.json("conflicts", "list") if row["id"] == conflict["id"]]


def test_a_conflict_survives_kill_and_eviction():
    (first,) = phantoms.series(kinds.PET, PEOPLE[2], 1)
    darker = bytes(len(first.pixels))
    other = replace(first, dataset=first.dataset.replace(first.pixels, darker), pixels=darker)
    with Gateway() as gateway:
        assert store(gateway, first, other) == [0, 0]
        gateway.restart()
        gateway.wait_published()
        gateway.cli("cache", "evict", "--all")
        (conflict,) = gateway.json("conflicts", "list")
        gateway.cli("conflicts", "keep", str(conflict["id"]), "other")
        gateway.wait_published()
        assert held(gateway, HOSPITAL) == {first.sop_instance_uid: other.dataset}
