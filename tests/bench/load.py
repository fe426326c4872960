"""A full home: studies by the ten thousand, through the receive log, the indexer and the catalog's own code.

    python -m tests.bench.load HOME STUDIES [IMAGES]

What is left out is the waiting: nothing is synced while it is filled, and the pseudonyms come from this
process. Published means the catalog's rows of it; there are no records on nodes.
"""

import os
import random
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from unittest import mock

import sqlalchemy as sa

from catalog.contributors import PublisherGrant
from catalog.extract import extract
from catalog.publish import Part, PublishedInstance, publish
from catalog.tables import PHI
from dgis import settings
from dgis.cache.index import CacheIndex
from dgis.cache.indexer import Indexer
from dgis.cache.owner import Owner
from dgis.cache.publish_queue import Patience
from dgis.cache.values import StoreMeta
from dgis.configuration import Configuration
from dgis.ingest import ingester
from dgis.keyholder.pseudonyms import pseudonymiser
from dgis.parts import now_ms, open_database, open_pseudonyms, open_receive_log
from tests.tools import wire

CT = "1.2.840.10008.5.1.4.1.1.2"
_ROOT = "1.2.826.0.1.3680043.10.999"
_NEVER_MS = 10 * 365 * 86_400_000
_BATCH = 256
SMITHS, A_DAY = 1000, 100


