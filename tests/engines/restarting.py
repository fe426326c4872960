"""A PostgreSQL server of its own that a test may stop at once and start again; durable, as a site's is."""

import os
import signal
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

import psycopg

from tests import postgres


class Restarting:
    """A server in a folder, behind its Unix socket."""

    def __init__(self, folder, become, binaries):
        self.folder = folder
        self._become, self._binaries = become, binaries
        self._process = None

    @property
    def url(self):
        return f"postgresql+psycopg://{postgres.USER}@/grid?host={self.folder}"

    def start(self):
        serve = [self._binaries / "postgres", "-D", self.folder / "data", "-k", self.folder]
        serve += ["-c", "listen_addresses=", "-c", "shared_buffers=64MB"]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*self._become, *serve], stdout=log, stderr=log, env=_environment(self.folder), cwd="/"
            )
        postgres._wait_until_up(self.folder, self._process)

    def crash(self, number=signal.SIGQUIT):
        """Immediate stop: every session is cut, nothing is written out; recovery is from the log."""
        self._process.send_signal(number)
        self._process.wait(60)

    def ask(self, statement):
        with psycopg.connect(host=str(self.folder), user="ci", dbname="grid", autocommit=True) as link:
            return link.execute(statement).fetchall()


def _environment(folder):
    return {"PATH": os.environ.get("PATH", ""), "HOME": str(folder), "LC_ALL": "C.UTF-8"}


@contextmanager
def restarting_postgres():
    """Yield a server with an empty database `grid` for the gateway's own role."""
    binaries = postgres._binaries()
    with tempfile.TemporaryDirectory(prefix="dgis-pg-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        become = postgres._as_other_user(folder)
        options = ["-U", "ci", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8"]
        make = [*become, binaries / "initdb", "-D", folder / "data", *options]
        subprocess.run(make, check=True, capture_output=True, env=_environment(folder), cwd="/")
        server = Restarting(folder, become, binaries)
        server.start()
        try:
            with psycopg.connect(host=name, user="ci", dbname="postgres", autocommit=True) as link:
                link.execute(f"CREATE ROLE {postgres.USER} LOGIN")
                link.execute(f"CREATE DATABASE grid OWNER {postgres.USER}")
            yield server
        finally:
            server.crash(signal.SIGINT)
