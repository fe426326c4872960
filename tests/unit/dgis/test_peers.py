import pytest

from catalog.callers import Caller, Right
from dgis.configuration import Destination, Dicom, Peer
from dgis.identity.peers import Unknown, identify_destination, identify_peer

PEERS = Dicom().peers


def test_the_sample_peers_are_cleared_as_the_file_says():
    hospital = identify_peer(PEERS, "HOSPITAL_7 ", "127.0.0.1", "gateway-1")
    assert isinstance(hospital, Caller)
    assert Right.PHI in hospital.may
    assert hospital.assertions.institution == "Demo Hospital"
    assert hospital.assertions.issuer == "gateway-1"
    research = identify_peer(PEERS, "RESEARCH", "127.0.0.1", "gateway-1")
    assert isinstance(research, Caller)
    assert research.may == {Right.FIND, Right.RETRIEVE}


@pytest.mark.parametrize(
    ("title", "address"),
    [
        ("OTHER", "127.0.0.1"),
        ("HOSPITAL", "127.0.0.2"),
        ("hospital", "127.0.0.1"),
        ("HOSPITAL", "not an address"),
        ("", "127.0.0.1"),
    ],
)
def test_no_match_is_nobody(title, address):
    assert isinstance(identify_peer(PEERS, title, address, "g"), Unknown)


def test_the_first_match_wins_and_mapped_addresses_are_the_ipv4_ones():
    peers = (Peer(ae_title="A?", may=frozenset({"find"})), Peer(ae_title="*", may=frozenset({"store"})))
    first = identify_peer(peers, "AB", "::ffff:127.0.0.1", "g")
    assert isinstance(first, Caller)
    assert first.may == {Right.FIND}


def test_a_destination_is_cleared_by_title_and_address_only():
    assert (
        Right.PHI
        in identify_destination(PEERS, "HOSPITAL_WS", Destination(host="127.0.0.1", port=1), "g").may
    )
    assert (
        identify_destination(PEERS, "HOSPITAL_WS", Destination(host="10.0.0.1", port=1), "g").may
        == frozenset()
    )
    assert (
        identify_destination(PEERS, "STRANGER", Destination(host="127.0.0.1", port=1), "g").may == frozenset()
    )
