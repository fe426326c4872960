"""A real gateway for a test: `dgis serve` in a home of its own, killed and started at will."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Self

from storage_nodes.record.reader import RecordReader
from storage_nodes.record.sources import BufferSource
from tests.tools import warm

PROJECT = Path(__file__).resolve().parents[1]
_MARK = (
    "GATEWAY_UNDER_TEST"  # in the environment of everything a gateway starts, so that nothing is left behind
)
_POLL_SECONDS = 0.02
_COMMAND_SECONDS = 300
START_SECONDS = 60
STOP_SECONDS = 15
_QUICK = {
    "DGIS__DICOM__PORT": "0",
    "DGIS__WEB__PORT": "0",
    "DGIS__LOG__FORMAT": "json",
    "DGIS__PUBLISH__STABLE_AGE_SECONDS": "0.5",
    "DGIS__PUBLISH__AFTER_RELEASE_SECONDS": "0.2",
    "DGIS__PUBLISH__INTERVAL_SECONDS": "0.1",
    "DGIS__PUBLISH__LEASE_SECONDS": "5",
}


def wait_until(
    condition: Callable[[], object], seconds: float, what: str, every_seconds: float = _POLL_SECONDS
) -> object:
    """Return the condition's first true value; fails naming `what` when `seconds` have passed."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(every_seconds)
    return value


class EndedError(AssertionError):
    """The gateway ended when it should have run."""


class CommandFailedError(AssertionError):
    """A `dgis` command ended with another exit code than 0."""


