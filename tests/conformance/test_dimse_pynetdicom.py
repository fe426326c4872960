"""The DICOM door and pynetdicom, as user and as provider."""

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pynetdicom import AE, StoragePresentationContexts, build_role, evt
from pynetdicom.pdu_primitives import UserIdentityNegotiation
from pynetdicom.sop_class import (
    CTImageStorage,
    PatientRootQueryRetrieveInformationModelFind,
    PatientRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
    Verification,
)

from catalog.matching import parse
from dgis.dimse.client import associate
from dgis.dimse.requestor import Party, Proposal
from dgis.dimse.services import Destination
from dgis.dimse.uids import EXPLICIT_LE, IMPLICIT_LE
from tests.unit.dgis.dimse.fakes import CALLER, SLOW_ENOUGH, Archive, FakeMatch, serving

FIND, GET = PatientRootQueryRetrieveInformationModelFind, PatientRootQueryRetrieveInformationModelGet
MOVE = StudyRootQueryRetrieveInformationModelMove
CT = get_testdata_file("CT_small.dcm", download=False)


@pytest.fixture
def archive():
    return Archive()


@pytest.fixture
def port(archive):
    with serving(archive) as number:
        yield number


@pytest.fixture
def entity():
    made = AE("PEER")
    made.acse_timeout = made.dimse_timeout = made.network_timeout = 20
    return made


@pytest.fixture
def stored(archive, port, entity):
    """One CT, sent by pynetdicom."""
    entity.add_requested_context(CTImageStorage, EXPLICIT_LE)
    association = entity.associate("127.0.0.1", port, ae_title="DGIS")
    assert association.is_established
    image = dcmread(CT)
    assert association.send_c_store(image).Status == 0
    association.release()
    archive.outgoing = list(archive.instances.values())
    entity.requested_contexts = []
    return image


def test_echo_with_identity(archive, port, entity):
    entity.add_requested_context(Verification)
    identity = UserIdentityNegotiation()
    identity.user_identity_type = 2
    identity.primary_field, identity.secondary_field = b"name", b"secret"
    identity.positive_response_requested = True
    association = entity.associate("127.0.0.1", port, ext_neg=[identity])
    assert association.send_c_echo().Status == 0
    association.release()
    assert association.is_released
    assert archive.attempts[0].identity.secondary == b"secret"


def test_store_of_every_storage_context_at_once(port, entity):
    entity.requested_contexts = StoragePresentationContexts
    association = entity.associate("127.0.0.1", port)
    assert len(association.accepted_contexts) == len(StoragePresentationContexts)
    assert not association.rejected_contexts
    association.release()


def test_store_keeps_the_image(archive, stored):
    (kept,) = archive.instances.values()
    assert kept.sop_instance_uid == stored.SOPInstanceUID
    assert stored.PixelData in kept.data


def test_find(archive, port, entity):
    def matches(query):
        parse(query)
        yield FakeMatch({"PatientName": "山田^太郎", "PatientID": "1"})

    archive.matches = matches
    entity.add_requested_context(FIND, [IMPLICIT_LE])
    association = entity.associate("127.0.0.1", port, ae_title="DGIS")
    asked = Dataset()
    asked.QueryRetrieveLevel, asked.PatientName, asked.PatientID = "PATIENT", "*", ""
    (pending, found), (final, nothing) = association.send_c_find(asked, FIND)
    association.release()
    assert (pending.Status, final.Status, nothing) == (0xFF00, 0, None)
    assert str(found.PatientName) == "山田^太郎"


def test_get(archive, port, entity, stored):
    received = []

    def handle(event):
        received.append(event.dataset)
        return 0

    entity.add_requested_context(GET)
    entity.add_requested_context(CTImageStorage, EXPLICIT_LE)
    association = entity.associate(
        "127.0.0.1",
        port,
        ext_neg=[build_role(CTImageStorage, scp_role=True)],
        evt_handlers=[(evt.EVT_C_STORE, handle)],
    )
    asked = Dataset()
    asked.QueryRetrieveLevel, asked.PatientID = "PATIENT", "1CT1"
    answers = list(association.send_c_get(asked, GET))
    association.release()
    assert answers[-1][0].Status == 0
    assert [image.PixelData for image in received] == [stored.PixelData]


def test_move_to_a_pynetdicom_provider(archive, port, entity, stored):
    received = []

    def handle(event):
        received.append((event.dataset.SOPInstanceUID, event.request.MoveOriginatorApplicationEntityTitle))
        return 0

    entity.add_supported_context(CTImageStorage, EXPLICIT_LE)
    provider = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, handle)])
    try:
        there = provider.socket.getsockname()[1]
        archive.destinations["WS"] = Destination("WS", "127.0.0.1", there, CALLER)
        entity.add_requested_context(MOVE)
        association = entity.associate("127.0.0.1", port)
        asked = Dataset()
        asked.QueryRetrieveLevel, asked.StudyInstanceUID = "STUDY", stored.StudyInstanceUID
        answers = list(association.send_c_move(asked, "WS", MOVE))
        association.release()
    finally:
        provider.shutdown()
    assert answers[-1][0].Status == 0
    assert answers[-1][0].NumberOfCompletedSuboperations == 1
    assert received == [(stored.SOPInstanceUID, "PEER")]


def test_our_client_and_a_pynetdicom_provider(entity):
    entity.add_supported_context(Verification)
    entity.add_supported_context(CTImageStorage, EXPLICIT_LE)
    received = []
    handlers = [(evt.EVT_C_STORE, lambda event: received.append(event.dataset.PatientID) or 0)]
    provider = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    try:
        party = Party("127.0.0.1", provider.socket.getsockname()[1], "PEER", "DGIS")
        proposals = [Proposal(Verification, (IMPLICIT_LE,)), Proposal(CTImageStorage, (EXPLICIT_LE,))]
        image = dcmread(CT)
        with open(CT, "rb") as file:  # noqa: PTH123 - pydicom gives a str
            data = file.read()[132 + 12 + image.file_meta.FileMetaInformationGroupLength :]
        with associate(party, proposals, SLOW_ENOUGH) as client:
            assert client.echo() == 0
            assert client.store(client.context(CTImageStorage), image.SOPInstanceUID, [data]).status == 0
    finally:
        provider.shutdown()
    assert received == [image.PatientID]
