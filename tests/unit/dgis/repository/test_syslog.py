import pytest

from dgis.repository.configuration import AuditSection, parse_address
from dgis.repository.syslog import Header, framed, message

BODY = "<a>ü</a>".encode()


def test_a_message_is_that_of_rfc_5424():
    made = message(Header(1_795_000_000_123, "gw1", "gateway-1/dicom"), BODY)
    assert made == (
        b"<85>1 2026-11-18T11:06:40.123Z gw1 dgis gateway-1/dicom DICOM+RFC3881 - \xef\xbb\xbf" + BODY
    )


@pytest.mark.parametrize(("outcome", "priority"), [(0, b"<85>"), (4, b"<84>"), (8, b"<83>"), (12, b"<83>")])
def test_failures_are_more_urgent(outcome, priority):
    assert message(Header(0, "h", "p", outcome), b"").startswith(priority)


def test_fields_hold_what_the_grammar_allows():
    made = message(Header(0, "a b\n", "ü" * 500), b"")
    fields = made.split(b" ")
    assert (fields[2], fields[4]) == (b"a?b?"[:4], b"?" * 128)
    assert message(Header(0, "", ""), b"").split(b" ")[2] == b"-"


def test_a_frame_counts_bytes_not_characters():
    made = message(Header(0, "h", "p"), BODY)
    assert framed(made) == str(len(made)).encode() + b" " + made


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("syslog+tls://arr.example", ("tls", "arr.example", 6514)),
        ("syslog+tls://arr.example:16514", ("tls", "arr.example", 16514)),
        ("syslog+tcp://127.0.0.1:601", ("tcp", "127.0.0.1", 601)),
        ("syslog+udp://[::1]", ("udp", "::1", 514)),
    ],
)
def test_addresses_are_read(text, address):
    read = parse_address(text)
    assert (read.transport, read.host, read.port) == address
    assert parse_address(str(read)) == read


@pytest.mark.parametrize(
    "text",
    [
        "arr:6514",
        "tls://arr",
        "syslog+tls://",
        "syslog+tls://u:p@arr",
        "syslog+tls://arr/x",
        "syslog+tls://arr:x",
    ],
)
def test_what_is_no_address_is_refused(text):
    with pytest.raises(ValueError):  # noqa: PT011 (also what the library says of a port)
        parse_address(text)


FILES = {"ca_file": "ca", "certificate_file": "crt", "key_file": "key"}


@pytest.mark.parametrize(
    "section",
    [
        {},
        {"repository": "syslog+tls://arr", **FILES},
        {"repository": "syslog+tcp://127.0.0.1"},
        {"repository": "syslog+udp://localhost"},
        {"repository": "syslog+udp://10.0.0.1", "allow_clear": True},
    ],
)
def test_what_may_be_configured(section):
    AuditSection(**section)


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ({"repository": "syslog+tls://arr"}, "both sides"),
        ({"repository": "syslog+tls://arr", **FILES, "key_file": None}, "both sides"),
        ({"repository": "syslog+tcp://10.0.0.1"}, "allow_clear"),
        ({"repository": "syslog+udp://arr.example"}, "allow_clear"),
    ],
)
def test_identifying_data_does_not_leave_in_clear_by_oversight(section, words):
    with pytest.raises(ValueError, match=words):
        AuditSection(**section)