class Gateway:
    """One gateway with its home; entering starts it, leaving kills whatever it started.

    Args:
        settings: `DGIS__SECTION__KEY` variables beyond what makes it quick.
        destinations: C-MOVE destinations, AE title to port on loopback.
        database_url: SQLAlchemy URL; SQLite under the home by default.
        fresh: whether it starts as an interpreter of its own, to be measured; or as a fork of one that has
            loaded the program (`tests.tools.warm`), for two seconds of processor less.
    """

    def __init__(
        self,
        settings: Mapping[str, str] | None = None,
        *,
        destinations: Mapping[str, int] | None = None,
        database_url: str | None = None,
        fresh: bool = False,
    ) -> None:
        self._fresh = fresh
        self.home = Path(tempfile.mkdtemp(prefix="dgis-"))  # short: it will hold a Unix socket (107 bytes)
        self._mark = uuid.uuid4().hex
        self._settings = {**_QUICK, **(settings or {})}
        if destinations:
            places = {title: {"host": "127.0.0.1", "port": port} for title, port in destinations.items()}
            self._settings["DGIS__DICOM__DESTINATIONS"] = json.dumps(places)
        if database_url:
            self._settings["DGIS__CATALOG__URL"] = database_url
        self._log = self.home / "gateway.log"
        self._log_before = 0
        self._supervisor: subprocess.Popen | warm.Running | None = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.discard()
            raise
        return self

    def __exit__(self, *_details) -> None:
        self.discard()

    def discard(self) -> None:
        """Kill it and remove its home."""
        self.kill()
        shutil.rmtree(self.home, ignore_errors=True)

    @property
    def address(self) -> tuple[str, int]:
        """Where its DICOM door listens now (another port after each start)."""
        return self._address("dicom")

    @property
    def tls_address(self) -> tuple[str, int]:
        """Where it listens for DICOM over TLS, by the name that certificates of the tests bear."""
        return "localhost", self._address("dicom_tls")[1]

    @property
    def web(self) -> str:
        """Where its web door listens now, as the beginning of a URL."""
        return str(self._said("web")["web"])

    def _address(self, name: str) -> tuple[str, int]:
        host, _, port = str(self._said("dicom")[name]).rpartition(":")
        return host, int(port)

    def start(self, failpoints: str = "", *, roles: tuple[str, ...] = ("dicom", "web", "worker")) -> None:
        """Start it, and return when these roles have said that they are ready.

        Raises:
            EndedError: it ended instead.
        """
        for said in (self.home / "run").glob("*.json"):
            said.unlink()
        with self._log.open("ab") as log:
            self._log_before = log.tell()
            self._supervisor = self._begin(
                ["serve", "--home", str(self.home)],
                {**self._environment(), "DGIS__FAILPOINTS": failpoints},
                log.fileno(),
            )
        wait_until(lambda: self._ready(roles), START_SECONDS, "the gateway is ready")

    def _begin(
        self, arguments: list[str], environment: dict[str, str], log: int
    ) -> subprocess.Popen | warm.Running:
        with Path(os.devnull).open("rb") as nothing:
            if not self._fresh:
                return warm.Running(arguments, environment, [nothing.fileno(), log, log])
            return subprocess.Popen(
                [sys.executable, "-m", "dgis", *arguments],
                env=environment,
                stdin=nothing,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def stop(self) -> int:
        """Ask it to stop as an operator would; returns the exit code."""
        self._supervisor.send_signal(signal.SIGTERM)
        code = self._supervisor.wait(STOP_SECONDS)
        wait_until(lambda: not self.pids(), STOP_SECONDS, "every process of the gateway has ended")
        return code

    def kill(self) -> None:
        """SIGKILL the supervisor and everything it started, at once."""
        while pids := self.pids():
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if self._supervisor is not None:
                self._supervisor.poll()  # reaps it
            time.sleep(_POLL_SECONDS)
        if self._supervisor is not None:
            self._supervisor.wait(STOP_SECONDS)

    def change(self, settings: Mapping[str, str]) -> None:
        """Set `DGIS__SECTION__KEY` variables anew; they count from the next start."""
        self._settings |= settings

    def restart(self, failpoints: str = "") -> None:
        """Kill it, and start it again over the same home."""
        self.kill()
        self.start(failpoints)

    def pids(self) -> list[int]:
        """Every living process that this gateway started, however far down and whoever adopted it.

        A fork writes to the gateway's log; what it starts has the mark in its environment.
        """
        mark, log = f"{_MARK}={self._mark}".encode(), str(self._log)
        found = set()
        if self._supervisor is not None and self._supervisor.poll() is None:
            found.add(self._supervisor.pid)
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit():
                with suppress(OSError):
                    marked = mark in (folder / "environ").read_bytes().split(b"\0")
                    if marked or os.readlink(folder / "fd" / "2") == log:  # noqa: PTH115 - of any kind
                        found.add(int(folder.name))
        return sorted(found)

    def role_pid(self, role: str) -> int:
        """The process of one role, as it announced itself."""
        return int(self._said(role)["pid"])

    def cli(
        self,
        *arguments: str,
        check: bool = True,
        environment: Mapping[str, str] | None = None,
        typed: str = "",
    ) -> subprocess.CompletedProcess:
        """Run `dgis ARGUMENTS --home HOME`, `typed` on its standard input; return what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "dgis", *arguments, "--home", str(self.home)],
            env={**self._environment(), **(environment or {})},
            input=typed,
            capture_output=True,
            text=True,
            timeout=_COMMAND_SECONDS,
            check=False,
        )
        if check and done.returncode != 0:
            raise CommandFailedError(
                f"dgis {' '.join(arguments)}: exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
            )
        return done

    def lost_a_process(self) -> bool:
        """Whether a role's process has died since the start, or all of them ended."""
        if self._supervisor.poll() is not None:
            return True
        with self._log.open("rb") as log:
            log.seek(self._log_before)
            return b'"event": "child_died"' in log.read()

    def json(self, *arguments: str, **options) -> object:
        """Run a command with --json and return what it printed."""
        return json.loads(self.cli(*arguments, "--json", **options).stdout)

    def wait_published(self, seconds: int = 120) -> None:
        """Return when nothing is pending; fails with what `dgis wait` says otherwise."""
        arguments = ["wait", "--timeout", str(seconds), "--home", str(self.home)]
        done = warm.run(arguments, self._environment(), "", _COMMAND_SECONDS)
        if done.returncode != 0:
            raise CommandFailedError(f"dgis wait: exit code {done.returncode}\n{done.stdout}\n{done.stderr}")

    def log(self) -> str:
        """Everything the gateway has written to its log so far."""
        return self._log.read_text(errors="replace")

    def node(self, letter: str) -> Path:
        """The folder of an embedded node's records."""
        return self.home / "nodes" / f"node-{letter}"

    def on_nodes(self) -> Iterator[bytes]:
        """All that lies on any node, absent ones too: objects as they are, and headers inflated."""
        for path in sorted((self.home / "nodes").rglob("*")):
            if path.is_file():
                data = path.read_bytes()
                yield str(path.relative_to(self.home)).encode() + b"\0" + data
                if "-sealed" not in str(path.relative_to(self.home)):
                    reader = RecordReader(BufferSource(data))
                    for number in range(len(reader.instances)):
                        yield b"".join(reader.header(number))

    def take_away(self, letter: str) -> None:
        """Make a node's folders disappear, records and sealed companions both."""
        for folder in (self.node(letter), self.node(letter).with_name(f"node-{letter}-sealed")):
            folder.rename(folder.with_name(f"{folder.name}.gone"))

    def bring_back(self, letter: str, *, empty: bool = False) -> None:
        """Put a node's folders back, with what was on them or as a new disk would be."""
        for folder in (self.node(letter), self.node(letter).with_name(f"node-{letter}-sealed")):
            if folder.exists():
                shutil.rmtree(folder)
            gone = folder.with_name(f"{folder.name}.gone")
            if empty:
                shutil.rmtree(gone)
                folder.mkdir()
            else:
                gone.rename(folder)

    def _environment(self) -> dict[str, str]:
        inherited = {
            name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "LANG") if name in os.environ
        }
        return {**inherited, "PYTHONPATH": str(PROJECT), _MARK: self._mark, **self._settings}

    def _ready(self, roles: tuple[str, ...]) -> bool:
        code = self._supervisor.poll()
        if code is not None:
            raise EndedError(f"the gateway ended with exit code {code}\n{self.log()[-4000:]}")
        return all((self.home / "run" / f"{role}.json").is_file() for role in roles)

    def _said(self, role: str) -> dict:
        return json.loads((self.home / "run" / f"{role}.json").read_text())
