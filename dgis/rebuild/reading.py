"""All that one part tells: headers of its record, and what its companion gives to who has the key."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import takewhile

import sqlalchemy as sa

from catalog.adopt import AdoptedForm, AdoptedOriginal
from catalog.extract import Attributes, extract
from deid.keys.generations import patient_of
from deid.keys.store import KeyStore
from deid.keys.values import KeyDamaged, KeyMissing, KeyShredded
from deid.seal.reader import CompanionReader
from deid.seal.values import SealedInstance, SealRefused
from deid.splice.program import Literal
from dgis.ingest import HEADER_BYTES, read_head
from dgis.keyholder.protocol import Identifiers, Keys
from dgis.publisher.about import CONTRIBUTOR, PATIENT, PLANNED, SUPERSEDES, Contributions
from dgis.publisher.sealed import WITHHELD, SealedRows, read_rows
from dgis.rebuild.values import PartRead, Trouble
from dgis.retriever.records import Companion, NotHere, Shelf
from replica.source import NoCopyLeft
from replica.tables import replica_object
from storage_nodes.addresses import Kind
from storage_nodes.names import RecordKey
from storage_nodes.record.reader import RecordReader
from storage_nodes.record.values import EXPLICIT_VR_LITTLE_ENDIAN

_READ_AHEAD_BYTES = 0  # headers alone are read, and their blocks lie together


@dataclass(frozen=True, slots=True)
class Secrets:
    """What opens companions, names what is in them, and says who contributed a record."""

    keys: KeyStore
    names: Callable[[Identifiers], Keys]
    contributions: Contributions


@dataclass(frozen=True, slots=True)
class Reading:
    """Where parts are read from; without secrets their de-identified half alone."""

    engine: sa.Engine
    shelf: Shelf
    secrets: Secrets | None

    def read(self, record_key: str, found_ms: int) -> PartRead:
        """Read one part, found on the nodes at a time (epoch milliseconds, where it says none itself).

        Raises:
            KeyStoreUnavailable: the key stores do not answer: to be tried again.
        """
        sizes = self._sizes(record_key)
        part = PartRead(record_key, "", found_ms, None, (), stored_bytes=sum(sizes.values()))
        if Kind.RECORD in sizes:
            part = self._with_record(part)
        if part.trouble is None:
            part = self._with_companion(part, sizes)
        return part

    def _sizes(self, record_key: str) -> dict[Kind, int]:
        row = replica_object.c
        live = sa.select(row.kind, row.size_bytes).where(
            row.record_key == record_key, row.committed_ms.is_not(None), row.superseded_ms.is_(None)
        )
        with self.engine.execution_options(read_only=True).connect() as connection:
            return {Kind(kind): size for kind, size in connection.execute(live)}

    def _with_record(self, part: PartRead) -> PartRead:
        try:
            record = self.shelf.record(RecordKey(part.record_key), _READ_AHEAD_BYTES)
            forms, about = record.ask(lambda reader: (_forms(reader), reader.manifest.about))
        except NotHere:
            return replace(part, trouble=Trouble.DAMAGED_RECORD)
        patient, planned, sealed = about.get(PATIENT), about.get(PLANNED), about.get(CONTRIBUTOR)
        superseded = about.get(SUPERSEDES)
        by = None
        if self.secrets is not None and isinstance(sealed, str):
            by = self.secrets.contributions.open(RecordKey(part.record_key), sealed)
        return replace(
            part,
            forms=forms,
            patient_key=patient if isinstance(patient, str) else "",
            planned_ms=planned if isinstance(planned, int) else part.planned_ms,
            contribution=by,
            supersedes=frozenset(map(str, superseded)) if isinstance(superseded, list) else frozenset(),
        )

    def _with_companion(self, part: PartRead, sizes: dict[Kind, int]) -> PartRead:
        if Kind.SEALED not in sizes:
            return replace(part, trouble=self._why_no_companion(part))
        if not part.patient_key:
            part = replace(part, patient_key=self._patient_named(part.record_key))
        if self.secrets is None:
            return replace(part, trouble=Trouble.NO_KEYS)
        companion = self.shelf.companion(RecordKey(part.record_key), self.secrets.keys.get)
        try:
            rows, sealed = _opened(companion, part.patient_key)
            part = replace(part, key_name=companion.key_name or "")
        except KeyShredded:
            return replace(part, trouble=Trouble.ERASED)
        except (KeyMissing, KeyDamaged):
            return replace(part, trouble=Trouble.NO_KEY)
        except NotHere:
            return replace(part, trouble=Trouble.DAMAGED_COMPANION)
        said = read_rows(rows)
        if said is None or len(said.received_ms) != len(sealed):
            return replace(part, trouble=Trouble.UNKNOWN_ROWS)
        return self._told(part, said, sealed, has_record=Kind.RECORD in sizes)

    def _patient_named(self, record_key: str) -> str:
        """Return whose companion it is by the clear name of its key; empty where no copy is to be read."""
        try:
            return patient_of(self.shelf.companion_names(RecordKey(record_key)).patient_key)
        except (NotHere, NoCopyLeft, SealRefused):
            return ""

    def _why_no_companion(self, part: PartRead) -> Trouble:
        """Say whether it is gone because the patient was erased: it goes some time after the key."""
        if self.secrets is None or not part.patient_key:
            return Trouble.NO_COMPANION
        try:
            self.secrets.keys.get(part.patient_key)
        except KeyShredded:
            return Trouble.ERASED
        except (KeyMissing, KeyDamaged):
            pass
        return Trouble.NO_COMPANION

    def _told(
        self, part: PartRead, said: SealedRows, sealed: list["_Sealed"], *, has_record: bool
    ) -> PartRead:
        withheld = _withheld(said, len(sealed) - len(part.forms))
        first_withheld = len(sealed) - len(withheld)
        if not has_record and first_withheld:
            return replace(part, patient_key=said.patient_key, trouble=Trouble.NO_RECORD)
        if has_record and first_withheld != len(part.forms):
            return replace(part, patient_key=said.patient_key, trouble=Trouble.UNKNOWN_ROWS)
        originals = [
            self._original(part, said, place, each, (*[None] * first_withheld, *withheld)[place])
            for place, each in enumerate(sealed)
        ]
        whole = tuple(each for each in originals if each is not None)
        return replace(
            part,
            patient_key=said.patient_key,
            study_key=said.study_key,
            series_key=said.series_key,
            contribution=said.contribution,
            planned_ms=said.planned_ms or part.planned_ms,
            gateway=said.gateway,
            decided=said.decided,
            supersedes=part.supersedes | frozenset(said.supersedes),
            originals=whole,
            trouble=None if len(whole) == len(sealed) else Trouble.UNREADABLE,
        )

    def _original(
        self, part: PartRead, said: SealedRows, place: int, sealed: "_Sealed", withheld: str | None
    ) -> AdoptedOriginal | None:
        found = sealed.attributes
        if found is None or not _named(found):
            return None
        assert self.secrets is not None, "the companion was opened"
        if said.above is not None:
            found = Attributes(*said.above, image=found.image)
        return AdoptedOriginal(
            position=place,
            attributes=found,
            instance_key=self._instance_key(sealed.attributes or found),
            transfer_syntax=sealed.transfer_syntax,
            size_bytes=sealed.length,
            sha256=sealed.sha256,
            received_ms=said.received_ms[place],
            location=said.locations[place] if said.locations else f"sealed:{part.record_key}:{place}",
            withheld_reason=withheld,
        )

    def _instance_key(self, found: Attributes) -> str:
        assert self.secrets is not None, "the companion was opened"
        who = Identifiers(
            issuer=str(found.patient["issuer_of_patient_id"]),
            patient_id=str(found.patient["patient_id"]),
            study_uid=found.study_instance_uid,
            series_uid=found.series_instance_uid,
            sop_instance_uid=found.sop_instance_uid,
        )
        return self.secrets.names(who).instance


@dataclass(frozen=True, slots=True)
class _Sealed:
    """One original as the companion describes it, with what its header says."""

    transfer_syntax: str
    length: int
    sha256: bytes
    attributes: Attributes | None


def _opened(companion: Companion, patient_key: str) -> tuple[bytes, list[_Sealed]]:
    """Read a companion; a copy that asks for the key of somebody else than the record says is passed over."""
    while True:
        try:
            return companion.ask(lambda reader: (reader.rows(), _sealed(reader)))
        except (KeyMissing, KeyShredded) as error:
            if not patient_key or patient_of(companion.asked_for) == patient_key:
                raise
            companion.reject(error)


def _forms(reader: RecordReader) -> tuple[AdoptedForm, ...]:
    return tuple(
        AdoptedForm(
            position=place,
            attributes=extract(reader.header(place)[0], EXPLICIT_VR_LITTLE_ENDIAN),
            transfer_syntax=entry.transfer_syntax,
            size_bytes=reader.dataset_length(place),
        )
        for place, entry in enumerate(reader.instances)
    )


def _sealed(reader: CompanionReader) -> list[_Sealed]:
    found = []
    for place in range(len(reader)):
        sealed = reader.instance(place)
        found.append(_Sealed(sealed.transfer_syntax, sealed.length, sealed.sha256, _attributes(sealed)))
    return found


def _attributes(sealed: SealedInstance) -> Attributes | None:
    """Read the header of an original from its seal, as far as it was read when it was indexed."""
    found: Attributes | None = None
    for most_bytes in HEADER_BYTES:
        head = _head(sealed, most_bytes)
        found = read_head(head, sealed.transfer_syntax, most_bytes)
        if (found is not None and _named(found)) or len(head) < most_bytes:
            break
    return found


def _head(sealed: SealedInstance, most_bytes: int) -> bytes:
    """Return the bytes in front of the first published payload: no image is read for them."""
    literal = takewhile(lambda op: isinstance(op, Literal), sealed.program.ops)
    wanted = min(sum(op.length for op in literal), most_bytes)
    taken = bytearray()
    for piece in sealed.literals:
        taken += piece[: wanted - len(taken)]
        if len(taken) >= wanted:
            break
    return bytes(taken)


def _named(found: Attributes) -> bool:
    return bool(found.study_instance_uid and found.series_instance_uid and found.sop_instance_uid)


def _withheld(said: SealedRows, behind: int) -> tuple[str, ...]:
    return said.withheld if said.withheld is not None else (WITHHELD,) * behind
