"""A real audit record repository for tests: rsyslog, TLS with certificates on both sides (RFC 5425)."""

import json
import re
import shutil
import socket
import subprocess
from pathlib import Path

from tests.gateway import wait_until
from tests.needs import lacking
from tests.unit.dgis.identity.makers import CLIENT, SERVER, Authority, new_key, pem

_START_SECONDS = 30
GATEWAY, REPOSITORY = "gateway.test", "localhost"
_CONFIGURATION = """
global(workDirectory="{folder}" maxMessageSize="64k" defaultNetstreamDriver="gtls"
  defaultNetstreamDriverCAFile="{folder}/ca.pem" defaultNetstreamDriverCertFile="{folder}/repository.pem"
  defaultNetstreamDriverKeyFile="{folder}/repository.key")
module(load="imtcp" streamDriver.name="gtls" streamDriver.mode="1" streamDriver.authMode="x509/name"
  permittedPeer=["{peer}"])
module(load="imudp")
input(type="imtcp" address="127.0.0.1" port="{port}" ruleset="audit")
input(type="imudp" address="127.0.0.1" port="{port}" ruleset="audit")
template(name="line" type="list" option.jsonf="on") {{
  property(outname="when" name="timereported" dateFormat="rfc3339" format="jsonf")
  property(outname="host" name="hostname" format="jsonf")
  property(outname="app" name="app-name" format="jsonf")
  property(outname="process" name="procid" format="jsonf")
  property(outname="id" name="msgid" format="jsonf")
  property(outname="priority" name="pri" format="jsonf")
  property(outname="message" name="msg" format="jsonf")
}}
ruleset(name="audit") {{ action(type="omfile" file="{folder}/audit.jsonl" template="line" sync="on") }}
"""


class Rsyslog:
    """One repository over a folder; killed and started again at will, on the same port."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = Authority("repository authority")
        self.written = folder / "audit.jsonl"
        self.ca, self.certificate, self.key = (folder / name for name in ("ca.pem", "gw.pem", "gw.key"))
        self.ca.write_bytes(pem(self.authority.certificate))
        self.issue("repository", REPOSITORY, usage=SERVER)
        self.certificate, self.key = self.issue("gw", GATEWAY)
        self.port = _free_port()
        self._process: subprocess.Popen | None = None
        configuration = _CONFIGURATION.format(folder=folder, port=self.port, peer=GATEWAY)
        (folder / "rsyslog.conf").write_text(configuration)

    @property
    def address(self) -> str:
        """As `audit.repository` names it."""
        return f"syslog+tls://{REPOSITORY}:{self.port}"

    def issue(self, file: str, name: str, *, usage=CLIENT, authority=None) -> tuple[Path, Path]:
        """Write a certificate and its key; returns their files."""
        key = new_key()
        certificate, private = self.folder / f"{file}.pem", self.folder / f"{file}.key"
        certificate.write_bytes(pem((authority or self.authority).issue(name, key, usage=usage)))
        private.write_bytes(pem(key))
        return certificate, private

    def start(self) -> None:
        """Start it; returns when it listens."""
        program = _program()
        with (self.folder / "log").open("ab") as log:
            command = [program, "-n", "-f", self.folder / "rsyslog.conf", "-i", self.folder / "pid"]
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        wait_until(self._listens, _START_SECONDS, "rsyslog listens")

    def kill(self) -> None:
        """End it as a crash does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            (self.folder / "pid").unlink(missing_ok=True)

    def messages(self) -> list[dict[str, str]]:
        """Return what it has written so far; what a crash broke off in the middle is no message."""
        text = self.written.read_text("utf-8", "replace") if self.written.exists() else ""
        begun = re.split(r'(?=\{"when":")', text)  # after a crash the next one stands in the same line
        return [json.loads(each) for each in begun if each.endswith('"}\n')]

    def _listens(self) -> bool:
        assert self._process.poll() is None, (self.folder / "log").read_text()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]


def _program() -> str:
    found = shutil.which("rsyslogd") or shutil.which("rsyslogd", path="/usr/sbin")
    drivers = list(Path("/usr/lib").glob("*/rsyslog/lmnsd_gtls.so"))
    if not found or not drivers:
        lacking("no rsyslogd with gnutls: `make engines` installs it (Debian, root)")
    return found
