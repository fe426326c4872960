"""The trail in a real audit record repository: rsyslog over mutual TLS, killed and started again."""

import re
from dataclasses import replace

import pytest
from lxml import etree

from catalog.audit import trail
from catalog.audit.values import Event, Happening, Outcome
from dgis.parts import now_ms
from dgis.repository import cursor
from dgis.repository.configuration import AuditSection
from dgis.repository.line import Line, LineError, proof_of
from dgis.repository.message import Source
from dgis.repository.sender import Means, Sender
from dgis.repository.streams import Reader
from dgis.trail.sealing import TrailSealer
from tests.gateway import Gateway, wait_until
from tests.tools.rsyslog import GATEWAY, Rsyslog
from tests.unit.dgis.identity.makers import Authority
from tests.unit.dgis.repository.test_message import SCHEMA
from tests.unit.dgis.site import Site
from tests.unit.dgis.trail.test_sealing import KEY

pytestmark = [pytest.mark.timeout(600), pytest.mark.xdist_group("rsyslog")]

WRITER = "gateway-1/dicom"
ENTRY = re.compile(r"audit:([^\"]+)/(\d+)\"")


@pytest.fixture
def repository(tmp_path):
    folder = tmp_path / "arr"
    folder.mkdir()
    rsyslog = Rsyslog(folder)
    rsyslog.start()
    yield rsyslog
    rsyslog.kill()


@pytest.fixture
def site(tmp_path):
    site = Site(tmp_path / "site")
    yield site
    site.close()


def section(rsyslog, **changed):
    values = {
        "repository": rsyslog.address,
        "ca_file": rsyslog.ca,
        "certificate_file": rsyslog.certificate,
        "key_file": rsyslog.key,
    }
    return AuditSection(**{**values, **changed})


def opened(audit):
    return Line(audit.address, proof_of(audit))


def sender(site, audit, **more):
    reader = Reader(Source("gw1", "Demo Hospital", "DGIS"), KEY.public_key())
    means = Means(site.engine, "gateway-1", str(audit.address), reader, lambda: opened(audit), now_ms)
    return Sender(replace(means, **more))


def write(site, count):
    happenings = [
        Happening(Event.ASSOCIATION, f"WS_{number} <ü@idp>", Outcome.SUCCESS, "192.0.2.7")
        for number in range(count)
    ]
    with site.engine.begin() as connection:
        trail.append(connection, WRITER, happenings, now_ms())


def arrived(repository, writer=WRITER):
    found = [ENTRY.search(each["message"]) for each in repository.messages()]
    return {int(match[2]) for match in found if match and match[1] == writer}


def drain(sending):
    while sending.run_once():
        pass


def test_what_arrives_is_what_was_written(site, repository):
    write(site, 20)
    TrailSealer(site.engine, site.grid.fleet, KEY, site.clock).run_once()
    sending = sender(site, section(repository))
    drain(sending)
    wait_until(lambda: len(repository.messages()) == 21, 30, "everything has arrived")
    sending.close()
    for each in repository.messages():
        assert (each["host"], each["app"], each["process"], each["id"], each["priority"]) == (
            "gw1",
            "dgis",
            WRITER,
            "DICOM+RFC3881",
            "85",
        )
        message = etree.fromstring(each["message"].lstrip("\ufeff").encode())
        SCHEMA.assertValid(message)
    first = etree.fromstring(repository.messages()[0]["message"].lstrip("\ufeff").encode())
    assert first.find("ActiveParticipant").get("UserID") == "WS_0 <ü@idp>"
    assert any("TRAIL-HEAD" in each["message"] for each in repository.messages())


def test_a_repository_that_is_killed_in_the_middle_gets_every_event(site, repository):
    """At least once: what the crash swallowed, in flight or in its memory, comes again."""
    write(site, 4000)
    seconds = [0.0]
    sending = sender(site, section(repository), seconds=lambda: seconds[0])
    sent = 0
    while sending.run_once():
        sent += 1
        if sent == 5:
            repository.kill()
    assert not sending.run_once()
    with site.engine.connect() as connection:
        state = cursor.state(connection, "gateway-1")
    assert (state["waiting"], bool(state["trouble"])) == (4000, True)
    assert len(arrived(repository)) < 4000
    repository.start()
    seconds[0] += 60
    drain(sending)
    wait_until(lambda: len(arrived(repository)) == 4000, 60, "every event has arrived")
    assert arrived(repository) == set(range(1, 4001))
    sending.close()


