"""A series over a slow link: its packed record with the sealed companion, and C-STORE of its images."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench import peers
from tests.bench.bench import Bench
from tests.bench.images import Sent, real, write_files
from tests.bench.link import ADDRESSES
from tests.bench.machine import MEMORY
from tests.bench.parts.storescu import storescu
from tests.bench.peers import AbsentError
from tests.bench.put_records import ACCESS_KEY, BUCKET, SECRET_KEY
from tests.bench.sender import Senders
from tests.bench.targets import FOUR, ONE, RATE
from tests.gateway import PROJECT, wait_until

PART = "wan"
_KINDS = {"CT": "CT abdomen", "MR": "MR", "PET": "PET"}
_DELAY_MS, _MEGABIT = 25, 100  # one way: 50 ms there and back
_SCP_PORT, _S3_PORT = 11190, 11191
_SECONDS = 300
_NAMES = ("dgisbncha", "dgisbnchb")


@dataclass(frozen=True, slots=True)
class Packed:
    """A series and the folder with its records and companions."""

    series: Sent
    folder: Path


def run(bench: Bench) -> None:
    """Measure each way once a round; the link is the limit, and it does not vary."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        work = Path(folder)
        packed = _pack(bench, work)
        try:
            with _far_side(work):
                for kind, each in packed.items():
                    bench.say(f"{PART}: {kind}, {len(each.series.images)} images")
                    _measure(bench, kind, each, work)
        except AbsentError as error:
            bench.lacks(str(error))


def _measure(bench: Bench, kind: str, packed: Packed, work: Path) -> None:
    images = packed.series.images
    size = sum(path.stat().st_size for path in packed.folder.rglob("*") if path.is_file())
    bench.add(PART, kind, "MB as images", "gateway", packed.series.size_bytes / 1e6)
    bench.add(PART, kind, "MB as record and companion", "gateway", size / 1e6)
    for number in range(min(bench.sizes.rounds, 2)):
        bench.add(PART, kind, RATE, "gateway", len(images) / _put(packed.folder, f"{kind}{number}".lower()))
    for name, count in ((ONE, 1), (FOUR, 4)):
        bench.add(PART, kind, RATE, name, len(images) / _send(images, count, work))


def _pack(bench: Bench, work: Path) -> dict[str, Packed]:
    """Let a gateway publish each series, and take what it put on a node."""
    found = {}
    with peers.gateway() as (server, own):
        for kind, name in _KINDS.items():
            series = real(name, bench.sizes.images).fresh()
            before = set(_objects(own.home))
            Senders(server.address, server.calling, server.called, [series.images]).send()
            own.wait_published(_SECONDS)
            for path in set(_objects(own.home)) - before:
                target = work / "packed" / kind / path.relative_to(own.home / "nodes")
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, target)
            found[kind] = Packed(series, work / "packed" / kind)
    return found


def _objects(home: Path) -> Iterator[Path]:
    for name in ("node-a", "node-a-sealed"):
        yield from (path for path in (home / "nodes" / name).rglob("*") if path.is_file())


def _put(folder: Path, prefix: str) -> float:
    endpoint = f"http://{ADDRESSES[1]}:{_S3_PORT}"
    command = [*_inside(0), sys.executable, "-m", "tests.bench.put_records", endpoint, str(folder), prefix]
    done = subprocess.run(command, capture_output=True, text=True, cwd=PROJECT, timeout=_SECONDS, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return float(done.stdout)


def _send(images: Sequence, associations: int, work: Path) -> float:
    """Return the seconds of so many storescu at once, each with its share of the images."""
    with tempfile.TemporaryDirectory(dir=work) as folder:
        shares = [Path(folder) / str(number) for number in range(associations)]
        for number, share in enumerate(shares):
            write_files(images[number::associations], share)
        address = (ADDRESSES[1], _SCP_PORT)
        began = time.perf_counter()
        with ThreadPoolExecutor(associations) as pool:
            jobs = [
                pool.submit(storescu, address, "FAR", share, "BENCH", tuple(_inside(0))) for share in shares
            ]
            for job in jobs:
                job.result()
        return time.perf_counter() - began


@contextmanager
def _far_side(work: Path) -> Iterator[None]:
    """Run the link, and a C-STORE provider and an S3 server beyond it.

    Raises:
        AbsentError: what that needs is not here.
    """
    _require()
    received, buckets = work / "received", work / "buckets"
    received.mkdir()
    (buckets / BUCKET).mkdir(parents=True)
    scp = ["storescp", "--fork", "+uf", "--ignore", "-od", str(received), str(_SCP_PORT)]
    rclone = [str(Path(sys.executable).with_name("rclone")), "serve", "s3", str(buckets)]
    rclone += ["--addr", f"{ADDRESSES[1]}:{_S3_PORT}", "--vfs-cache-mode", "off"]
    rclone += ["--auth-key", f"{ACCESS_KEY},{SECRET_KEY}", "--config", os.devnull]
    with ExitStack() as stack:
        for name in _NAMES:
            subprocess.run(["ip", "netns", "add", name], check=True)
            stack.callback(subprocess.run, ["ip", "netns", "del", name], check=False)
        delay, rate = str(_DELAY_MS), str(_MEGABIT)
        relay = stack.enter_context(
            _process([sys.executable, "-m", "tests.bench.link", *_NAMES, delay, rate], work / "link.log")
        )
        wait_until(lambda: (work / "link.log").read_text() == "up\n", 20, "the link is up")
        for command, log in ((scp, "scp.log"), (rclone, "rclone.log")):
            stack.enter_context(_process([*_inside(1), *command], work / log))
        for port in (_SCP_PORT, _S3_PORT):
            wait_until(lambda port=port: _answers(port), 30, f"port {port} answers beyond the link")
        assert relay.poll() is None, "the link ended"
        yield


def _require() -> None:
    if os.geteuid() != 0 or not Path("/dev/net/tun").exists() or not shutil.which("ip"):
        raise AbsentError("wan: needs root, /dev/net/tun and ip (Debian: iproute2)")
    if not shutil.which("storescp"):
        raise AbsentError("wan: storescp is not here: `make engines` installs dcmtk (Debian, root)")


@contextmanager
def _process(command: list[str], log: Path) -> Iterator[subprocess.Popen]:
    environment = {name: value for name, value in os.environ.items() if name != "TCP_NODELAY"}
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, cwd=PROJECT, env=environment)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(20)


def _answers(port: int) -> bool:
    code = f"import socket; socket.create_connection(('{ADDRESSES[1]}', {port}), 2)"
    done = subprocess.run([*_inside(0), sys.executable, "-c", code], capture_output=True, check=False)
    return done.returncode == 0


def _inside(place: int) -> list[str]:
    return ["ip", "netns", "exec", _NAMES[place]]
