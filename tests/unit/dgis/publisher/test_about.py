import pytest

from catalog.callers import Assertions
from deid.pseudonyms import SiteSecrets
from dgis.publisher.about import Contribution, Contributions
from storage_nodes.names import RecordKey
from tests.canary import Hunt

KEY = RecordKey("2.25.1.part")
WHO = Contribution(
    "Hôpital Nord", Assertions(user="dr.no", institution="Hôpital Nord", extra=(("role", "ct"),))
)
OWN = Contributions(SiteSecrets(bytes(range(32))))


def test_who_contributed_comes_back_with_the_secret_of_the_site():
    sealed = OWN.seal(KEY, WHO)
    assert OWN.open(KEY, sealed) == WHO
    assert sealed == OWN.seal(KEY, WHO)
    assert not Hunt({"dr.no", "Hôpital Nord"}).find(sealed.encode())


@pytest.mark.parametrize(
    ("key", "own", "change"),
    [
        (RecordKey("2.25.1.other"), OWN, lambda sealed: sealed),
        (KEY, Contributions(SiteSecrets(bytes(32))), lambda sealed: sealed),
        (KEY, OWN, lambda sealed: "A" + sealed[1:]),
        (KEY, OWN, lambda _sealed: "no base64 at all"),
        (KEY, OWN, lambda _sealed: ""),
    ],
)
def test_nothing_else_opens_it(key, own, change):
    assert own.open(key, change(OWN.seal(KEY, WHO))) is None


def test_two_records_of_one_contributor_look_different_and_alike_in_length():
    other = Contribution("A", Assertions(user="x"))
    first, second, third = OWN.seal(KEY, WHO), OWN.seal(RecordKey("2.25.2.part"), WHO), OWN.seal(KEY, other)
    assert first != second
    assert len(first) == len(second)
    assert len(third) <= len(first)