@pytest.mark.parametrize("scheme", ["tls", "udp"])
def test_both_transports_bring_messages(site, repository, scheme):
    audit = section(repository)
    if scheme == "udp":
        audit = AuditSection(repository=f"syslog+udp://127.0.0.1:{repository.port}")
    write(site, 3)
    sending = sender(site, audit)
    drain(sending)
    wait_until(lambda: arrived(repository) == {1, 2, 3}, 30, "they have arrived")
    sending.close()


def test_a_certificate_of_somebody_else_is_refused_with_words(repository):
    stranger = Authority("stranger")
    certificate, key = repository.issue("stranger", GATEWAY, authority=stranger)
    with pytest.raises(LineError, match="certificate_file"):
        opened(section(repository, certificate_file=certificate, key_file=key))


def test_a_certificate_that_is_not_permitted_is_refused_with_words(repository):
    certificate, key = repository.issue("other", "other.test")
    with pytest.raises(LineError, match="certificate_file"):
        opened(section(repository, certificate_file=certificate, key_file=key))


def test_a_repository_that_is_somebody_else_gets_nothing(site, repository):
    (repository.folder / "stranger-ca.pem").write_bytes(repository.ca.read_bytes())
    foreign = repository.folder / "foreign.pem"
    certificate, _key = repository.issue("whatever", GATEWAY, authority=Authority("stranger"))
    foreign.write_bytes(certificate.read_bytes())
    with pytest.raises(LineError, match="not accepted"):
        opened(section(repository, ca_file=foreign))
    wrong_name = section(repository, repository=f"syslog+tls://127.0.0.1:{repository.port}")
    with pytest.raises(LineError, match="not accepted"):
        opened(wrong_name)
    write(site, 1)
    drain(sender(site, wrong_name))
    assert repository.messages() == []


@pytest.mark.parametrize("broken", ["ca_file", "certificate_file", "key_file"])
def test_files_that_are_none_are_named(repository, broken):
    nothing = repository.folder / "nothing.pem"
    nothing.write_text("nothing")
    with pytest.raises(LineError, match=f"audit.*{broken}"):
        opened(section(repository, **{broken: nothing}))


def environment(repository):
    return {
        "DGIS__AUDIT__REPOSITORY": repository.address,
        "DGIS__AUDIT__CA_FILE": str(repository.ca),
        "DGIS__AUDIT__CERTIFICATE_FILE": str(repository.certificate),
        "DGIS__AUDIT__KEY_FILE": str(repository.key),
    }


def listed(gateway):
    return {(each["writer"], each["number"]) for each in gateway.json("audit", "list", "--limit", "1000")}


def everything(repository):
    found = [ENTRY.search(each["message"]) for each in repository.messages()]
    return {(match[1], int(match[2])) for match in found if match}


def test_a_gateway_sends_what_it_does_and_waits_for_nobody(repository):
    with Gateway(environment(repository)) as gateway:
        wait_until(
            lambda: any("110120" in each["message"] for each in repository.messages()), 60, "its start"
        )
        repository.kill()
        gateway.cli("account", "add", "alice", typed="a long passcode\n")
        gateway.restart()
        wait_until(lambda: gateway.log().count("audit_repository_away") > 1, 60, "it is noticed twice")
        state = gateway.json("status")["audit_repository"]
        assert state["waiting"] > 0
        assert state["trouble"]
        assert "trouble    the audit repository" in gateway.cli("status").stdout
        assert "TROUBLE the audit repository" in gateway.cli("doctor", check=False).stdout
        repository.start()
        said = listed(gateway)
        wait_until(lambda: said <= everything(repository), 120, "every event has arrived", 0.5)
        assert gateway.json("status")["audit_repository"]["trouble"] is None
        for each in repository.messages():
            SCHEMA.assertValid(etree.fromstring(each["message"].lstrip("\ufeff").encode()))
