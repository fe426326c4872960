"""What the driver's own cursor does is what SQLAlchemy would: transactions, errors, lost connections."""

import pytest
import sqlalchemy as sa

from catalog.driver import driven
from dgis.postgres import server_engine

pytestmark = pytest.mark.postgres


@pytest.fixture
def engine(postgres_url):
    made = server_engine(sa.make_url(postgres_url))
    yield made
    made.dispose()


def test_a_lost_connection_is_given_up_and_said_to_be_lost(engine):
    with engine.connect() as connection:
        with driven(connection, "SELECT pg_backend_pid()") as cursor:
            ((pid,),) = cursor.fetchall()
        with engine.connect() as other:
            other.execute(sa.text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
            other.commit()
        with pytest.raises(sa.exc.OperationalError) as lost, driven(connection, "SELECT 1"):
            pass
        assert lost.value.connection_invalidated
    with engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT 1")) == 1


def test_a_plan_is_kept_unless_every_value_is_to_have_its_own(engine):
    with engine.connect() as connection:
        for text, anew in (("SELECT 1 + %(n)s", False), ("SELECT 2 + %(n)s", True)):
            for number in range(8):
                with driven(connection, text, {"n": number}, planned_anew=anew):
                    pass
        kept = connection.exec_driver_sql("SELECT statement FROM pg_prepared_statements").scalars().all()
    assert len([text for text in kept if "1 +" in text]) == 1
    assert not [text for text in kept if "2 +" in text]
