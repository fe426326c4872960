"""What commands that look at a gateway's data open, whether or not the gateway runs."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from dgis import parts
from dgis.cache.log import ReceiveLog
from dgis.cli.common import fail, load_configuration
from dgis.configuration import Configuration


@dataclass(frozen=True, slots=True)
class Opened:
    """A gateway's configuration, database and receive log."""

    configuration: Configuration
    engine: sa.Engine
    log: ReceiveLog

    @property
    def gateway_id(self) -> str:
        """The gateway's name among those on one database."""
        return self.configuration.gateway.name

    def reading(self) -> sa.Connection:
        """Connect for reading."""
        return self.engine.execution_options(read_only=True).connect()


@contextmanager
def opened(home: Path | None, config: Path | None) -> Iterator[Opened]:
    """Open what lies under the home; a home where no gateway has run ends the command with words."""
    configuration = load_configuration(home, config)
    if not configuration.gateway.home.is_dir():
        fail(f"no gateway has run under {configuration.gateway.home} yet (dgis serve makes it)")
    try:
        engine = parts.open_database(configuration)
        log = parts.open_receive_log(configuration)
    except parts.StartError as error:
        fail(str(error))
    try:
        yield Opened(configuration, engine, log)
    finally:
        engine.dispose()
