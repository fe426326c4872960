import pytest

from catalog.callers import Right
from catalog.credentials.issuers import Issuer
from catalog.credentials.kerberos import PRINCIPAL, Accepted, Realm, verify_ticket
from catalog.credentials.values import LONGEST_BYTES, Reason, Rejected, Verified

NOW_S = 1_700_000_000
NAMES = {"user": PRINCIPAL, "institution": "institution"}
ISSUER = Issuer("urn:a", frozenset(), NAMES, may=frozenset({Right.FIND}))
REALMS = {"A.TEST": Realm(ISSUER, {"institution": "Hospital A"})}


class Opening:
    """Opens every ticket, for the principal that it was made with."""

    def __init__(self, outcome):
        self.outcome = outcome

    def accept(self, ticket):
        del ticket
        return (
            self.outcome if isinstance(self.outcome, Rejected) else Accepted(self.outcome, 600, b"response")
        )


def judged(principal, realms=REALMS, ticket=b"ticket"):
    return verify_ticket(ticket, realms, Opening(principal), NOW_S)


def test_a_principal_is_who_its_realm_says():
    login = judged("dr-no@A.TEST")
    assert isinstance(login, Verified)
    assert (login.name, login.may, login.until_ms) == ("dr-no", {Right.FIND}, (NOW_S + 600) * 1000)
    assert login.assertions.issuer == "urn:a"
    assert login.assertions.institution == "Hospital A"
    assert login.response == b"response"


def test_each_ticket_is_once_by_itself():
    assert judged("dr-no@A.TEST", ticket=b"x").once != judged("dr-no@A.TEST", ticket=b"y").once
    assert judged("dr-no@A.TEST").once == judged("dr-no@A.TEST").once


@pytest.mark.parametrize(
    ("principal", "reason"),
    [
        ("dr-no@B.TEST", Reason.UNKNOWN_ISSUER),
        ("dr-no@a.test", Reason.UNKNOWN_ISSUER),
        ("dr-no\\@A.TEST@B.TEST", Reason.UNKNOWN_ISSUER),
        ("dr-no", Reason.UNKNOWN_ISSUER),
        ("@A.TEST", Reason.INCOMPLETE),
        ("x" * 257 + "@A.TEST", Reason.EXCESSIVE),
        (Rejected(Reason.REPLAYED), Reason.REPLAYED),
    ],
)
def test_whom_nobody_vouches_for_is_refused(principal, reason):
    assert judged(principal) == Rejected(reason)


def test_without_keys_or_realms_tickets_are_not_taken():
    assert verify_ticket(b"ticket", REALMS, None, NOW_S) == Rejected(Reason.UNSUPPORTED)
    assert judged("dr-no@A.TEST", realms={}) == Rejected(Reason.UNSUPPORTED)


def test_a_ticket_too_long_is_not_looked_at():
    assert judged("dr-no@A.TEST", ticket=b"x" * (LONGEST_BYTES + 1)) == Rejected(Reason.TOO_LONG)
