"""Real realms for tests: MIT key distribution centres on loopback, with files in a folder and no rights."""

import os
import shutil
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

from tests.gateway import wait_until
from tests.needs import lacking

HOSPITAL, ELSEWHERE = "HOSPITAL.TEST", "ELSEWHERE.TEST"
SERVICE = "dicom/localhost"
USER, PASSWORD = "dr-no", "crab-key"
_KDC = "/usr/sbin/krb5kdc"
_SECONDS = 60
_FAKETIME = "/usr/lib/*/faketime/libfaketime.so.1"
_KDC_CONFIGURATION = """
[kdcdefaults]
 kdc_listen = 127.0.0.1:{port}
 kdc_tcp_listen = 127.0.0.1:{port}
[realms]
{realms}
[logging]
 kdc = FILE:{folder}/kdc.log
"""
_KDC_REALM = """ {realm} = {{
  database_name = {folder}/{realm}.db
  key_stash_file = {folder}/{realm}.stash
  acl_file = {folder}/acl
 }}"""
_CONFIGURATION = """
[libdefaults]
 default_realm = {first}
 dns_lookup_kdc = false
 dns_lookup_realm = false
 dns_canonicalize_hostname = false
 rdns = false
[realms]
{realms}
"""
_REALM = """ {realm} = {{
  kdc = 127.0.0.1:{port}
 }}"""
_TICKET = """
import sys, gssapi
name = gssapi.Name(sys.argv[1], name_type=gssapi.NameType.kerberos_principal)
mechanism = gssapi.OID.from_int_seq(sys.argv[2]) if len(sys.argv) > 2 else None
sys.stdout.buffer.write(gssapi.SecurityContext(name=name, usage="initiate", mech=mechanism).step())
"""
SPNEGO = "1.3.6.1.5.5.2"


def require_kerberos() -> None:
    """Skip where the KDC or the extra is not installed; in CI its absence is a failure."""
    missing = [] if Path(_KDC).exists() and shutil.which("kinit") and _faketime() else ["`make engines`"]
    try:
        import gssapi  # noqa: F401, PLC0415 (an extra)
    except ImportError:
        missing.append("`make kerberos`")
    if not missing:
        return
    lacking(f"no Kerberos: {' and '.join(missing)} (Debian, root) brings it")


class Realms:
    """Two realms that do not trust each other, in one process; each has the user, and the service."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._port = _free_port()
        self.names = (HOSPITAL, ELSEWHERE)
        kdc = "\n".join(_KDC_REALM.format(realm=realm, folder=folder) for realm in self.names)
        client = "\n".join(_REALM.format(realm=realm, port=self._port) for realm in self.names)
        (folder / "kdc.conf").write_text(
            _KDC_CONFIGURATION.format(port=self._port, realms=kdc, folder=folder)
        )
        (folder / "krb5.conf").write_text(_CONFIGURATION.format(first=HOSPITAL, realms=client))
        for realm in self.names:
            self._run("kdb5_util", "-r", realm, "create", "-s", "-P", "master", "-W")
            self.administer(realm, f"addprinc -pw {PASSWORD} {USER}@{realm}")
            for service in (SERVICE, "other/localhost"):
                self.administer(realm, f"addprinc -randkey {service}@{realm}")

    @property
    def client_environment(self) -> dict[str, str]:
        """What points the Kerberos library to these realms."""
        return {"KRB5_CONFIG": str(self.folder / "krb5.conf")}

    def administer(self, realm: str, command: str) -> None:
        """Run a command of kadmin.local."""
        self._run("kadmin.local", "-r", realm, "-q", command)

    def keytab(self, name: str, *realms: str) -> Path:
        """Write the keys of the service in these realms to a file."""
        path = self.folder / name
        for realm in realms:
            self.administer(realm, f"ktadd -norandkey -k {path} {SERVICE}@{realm}")
        return path

    def ticket(
        self, realm: str = HOSPITAL, service: str = SERVICE, *, at="", life="1h", mechanism=""
    ) -> bytes:
        """Return a GSS-API token that dr-no made for a service; `at` is when, as `-1h` from now."""
        with self.serving(at):
            self.log_in(realm, self.folder / "tickets", at=at, life=life)
            command = [sys.executable, "-c", _TICKET, f"{service}@{realm}", *filter(None, [mechanism])]
            return self._run(*command, at=at)

    def log_in(self, realm: str, cache: Path, *, at: str = "", life: str = "1h") -> None:
        """Get dr-no a ticket-granting ticket."""
        typed = f"{PASSWORD}\n".encode()
        self._run("kinit", "-c", cache, "-l", life, f"{USER}@{realm}", at=at, typed=typed)

    @contextmanager
    def serving(self, at: str = ""):
        """Have the centres answer, at another time than it is if so asked."""
        command = [_KDC, "-n", *(part for realm in self.names for part in ("-r", realm))]
        process = subprocess.Popen(
            command, env=self._environment(at), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            wait_until(self._answers, _SECONDS, "the key distribution centre listens")
            yield
        finally:
            process.terminate()
            process.wait(_SECONDS)

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self._port), 1).close()
        except OSError:
            return False
        return True

    def _run(self, *command, at: str = "", typed: bytes = b"") -> bytes:
        done = subprocess.run(
            list(map(str, command)),
            env=self._environment(at),
            input=typed,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    def _environment(self, at: str) -> dict[str, str]:
        own = {
            "PATH": f"{os.environ['PATH']}:/usr/sbin",
            "KRB5_KDC_PROFILE": str(self.folder / "kdc.conf"),
            "KRB5CCNAME": f"FILE:{self.folder / 'tickets'}",
            **self.client_environment,
        }
        # The clock that time-outs are counted with stays as it is.
        shifted = {"LD_PRELOAD": _faketime(), "FAKETIME": at, "DONT_FAKE_MONOTONIC": "1"} if at else {}
        return own | shifted


def bare(token: bytes) -> bytes:
    """Return the AP-REQ in a token of the GSS-API (RFC 4121 4.1), as DICOM carries it."""
    return token[token.index(b"\x01\x00\x6e") + 2 :]


def _faketime() -> str:
    return next(map(str, Path("/").glob(_FAKETIME.lstrip("/"))), "")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]
