"""The demo's gateway: the real one, `dgis serve` in processes of its own, on free ports."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from dgis.demo.copies import NodeFolders

_START_SECONDS = 60.0
_STOP_SECONDS = 15.0
_COMMAND_SECONDS = 90.0
_POLL_SECONDS = 0.05
_OURS = {
    "DGIS__DICOM__PORT": "0",
    "DGIS__WEB__PORT": "0",
    "DGIS__PUBLISH__STABLE_AGE_SECONDS": "1",
    "DGIS__PUBLISH__AFTER_RELEASE_SECONDS": "0.5",
    "DGIS__PUBLISH__INTERVAL_SECONDS": "0.2",
}


class DemoError(Exception):
    """The demo cannot go on; the message says why and is written for people."""


class Gateway:
    """Runs while entered, in an environment of its own: a real gateway's settings must not reach it."""

    def __init__(self, home: Path, destinations: Mapping[str, int]) -> None:
        self.home = home
        places = {title: {"host": "127.0.0.1", "port": port} for title, port in destinations.items()}
        self._environment = {
            "PATH": os.defpath,
            **_OURS,
            "DGIS__DICOM__DESTINATIONS": json.dumps(places),
        }
        self._log = home / "gateway.log"

    def __enter__(self) -> Self:
        said = self.home / "run" / "dicom.json"
        said.unlink(missing_ok=True)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 (our own interpreter and module, no shell)
                [sys.executable, "-m", "dgis", "serve", "--home", str(self.home)],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            self._await(said)
        except BaseException:
            self.stop()
            raise
        host, _, port = str(json.loads(said.read_text())["dicom"]).rpartition(":")
        self.address = (host, int(port))
        return self

    def __exit__(self, *_details: object) -> None:
        self.stop()

    def stop(self) -> int:
        """Stop it and everything it started; returns its exit code."""
        self._process.terminate()
        try:
            return self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def run(self, *arguments: str) -> str:
        """Run a `dgis` command over the same home and return what it printed.

        Raises:
            DemoError: it failed; the message quotes what it said.
        """
        done = subprocess.run(  # noqa: S603 (our own interpreter and module, no shell)
            [sys.executable, "-m", "dgis", *arguments, "--home", str(self.home)],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_COMMAND_SECONDS,
            check=False,
        )
        if done.returncode != 0:
            raise DemoError(
                f"dgis {' '.join(arguments)} failed: {(done.stderr or done.stdout).strip()[-800:]}"
            )
        return done.stdout

    def log(self) -> bytes:
        """Return everything the gateway has said so far."""
        return self._log.read_bytes()

    def node(self, name: str) -> NodeFolders:
        """Return where an embedded node keeps its objects."""
        folder = self.home / "nodes" / name
        return NodeFolders(name, folder, folder.with_name(f"{name}-sealed"))

    def take_away(self, name: str) -> None:
        """Make a node vanish as a failed disk does."""
        node = self.node(name)
        for folder in (node.records, node.sealed):
            folder.rename(_gone(folder))

    def replace(self, name: str) -> None:
        """Put an empty disk where the node was."""
        node = self.node(name)
        for folder in (node.records, node.sealed):
            shutil.rmtree(_gone(folder))
            folder.mkdir(mode=0o700)

    def _await(self, said: Path) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while not said.is_file():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise DemoError(f"the gateway did not start; its log: {self._log.read_text()[-2000:]}")
            time.sleep(_POLL_SECONDS)


def _gone(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}-gone")
