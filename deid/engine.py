from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from deid import encode
from deid.deflate import InflateError, inflate_bounded, is_deflated
from deid.elements import Buffer, Encoding, WalkError, detect_encoding, elements, encoding_of
from deid.flags import flag_elements
from deid.header import Header
from deid.memo import Done
from deid.offsets import is_plain_extended, plain_offset_table
from deid.outcome import Published, Report, Withheld, WithheldReason
from deid.payloads import payload_edits
from deid.profile import Option, Profile
from deid.pseudonyms import PatientPseudonym, Pseudonyms, SiteSecrets
from deid.replay import Replay
from deid.splice import PayloadEdit, Split, split_walked
from deid.splice.layout import PIXEL_TAGS
from deid.subject import Subject
from deid.verdict import PixelRule, standard_rules, verdict
from deid.walk import Walker

__all__ = ["Deidentifier", "Published", "Report", "Withheld", "WithheldReason"]

EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"

# Bounds of what is looked through: everything outside the pixels, and a deflated data set once inflated.
MAX_HEADER_BYTES = 256 << 20
MAX_INFLATED_BYTES = 1 << 30

# Series in flight at once; beyond that the longest unused subject and what it remembers are let go.
_MOST_SUBJECTS = 16
_MOST_VERDICTS = 1024

_PATIENT_NAME, _PATIENT_ID = 0x00100010, 0x00100020
_EXTENDED_OFFSETS, _EXTENDED_LENGTHS = 0x7FE00001, 0x7FE00002
_BEHIND_ALL_TAGS = 1 << 32


class _Worker(NamedTuple):
    """What serves one subject: the walker and, by encoding, what it has learned of the headers."""

    subject: Subject
    walker: Walker
    replays: dict[Encoding, Replay]


class _Walked(NamedTuple):
    """A header done: the published bytes before and after the pixel element."""

    before: bytes
    after: bytes
    done: tuple[Done, ...]
    patient_key: str


