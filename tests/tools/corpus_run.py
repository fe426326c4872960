"""Everything of the corpus through one gateway: sent, published, then only two nodes and no cache left."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from tests import dcmtk
from tests.gateway import Gateway
from tests.tools import files, wire
from tests.tools.client import FIND, GET, MOVE, Client, Outcome, batches, query, query_contexts
from tests.tools.files import File
from tests.tools.link import Received
from tests.tools.planted import Planted
from tests.tools.receiver import Receiver
from tests.tools.tap import Sent, Tap

HOSPITAL, RESEARCH = "HOSPITAL_1", "RESEARCH_1"


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
    crossed = {(sent.sop_instance_uid, sent.transfer_syntax) for sent in tap.journal}
    left = [
        file
        for file in map(files.read, paths)
        if file and (file.sop_instance_uid, file.transfer_syntax) not in crossed
    ]
    send_as_they_are(tap.address, left)


def send_as_they_are(address: tuple[str, int], left: Sequence[File]) -> None:
    """Send data sets byte for byte, each in its own transfer syntax."""
    for contexts in batches((file.sop_class_uid, file.transfer_syntax) for file in left):
        offered = {(abstract, syntaxes[0]) for abstract, syntaxes in contexts}
        with Client(address, HOSPITAL, contexts) as client:
            for file in left:
                if (file.sop_class_uid, file.transfer_syntax) in offered:
                    client.store(
                        file.sop_class_uid, file.sop_instance_uid, file.transfer_syntax, file.dataset
                    )


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
        """What a client must propose to get everything as it is stored; native research forms besides."""
        sent = {(one.sop_class_uid, one.transfer_syntax) for one in self.accepted}
        return sorted(sent | {(abstract, wire.EXPLICIT) for abstract, _ in sent})

    def studies(self, calling: str) -> list[str]:
        with Client(self.gateway.address, calling, query_contexts(FIND)) as client:
            found = client.find(query("STUDY", StudyInstanceUID=""))
        assert found.status == 0
        return [str(study.StudyInstanceUID) for study in found.identifiers]

    def get(self, calling: str, studies: Sequence[str]) -> list[Outcome]:
        contexts = query_contexts(GET)[2:] + [[abstract, [syntax]] for abstract, syntax in self.pairs]
        classes = {abstract for abstract, _ in self.pairs}
        with Client(self.gateway.address, calling, contexts, provider_of=classes) as client:
            return [client.get(query("STUDY", StudyInstanceUID=study)) for study in studies]

    def move(self, calling: str, studies: Sequence[str], destination: str) -> list[Outcome]:
        with Client(self.gateway.address, calling, query_contexts(MOVE)) as client:
            return [client.move(query("STUDY", StudyInstanceUID=study), destination) for study in studies]

    @cached_property
    def hospital_got(self) -> list[Received]:
        outcomes = self.get(HOSPITAL, self.studies(HOSPITAL))
        assert [outcome.status for outcome in outcomes] == [0] * len(outcomes)
        return [one for outcome in outcomes for one in outcome.received]

    @cached_property
    def hospital_moved(self) -> list[Received]:
        before = len(self.hospital_screen.instances)
        outcomes = self.move(HOSPITAL, self.studies(HOSPITAL), self.hospital_screen.title)
        assert [outcome.status for outcome in outcomes] == [0] * len(outcomes)
        return self.hospital_screen.instances[before:]

    @cached_property
    def research_got(self) -> list[Received]:
        outcomes = self.get(RESEARCH, self.studies(RESEARCH))
        assert [outcome.status for outcome in outcomes] == [0] * len(outcomes)
        return [one for outcome in outcomes for one in outcome.received]

    @cached_property
    def research_moved(self) -> list[Received]:
        before = len(self.research_screen.instances)
        outcomes = self.move(RESEARCH, self.studies(RESEARCH), self.research_screen.title)
        assert [outcome.status for outcome in outcomes] == [0] * len(outcomes)
        return self.research_screen.instances[before:]
