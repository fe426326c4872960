import os
import subprocess
import sys

import pytest
import sqlalchemy as sa

from catalog.callers import Assertions
from catalog.grants import every, held_by
from catalog.tables import metadata
from dgis.configuration import AssertionSet, Configuration, Gateway, GrantEntry
from dgis.grants import apply_standing_grants

ANYONE = GrantEntry(may=frozenset({"find", "retrieve"}))
READERS = GrantEntry(who=AssertionSet(role="reader"), may=frozenset({"phi"}))


def configured(*entries, name="gateway-1"):
    return Configuration.model_construct(gateway=Gateway(name=name), grants=entries)


@pytest.fixture
def connection():
    engine = sa.create_engine("sqlite://")
    metadata.create_all(engine)
    with engine.begin() as connection:
        yield connection
    engine.dispose()


def in_force(connection, now_ms):
    return {(grant.who.role, grant.origin) for grant in every(connection) if grant.holds_at(now_ms)}


def test_the_standing_grants_are_those_of_the_configuration(connection):
    apply_standing_grants(connection, configured(ANYONE, READERS), 1000)
    apply_standing_grants(connection, configured(ANYONE, READERS), 2000)
    assert {role for role, _ in in_force(connection, 2000)} == {None, "reader"}
    assert len(list(every(connection))) == 2


def test_one_that_is_taken_out_ends_and_one_that_comes_back_holds_again(connection):
    apply_standing_grants(connection, configured(ANYONE, READERS), 1000)
    apply_standing_grants(connection, configured(ANYONE), 2000)
    assert {role for role, _ in in_force(connection, 2000)} == {None}
    apply_standing_grants(connection, configured(READERS), 3000)
    assert {role for role, _ in in_force(connection, 3000)} == {"reader"}
    assert not [grant for grant in held_by(connection, Assertions(user="u")) if grant.holds_at(3000)]


def test_another_gateway_on_the_same_catalog_keeps_its_own(connection):
    apply_standing_grants(connection, configured(READERS, name="a_b"), 1000)
    apply_standing_grants(connection, configured(name="axb"), 2000)
    apply_standing_grants(connection, configured(ANYONE, name="c"), 2000)
    assert {role for role, _ in in_force(connection, 2000)} == {None, "reader"}


def test_every_process_gives_a_grant_the_same_origin():
    """Doors and worker apply the same file: they must not take each other's grants for other ones."""
    script = (
        "from dgis.configuration import GrantEntry; from dgis.grants import _grant;"
        "print(_grant(GrantEntry(may=frozenset({'find', 'retrieve', 'phi', 'store', 'share'})), '').origin)"
    )
    origins = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in range(4)
    }
    assert len(origins) == 1
