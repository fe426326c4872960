"""The database's tests once more, on PostgreSQL."""

import pytest

from dgis.configuration import Configuration
from tests.unit.dgis.test_database import (  # noqa: F401 (tests and fixtures, found by name)
    engine,
    test_an_error_of_the_database_quotes_no_values,
    test_migrating_again_changes_nothing,
    test_processes_that_start_at_once_migrate_once,
    test_the_migrations_give_exactly_the_tables,
)


@pytest.fixture
def configuration(tmp_path, postgres_url):
    """A gateway on an empty PostgreSQL database."""
    return Configuration(gateway={"home": tmp_path}, catalog={"url": postgres_url})
