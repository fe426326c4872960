"""Bad inputs of the DICOM door: whatever a peer sends costs little, is recorded, and makes nobody wait."""

import json
import re
import socket
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field, replace

import pytest
from pydicom import dcmread

from dgis.demo.files import write_files
from tests import dcmtk
from tests.canary import Hunt
from tests.gateway import Gateway, wait_until
from tests.tools.hostile import asking, floods, frames, messages, negotiation, slow, storing
from tests.tools.hostile.peer import CANARIES, Target
from tests.tools.processes import forget_peak, peak_rss_bytes, rss_bytes
from tests.tools.report import show
from tests.unit.dgis.identity.makers import SERVER, authority, new_key, pem

pytestmark = [pytest.mark.dcmtk, pytest.mark.timeout(300), pytest.mark.xdist_group("door-bad-inputs")]

MOST_BYTES = 200 << 20  # above idle
PATIENCE_SECONDS = 30  # of the good client: far beyond the five seconds in which it should be served
RECORD_SECONDS = 15
CLEARED = {
    "assertions": {"user": "pacs", "department": "Radiology", "institution": "Demo Hospital"},
    "may": ["store", "find", "retrieve", "phi"],
}
PEERS = [  # an archive may be its own peer, and destinations may be away
    {"ae_title": "HOSPITAL*", "addresses": ["127.0.0.0/8"], **CLEARED},
    *({"ae_title": title, **CLEARED} for title in ("DGIS", "CLOSED", "STALLED")),
]


@dataclass(frozen=True)
class Bad:
    """A bad input, and what the trail says of it: patterns of words or statuses, each in some row."""

    act: Callable[[Target], None]
    recorded: tuple[str, ...]


