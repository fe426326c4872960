"""Syslog messages: RFC 5424, framed by octet counting for streams (RFC 5425 4.3.1); PS3.15 A.6 and A.7."""

from dataclasses import dataclass
from datetime import UTC, datetime

_FACILITY = 10  # security and authorization messages
_SEVERITIES = {0: 5, 4: 4, 8: 3}  # by EventOutcomeIndicator: notice, warning, error
_NIL = "-"
_BOM = b"\xef\xbb\xbf"
_APP_NAME = "dgis"
_MESSAGE_ID = "DICOM+RFC3881"
_HOST_CHARACTERS, _PROCESS_CHARACTERS = 255, 128


@dataclass(frozen=True, slots=True)
class Header:
    """What stands before a message: when (epoch milliseconds), where, by which process, how bad."""

    at_ms: int
    host: str
    process: str
    outcome: int = 0


def message(header: Header, body: bytes) -> bytes:
    """Return one SYSLOG-MSG with a body in UTF-8; there is no structured data."""
    priority = _FACILITY * 8 + _SEVERITIES.get(header.outcome, 3)
    moment = datetime.fromtimestamp(header.at_ms / 1000, UTC).isoformat(timespec="milliseconds")
    fields = (
        f"<{priority}>1",
        moment.replace("+00:00", "Z"),
        _printable(header.host, _HOST_CHARACTERS),
        _APP_NAME,
        _printable(header.process, _PROCESS_CHARACTERS),
        _MESSAGE_ID,
        _NIL,
    )
    return " ".join(fields).encode("ascii") + b" " + _BOM + body


def framed(syslog_message: bytes) -> bytes:
    """Return a message as it goes onto a stream: its length in bytes before it."""
    return b"%d %b" % (len(syslog_message), syslog_message)


def _printable(text: str, longest: int) -> str:
    """PRINTUSASCII of RFC 5424 6: 33 to 126; what is none becomes a question mark."""
    return "".join(each if "!" <= each <= "~" else "?" for each in text)[:longest] or _NIL
