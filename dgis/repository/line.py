"""A connection to an audit record repository: TLS with both sides authenticated, TCP, or datagrams.

Syslog has no acknowledgement (RFC 5425 6.1): bytes written into a connection that is dead already are lost
without a word. So the line looks for its end before and after it sends, and lets the system give up on what
is not confirmed within seconds; the rest is the sender's, who sends again.
"""

import select
import socket
import ssl
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dgis.repository.configuration import Address, AuditSection
from dgis.repository.syslog import framed

_TIMEOUT_SECONDS = 10.0  # to connect, to shake hands, for a peer that takes no bytes
_UNCONFIRMED_MS = 20_000  # bytes that the peer's system does not confirm end the connection
_KEEPALIVE = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}
_REFUSAL_SECONDS = 1.0  # within which a peer that does not accept our certificate says so
_CHUNK_BYTES = 4096
_MOST_READS = 64  # tickets and alerts of TLS are a few


class LineError(Exception):
    """The repository cannot be reached, or the connection ended; the text says what to look at."""


@dataclass(frozen=True, slots=True)
class Proof:
    """By whom the repository is verified, and what the gateway shows of itself (PEM files)."""

    authorities: Path
    certificate: Path
    key: Path


def proof_of(section: AuditSection) -> Proof | None:
    """Return the files of a repository over TLS; None where it has none."""
    if section.ca_file is None or section.certificate_file is None or section.key_file is None:
        return None
    return Proof(section.ca_file, section.certificate_file, section.key_file)


class Line:
    """An open connection; opening waits a moment for a peer that turns the gateway away.

    Raises:
        LineError: on opening and from every method.
    """

    def __init__(self, address: Address, proof: Proof | None) -> None:
        self._stream = address.transport != "udp"
        self._socket = _connected(address, proof)
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLIN)
        if self._stream:
            try:
                self._expect_no_end(_REFUSAL_SECONDS)
            except LineError:
                self.close()
                raise

    def send(self, messages: Sequence[bytes]) -> None:
        """Hand over syslog messages; all of them, or it raises and some of them may have gone."""
        self.check()
        try:
            if self._stream:
                self._socket.sendall(b"".join(map(framed, messages)))
            else:
                for message in messages:
                    self._socket.send(message)
        except OSError as error:
            raise LineError(_words(error)) from None
        self.check()

    def check(self) -> None:
        """Notice that the peer has ended the connection."""
        self._expect_no_end(0.0)

    def close(self) -> None:
        """End it, orderly as far as the peer goes along."""
        with suppress(OSError):
            if isinstance(self._socket, ssl.SSLSocket):
                self._socket.settimeout(_REFUSAL_SECONDS)
                self._socket.unwrap()
        self._socket.close()

    def _expect_no_end(self, seconds: float) -> None:
        """Read what a peer says that has nothing to say: an end or an alert; a little else is passed over."""
        deadline = time.monotonic() + seconds
        for _ in range(_MOST_READS):
            left_ms = max(0.0, deadline - time.monotonic()) * 1000
            if not self._poll.poll(left_ms):
                return
            self._read()
        raise LineError("the repository sends data without end: does a syslog receiver listen there?")

    def _read(self) -> None:
        self._socket.settimeout(0.0)
        try:
            said = self._socket.recv(_CHUNK_BYTES)
        except (BlockingIOError, ssl.SSLWantReadError):
            return
        except OSError as error:
            raise LineError(_words(error)) from None
        finally:
            self._socket.settimeout(_TIMEOUT_SECONDS)
        if not said and self._stream:
            raise LineError(
                "the repository ended the connection; its log says why: does it accept certificate_file?"
            )


def _connected(address: Address, proof: Proof | None) -> socket.socket:
    try:
        if address.transport == "udp":
            return _datagrams(address)
        plain = socket.create_connection((address.host, address.port), _TIMEOUT_SECONDS)
    except OSError as error:
        raise LineError(_words(error)) from None
    try:
        _watch(plain)
        return plain if proof is None else _context(proof).wrap_socket(plain, server_hostname=address.host)
    except (OSError, ssl.SSLError) as error:
        plain.close()
        raise LineError(_words(error)) from None
    except LineError:
        plain.close()
        raise


def _datagrams(address: Address) -> socket.socket:
    family, kind, protocol, _name, where = socket.getaddrinfo(
        address.host, address.port, type=socket.SOCK_DGRAM
    )[0]
    made = socket.socket(family, kind, protocol)
    made.settimeout(_TIMEOUT_SECONDS)
    made.connect(where)  # so that a port which nobody listens on is told of
    return made


def _watch(plain: socket.socket) -> None:
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in {**_KEEPALIVE, "TCP_USER_TIMEOUT": _UNCONFIRMED_MS}.items():
        option = getattr(socket, name, None)
        if option is not None:
            plain.setsockopt(socket.IPPROTO_TCP, option, value)


def _context(proof: Proof) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # verifies the chain, the dates and the name
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_verify_locations(proof.authorities)
    except (OSError, ssl.SSLError) as error:
        raise LineError(f"audit.ca_file: {_words(error)}") from None
    try:
        context.load_cert_chain(proof.certificate, proof.key)
    except (OSError, ssl.SSLError) as error:
        raise LineError(f"audit.certificate_file, audit.key_file: {_words(error)}") from None
    return context


def _words(error: OSError | ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the repository's certificate is not accepted: {error.verify_message} (audit.ca_file)"
    if isinstance(error, ssl.SSLError):
        reason = (error.reason or "no TLS, or files not in PEM form").replace("_", " ").lower()
        return f"TLS: {reason}" + (_HINT if "alert" in reason else "")
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return error.strerror or type(error).__name__


_HINT = "; the repository does not accept audit.certificate_file"
