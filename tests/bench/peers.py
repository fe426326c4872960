"""The servers that take turns: the gateway as `dgis serve` runs it, Orthanc, dcmqrscp and storescp."""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench.association import Address
from tests.bench.figures import GATEWAY
from tests.bench.machine import cpu_seconds, free_port, listens
from tests.bench.targets import ORTHANC, SHIPPED
from tests.gateway import PROJECT, Gateway, wait_until

_START_SECONDS, _STOP_SECONDS = 30, 20
_NODELAY = {"TCP_NODELAY": "1"}  # what dcmtk's network layer reads, Orthanc's too; as shipped it is not set
_DICOMWEB = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
SINK_AE = "HOSPITAL_WS"
NEVER = {  # receiving and sending are measured without publishing beside them
    "DGIS__PUBLISH__STABLE_AGE_SECONDS": "36000",
    "DGIS__PUBLISH__AFTER_RELEASE_SECONDS": "36000",
    "DGIS__PUBLISH__INTERVAL_SECONDS": "1",  # as shipped; gateways of tests look ten times as often
}


class AbsentError(Exception):
    """A peer is not installed; the text says how to get it."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server under load: where it listens, and the root of its process tree."""

    name: str
    address: Address
    called: str
    pid: int
    web: Address = ("", 0)  # where it speaks HTTP, if it does

    @property
    def calling(self) -> str:
        """Whom it is called by; the gateway knows this one from its sample configuration."""
        return "HOSPITAL_1"

    def cpu_seconds(self) -> float:
        """What its processes have used so far."""
        return cpu_seconds([self.pid])


@contextmanager
def gateway(
    settings: Mapping[str, str] | None = None, name: str = GATEWAY, sink: int = 0
) -> Iterator[tuple[Server, Gateway]]:
    """Run a gateway in a home of its own; `sink` is the port of its C-MOVE destination."""
    destinations = {SINK_AE: sink} if sink else None
    with Gateway(settings, destinations=destinations, fresh=True) as own:
        yield server_of(own, name), own


def server_of(own: Gateway, name: str = GATEWAY) -> Server:
    """Return a running gateway as a server under load."""
    host, _, port = own.web.rpartition("/")[2].rpartition(":")
    return Server(name, own.address, "DGIS", min(own.pids()), (host, int(port)))


@contextmanager
def orthanc(*, shipped: bool = False, sink: int = 0, web: bool = False) -> Iterator[Server]:
    """Run Orthanc: with TCP_NODELAY=1, or as shipped; `web`: with its DICOMweb plugin.

    Raises:
        AbsentError: it is not installed.
    """
    root, name = _orthanc_root(), SHIPPED if shipped else ORTHANC
    if web and not ((root or Path("/")) / _DICOMWEB.relative_to("/")).is_file():
        raise AbsentError("Orthanc's DICOMweb plugin is not here: `make engines` brings it (Debian, root)")
    with _folder(root / "tmp" if root else None) as folder:
        inside = Path("/") / folder.relative_to(root) if root else folder
        port, http = free_port(), free_port()
        settings = _orthanc_settings(inside, port, sink) | (_web_settings(http) if web else {})
        (folder / "orthanc.json").write_text(json.dumps(settings))
        command = ["/usr/sbin/Orthanc", str(inside / "orthanc.json")]
        command = ["chroot", str(root), *command] if root else command
        with _running(name, command, port, folder, {} if shipped else _NODELAY) as pid:
            yield Server(name, ("127.0.0.1", port), "ORTHANC", pid, ("127.0.0.1", http))


def orthanc_version() -> str:
    """Return its version, or "" where it is absent."""
    root = _orthanc_root(required=False)
    command = ["/usr/sbin/Orthanc", "--version"]
    try:
        said = subprocess.run(
            ["chroot", str(root), *command] if root else command, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return said.stdout.splitlines()[0]


def _orthanc_root(*, required: bool = True) -> Path | None:
    """Return the tree of another Debian that holds it, None where it is installed here."""
    place = Path(os.environ.get("DGIS_BENCH_ORTHANC", PROJECT / "var" / "orthanc"))
    if (place / "usr/sbin/Orthanc").is_file() and os.geteuid() == 0:
        return place
    if required and not Path("/usr/sbin/Orthanc").is_file():
        raise AbsentError("Orthanc is not here: `deploy/orthanc.sh` brings 1.12 (Debian, root)")
    return None


def _orthanc_settings(folder: Path, port: int, sink: int) -> dict[str, object]:
    return {
        "StorageDirectory": str(folder / "db"),
        "IndexDirectory": str(folder / "db"),
        "DicomAet": "ORTHANC",
        "DicomPort": port,
        "HttpServerEnabled": False,
        "DicomCheckModalityHost": False,
        "DicomAlwaysAllowStore": True,
        "DicomAlwaysAllowFind": True,
        "DicomAlwaysAllowGet": True,
        "DicomAlwaysAllowMove": True,
        "UnknownSopClassAccepted": True,
        "Plugins": [],
        "DicomModalities": {"sink": [SINK_AE, "127.0.0.1", sink or 11113]},
    }


def _web_settings(port: int) -> dict[str, object]:
    return {
        "HttpServerEnabled": True,
        "HttpPort": port,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "HttpCompressionEnabled": False,
        "Plugins": [str(_DICOMWEB)],
        "DicomWeb": {"Enable": True},
    }


@contextmanager
def dcmqrscp(*, sink: int = 0) -> Iterator[Server]:
    """Run dcmtk's archive.

    Raises:
        AbsentError: dcmtk is not installed.
    """
    _require("dcmqrscp")
    with _folder() as folder:
        (folder / "db").mkdir()
        port = free_port()
        (folder / "dcmqrscp.cfg").write_text(_QRSCP.format(port=port, sink=sink or 11113, db=folder / "db"))
        command = ["dcmqrscp", "-c", str(folder / "dcmqrscp.cfg")]
        with _running("dcmqrscp", command, port, folder, _NODELAY) as pid:
            yield Server("dcmqrscp", ("127.0.0.1", port), "QRSCP", pid)


@contextmanager
def storescp() -> Iterator[Server]:
    """Run dcmtk's receiver: files without an index.

    Raises:
        AbsentError: dcmtk is not installed.
    """
    _require("storescp")
    with _folder() as folder:
        port = free_port()
        command = ["storescp", "--fork", "+uf", "-od", str(folder), str(port)]
        with _running("storescp", command, port, folder, _NODELAY) as pid:
            yield Server("storescp", ("127.0.0.1", port), "STORESCP", pid)


_QRSCP = """NetworkTCPPort = {port}
MaxPDUSize = 131072
MaxAssociations = 16
HostTable BEGIN
sink = (HOSPITAL_WS, localhost, {sink})
HostTable END
VendorTable BEGIN
VendorTable END
AETable BEGIN
QRSCP {db} RW (500, 1024mb) ANY
AETable END
"""


def _require(program: str) -> None:
    if not shutil.which(program):
        raise AbsentError(f"{program} is not here: `make engines` installs dcmtk (Debian, root)")


@contextmanager
def _folder(within: Path | None = None) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir=within))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _running(
    name: str, command: list[str], port: int, folder: Path, environment: Mapping[str, str]
) -> Iterator[int]:
    kept = {key: value for key, value in os.environ.items() if key != "TCP_NODELAY"}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**kept, **environment})
    try:
        wait_until(lambda: listens(port) or process.poll() is not None, _START_SECONDS, f"{name} listens")
        assert process.poll() is None, f"{name} ended: {(folder / 'log').read_text(errors='replace')[-2000:]}"
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
