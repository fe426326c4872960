"""From SQLite to PostgreSQL: every row, and numbers of new rows that go on behind them."""

import pytest
import sqlalchemy as sa

from dgis import database
from dgis.configuration import Configuration
from tests.unit.dgis.cli.home import Home
from tests.unit.dgis.site import Site, phantom
from tests.unit.dgis.test_copying import TABLES, copy, goes_on, rows

pytestmark = pytest.mark.postgres


@pytest.fixture
def site(tmp_path):
    site = Site(tmp_path)
    yield site
    site.close()


@pytest.fixture
def target(tmp_path, postgres_url):
    configuration = Configuration(gateway={"home": tmp_path}, catalog={"url": postgres_url})
    engine = database.open_engine(configuration)
    database.migrate(engine)
    yield engine
    engine.dispose()


def test_every_row_arrives_and_the_gateway_goes_on(site, target, postgres_url, tmp_path):
    images, more = phantom(3), phantom(2, person=1)
    site.publish(images)
    copied = copy(site.engine, target)
    assert copied == sum(len(rows(target, table)) for table in TABLES)
    for table in TABLES:
        assert rows(target, table) == rows(site.engine, table), table.name
    goes_on(tmp_path, postgres_url, images, more)


def test_the_command_does_it_and_says_how_much(tmp_path, postgres_url):
    home = Home(tmp_path / "h")
    home.folder.mkdir()
    home.receive(phantom(2))
    home.publish()
    said = home.json("database", "copy", "--to", postgres_url)
    engine = sa.create_engine(postgres_url)
    with engine.connect() as connection:
        connection.execute(sa.text("SET dgis.originals TO 'all'"))
        assert connection.scalar(sa.text("SELECT count(*) FROM phi_instance")) == 2
        assert connection.scalar(sa.text("SELECT count(*) FROM audit WHERE writer LIKE '%/cli'")) == 1
    engine.dispose()
    assert said["rows"] > 10
    again = home.run("database", "copy", "--to", postgres_url)
    assert again.exit_code == 1
    assert "not empty" in " ".join(again.output.split())
