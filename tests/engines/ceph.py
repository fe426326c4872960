"""A real object store for tests: a one-node Ceph (mon, osd on bluestore, radosgw) on loopback, no systemd."""

import json
import signal
import socket
import subprocess
import time
import urllib.request
import uuid
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from storage_nodes.s3 import S3Node
from storage_nodes.s3_client import S3Location
from storage_nodes.s3_upload import PartSizes
from tests.needs import require
from tests.unit.dgis.identity.makers import SERVER, authority, new_key, pem

_PROGRAMS = ("ceph", "ceph-mon", "ceph-osd", "monmaptool", "radosgw", "radosgw-admin")
_START_SECONDS = 120
_STOP_SECONDS = 20
_BLOCK_BYTES = 20 << 30  # a sparse file: some 44 MB of it exist when the cluster is empty
# `ms_mon_client_mode`: without authentication radosgw would wait for a secure mode that never comes.
_CONFIGURATION = """\
[global]
fsid = {fsid}
mon_host = [v2:127.0.0.1:{mon_v2},v1:127.0.0.1:{mon_v1}]
public_network = 127.0.0.0/8
cluster_network = 127.0.0.0/8
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
ms_mon_client_mode = crc secure
run_dir = {folder}/run
pid_file = {folder}/run/$name.pid
admin_socket = {folder}/run/$name.$pid.asok
log_file = {folder}/log/$name.log
crash_dir = {folder}/log
keyring = {folder}/keyring
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 8
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
mon_allow_pool_size_one = true
mon_warn_on_pool_no_redundancy = false
mon_max_pg_per_osd = 1000
mon_data_avail_warn = 2
mon_data_avail_crit = 1
mon_osd_full_ratio = 0.97
mon_osd_backfillfull_ratio = 0.96
mon_osd_nearfull_ratio = 0.95
[mon]
mon_data = {folder}/mon
mon_cluster_log_file = {folder}/log/cluster.log
[osd]
osd_data = {folder}/osd
osd_objectstore = bluestore
bluestore_block_size = {block_bytes}
bluestore_block_db_create = false
bluestore_block_wal_create = false
osd_memory_target = 939524096
[client.rgw]
rgw_frontends = beast {doors}
rgw_data = {folder}/rgw
rgw_dynamic_resharding = false
rgw_thread_pool_size = 64
"""


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody with keys at the object store."""

    access_key: str
    secret_key: str = field(repr=False)


class Ceph:
    """One cluster in one folder; its radosgw can be killed and started again without the rest."""

    def __init__(self, folder):
        self.folder = folder
        self.ca_file = folder / "ca.pem"
        ports = free_ports(4)
        self._mon, (self.http_port, self.https_port) = ports[:2], ports[2:]
        self._daemons = {}

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def tls_endpoint(self):
        return f"https://localhost:{self.https_port}"

    def start(self):
        """Make the cluster and start it up to the first daemon that needs the others."""
        for name in ("mon", "osd", "run", "log", "rgw"):
            (self.folder / name).mkdir(parents=True)
        self._write_configuration()
        key = new_key()
        self.ca_file.write_bytes(pem(authority().certificate))
        (self.folder / "tls.pem").write_bytes(
            pem(authority().issue("localhost", key, usage=SERVER)) + pem(key)
        )
        self._start_mon()
        self._start_osd()
        self.start_gateway(wait=False)

    def start_gateway(self, *, wait=True):
        self._daemons["radosgw"] = self._daemon("radosgw", "-n", "client.rgw")
        if wait:
            self.wait_until_it_answers()

    def wait_until_it_answers(self):
        _wait(lambda: _answers(self.endpoint), self._daemons["radosgw"], self._last_words)

    def kill_gateway(self):
        """End radosgw as a power cut does."""
        self._end("radosgw", signal.SIGKILL)

    def account(self, name):
        keys = Account(f"{name}-{uuid.uuid4().hex[:8]}", uuid.uuid4().hex)
        self._run(
            "radosgw-admin", "-n", "client.rgw", "user", "create", f"--uid={keys.access_key}",
            f"--display-name={name}", f"--access-key={keys.access_key}", f"--secret-key={keys.secret_key}",
        )  # fmt: skip
        return keys

    def stop(self):
        """In this order: an OSD whose mon is gone lingers."""
        for name in ("radosgw", "osd", "mon"):
            if name in self._daemons:
                self._end(name, signal.SIGTERM)

    def _write_configuration(self):
        doors = (
            f"endpoint=127.0.0.1:{self.http_port}",
            f"ssl_endpoint=127.0.0.1:{self.https_port}",
            f"ssl_certificate={self.folder}/tls.pem",
        )
        fields = {"mon_v2": self._mon[0], "mon_v1": self._mon[1], "block_bytes": _BLOCK_BYTES}
        self._fsid = str(uuid.uuid4())
        text = _CONFIGURATION.format(fsid=self._fsid, folder=self.folder, doors=" ".join(doors), **fields)
        (self.folder / "ceph.conf").write_text(text)
        (self.folder / "keyring").touch()

    def _start_mon(self):
        where = f"[v2:127.0.0.1:{self._mon[0]},v1:127.0.0.1:{self._mon[1]}]"
        monmap = str(self.folder / "monmap")
        make = ("--create", "--clobber", "--fsid", self._fsid, "--addv", "a", where, monmap)
        self._run("monmaptool", *make, configured=False)
        self._run("ceph-mon", "--mkfs", "-i", "a", "--monmap", monmap)
        self._daemons["mon"] = self._daemon("ceph-mon", "-i", "a")

    def _start_osd(self):
        unique = str(uuid.uuid4())
        number = self._run("ceph", "--connect-timeout", "60", "osd", "new", unique).strip()
        self._run("ceph-osd", "-i", number, "--mkfs", "--osd-uuid", unique)
        self._daemons["osd"] = self._daemon("ceph-osd", "-i", number, "--osd-uuid", unique)
        _wait(self._osd_is_up, self._daemons["osd"], self._last_words)

    def _osd_is_up(self):
        return json.loads(self._run("ceph", "osd", "stat", "-f", "json"))["num_up_osds"] == 1

    def _command(self, program, arguments, *, configured=True):
        configuration = ("-c", str(self.folder / "ceph.conf")) if configured else ()
        return [program, *configuration, *arguments]

    def _run(self, program, *arguments, configured=True):
        command = self._command(program, arguments, configured=configured)
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_START_SECONDS)
        if done.returncode:
            pytest.fail(f"{program} {' '.join(arguments[:4])}: {done.stderr[-1500:]}")
        return done.stdout

    def _daemon(self, program, *arguments):
        with (self.folder / "log" / f"{program}.out").open("ab") as out:
            command = self._command(program, ("-f", *arguments))
            return subprocess.Popen(command, stdout=out, stderr=out, stdin=subprocess.DEVNULL)

    def _end(self, name, number):
        process = self._daemons.pop(name)
        process.send_signal(number)
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(_STOP_SECONDS)

    def _last_words(self):
        files = sorted((self.folder / "log").glob("*"))
        return "\n".join(f"{file.name}: {file.read_text(errors='replace')[-800:]}" for file in files)


@contextmanager
def running_ceph(folder, count=1):
    """Yield clusters that run side by side; skips, or fails in CI, where Ceph is not installed."""
    require(_PROGRAMS, "Ceph")
    clusters = [Ceph(Path(folder) / f"ceph{number}") for number in range(count)]
    with ExitStack() as stack:
        for cluster in clusters:
            stack.callback(cluster.stop)
            cluster.start()
        for cluster in clusters:
            cluster.wait_until_it_answers()
        yield clusters


@pytest.fixture(scope="session")
def ceph_clusters(tmp_path_factory):
    """Three clusters; they start side by side in the time of one."""
    with running_ceph(tmp_path_factory.mktemp("ceph"), 3) as clusters:
        yield clusters


@pytest.fixture(scope="session")
def ceph(ceph_clusters):
    """One of them."""
    return ceph_clusters[0]


def bucket_node(cluster, keys, bucket, *, tls=False, sizes=PartSizes(), create=True, **more):  # noqa: B008 (frozen)
    """Return a node over a bucket, which is made first."""
    location = S3Location(
        cluster.tls_endpoint if tls else cluster.endpoint,
        bucket,
        keys.access_key,
        keys.secret_key,
        ca_file=cluster.ca_file if tls else None,
        **more,
    )
    node = S3Node("node-ceph", "east", location, sizes)
    if create:
        node._client.create_bucket(Bucket=bucket)
    return node


def free_ports(count):
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _answers(endpoint):
    try:
        with urllib.request.urlopen(endpoint, timeout=5):
            return True
    except OSError:
        return False


def _wait(done, process, last_words):
    deadline = time.monotonic() + _START_SECONDS
    while not done():
        if process.poll() is not None or time.monotonic() > deadline:
            pytest.fail(f"Ceph did not start: {last_words()}")
        time.sleep(0.05)
