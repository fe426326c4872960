import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256

from deid.elements import Buffer
from deid.engine import Deidentifier
from deid.files.part10 import read_part10
from deid.files.published import payload_bytes, payloads_of, published_pieces
from deid.outcome import Published, Withheld, WithheldReason
from deid.restore import RestoreReason, RestoreRefused, restore
from deid.science.check import ScienceCheck
from deid.science.outcome import Failed, Kept, withheld_instead
from deid.seal.values import Sealable, SealedInstance
from deid.splice import Literal, Program, program_for, published_payload, whole_program

_UID = re.compile(r"[0-9]+(\.[0-9]+)*")
_LONGEST_UID = 64


class LeftOut(StrEnum):
    """Why a file is neither de-identified nor sealed; the value is what people read."""

    NOT_DICOM = "no DICOM file"
    DIRECTORY = "a media directory (DICOMDIR): nothing but names of patients and files"
    LINK = "a link that leads out of the folder, or to a folder"
    SPECIAL = "a device, pipe or socket"


@dataclass(frozen=True, slots=True)
class CleanFile:
    """A file fit for publication: `pieces` are the new file, in order; `form` says what was done.

    `native_bytes` is what `restore_file` asks for: the length of a native frame, 0 where there are fragments.
    """

    form: Published
    pieces: list[Buffer] = field(repr=False)
    native_bytes: int
    _file: Buffer = field(repr=False)
    _start: int
    _transfer_syntax: str

    @property
    def data(self) -> bytes:
        """The de-identified file."""
        return b"".join(self.pieces)

    def compared(self, science: ScienceCheck) -> Kept | Failed:
        """Hold what is to be published against the original: what science needs says the same."""
        return science.check(memoryview(self._file)[self._start :], self._transfer_syntax, self.form)

    def withheld(self) -> "WithheldFile":
        """Return what takes its place where that comparison failed."""
        return WithheldFile(withheld_instead(self.form), self._file)

    def sealable(self, *, whole: bool = False) -> Sealable:
        """Return the original, the whole file, on its way into a seal.

        The seal refers to the pixels of the de-identified file, or holds them too, where `whole` is set.
        """
        if whole:
            return _whole(self._file)
        form, dataset = self.form, memoryview(self._file)[self._start :]
        inside = program_for(form.split, len(dataset), form.payload_edits)
        program = Program((Literal(self._start), *inside.ops)) if self._start else inside
        return _sealable(
            self._file,
            program,
            lambda index: published_payload(dataset, form.split, index, form.payload_edits),
        )


@dataclass(frozen=True, slots=True)
class WithheldFile:
    """A file that is not published: it may show identity, or cannot be walked safely."""

    form: Withheld
    _file: Buffer = field(repr=False)

    def sealable(self) -> Sealable:
        """Return the original, the whole file, on its way into a seal."""
        return _whole(self._file)


def deidentify_file(engine: Deidentifier, file: Buffer) -> CleanFile | WithheldFile | LeftOut:
    """De-identify the bytes of one DICOM file, with or without preamble and file meta information.

    Bad input is withheld or left out, never raised. The bytes must stay as they are while the result is used.
    """
    found = read_part10(file)
    if found is None:
        return LeftOut.NOT_DICOM
    if found.directory:
        return LeftOut.DIRECTORY
    dataset = memoryview(file)[found.start :]
    form = engine.deidentify(dataset, found.transfer_syntax, found.sop_instance_uid)
    if isinstance(form, Withheld):
        return WithheldFile(form, file)
    if not all(map(is_uid, (form.sop_class_uid, form.study_uid, form.series_uid, form.sop_instance_uid))):
        # UIDs that are kept on request (retain-uids) are only kept where they are UIDs.
        return WithheldFile(_without_identity(form), file)
    pieces = published_pieces(dataset, form)
    return CleanFile(form, pieces, payload_bytes(form), file, found.start, found.transfer_syntax)


def restore_file(sealed: SealedInstance, published: Buffer = b"", native_bytes: int = 0) -> bytes:
    """Return an original file; `published` is the de-identified one, where the seal refers to its pixels.

    Raises:
        deid.restore.RestoreRefused: the file does not come back byte for byte.
    """
    return b"".join(restored_pieces(sealed, published, native_bytes))


def restored_pieces(sealed: SealedInstance, published: Buffer, native_bytes: int) -> Iterator[Buffer]:
    """Return an original file as buffers, checked by SHA-256 before the first is given out.

    Raises:
        deid.restore.RestoreRefused: the file does not come back byte for byte.
    """
    try:
        payload = _no_payload if sealed.whole else payloads_of(published, native_bytes)
    except LookupError:
        raise RestoreRefused(RestoreReason.PAYLOAD) from None
    return restore(sealed, payload)


def is_uid(text: str) -> bool:
    """Whether a text is digits in components (PS3.5 9.1): fit for a file name, and no path."""
    return len(text) <= _LONGEST_UID and _UID.fullmatch(text) is not None


def _without_identity(form: Published) -> Withheld:
    return Withheld(WithheldReason.NO_IDENTITY, form.patient_key, "", "", "", "")


def _whole(file: Buffer) -> Sealable:
    return _sealable(file, whole_program(len(file)), _no_payload)


def _sealable(file: Buffer, program: Program, published: Callable[[int], Buffer]) -> Sealable:
    # The transfer syntax stands in the file itself.
    return Sealable(file, "", sha256(file).digest(), program, published)


def _no_payload(_index: int) -> Buffer:
    raise LookupError("an original sealed whole has no payload elsewhere")
