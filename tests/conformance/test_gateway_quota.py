"""A facility that has stored its quota is told so at the door, and by `dgis status`."""

import json

import pytest

from dgis.demo import kinds, phantoms
from dgis.demo.people import PEOPLE
from tests.gateway import Gateway
from tests.tools import wire
from tests.tools.client import Client
from tests.tools.fetching import HOSPITAL

pytestmark = pytest.mark.xdist_group("gateway-quota")

IMAGES = list(phantoms.series(kinds.PET, PEOPLE[0], 4, 1))
OUT_OF_RESOURCES = 0xA700


def test_what_is_over_the_quota_is_refused_in_words():
    quotas = [{"facility": "Demo Hospital", "instances": 3}]
    contexts = [(kinds.PET.sop_class_uid, [wire.EXPLICIT])]
    with Gateway({"DGIS__QUOTAS": json.dumps(quotas)}) as gateway:
        with Client(gateway.address, HOSPITAL, contexts) as client:
            number = client.context(kinds.PET.sop_class_uid, wire.EXPLICIT)
            said = [
                client._ask(
                    number,
                    0x1,
                    kinds.PET.sop_class_uid,
                    image.dataset,
                    Priority=0,
                    AffectedSOPInstanceUID=image.sop_instance_uid,
                ).command
                for image in IMAGES
            ]
        assert [answer["Status"] for answer in said] == [0, 0, 0, OUT_OF_RESOURCES]
        assert "quota of the facility is reached: 3 instances" in said[-1]["ErrorComment"]
        gateway.wait_published()
        status = gateway.json("status")
        assert status["facilities"]["Demo Hospital"]["full"]
        assert status["facilities"]["Demo Hospital"]["instances"] == 3
        assert "FULL" in gateway.cli("status").stdout
        gateway.restart()  # what has rows counts from the start on
        with Client(gateway.address, HOSPITAL, contexts) as client:
            one = IMAGES[-1]
            answer = client.store(one.sop_class_uid, one.sop_instance_uid, wire.EXPLICIT, one.dataset)
        assert answer == OUT_OF_RESOURCES