QUICK = {
    "PDU length 0": Bad(frames.no_length, ("PDU of type 4 with 0 bytes", "A-ASSOCIATE PDU of 0 bytes")),
    "PDU length 4 GiB": Bad(frames.four_gib, ("with 4294967280 bytes", "with 4294967295 bytes")),
    "PDU cut": Bad(frames.cut, ("closed inside a PDU",)),
    "PDU with more than announced": Bad(
        frames.more_than_announced, ("protocol violation: item", "data value of")
    ),
    "unknown PDU types": Bad(frames.unknown_types, ("PDU of type 0", "PDU of type 127", "PDU of type 255")),
    "PDUs before any association": Bad(
        frames.before_any_association, tuple(f"PDU of type {kind} out of turn" for kind in (2, 3, 4, 5, 6))
    ),
    "second A-ASSOCIATE": Bad(frames.asked_twice, ("PDU of type 1 out of turn",)),
    "release twice, release unasked": Bad(frames.released_twice, ("PDU of type 6 out of turn",)),
    "PDVs that lie": Bad(
        frames.values_that_lie, ("data value of 2147483647 bytes", "data value of 0", "stray")
    ),
    "PDVs of no length": Bad(frames.empty_values, ("data values without a byte",)),
    "fragments of two contexts": Bad(frames.interleaved, ("inside a data set",)),
    "data set without a command": Bad(
        frames.data_without_command, ("data set without a command", "no such presentation context")
    ),
    "odd maximum lengths": Bad(frames.odd_maximum_lengths, ("rejected: no reason given",)),
    "command lengths": Bad(
        frames.command_lengths,
        ("longer than what is left", "US of 3 bytes", "of another group", "3 stray bytes"),
    ),
    "command without end": Bad(frames.command_without_end, ("a command set without end",)),
    "command elements missing": Bad(
        messages.missing_elements, ("no Command Field", "a request without a message ID")
    ),
    "group length that lies": Bad(messages.group_length_that_lies, ("association 0",)),
    "operations of another class": Bad(
        messages.operations_of_another_class, ("0x0211", "0x0122", "a response to nothing")
    ),
    "C-CANCEL flood": Bad(messages.cancels, ("query",)),
    "C-ECHO flood": Bad(messages.impatient, ("association 0",)),
    "hostile AE titles": Bad(
        negotiation.titles, ("calling AE title not recognized", "called AE title not recognized")
    ),
    "other protocols": Bad(negotiation.versions, ("protocol version", "application context name")),
    "user identity of every kind": Bad(
        negotiation.identities,
        ("rejected: a passcode is taken over TLS only", "rejected: the credential cannot be read"),
    ),
    "user identity cut or lying": Bad(negotiation.broken_identities, ("field of", "user identity too short")),
    "extended negotiation garbage": Bad(
        negotiation.extended, ("field of 65535 bytes", "role selection", "maximum length")
    ),
    "four thousand roles": Bad(negotiation.many_roles, ("SOP classes",)),
    "presentation contexts": Bad(
        negotiation.contexts,
        ("is even", "used twice", "transfer syntaxes", "PDU of type 1 with 1100000 bytes"),
    ),
    "heavy proposals, held": Bad(negotiation.heavy_proposals, ("association 0",)),
    "syntaxes that are none": Bad(negotiation.syntaxes_that_are_none, ("association 0",)),
    "hostile SOP instance UIDs": Bad(storing.names_of_instances, ("0x0117",)),
    "hostile study and series UIDs": Bad(storing.names_above, ("0xC000",)),
    "another instance than announced": Bad(storing.another_instance, ("0xA900",)),
    "another class than the context": Bad(storing.another_class, ("0x0122",)),
    "C-STORE of nothing": Bad(storing.no_data_set, ("0x0212",)),
    "headers without identity": Bad(storing.no_identity, ("store 4",)),
    "deflate bomb stored": Bad(storing.bomb, ("0xC000",)),
    "nested data sets": Bad(storing.nested, ("0xC000",)),
    "resets in mid-store": Bad(storing.vanishing, ("closed",)),
    "injection in keys": Bad(asking.injected, ("query 0",)),
    "ten thousand wildcards": Bad(asking.stars, ("more than 16 wildcards",)),
    "two million values": Bad(asking.many_values, ("0xA700",)),
    "long lists at once": Bad(asking.many_lists, ("query",)),
    "half a million keys": Bad(asking.many_elements, ("0xA700",)),
    "identifiers 20,000 deep": Bad(asking.nested, ("0xC001",)),
    "character set abuse": Bad(asking.character_sets, ("query",)),
    "malformed keys": Bad(asking.malformed, ("0xC001", "0xA900")),
    "deflate bomb asked": Bad(asking.bomb, ("query 4",)),
    "C-MOVE to nobody": Bad(asking.unknown_destinations, ("0xA801",)),
    "C-MOVE of anything": Bad(asking.bad_transfers, ("0xA900", "transfer 0")),
    "C-MOVE to itself": Bad(asking.to_itself, ("transfer 0", '"completed": 1')),
    "C-MOVE to a closed port": Bad(asking.closed_destination, ("0xA702",)),
    "silent connections": Bad(floods.silent_connections, ("it gave way",)),
    "association flood": Bad(floods.short_associations, ("association 0",)),
    "associations held": Bad(floods.held_associations, ("local limit exceeded|gave way",)),
    "plain bytes to TLS": Bad(floods.plain_bytes_to_tls, ("no TLS came about",)),
    "half a TLS handshake": Bad(floods.half_a_handshake, ("no TLS came about",)),
}
SLOW = {  # begun together, before all others
    "a byte a second": Bad(slow.a_byte_a_second, ("too slow: association request",)),
    "stall in a request": Bad(slow.stalled_request, ("too slow: association request",)),
    "stall in a PDU": Bad(slow.stalled_pdu, ("too slow: idle|gave way",)),
    "stall in a data set": Bad(slow.stalled_data_set, ("too slow: message",)),
    "a byte a second of a data set": Bad(slow.dripping_data_set, ("too slow: message",)),
    "answers never read": Bad(slow.never_reading, ("does not take",)),
    "stall in a TLS handshake": Bad(slow.stalled_handshake, ("too slow: TLS handshake",)),
    "C-MOVE to who stalls": Bad(slow.destination_that_stalls, ("0xA702",)),
}
ALL = {**QUICK, **SLOW}


@dataclass
class Played:
    """What a bad input did to the door."""

    seconds: float  # until the good client was served
    peak_bytes: int  # above idle
    door: int
    trouble: BaseException | None


@dataclass
class Range:
    """A gateway under attack; each attack has an address of its own, by which the trail tells them apart."""

    gateway: Gateway
    target: Target
    folder: object
    door: int
    idle_bytes: int
    played: dict[str, Played] = field(default_factory=dict)
    running: dict[str, tuple[threading.Thread, list]] = field(default_factory=dict)

    def aimed(self, name: str) -> Target:
        return replace(self.target, source=source_of(name))

    def begin(self, name: str) -> None:
        troubles = []

        def act() -> None:
            try:
                ALL[name].act(self.aimed(name))
            except BaseException as trouble:  # noqa: BLE001 - shown by the test of this input
                troubles.append(trouble)

        thread = threading.Thread(target=act, daemon=True)
        thread.start()
        self.running[name] = thread, troubles

    def play(self, name: str) -> Played:
        if name not in self.played:
            forget_peak(self.door)
            if name not in self.running:
                self.begin(name)
            thread, troubles = self.running[name]
            thread.join(200)
            seconds = self.good_client()
            peak = peak_rss_bytes(self.door) - self.idle_bytes
            trouble = troubles[0] if troubles else None
            self.played[name] = Played(seconds, peak, self.gateway.role_pid("dicom"), trouble)
        return self.played[name]

    def good_client(self) -> float:
        """Seconds until echoscu and findscu were served."""
        began = time.monotonic()
        wait_until(self._served, PATIENCE_SECONDS, "a good client is served")
        return time.monotonic() - began

    def _served(self) -> bool:
        query = ("-S", "-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={self.target.study}")
        call = ("-aet", "HOSPITAL_1", "-aec", "DGIS")
        echoed = dcmtk.run("echoscu", *call, *self.target.address, check=False)
        found = dcmtk.run("findscu", *call, *query, *self.target.address, check=False)
        said = found.stdout + found.stderr
        return echoed.returncode == 0 and found.returncode == 0 and self.target.study in said

    def rows(self, name: str) -> list[str]:
        """What the trail says of an attack: event, outcome and detail of each row."""
        with closing(sqlite3.connect(self.gateway.home / "catalog.sqlite")) as database:
            rows = database.execute("SELECT event, outcome, kept FROM audit").fetchall()
        kept = [(event, outcome, json.loads(text)) for event, outcome, text in rows]
        return [
            f"{event} {outcome} {json.dumps(one['detail'])}"
            for event, outcome, one in kept
            if one["address"] == source_of(name)
        ]


