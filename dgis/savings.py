"""How many bytes the grid keeps of a folder of DICOM files, beside a ZIP of them: measured by packing.

Nothing is written: the record and the sealed companion are made in memory with keys that are thrown away.
"""

import hashlib
import secrets
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from deid.engine import Deidentifier
from deid.keys.values import PatientKey
from deid.profile import Profile
from deid.pseudonyms import SiteSecrets
from deid.science.check import ScienceCheck
from dgis.publisher.pack import Packer, Sealing, Source, pack
from dgis.publisher.plan import cut
from storage_nodes.names import RecordKey

_ZIP_LEVEL = 6  # what zip programs do when nothing is said, as the paper's series records were made
_PREAMBLE_BYTES = 132
_META_GROUP = b"\x02\x00"


@dataclass(frozen=True, slots=True)
class Saving:
    """One series: sizes in bytes; `sealed_whole` instances are not in the record."""

    name: str
    instances: int
    sealed_whole: int
    file_bytes: int
    zip_bytes: int
    record_bytes: int
    companion_bytes: int

    @property
    def saved_percent(self) -> float:
        """What record and companion save of the files."""
        return 100 - 100 * (self.record_bytes + self.companion_bytes) / self.file_bytes

    @property
    def zip_saved_percent(self) -> float:
        """What deflating each file saves."""
        return 100 - 100 * self.zip_bytes / self.file_bytes


def measure(folder: Path, part_bytes: int) -> Iterator[Saving]:
    """Yield the saving of each folder that holds DICOM files, the folder itself and those below, by name."""
    folders = sorted({path.parent for path in folder.rglob("*") if path.is_file()})
    for each in folders:
        files = [path.read_bytes() for path in sorted(each.iterdir()) if path.is_file()]
        saving = _measure_series(str(each.relative_to(folder)), files, part_bytes)
        if saving is not None:
            yield saving


def _measure_series(name: str, files: Sequence[bytes], part_bytes: int) -> Saving | None:
    read = [(file, _data_set(file)) for file in files]
    found = [(file, *parts) for file, parts in read if parts is not None]
    if not found:
        return None
    profile = Profile()
    own = Deidentifier(profile, SiteSecrets(secrets.token_bytes(32)), "measured")
    packer = Packer(own, ScienceCheck(profile), {})
    sources = [
        _Sized(Source(number, "", syntax, hashlib.sha256(data).digest(), data), len(data))
        for number, (_file, data, syntax) in enumerate(found)
    ]
    record_bytes = companion_bytes = withheld = 0
    for part in cut(sources, part_bytes):
        sealing = Sealing("measured", PatientKey("measured", secrets.token_bytes(32)), _no_rows)
        packed = pack(RecordKey("measured"), [each.source for each in part], packer, sealing)
        record_bytes += packed.record.size if packed.record else 0
        companion_bytes += packed.companion.size
        withheld += len(packed.withheld)
    return Saving(
        name=name,
        instances=len(found),
        sealed_whole=withheld,
        file_bytes=sum(len(file) for file, _data, _syntax in found),
        zip_bytes=sum(len(zlib.compress(file, _ZIP_LEVEL)) for file, _data, _syntax in found),
        record_bytes=record_bytes,
        companion_bytes=companion_bytes,
    )


@dataclass(frozen=True, slots=True)
class _Sized:
    source: Source
    length: int


def _data_set(file: bytes) -> tuple[memoryview, str] | None:
    """Return the data set and its transfer syntax of a Part 10 file (PS3.10 7.1); None where it is none."""
    if file[128:_PREAMBLE_BYTES] != b"DICM":
        return None
    position, syntax = _PREAMBLE_BYTES, ""
    while file[position : position + 2] == _META_GROUP:
        long_form = file[position + 4 : position + 6] in {b"OB", b"UN", b"UT"}
        start = position + (12 if long_form else 8)
        length = int.from_bytes(file[start - (4 if long_form else 2) : start], "little")
        if file[position + 2 : position + 4] == b"\x10\x00":
            syntax = file[start : start + length].rstrip(b"\0 ").decode("ascii", "replace")
        position = start + length
    return (memoryview(file)[position:], syntax) if syntax and position < len(file) else None


def _no_rows(_order: Sequence[int], _reasons: Mapping[int, str]) -> bytes:
    return b""
