"""What DICOM toolkits leave open by default, tried on a whole gateway with pynetdicom as the client.

There, a user identity that nobody checks is accepted, a peer that presents none never reaches the check, and
what is asked for is logged.
"""

import json

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE
from pynetdicom.pdu_primitives import UserIdentityNegotiation
from pynetdicom.sop_class import (
    PatientRootQueryRetrieveInformationModelFind as Find,
)
from pynetdicom.sop_class import (
    PatientRootQueryRetrieveInformationModelGet as Get,
)
from pynetdicom.sop_class import (
    PatientRootQueryRetrieveInformationModelMove as Move,
)
from pynetdicom.sop_class import Verification

from dgis.demo import kinds, phantoms
from dgis.demo.people import PEOPLE
from tests.canary import Hunt
from tests.gateway import Gateway, wait_until
from tests.tools import wire
from tests.tools.client import Client
from tests.tools.hostile.messages import find_command
from tests.tools.hostile.peer import FIND, HOSPITAL, Target, data, echo, request

pytestmark = [pytest.mark.timeout(300), pytest.mark.xdist_group("gateway-traps")]

CANARIES = ("Quetzalcoatl", "QUETZALID", "20481231", "9.8.7.6.54321012345")
MAY = ["store", "find", "retrieve", "phi"]
PEERS = [
    {"ae_title": "WS", "may": MAY, "requires": ["jwt", "saml", "passcode", "kerberos"]},
    {
        "ae_title": "HOSPITAL*",
        "may": MAY,
        "assertions": {"user": "pacs", "department": "Radiology", "institution": "Demo Hospital"},
    },
]
UNPROVEN = dict.fromkeys((2, 3, 4, 5), b"Quetzalcoatl")


@pytest.fixture(scope="module")
def gateway():
    settings = {"DGIS__DICOM__PEERS": json.dumps(PEERS), "DGIS__LOG__LEVEL": "debug"}
    with Gateway(settings) as gateway:
        yield gateway


def identity(kind, primary):
    item = UserIdentityNegotiation()
    item.user_identity_type, item.primary_field = kind, primary
    item.positive_response_requested = True
    if kind == 2:
        item.secondary_field = b"Quetzalcoatl"
    return item


def associated(gateway, title, *services, item=None):
    entity = AE(title)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 30
    for service in services or (Verification,):
        entity.add_requested_context(service)
    host, port = gateway.address
    items = [item] if item else None
    return entity.associate(host, port, ae_title="DGIS", ext_neg=items)


@pytest.mark.parametrize("kind", UNPROVEN)
@pytest.mark.parametrize("title", ["WS", "HOSPITAL_1"])
def test_an_identity_that_nobody_here_can_check_is_refused(gateway, title, kind):
    """Also to a peer that would be admitted without one: what is presented is never passed over."""
    association = associated(gateway, title, item=identity(kind, UNPROVEN[kind]))
    assert association.is_rejected


@pytest.mark.parametrize("item", [None, identity(1, b"Quetzalcoatl")], ids=["none", "a name"])
def test_who_presents_nothing_is_checked_all_the_same(gateway, item):
    assert associated(gateway, "WS", item=item).is_rejected
    admitted = associated(gateway, "HOSPITAL_1", item=item)
    assert admitted.send_c_echo().Status == 0
    admitted.release()


def test_who_was_refused_is_not_served(gateway):
    """A peer that goes on as if it had been admitted gets no word more."""
    target = Target(gateway.address, gateway.address, "127.0.0.1", "", 0)
    identifier = data(FIND, 2, b"")
    for calling in (b"WS", b"STRANGER"):
        with target.peer() as peer:
            assert peer.answer(request(calling))[0] == wire.RJ
            peer.say(echo(), find_command(), identifier)
            assert peer.hang_up() in (0, wire.ABORT)
    with target.peer() as peer:
        assert peer.answer(request(HOSPITAL))[0] == wire.AC


def asking(level, **keys):
    dataset = Dataset()
    dataset.QueryRetrieveLevel = level
    for keyword, value in keys.items():
        setattr(dataset, keyword, value)
    return dataset


QUESTIONS = (
    asking("PATIENT", PatientName="Quetzalcoatl*", PatientID="QUETZALID"),
    asking("STUDY", PatientID="QUETZALID", StudyInstanceUID="9.8.7.6.54321012345", StudyDate="20481231"),
    asking("STUDY", PatientID="QUETZALID", StudyDate="-20481231", AccessionNumber="QUETZALID"),
    asking("QUETZALID", PatientID="QUETZALID"),
    asking("SERIES", PatientID="QUETZALID*", SeriesInstanceUID="9.8.7.6.54321012345"),
)


def _finds_it(association):
    identifier = asking("PATIENT", PatientID="QUETZALID-00", PatientName="")
    return len(list(association.send_c_find(identifier, Find))) == 2  # a match, and the end


def test_nothing_of_what_is_asked_stored_or_presented_is_logged_at_any_level(gateway):
    """Hits, misses and refusals; the level of this gateway lets everything through."""
    (person,) = phantoms.series(kinds.PET, PEOPLE[0], 1)
    pair = (person.sop_class_uid, [person.transfer_syntax])
    renamed = person.dataset.replace(b"DEMO-7301946", b"QUETZALID-00")
    with Client(gateway.address, "HOSPITAL_1", [pair]) as client:
        said = [
            client.store(pair[0], instance, pair[1][0], renamed)
            for instance in (person.sop_instance_uid, "9.8.7.6.54321012345")
        ]
    assert said == [0, 0xA900]
    for title in ("HOSPITAL_1", "WS", "QUETZALID"):
        association = associated(gateway, title, Find, Get, Move)
        if not association.is_established:
            continue
        for question in QUESTIONS:
            list(association.send_c_find(question, Find))
            if question.QueryRetrieveLevel == "STUDY":
                list(association.send_c_get(question, Get))
                list(association.send_c_move(question, "QUETZALID", Move))
        wait_until(lambda asked=association: _finds_it(asked), 20, "there is something to be found")
        association.release()
    log = gateway.log()
    assert "association_not_admitted" in log
    assert Hunt(CANARIES).find(log.encode()) == set()