def source_of(name: str) -> str:
    return f"127.0.{1 + list(ALL).index(name)}.10"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def door(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bad")
    write_files(folder / "images", 1)
    key = new_key()
    (folder / "server.key").write_bytes(pem(key))
    (folder / "server.pem").write_bytes(pem(authority().issue("localhost", key, usage=SERVER)))
    port, stalled, closed = free_port(), free_port(), free_port()
    settings = {
        "DGIS__LOG__LEVEL": "debug",
        "DGIS__DICOM__PORT": str(port),
        "DGIS__DICOM__PEERS": json.dumps(PEERS),
        "DGIS__DICOM__IDLE_SECONDS": "12",
        "DGIS__DICOM__TLS_PORT": "0",
        "DGIS__DICOM__TLS_CERTIFICATE": str(folder / "server.pem"),
        "DGIS__DICOM__TLS_KEY": str(folder / "server.key"),
    }
    destinations = {"DGIS": port, "STALLED": stalled, "CLOSED": closed}
    with Gateway(settings, destinations=destinations) as gateway:
        dcmtk.run(
            "storescu", "-aet", "HOSPITAL_1", "-aec", "DGIS", "+sd", "+r", *gateway.address, folder / "images"
        )
        gateway.wait_published()
        study = str(dcmread(next((folder / "images").rglob("*.dcm"))).StudyInstanceUID)
        pid = gateway.role_pid("dicom")
        target = Target(gateway.address, ("127.0.0.1", gateway.tls_address[1]), "127.0.0.1", study, stalled)
        made = Range(gateway, target, folder, pid, 0)
        for _ in range(3):
            made.good_client()
        made.idle_bytes = rss_bytes(pid)
        for name in SLOW:
            made.begin(name)
        yield made


@pytest.mark.parametrize("name", ALL)
def test_a_bad_input_costs_little_and_nobody_else_waits(door, name):
    played = door.play(name)
    assert played.trouble is None, repr(played.trouble)
    assert played.door == door.door
    assert door.door in door.gateway.pids()
    assert played.peak_bytes < MOST_BYTES


@pytest.mark.parametrize("name", ALL)
def test_a_bad_input_is_in_the_trail(door, name):
    door.play(name)

    def missing() -> list[str]:
        rows = door.rows(name)
        return [words for words in ALL[name].recorded if not any(re.search(words, row) for row in rows)]

    wait_until(lambda: not missing(), RECORD_SECONDS, f"rows of {name}: {missing()} of {door.rows(name)}")


def test_nothing_of_what_was_said_is_in_the_log_or_the_trail(door):
    """But for the keys of queries, which the trail keeps (PS3.15 A.5.3.10)."""
    for name in ALL:
        door.play(name)
    hunt = Hunt(CANARIES)
    assert "association_ended" in door.gateway.log()
    assert hunt.find(door.gateway.log().encode()) == set()
    with closing(sqlite3.connect(door.gateway.home / "catalog.sqlite")) as database:
        rows = database.execute("SELECT caller || kept FROM audit WHERE event <> 'query'").fetchall()
    assert hunt.find("\n".join(row[0] for row in rows).encode()) == set()
    assert not [path for path in door.gateway.home.rglob("*") if any(each in path.name for each in CANARIES)]


def test_the_trail_holds_together_and_no_process_died(door):
    for name in ALL:
        door.play(name)
    assert door.gateway.json("audit", "verify")["findings"] == []
    assert "child_died" not in door.gateway.log()


def test_what_it_all_cost(door, request):
    lines = [f"{'bad input':36}{'peak MiB above idle':>20}{'good client s':>15}"]
    for name in ALL:
        played = door.play(name)
        lines.append(f"{name:36}{played.peak_bytes / (1 << 20):20.1f}{played.seconds:15.2f}")
    show(request, "\n".join(lines))
    assert len(ALL) >= 25
