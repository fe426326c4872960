from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

from deid import encode
from deid.deflate import InflateError, inflate_bounded, is_deflated
from deid.elements import Buffer, Encoding, WalkError, detect_encoding, encoding_of
from deid.flags import flag_elements
from deid.header import Header
from deid.memo import Done
from deid.offsets import is_plain_extended, plain_offset_table
from deid.outcome import Published, Report, Withheld, WithheldReason
from deid.payloads import payload_edits
from deid.profile import Option, Profile
from deid.pseudonyms import PatientPseudonym, Pseudonyms, SiteSecrets
from deid.splice import PayloadEdit, Split, split
from deid.subject import Subject
from deid.verdict import PixelRule, standard_rules, verdict
from deid.walk import Walker

EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"

# Bounds of what is looked through: everything outside the pixels, and a deflated data set once inflated.
MAX_HEADER_BYTES = 256 << 20
MAX_INFLATED_BYTES = 1 << 30

# Series in flight at once; beyond that the longest unused subject and its memo are let go.
_MOST_SUBJECTS = 16

_CHARACTER_SET = 0x00080005
_PATIENT_NAME, _PATIENT_ID = 0x00100010, 0x00100020
_EXTENDED_OFFSETS, _EXTENDED_LENGTHS = 0x7FE00001, 0x7FE00002
_LAST_TAG = 0xFFFFFFFF


class Deidentifier:
    """De-identifies a facility's instances under one profile; the same secret gives the same anywhere.

    Remembers what it did to equal elements, so that a series costs little more than its first image. One
    thread uses it at a time.
    """

    def __init__(
        self, profile: Profile, secrets: SiteSecrets, facility: str, rules: Sequence[PixelRule] | None = None
    ) -> None:
        """Take the profile, the secret, the facility and, where a site has its own, the pixel rules."""
        self._profile = profile
        self._pseudonyms = Pseudonyms(secrets, facility)
        chosen = tuple(standard_rules() if rules is None else rules)
        self._verdict = lru_cache(maxsize=1024)(lambda shown: verdict(shown, chosen))
        self._walkers: OrderedDict[Subject, Walker] = OrderedDict()
        self._flags = flag_elements(profile)

    def deidentify(
        self, dataset: Buffer, transfer_syntax: str, sop_instance_uid: str
    ) -> Published | Withheld:
        """De-identify the data set of one instance, whatever it is: bad input is withheld, never raised.

        `sop_instance_uid` is what the instance arrived under; it counts where the data set does not say.
        """
        inflated: bytes | None = None
        header = Header(dataset, Encoding.EXPLICIT_LE)
        if is_deflated(transfer_syntax):
            try:
                inflated = inflate_bounded(dataset, MAX_INFLATED_BYTES)
            except InflateError:
                return self._withheld(WithheldReason.INFLATE, header, sop_instance_uid)
        buffer = dataset if inflated is None else inflated
        header = Header(buffer, detect_encoding(buffer, encoding_of(transfer_syntax)))
        try:
            header.read()
        except WalkError:
            return self._withheld(WithheldReason.MALFORMED, header, sop_instance_uid)
        reason = self._refusal(header)
        if reason is not None:
            return self._withheld(reason, header, sop_instance_uid)
        parts = split(buffer, transfer_syntax)
        if not isinstance(parts, Split):
            return self._withheld(WithheldReason.NOT_SPLICED, header, sop_instance_uid)
        if parts.length - (parts.value_end - parts.value_start) > MAX_HEADER_BYTES:
            return self._withheld(WithheldReason.TOO_LARGE, header, sop_instance_uid)
        edits = payload_edits(buffer, parts, transfer_syntax)
        if edits is None:
            return self._withheld(WithheldReason.CODESTREAM, header, sop_instance_uid)
        try:
            return self._published(header, parts, edits, transfer_syntax, inflated)
        except (WalkError, encode.EncodeError):
            return self._withheld(WithheldReason.MALFORMED, header, sop_instance_uid)

    def forget(self) -> None:
        """Forget all original values that were remembered for speed."""
        self._walkers.clear()
        self._pseudonyms.forget()

    def _refusal(self, header: Header) -> WithheldReason | None:
        if not (header.study_uid and header.series_uid and header.sop_instance_uid and header.sop_class):
            return WithheldReason.NO_IDENTITY
        return self._verdict(header.shown())

    def _uid(self, original: str) -> str:
        stays = not original or self._profile.has(Option.RETAIN_UIDS)
        return original if stays else self._pseudonyms.uid(original)

    def _walker(self, subject: Subject) -> Walker:
        found = self._walkers.get(subject)
        if found is None:
            found = self._walkers[subject] = Walker(self._profile, self._pseudonyms, subject)
            if len(self._walkers) > _MOST_SUBJECTS:
                self._walkers.popitem(last=False)
        else:
            self._walkers.move_to_end(subject)
        return found

    def _published(
        self,
        header: Header,
        parts: Split,
        edits: Mapping[int, PayloadEdit],
        transfer_syntax: str,
        inflated: bytes | None,
    ) -> Published:
        patient = self._pseudonyms.patient(header.patient(header.sop_instance_uid))
        subject = Subject(patient, header.charset, header.sop_class, header.signed)
        walker = self._walker(subject)
        done = walker.dataset(header.buffer, header.elements, header.encoding, None, 0)
        done.pop(_CHARACTER_SET, None)  # all text that is left is ASCII
        done.update(_identity(patient))
        done.update(self._flags)
        if not edits:
            done.update(_extended_offsets(header, parts))
        border = _LAST_TAG if parts.pixel_tag is None else parts.pixel_tag
        return Published(
            sop_class_uid=header.sop_class,
            sop_instance_uid=self._uid(header.sop_instance_uid),
            study_uid=self._uid(header.study_uid),
            series_uid=self._uid(header.series_uid),
            transfer_syntax=transfer_syntax if parts.encapsulated else EXPLICIT_VR_LITTLE_ENDIAN,
            patient_key=patient.key_name,
            before=b"".join(done[tag].data for tag in sorted(done) if tag < border),
            after=b"".join(done[tag].data for tag in sorted(done) if tag > border),
            split=replace(parts, offset_table=plain_offset_table(parts.offset_table, parts.holes)),
            payload_edits=edits,
            report=Report(f"PS3.15 {self._profile.edition} basic", tuple(done.values())),
            inflated=inflated,
        )

    def _withheld(self, reason: WithheldReason, header: Header, sop_instance_uid: str) -> Withheld:
        return Withheld(
            reason=reason,
            patient_key=self._pseudonyms.patient(header.patient(sop_instance_uid)).key_name,
            sop_class_uid=header.sop_class,
            sop_instance_uid=self._uid(header.sop_instance_uid or sop_instance_uid),
            study_uid=self._uid(header.study_uid),
            series_uid=self._uid(header.series_uid),
        )


def _identity(patient: PatientPseudonym) -> Mapping[int, Done]:
    """Return name and ID of the pseudonym; also where the original has none, so that patients stay apart."""
    pseudonym = patient.identifier.encode("ascii")
    note = "D"
    return {
        _PATIENT_NAME: Done(encode.element(_PATIENT_NAME, "PN", pseudonym), ((_PATIENT_NAME, note),)),
        _PATIENT_ID: Done(encode.element(_PATIENT_ID, "LO", pseudonym), ((_PATIENT_ID, note),)),
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
