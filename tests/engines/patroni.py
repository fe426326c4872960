"""PostgreSQL with automatic fail-over for tests: one etcd and two servers under Patroni, on loopback."""

import json
import os
import signal
import subprocess
import tempfile
import time
import urllib.request
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest

from tests import postgres
from tests.engines.ceph import free_ports
from tests.needs import require

_PROGRAMS = ("etcd", "patroni")
_SECONDS = 120
# ttl: a leader that does not renew its key for so long is replaced; Patroni takes no less.
_NODE = """\
scope: grid
name: n{number}
restapi: {{listen: "127.0.0.1:{rest}", connect_address: "127.0.0.1:{rest}"}}
etcd3: {{host: "127.0.0.1:{etcd}"}}
bootstrap:
  dcs:
    ttl: 20
    loop_wait: 2
    retry_timeout: 5
    maximum_lag_on_failover: 1048576
    synchronous_mode: true
    postgresql: {{use_pg_rewind: true}}
  initdb: [{{encoding: UTF8}}, {{locale: C.UTF-8}}, data-checksums]
  pg_hba: ["host all all 127.0.0.1/32 trust", "host replication all 127.0.0.1/32 trust"]
postgresql:
  listen: "127.0.0.1:{port}"
  connect_address: "127.0.0.1:{port}"
  data_dir: {folder}/data{number}
  bin_dir: {binaries}
  pgpass: {folder}/pgpass{number}
  authentication:
    superuser: {{username: ci, password: ci}}
    replication: {{username: replicator, password: ci}}
    rewind: {{username: rewinder, password: ci}}
  parameters: {{unix_socket_directories: "{folder}", shared_buffers: 64MB}}
"""


class Cluster:
    """Two servers of which one is the primary; killed and started again by number."""

    def __init__(self, folder, become, binaries):
        self.folder, self._become, self._binaries = folder, become, binaries
        self.ports = {1: 0, 2: 0}
        self._etcd, self._peer, self._rest1, self._rest2, self.ports[1], self.ports[2] = free_ports(6)
        self._processes = {}

    @property
    def url(self):
        hosts = "&".join(f"host=127.0.0.1:{port}" for port in self.ports.values())
        return f"postgresql+psycopg://{postgres.USER}@/grid?{hosts}"

    def start(self):
        client, peer = f"http://127.0.0.1:{self._etcd}", f"http://127.0.0.1:{self._peer}"
        self._run(
            "etcd", "etcd", "--name", "e1", "--data-dir", str(self.folder / "etcd"),
            "--listen-client-urls", client, "--advertise-client-urls", client,
            "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
            "--initial-cluster", f"e1={peer}",
        )  # fmt: skip
        self._wait(lambda: _get(f"{client}/health"), "etcd answers")
        for number in (1, 2):
            self.start_node(number)
            self._wait(lambda number=number: self._role(number), f"server {number} is up")
        self.wait_until_safe()
        with self._on(self.primary(), "postgres") as link:
            link.execute(f"CREATE ROLE {postgres.USER} LOGIN")
            link.execute(f"CREATE DATABASE grid OWNER {postgres.USER}")

    def start_node(self, number):
        rest = {1: self._rest1, 2: self._rest2}[number]
        text = _NODE.format(
            number=number, rest=rest, etcd=self._etcd, port=self.ports[number], folder=self.folder,
            binaries=self._binaries,
        )  # fmt: skip
        (self.folder / f"n{number}.yml").write_text(text)
        self._run(number, "patroni", str(self.folder / f"n{number}.yml"))

    def kill_node(self, number):
        """SIGKILL Patroni and its server at once, as a power cut ends a host."""
        postmaster = int((self.folder / f"data{number}" / "postmaster.pid").read_text().split()[0])
        for pid in (self._processes[number].pid, postmaster):
            os.kill(pid, signal.SIGKILL)
        self._processes.pop(number).wait(60)

    def primary(self):
        return next((number for number in self.ports if self._role(number) in {"master", "primary"}), None)

    def wait_until_safe(self):
        """Return when what is committed lies on both servers."""
        self._wait(self._is_safe, "a synchronous standby follows")

    def stop(self):
        for name in (2, 1, "etcd"):
            if name in self._processes:
                self._processes[name].terminate()
                with suppress(subprocess.TimeoutExpired):
                    self._processes[name].wait(30)
        for number in self.ports:
            with suppress(OSError, ValueError, IndexError):
                pid = int((self.folder / f"data{number}" / "postmaster.pid").read_text().split()[0])
                os.kill(pid, signal.SIGINT)

    def _is_safe(self):
        number = self.primary()
        if number is None:
            return False
        with suppress(psycopg.Error), self._on(number, "postgres") as link:
            return link.execute("SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'").fetchone()
        return False

    def _on(self, number, database):
        return psycopg.connect(
            host="127.0.0.1", port=self.ports[number], user="ci", dbname=database, autocommit=True
        )

    def _role(self, number):
        if number not in self._processes:
            return None
        rest = {1: self._rest1, 2: self._rest2}[number]
        said = _get(f"http://127.0.0.1:{rest}/patroni")
        return said.get("role") if said and said.get("state") == "running" else None

    def _run(self, name, *command):
        with (self.folder / f"{name}.log").open("ab") as log:
            environment = {"PATH": os.environ.get("PATH", ""), "HOME": str(self.folder), "LC_ALL": "C.UTF-8"}
            self._processes[name] = subprocess.Popen(
                [*self._become, *command], stdout=log, stderr=log, env=environment, cwd="/"
            )

    def _wait(self, done, what):
        deadline = time.monotonic() + _SECONDS
        while not done():
            if time.monotonic() > deadline:
                logs = "\n".join(
                    f"{each.name}: {each.read_text(errors='replace')[-2000:]}"
                    for each in sorted(self.folder.glob("*.log"))
                )
                pytest.fail(f"not within {_SECONDS} s: {what}\n{logs}")
            time.sleep(0.1)


@contextmanager
def running_patroni():
    """Yield a cluster whose primary has a synchronous standby; skips, or fails in CI, without Patroni."""
    require(_PROGRAMS, "Patroni and etcd")
    binaries = (postgres._binaries() / "initdb").resolve().parent  # the others lie there, not beside a link
    with tempfile.TemporaryDirectory(prefix="dgis-pat-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        cluster = Cluster(folder, postgres._as_other_user(folder), binaries)
        try:
            cluster.start()
            yield cluster
        finally:
            cluster.stop()


def _get(url):
    with suppress(OSError, ValueError):
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:  # a server that starts says so under 503
            return json.load(error)
    return None
