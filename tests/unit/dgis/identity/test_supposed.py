import pytest

from catalog.callers import ALL_RIGHTS, Assertions, Right
from catalog.credentials import accounts
from catalog.credentials.passcodes import Account
from catalog.grants import Who
from catalog.tables import metadata
from dgis.configuration import AssertionSet, Configuration, Destination, Dicom, Peer
from dgis.identity.authenticate import Authenticator, Trust
from dgis.identity.issuers import Issuers
from dgis.identity.supposed import NobodySuch, Presented, by_assertions, by_peer, receiver
from tests.unit.catalog.credentials.makers import IDP, NOW_S, token, token_issuer
from tests.unit.catalog.world import open_engine

WS = Peer(
    ae_title="WS_*",
    assertions=AssertionSet(user="pacs"),
    may=frozenset({"find", "phi"}),
    requires=frozenset({"jwt"}),
)
OPEN = Peer(ae_title="OPEN", assertions=AssertionSet(user="pacs"), may=frozenset({"find", "phi"}))
CONFIGURATION = Configuration(
    dicom=Dicom(peers=(WS, OPEN), destinations={"OPEN": Destination(host="127.0.0.1", port=104)})
)


@pytest.fixture
def engine(tmp_path):
    engine = open_engine(f"sqlite:///{tmp_path / 'catalog.db'}")
    metadata.create_all(engine)
    said = Assertions(user="dr-no", institution="Hospital A")
    with engine.begin() as connection:
        accounts.add(connection, Account("dr-no", "$argon2id$unused", said, frozenset({Right.FIND})))
    yield engine
    engine.dispose()


def suppose(engine, peer, **presented):
    trust = Trust(CONFIGURATION.dicom.peers, Issuers({IDP: token_issuer()}), "gateway-1")
    authenticator = Authenticator(trust, engine, lambda: NOW_S * 1000, rehearsal=True)
    return by_peer(CONFIGURATION, authenticator, engine, peer, Presented(**presented))


def test_asserted_facts_make_a_caller_of_whom_grants_can_ask():
    caller = by_assertions(["user=dr.no", "role=reader", "role=writer", "institution=Hospital A = B"])
    assert caller.may == ALL_RIGHTS
    for who in (Who(user="dr.no", role="reader"), Who(role="writer"), Who(institution="Hospital A = B")):
        assert who.satisfied_by(caller.assertions)
    assert not Who(role="owner").satisfied_by(caller.assertions)


@pytest.mark.parametrize("facts", [["shoe_size=9"], ["dr.no"], [""], ["user=x", "y"]])
def test_what_asserts_nothing_is_refused(facts):
    with pytest.raises(NobodySuch, match="field=value"):
        by_assertions(facts)


def test_a_peer_is_who_the_door_would_admit(engine):
    caller = suppose(engine, "OPEN@127.0.0.1")
    assert (caller.name, caller.assertions.user, caller.may) == ("OPEN", "pacs", {Right.FIND, Right.PHI})
    with pytest.raises(NobodySuch, match="no peer entry"):
        suppose(engine, "OPEN@10.0.0.1")
    with pytest.raises(NobodySuch, match="must present a credential"):
        suppose(engine, "WS_1@127.0.0.1")


def test_a_credential_counts_as_at_the_door(engine):
    caller = suppose(engine, "WS_1@127.0.0.1", token=token())
    assert caller.assertions.issuer == IDP
    with pytest.raises(NobodySuch, match="not admitted: the credential cannot be read"):
        suppose(engine, "WS_1@127.0.0.1", token=b"no token")


def test_an_account_is_supposed_without_its_passcode(engine):
    caller = suppose(engine, "OPEN@127.0.0.1", account="dr-no")
    assert (caller.assertions.institution, caller.assertions.issuer) == ("Hospital A", "gateway-1")
    assert caller.may == {Right.FIND}
    for peer, account in (("OPEN@127.0.0.1", "nobody"), ("OPEN@10.0.0.1", "dr-no")):
        with pytest.raises(NobodySuch):
            suppose(engine, peer, account=account)


def test_a_receiver_is_the_destinations_entry():
    assert receiver(CONFIGURATION, "OPEN").may == {Right.FIND, Right.PHI}
    with pytest.raises(NobodySuch, match="no such destination"):
        receiver(CONFIGURATION, "NOWHERE")
