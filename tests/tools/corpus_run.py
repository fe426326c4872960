"""Everything of the corpus through one gateway: sent, published, then only two nodes and no cache left."""

import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from tests import dcmtk
from tests.gateway import Gateway
from tests.tools import files
from tests.tools.client import Client, batches
from tests.tools.fetching import (
    HOSPITAL,
    RESEARCH,
    get_everything,
    move,
    studies,
    whole,
    with_native_forms,
)
from tests.tools.files import File
from tests.tools.link import Received
from tests.tools.planted import Planted
from tests.tools.receiver import Receiver
from tests.tools.tap import Sent, Tap


def send(tap: Tap, paths: Sequence[Path], associations: int, folder: Path) -> None:
    """Send files by dcmtk's own clients, and by the tests' client what dcmtk 3.6.7 cannot read or propose."""
    if associations == 1:
        dcmtk.storescu(tap.address, paths, HOSPITAL, folder)
    else:
        shares = [paths[number::associations] for number in range(associations)]
        senders = [
            threading.Thread(target=dcmtk.dcmsend, args=(tap.address, share, HOSPITAL)) for share in shares
        ]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
    left = _not_sent(tap.journal, [file for file in map(files.read, paths) if file])
    send_as_they_are(tap.address, left)


def _not_sent(journal: Sequence[Sent], storable: Sequence[File]) -> list[File]:
    """What dcmtk left out; it sends uncompressed data in the syntax of its choice, so UIDs are counted."""
    crossed = Counter(sent.sop_instance_uid for sent in journal)
    as_stored = {(sent.sop_instance_uid, sent.transfer_syntax) for sent in journal}
    wanted = Counter(file.sop_instance_uid for file in storable)
    return [
        file
        for file in storable
        if crossed[file.sop_instance_uid] < wanted[file.sop_instance_uid]
        and (file.sop_instance_uid, file.transfer_syntax) not in as_stored
    ]


def send_as_they_are(address: tuple[str, int], left: Sequence[File]) -> None:
    """Send data sets byte for byte in their own transfer syntax; what is not accepted does not cross."""
    for contexts in batches((file.sop_class_uid, file.transfer_syntax) for file in left):
        offered = {(abstract, syntaxes[0]) for abstract, syntaxes in contexts}
        with Client(address, HOSPITAL, contexts) as client:
            for file in left:
                pair = (file.sop_class_uid, file.transfer_syntax)
                if pair in offered and client.accepts(*pair):
                    client.store(pair[0], file.sop_instance_uid, pair[1], file.dataset)


@dataclass
class CorpusRun:
    """What was sent and answered, and what each caller gets back; each is fetched once."""

    gateway: Gateway
    journal: list[Sent]
    paths: list[Path]
    hospital_screen: Receiver
    research_screen: Receiver
    planted: list[Planted]
    status: dict = field(default_factory=dict)  # what `dgis status` said once everything was published

    @property
    def accepted(self) -> list[Sent]:
        return [sent for sent in self.journal if sent.status == 0]

    @cached_property
    def versions(self) -> dict[str, set[tuple[str, str]]]:
        """SOP Instance UID to the distinct (SHA-256, transfer syntax) that were answered with success."""
        found: dict[str, set[tuple[str, str]]] = {}
        for sent in self.accepted:
            found.setdefault(sent.sop_instance_uid, set()).add((sent.sha256, sent.transfer_syntax))
        return found

    @cached_property
    def pairs(self) -> list[tuple[str, str]]:
        """What a client must propose to get everything as it lies, original or de-identified."""
        return with_native_forms((one.sop_class_uid, one.transfer_syntax) for one in self.accepted)

    @cached_property
    def hospital_got(self) -> list[Received]:
        return get_everything(self.gateway.address, HOSPITAL, self.pairs)

    @cached_property
    def research_got(self) -> list[Received]:
        return get_everything(self.gateway.address, RESEARCH, self.pairs)

    @cached_property
    def hospital_moved(self) -> list[Received]:
        return self._moved(HOSPITAL, self.hospital_screen)

    @cached_property
    def research_moved(self) -> list[Received]:
        return self._moved(RESEARCH, self.research_screen)

    def _moved(self, calling: str, screen: Receiver) -> list[Received]:
        before = len(screen.instances)
        address = self.gateway.address
        whole(move(address, calling, studies(address, calling), screen.title))
        return screen.instances[before:]
