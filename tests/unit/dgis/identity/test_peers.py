import pytest

from catalog.callers import Right
from dgis.configuration import Destination, Dicom, Peer
from dgis.identity.peers import caller_of, identify_destination, matching_peer

PEERS = Dicom().peers


def known(peers, title, address):
    return caller_of(matching_peer(peers, title, address), title, "gateway-1")


def test_the_sample_peers_are_cleared_as_the_file_says():
    hospital = known(PEERS, "HOSPITAL_7 ", "127.0.0.1")
    assert hospital.name == "HOSPITAL_7"
    assert Right.PHI in hospital.may
    assert hospital.assertions.institution == "Demo Hospital"
    assert hospital.assertions.issuer == "gateway-1"
    research = known(PEERS, "RESEARCH", "127.0.0.1")
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
    assert matching_peer(PEERS, title, address) is None


def test_the_first_match_wins_and_mapped_addresses_are_the_ipv4_ones():
    peers = (Peer(ae_title="A?", may=frozenset({"find"})), Peer(ae_title="*", may=frozenset({"store"})))
    assert known(peers, "AB", "::ffff:127.0.0.1").may == {Right.FIND}


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


@pytest.mark.parametrize("asked", [{"requires": {"jwt"}}, {"certificate_names": ("DNS:ws1",)}])
def test_a_destination_that_would_have_to_prove_itself_gets_no_originals_at_its_address_alone(asked):
    peers = (Peer(ae_title="WS", may=frozenset({"retrieve", "phi"}), **asked),)
    assert identify_destination(peers, "WS", Destination(host="127.0.0.1", port=1), "g").may == {
        Right.RETRIEVE
    }
