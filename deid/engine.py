from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from deid import encode
from deid.cleaned import Decode, Prepared, no_decoder, prepare
from deid.deflate import InflateError, inflate_bounded, is_deflated
from deid.elements import Buffer, Element, Encoding, WalkError, detect_encoding, elements, encoding_of
from deid.flags import flag_elements
from deid.header import Header
from deid.kinds import is_uid, may_be_sop_class
from deid.memo import Done, Memo
from deid.offsets import is_plain_extended, plain_offset_table
from deid.outcome import Published, Report, Withheld, WithheldReason
from deid.payloads import payload_edits
from deid.pixel_decision import PixelDecision
from deid.profile import Option, Profile
from deid.pseudonyms import PatientPseudonym, Pseudonyms, SiteSecrets
from deid.replay import Replay
from deid.splice import PayloadEdit, Split, split_walked
from deid.subject import Subject
from deid.verdict import Outcome, PixelRule, standard_rules, verdict
from deid.walk import Walker

__all__ = ["Deidentifier", "Published", "Report", "Withheld", "WithheldReason"]

EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"

# Bounds of what is looked through: everything outside the pixels, and a deflated data set once inflated. What
# a few bytes inflate to may not fill the memory: it is held up to twice, where pixels are changed, and its
# header once more for every time it is read.
MAX_HEADER_BYTES = 256 << 20
MAX_INFLATED_BYTES = 160 << 20
MAX_INFLATED_HEADER_BYTES = 32 << 20

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
    """A header done: the published bytes before and after the pixel element.

    Where it was taken over, `like` is the split of the header that describes its pixels alike.
    """

    before: bytes
    after: bytes
    done: tuple[Done, ...]
    patient_key: str
    like: Split | None = None


