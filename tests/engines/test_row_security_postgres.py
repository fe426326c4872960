"""The second line: what the database keeps from a transaction whatever its statement asks for."""

from dataclasses import replace

import pytest
import sqlalchemy as sa

from catalog.callers import Right
from catalog.find import find
from catalog.grants import Grant, What, Who, write
from catalog.query import Key, Query, Root
from catalog.retrieve import instances
from catalog.second_line import keep_to
from catalog.tables import PHI
from dgis import database
from dgis.configuration import Configuration
from tests.unit.catalog.world import (
    BETA,
    FULL,
    NOW,
    STUDY,
    Image,
    World,
    alpha,
    beta,
    ceiled,
    researcher,
)

pytestmark = pytest.mark.postgres

TABLES = (PHI.patient, PHI.study, PHI.series, PHI.instance, PHI.name_word)
MINE = Image("1.1")
THEIRS = Image("1.2", contributor=BETA, patient="P2", name="Doe^Jane", study="2.2", series="3.2")


@pytest.fixture(scope="module")
def engine(postgres_server, tmp_path_factory):
    """A database as a gateway makes it, whose owner it is, with two patients of two contributors."""
    with postgres_server.database() as url:
        home = tmp_path_factory.mktemp("home")
        engine = database.open_engine(Configuration(gateway={"home": home}, catalog={"url": url}))
        database.migrate(engine)
        world = World(engine)
        world.store(MINE)
        world.store(THEIRS)
        world.publish(MINE, THEIRS)
        yield engine
        engine.dispose()


def rows(connection):
    """How many rows of each table there are for a statement that asks for all of them."""
    return [
        connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one() for table in TABLES
    ]


def after(connection, caller, *, right=Right.FIND):
    """What is there for such statements in a transaction that has answered a caller."""
    keys = (Key("StudyInstanceUID", (MINE.study,)),)
    query = Query(Root.STUDY, STUDY, keys)
    if right is Right.FIND:
        list(find(connection, query, caller, NOW))
    else:
        list(instances(connection, query, caller, None, NOW))
    return rows(connection)


def test_the_owner_is_no_exception(engine):
    with engine.connect() as connection:
        role = connection.exec_driver_sql(
            "SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user"
        ).scalar_one()
        assert role is False
        forced = connection.exec_driver_sql(
            "SELECT relname FROM pg_class WHERE relforcerowsecurity AND relrowsecurity"
        ).scalars()
        assert set(forced) == {table.name for table in TABLES}


def test_without_the_settings_nothing_is_there_and_nothing_can_be_written(engine):
    with engine.connect() as connection:
        connection.exec_driver_sql("RESET dgis.originals")
        assert rows(connection) == [0] * 5
        assert connection.execute(PHI.patient.delete().where(sa.false())).rowcount == 0
        assert connection.execute(PHI.instance.update().values(location="x")).rowcount == 0
        with pytest.raises(sa.exc.ProgrammingError, match="row-level security"):
            connection.execute(PHI.patient.insert().values(contributor_id=1, patient_key="k"))


def test_the_gateway_itself_sees_all(engine):
    with engine.connect() as connection:
        assert rows(connection) == [2, 2, 2, 2, 4]


@pytest.mark.parametrize("right", [Right.FIND, Right.RETRIEVE])
@pytest.mark.parametrize(
    ("caller", "expected"),
    [
        (alpha, [1, 1, 1, 1, 2]),
        (beta, [1, 1, 1, 1, 2]),
        (researcher, [0] * 5),
        (ceiled, [0] * 5),
        (replace(alpha, may=frozenset()), [0] * 5),
    ],
)
def test_a_statement_without_the_predicate_shows_a_caller_no_more_than_its_grants(
    engine, caller, expected, right
):
    with engine.connect() as connection:
        assert after(connection, caller, right=right) == expected
        names = connection.scalars(sa.select(PHI.patient.c.patient_name)).all()
        assert ("Doe^Jane" in names) is (caller is beta)
        assert connection.execute(PHI.instance.update().values(location="x")).rowcount == 0


def test_the_next_transaction_of_the_connection_is_the_gateways_again(engine):
    with engine.connect() as connection:
        after(connection, researcher)
        connection.rollback()
        assert rows(connection) == [2, 2, 2, 2, 4]


def test_a_narrow_grant_is_admitted_while_it_lasts(engine):
    lent = Grant(
        who=Who(user="r"),
        what=What(patient_key=THEIRS.patient_key),
        may=FULL,
        not_before_ms=NOW,
        not_after_ms=NOW + 1000,
    )
    with engine.connect() as connection:
        write(connection, lent)
        key = lent.who.key
        for at, expected in ((NOW - 1, 0), (NOW, 1), (NOW + 999, 1), (NOW + 1000, 0)):
            keep_to(connection, (), (key,), at)
            assert rows(connection) == [expected] * 4 + [2 * expected]
        keep_to(connection, (), ("0" * 32,), NOW)
        assert rows(connection) == [0] * 5


def test_prefixes_still_go_by_an_index(engine):
    with engine.connect() as connection:
        keep_to(connection, (1,), (), NOW)
        connection.exec_driver_sql("SET LOCAL enable_seqscan TO off")
        name = PHI.patient.c.patient_name_alphabetic
        asked = sa.select(PHI.patient.c.id).where(name >= "SMITH", name < "SMITI", name.like("SMITH%"))
        sql = str(asked.compile(connection, compile_kwargs={"literal_binds": True}))
        plan = "\n".join(connection.exec_driver_sql(f"EXPLAIN {sql.replace('%', '%%')}").scalars())
    assert "ix_phi_patient_patient_name_alphabetic" in plan
    assert "Index Cond: ((patient_name_alphabetic >= 'SMITH'" in plan
