"""A throw-away PostgreSQL server: one for a pytest session (or xdist worker), one database for a test."""

import os
import pwd
import shutil
import subprocess
import tempfile
import time
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from tests.needs import lacking

USER = "gateway"  # as a site makes it: it owns the database and is nobody else, so row security holds for it
_START_SECONDS = 60
_STOP_SECONDS = 30
_SETTINGS = {
    "listen_addresses": "",  # the Unix socket alone: no port to clash, nothing to firewall
    "fsync": "off",  # the data is thrown away
    "shared_buffers": "64MB",
    "max_connections": "60",
    "log_min_messages": "panic",
}


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """A running server, reached through the socket in `folder`."""

    folder: Path

    def url(self, database: str) -> str:
        """Return the SQLAlchemy URL of one of its databases."""
        return f"postgresql+psycopg://{USER}@/{database}?host={self.folder}"

    @contextmanager
    def database(self):
        """Yield the URL of a database that exists only inside the block."""
        name = f"t{uuid.uuid4().hex}"
        self._run(f"CREATE DATABASE {name} OWNER {USER}")
        try:
            yield self.url(name)
        finally:
            self._run(f"DROP DATABASE {name} WITH (FORCE)")

    def _run(self, statement: str) -> None:
        with psycopg.connect(host=str(self.folder), user="ci", dbname="postgres", autocommit=True) as link:
            link.execute(statement)


def _binaries() -> Path:
    found = shutil.which("initdb")
    folders = [Path(found).parent] if found else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_major, reverse=True)
    usable = [
        folder for folder in folders if (folder / "initdb").is_file() and (folder / "postgres").is_file()
    ]
    if not usable:
        lacking("no PostgreSQL server binaries: `make engines` installs them (Debian, root)")
    return usable[0]


def _major(folder: Path) -> int:
    version = folder.parent.name.split(".")[0]
    return int(version) if version.isdigit() else 0


def _as_other_user(folder: Path) -> list[str]:
    """PostgreSQL refuses to run as root: hand the folder to its own user, and say how to become that."""
    if os.geteuid() != 0:
        return []
    try:
        account = pwd.getpwnam("postgres")
    except KeyError:
        account = pwd.getpwnam("nobody")
    os.chown(folder, account.pw_uid, account.pw_gid)
    return ["setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups"]


@contextmanager
def running_postgres():
    """Yield a fresh server; it is stopped and its folder removed at the end."""
    binaries = _binaries()
    folder = Path(tempfile.mkdtemp(prefix="dgis-pg-"))  # short: a socket path holds 107 bytes
    data = folder / "data"
    environment = {"PATH": os.environ.get("PATH", ""), "HOME": str(folder), "LC_ALL": "C.UTF-8"}
    try:
        become = _as_other_user(folder)
        options = ["-U", "ci", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]
        make = [binaries / "initdb", "-D", data, *options]
        subprocess.run([*become, *make], check=True, capture_output=True, env=environment, cwd="/")
        settings = [part for name, value in _SETTINGS.items() for part in ("-c", f"{name}={value}")]
        serve = [binaries / "postgres", "-D", data, "-k", folder, *settings]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen([*become, *serve], stdout=log, stderr=log, env=environment, cwd="/")
        try:
            _wait_until_up(folder, process)
            server = PostgresServer(folder)
            server._run(f"CREATE ROLE {USER} LOGIN")
            yield server
        finally:
            process.send_signal(2)  # SIGINT: fast shutdown, sessions are cut
            process.wait(_STOP_SECONDS)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _wait_until_up(folder: Path, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            psycopg.connect(host=str(folder), user="ci", dbname="postgres").close()
        except psycopg.OperationalError:
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(
                    f"PostgreSQL did not start: {(folder / 'log').read_text(errors='replace')[-2000:]}"
                )
            time.sleep(0.05)
        else:
            return


@pytest.fixture(scope="session")
def postgres_server():
    """One PostgreSQL server for the session."""
    with running_postgres() as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server):
    """The SQLAlchemy URL of an empty database that is dropped after the test."""
    with postgres_server.database() as url:
        yield url