class Deidentifier:
    """De-identifies a facility's instances under one profile; the same secret gives the same anywhere.

    Remembers what became of equal elements, so that a series costs little more than its first image. One
    thread uses it at a time.
    """

    def __init__(
        self,
        profile: Profile,
        secrets: SiteSecrets,
        facility: str,
        rules: Sequence[PixelRule] | None = None,
        decode: Decode = no_decoder,
    ) -> None:
        """Take the profile, the secret, the facility and, where a site has its own, the pixel rules.

        `decode` gives native pixels where compressed ones are to be blanked; without it such an instance is
        withheld.
        """
        self._profile = profile
        self._decode = decode
        self._pseudonyms = Pseudonyms(secrets, facility)
        self._rules = tuple(standard_rules() if rules is None else rules)
        self._verdicts: dict[tuple[object, ...], Outcome] = {}
        self._workers: OrderedDict[Subject, _Worker] = OrderedDict()
        self._shared = Memo()
        self._flags = flag_elements(profile)

    def deidentify(
        self,
        dataset: Buffer,
        transfer_syntax: str,
        sop_instance_uid: str,
        decision: PixelDecision | None = None,
    ) -> Published | Withheld:
        """De-identify the data set of one instance, whatever it is: bad input is withheld, never raised.

        `sop_instance_uid` is what the instance arrived under; it counts where the data set does not say. A
        `decision` on the pixels stands in the place of what the rules would say of them.
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
            told = self._told(header, transfer_syntax, inflated, decision)
        except (WalkError, encode.EncodeError):
            told = WithheldReason.MALFORMED
        return self._withheld(told, header, sop_instance_uid) if isinstance(told, WithheldReason) else told

    def forget(self) -> None:
        """Forget all original values that were remembered for speed."""
        self._workers.clear()
        self._shared.forget()
        self._verdicts.clear()
        self._pseudonyms.forget()

    def _told(
        self, header: Header, transfer_syntax: str, inflated: bytes | None, decision: PixelDecision | None
    ) -> Published | WithheldReason:
        replayed = self._replayed(header)
        if replayed is None:
            header.read()
        if not (header.study_uid and header.series_uid and header.sop_instance_uid and header.sop_class):
            return WithheldReason.NO_IDENTITY
        if not may_be_sop_class(header.sop_class):
            return WithheldReason.UNKNOWN_SOP_CLASS
        outcome = self._verdict(header) if decision is None else decision
        if isinstance(outcome, WithheldReason):
            return outcome
        if outcome is not None:
            prepared = prepare(header, transfer_syntax, inflated, outcome, self._decode)
            return prepared if isinstance(prepared, WithheldReason) else self._decided(prepared, outcome)
        like = None if replayed is None else replayed.like
        parts = split_walked(header.buffer, transfer_syntax, header.encoding, header.elements, like)
        if not isinstance(parts, Split):
            return WithheldReason.NOT_SPLICED
        if _is_too_large(parts):
            return WithheldReason.TOO_LARGE
        # Overlays in unused bits of compressed pixels are not seen without decoding them.
        hidden = parts.encapsulated and header.embeds_overlays
        edits = None if hidden else payload_edits(header.buffer, parts, transfer_syntax)
        if edits is None:
            return WithheldReason.CODESTREAM
        walked = self._walked(header, parts, edits) if replayed is None else replayed
        return self._published(Prepared(header, transfer_syntax, parts, edits, inflated), walked)

    def _decided(self, prepared: Prepared, decision: PixelDecision) -> Published | WithheldReason:
        """Go on with an instance under a decision: its flags are its own, so nothing is taken over."""
        if _is_too_large(prepared.split):
            return WithheldReason.TOO_LARGE
        added = {**flag_elements(self._profile, decision), **prepared.added}
        walked = self._walked(prepared.header, prepared.split, prepared.edits, added)
        return self._published(prepared, walked)

    def _published(self, prepared: Prepared, walked: _Walked) -> Published:
        header, parts = prepared.header, prepared.split
        return Published(
            sop_class_uid=header.sop_class,
            sop_instance_uid=self._uid(header.sop_instance_uid),
            study_uid=self._uid(header.study_uid),
            series_uid=self._uid(header.series_uid),
            transfer_syntax=prepared.transfer_syntax if parts.encapsulated else EXPLICIT_VR_LITTLE_ENDIAN,
            patient_key=walked.patient_key,
            before=walked.before,
            after=walked.after,
            split=replace(parts, offset_table=plain_offset_table(parts.offset_table, parts.holes))
            if parts.offset_table
            else parts,
            payload_edits=prepared.edits,
            report=Report(self._profile.edition, walked.done),
            inflated=prepared.inflated,
        )

    def _verdict(self, header: Header) -> Outcome:
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
        if worker is None or replay is None:
            return None
        try:
            return self._taken_over(header, worker, replay)
        except WalkError:
            return None  # damage is judged with the whole header read

    def _taken_over(self, header: Header, worker: _Worker, replay: Replay) -> _Walked | None:
        known = replay.attempt(header)
        if known is None:
            return None
        behind = list(elements(header.buffer, header.encoding, known.end))
        if not _pixels_alike(behind[:1], known.like):
            return None
        rest = behind[1:]
        if any(one.tag <= behind[0].tag for one in rest):
            return None
        header.elements = behind
        after = worker.walker.dataset(header.buffer, rest, header.encoding, None, 0) if rest else {}
        key_name = worker.subject.patient.key_name
        return _Walked(known.data, _joined(after), (*known.done, *after.values()), key_name, known.like)

    def _walked(
        self,
        header: Header,
        parts: Split,
        edits: Mapping[int, PayloadEdit],
        decided: Mapping[int, Done] | None = None,
    ) -> _Walked:
        worker = self._worker(self._subject(header))
        done = worker.walker.dataset(header.buffer, header.elements, header.encoding, None, 0)
        flags = self._flags if decided is None else decided
        added = {**_identity(worker.subject.patient), **flags}
        done.update(added)
        if not edits:
            done.update(_extended_offsets(header, parts))
        border = _BEHIND_ALL_TAGS if parts.pixel_tag is None else parts.pixel_tag
        before = {tag: done[tag] for tag in sorted(done) if tag < border}
        after = {tag: done[tag] for tag in sorted(done) if tag > border}
        if decided is None:
            replay = worker.replays.setdefault(header.encoding, Replay(worker.walker, header.encoding))
            replay.learn(header, parts, before, added)
        key_name = worker.subject.patient.key_name
        return _Walked(_joined(before), _joined(after), (*before.values(), *after.values()), key_name)

    def _worker(self, subject: Subject) -> _Worker:
        found = self._workers.get(subject)
        if found is None:
            walker = Walker(self._profile, self._pseudonyms, subject, self._shared)
            found = self._workers[subject] = _Worker(subject, walker, {})
            if len(self._workers) > _MOST_SUBJECTS:
                self._workers.popitem(last=False)
        self._workers.move_to_end(subject)
        return found

    def _subject(self, header: Header) -> Subject:
        patient = self._pseudonyms.patient(header.patient(header.sop_instance_uid))
        return Subject(patient, header.charset, header.sop_class, header.signed)

    def _uid(self, original: str) -> str:
        stays = not original or (self._profile.has(Option.RETAIN_UIDS) and is_uid(original))
        return original if stays else self._pseudonyms.uid(original)

    def _withheld(self, reason: WithheldReason, header: Header, sop_instance_uid: str) -> Withheld:
        return Withheld(
            reason=reason,
            patient_key=self._pseudonyms.patient(header.patient(sop_instance_uid)).key_name,
            sop_class_uid=header.sop_class if may_be_sop_class(header.sop_class) else "",
            sop_instance_uid=self._uid(header.sop_instance_uid or sop_instance_uid),
            study_uid=self._uid(header.study_uid),
            series_uid=self._uid(header.series_uid),
        )


def _is_too_large(parts: Split) -> bool:
    most = MAX_INFLATED_HEADER_BYTES if parts.inflated else MAX_HEADER_BYTES
    return parts.length - (parts.value_end - parts.value_start) > most


def _pixels_alike(found: Sequence[Element], like: Split) -> bool:
    """Whether what follows a header is the pixel element of a split, or there is nothing in both."""
    pixel = () if like.pixel_tag is None else ((like.pixel_tag, like.pixel_vr),)
    return tuple((one.tag, one.vr) for one in found) == pixel


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