@dataclass(frozen=True, slots=True)
class Study:
    """One invented study of a catalog of `total`: a hundred of them a date, a thousand of them Smiths."""

    number: int
    total: int

    @property
    def uid(self) -> str:
        """Its Study Instance UID."""
        return f"{_ROOT}.{self.number}"

    @property
    def patient_id(self) -> str:
        """Its patient's ID."""
        return f"BENCH{self.number:07}"

    @property
    def name(self) -> str:
        """Its patient's name."""
        if self.number * SMITHS % self.total < SMITHS:
            return f"SMITH^{self.number}"
        rng = random.Random(self.number)
        return f"{rng.choice('ABCDEFGHIJKLMNOPQRTUVWXYZ')}{rng.randrange(10**6):06}^{self.number % 977}"

    @property
    def date(self) -> str:
        """Its date."""
        day = self.number % max(self.total // A_DAY, 1)
        return f"{1950 + day // 336}{1 + day // 28 % 12:02}{1 + day % 28:02}"

    @property
    def hidden_date(self) -> str:
        """Its date as the grid knows it."""
        return f"{int(self.date[:4]) - 40}{self.date[4:]}"

    def image(self, number: int) -> bytes:
        """One image of its one series, without pixels: Explicit VR Little Endian."""
        return b"".join(_element(*each) for each in self._elements(number))

    def image_uid(self, number: int) -> str:
        """The SOP Instance UID of an image."""
        return f"{self.uid}.1.{number}"

    def _elements(self, number: int) -> Iterator[tuple[int, str, str]]:
        yield from (
            (0x00080005, "CS", "ISO_IR 100"),
            (0x00080008, "CS", "ORIGINAL\\PRIMARY\\AXIAL"),
            (0x00080016, "UI", CT),
            (0x00080018, "UI", self.image_uid(number)),
            (0x00080020, "DA", self.date),
            (0x00080030, "TM", f"{self.number % 24:02}1500"),
            (0x00080050, "SH", f"ACC{self.number}"),
            (0x00080060, "CS", "CT"),
            (0x00080090, "PN", "Sender^Uta"),
            (0x00081030, "LO", f"STUDY {self.number % 97}"),
            (0x0008103E, "LO", "SERIES"),
            (0x00100010, "PN", self.name),
            (0x00100020, "LO", self.patient_id),
            (0x00100030, "DA", f"19{self.number % 100:02}0611"),
            (0x00100040, "CS", "OFM"[self.number % 3]),
            (0x0020000D, "UI", self.uid),
            (0x0020000E, "UI", f"{self.uid}.1"),
            (0x00200010, "SH", str(self.number % 10000)),
            (0x00200011, "IS", "1"),
            (0x00200013, "IS", str(number)),
        )


def _element(tag: int, vr: str, value: str) -> bytes:
    raw = value.encode("ascii")
    raw += (b"\0" if vr == "UI" else b" ") * (len(raw) % 2)
    head = (tag >> 16).to_bytes(2, "little") + (tag & 0xFFFF).to_bytes(2, "little")
    return head + vr.encode() + len(raw).to_bytes(2, "little") + raw


class Filler:
    """Fills one home."""

    def __init__(self, configuration: Configuration) -> None:
        self._engine = open_database(configuration)
        self._log = open_receive_log(configuration)
        name = configuration.gateway.name
        self._index = CacheIndex(self._log.files, name)
        names = pseudonymiser(open_pseudonyms(configuration))
        ingest = ingester(
            configuration.gateway.facility,
            lambda asked: [names(each) for each in asked],
            PublisherGrant(fields=configuration.publish.grant_by),
        )
        owner = Owner(name, Patience(_NEVER_MS, _NEVER_MS), now_ms)
        self._indexer = Indexer(self._log, self._engine, ingest, owner)
        peer = configuration.dicom.peers[0].assertions
        self._assertions = {key: value for key, value in peer.model_dump().items() if value is not None}

    def fill(self, studies: int, images: int, *, published: bool) -> None:
        """Store that many studies of that many images, and publish their rows."""
        every = (
            (Study(number, studies), image) for number in range(studies) for image in range(1, images + 1)
        )
        with self._log.association() as writer:
            done = 0
            while batch := list(islice(every, _BATCH)):
                for study, image in batch:
                    entry = writer.begin(self._meta(study, image))
                    entry.write(study.image(image))
                    entry.commit()
                while self._indexer.run_once():
                    pass
                if published:
                    self._publish(batch)
                done += len(batch)
                _progress(done, studies * images)

    def close(self) -> None:
        """Leave a home that a gateway can start on."""
        self._log.close()
        self._indexer.stop()
        self._engine.dispose()
        os.sync()

    def _meta(self, study: Study, image: int) -> StoreMeta:
        return StoreMeta(
            sop_class_uid=CT,
            sop_instance_uid=study.image_uid(image),
            transfer_syntax=wire.EXPLICIT,
            calling_ae="HOSPITAL_1",
            called_ae="DGIS",
            peer_address="127.0.0.1",
            received_ms=now_ms(),
            assertions=self._assertions,
        )

    def _publish(self, batch: list[tuple[Study, int]]) -> None:
        """Write the rows of published instances; their de-identified form is made up."""
        with self._engine.begin() as connection:
            columns = PHI.instance.c
            uids = [study.image_uid(image) for study, image in batch]
            found = sa.select(columns.sop_instance_uid, columns.id).where(columns.sop_instance_uid.in_(uids))
            rows = {row.sop_instance_uid: row.id for row in connection.execute(found)}
            parts = [
                PublishedInstance(
                    rows[uid], place, extract(_hidden(study, image), wire.EXPLICIT), wire.EXPLICIT, 900
                )
                for place, (uid, (study, image)) in enumerate(zip(uids, batch, strict=True))
            ]
            publish(connection, Part(f"bench-{rows[uids[0]]}", parts, [], now_ms()))
            self._index.mark_published(connection, list(rows.values()))


def _hidden(study: Study, image: int) -> bytes:
    values: Mapping[int, str] = {
        0x00080018: f"2.25.{study.number}3{image:05}",
        0x00080020: study.hidden_date,
        0x00080050: "",
        0x00080090: "",
        0x00100010: f"PK{study.number}",
        0x00100020: f"PK{study.number}",
        0x00100030: "",
        0x0020000D: f"2.25.{study.number}1",
        0x0020000E: f"2.25.{study.number}2",
    }
    return b"".join(_element(tag, vr, values.get(tag, value)) for tag, vr, value in study._elements(image))


def fill(home: Path, studies: int, images: int = 1, *, published: bool = True) -> None:
    """Fill the home of a gateway that has been started once, and is stopped."""
    configuration = settings.load(home=home)
    with mock.patch("os.fdatasync"):  # what is filled here may be lost: it is synced once, at the end
        filler = Filler(configuration)
        try:
            filler.fill(studies, images, published=published)
        finally:
            filler.close()


def _progress(done: int, total: int) -> None:
    if done % (_BATCH * 40) == 0 or done == total:
        sys.stderr.write(f"\r  {done:,} of {total:,} instances filled in{chr(10) if done == total else ''}")
        sys.stderr.flush()


if __name__ == "__main__":
    fill(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 1)