class Deidentifier:
    """De-identifies a facility's instances under one profile; the same secret gives the same anywhere.

    Remembers what became of equal elements, so that a series costs little more than its first image. One
    thread uses it at a time.
    """

    def __init__(
        self, profile: Profile, secrets: SiteSecrets, facility: str, rules: Sequence[PixelRule] | None = None
    ) -> None:
        """Take the profile, the secret, the facility and, where a site has its own, the pixel rules."""
        self._profile = profile
        self._pseudonyms = Pseudonyms(secrets, facility)
        self._rules = tuple(standard_rules() if rules is None else rules)
        self._verdicts: dict[tuple[object, ...], WithheldReason | None] = {}
        self._workers: OrderedDict[Subject, _Worker] = OrderedDict()
        self._flags = flag_elements(profile)

    def deidentify(
        self, dataset: Buffer, transfer_syntax: str, sop_instance_uid: str
    ) -> Published | Withheld:
        """De-identify the data set of one instance, whatever it is: bad input is withheld, never raised.

        `sop_instance_uid` is what the instance arrived under; it counts where the data set does not say.
        """
        inflated: bytes | None = None
        if is_deflated(transfer_syntax):
            try:
                inflated = inflate_bounded(dataset, MAX_INFLATED_BYTES)
            except InflateError:
                nothing = Header(b"", Encoding.EXPLICIT_LE)
                return self._withheld(WithheldReason.INFLATE, nothing, sop_instance_uid)
        buffer = dataset if inflated is None else inflated
        header = Header(buffer, detect_encoding(buffer, encoding_of(transfer_syntax)))
        try:
            told = self._told(header, transfer_syntax, inflated)
        except (WalkError, encode.EncodeError):
            told = WithheldReason.MALFORMED
        return self._withheld(told, header, sop_instance_uid) if isinstance(told, WithheldReason) else told

    def forget(self) -> None:
        """Forget all original values that were remembered for speed."""
        self._workers.clear()
        self._verdicts.clear()
        self._pseudonyms.forget()

    def _told(
        self, header: Header, transfer_syntax: str, inflated: bytes | None
    ) -> Published | WithheldReason:
        replayed = self._replayed(header)
        if replayed is None:
            header.read()
        if not (header.study_uid and header.series_uid and header.sop_instance_uid and header.sop_class):
            return WithheldReason.NO_IDENTITY
        reason = self._verdict(header)
        if reason is not None:
            return reason
        parts = split_walked(header.buffer, transfer_syntax, header.encoding, header.elements)
        if not isinstance(parts, Split):
            return WithheldReason.NOT_SPLICED
        if parts.length - (parts.value_end - parts.value_start) > MAX_HEADER_BYTES:
            return WithheldReason.TOO_LARGE
        edits = payload_edits(header.buffer, parts, transfer_syntax)
        if edits is None:
            return WithheldReason.CODESTREAM
        walked = self._walked(header, parts, edits) if replayed is None else replayed
        return Published(
            sop_class_uid=header.sop_class,
            sop_instance_uid=self._uid(header.sop_instance_uid),
            study_uid=self._uid(header.study_uid),
            series_uid=self._uid(header.series_uid),
            transfer_syntax=transfer_syntax if parts.encapsulated else EXPLICIT_VR_LITTLE_ENDIAN,
            patient_key=walked.patient_key,
            before=walked.before,
            after=walked.after,
            split=replace(parts, offset_table=plain_offset_table(parts.offset_table, parts.holes))
            if parts.offset_table
            else parts,
            payload_edits=edits,
            report=Report(self._profile.edition, walked.done),
            inflated=inflated,
        )

    def _verdict(self, header: Header) -> WithheldReason | None:
        written = (header.encoding, *header.of_verdict())
        if written not in self._verdicts:
            if len(self._verdicts) >= _MOST_VERDICTS:
                self._verdicts.clear()
            self._verdicts[written] = verdict(header.shown(), self._rules)
        return self._verdicts[written]

    def _replayed(self, header: Header) -> _Walked | None:
        """Take over what equals the header before, and the elements a split needs; None if it does not."""
        worker = next(reversed(self._workers.values()), None)
        replay = worker.replays.get(header.encoding) if worker is not None else None
        known = replay.attempt(header) if replay is not None else None
        if known is None or worker is None:
            return None
        behind = list(elements(header.buffer, header.encoding, known.end))
        rest = behind[1:]
        if behind and (behind[0].tag not in PIXEL_TAGS or any(one.tag <= behind[0].tag for one in rest)):
            return None
        header.elements = [*known.layout, *behind]
        after = worker.walker.dataset(header.buffer, rest, header.encoding, None, 0) if rest else {}
        key_name = worker.subject.patient.key_name
        return _Walked(known.data, _joined(after), (*known.done, *after.values()), key_name)

    def _walked(self, header: Header, parts: Split, edits: Mapping[int, PayloadEdit]) -> _Walked:
        worker = self._worker(self._subject(header))
        done = worker.walker.dataset(header.buffer, header.elements, header.encoding, None, 0)
        done.update(_identity(worker.subject.patient))
        done.update(self._flags)
        if not edits:
            done.update(_extended_offsets(header, parts))
        border = _BEHIND_ALL_TAGS if parts.pixel_tag is None else parts.pixel_tag
        before = {tag: done[tag] for tag in sorted(done) if tag < border}
        after = {tag: done[tag] for tag in sorted(done) if tag > border}
        replay = worker.replays.setdefault(header.encoding, Replay(worker.walker, header.encoding))
        replay.learn(header, [one for one in header.elements if one.start < parts.head_end], before)
        key_name = worker.subject.patient.key_name
        return _Walked(_joined(before), _joined(after), (*before.values(), *after.values()), key_name)

    def _worker(self, subject: Subject) -> _Worker:
        found = self._workers.get(subject)
        if found is None:
            walker = Walker(self._profile, self._pseudonyms, subject)
            found = self._workers[subject] = _Worker(subject, walker, {})
            if len(self._workers) > _MOST_SUBJECTS:
                self._workers.popitem(last=False)
        self._workers.move_to_end(subject)
        return found

    def _subject(self, header: Header) -> Subject:
        patient = self._pseudonyms.patient(header.patient(header.sop_instance_uid))
        return Subject(patient, header.charset, header.sop_class, header.signed)

    def _uid(self, original: str) -> str:
        stays = not original or self._profile.has(Option.RETAIN_UIDS)
        return original if stays else self._pseudonyms.uid(original)

    def _withheld(self, reason: WithheldReason, header: Header, sop_instance_uid: str) -> Withheld:
        return Withheld(
            reason=reason,
            patient_key=self._pseudonyms.patient(header.patient(sop_instance_uid)).key_name,
            sop_class_uid=header.sop_class,
            sop_instance_uid=self._uid(header.sop_instance_uid or sop_instance_uid),
            study_uid=self._uid(header.study_uid),
            series_uid=self._uid(header.series_uid),
        )


def _joined(done: Mapping[int, Done]) -> bytes:
    return b"".join(one.data for one in done.values())


def _identity(patient: PatientPseudonym) -> Mapping[int, Done]:
    """Return name and ID of the pseudonym; also where the original has none, so that patients stay apart."""
    pseudonym = patient.identifier.encode("ascii")
    return {
        _PATIENT_NAME: Done(encode.element(_PATIENT_NAME, "PN", pseudonym), ((_PATIENT_NAME, "D"),)),
        _PATIENT_ID: Done(encode.element(_PATIENT_ID, "LO", pseudonym), ((_PATIENT_ID, "D"),)),
    }


def _extended_offsets(header: Header, parts: Split) -> Mapping[int, Done]:
    """Return the extended offset table as it came where the fragments bear it out, else nothing."""
    tables = {
        element.tag: bytes(header.buffer[element.value : element.end])
        for element in header.elements
        if element.tag in {_EXTENDED_OFFSETS, _EXTENDED_LENGTHS} and element.length > 0
    }
    offsets, lengths = tables.get(_EXTENDED_OFFSETS, b""), tables.get(_EXTENDED_LENGTHS, b"")
    if not is_plain_extended(offsets, lengths, parts.holes):
        return {}
    return {tag: Done(encode.element(tag, "OV", table)) for tag, table in tables.items()}
