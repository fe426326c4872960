"""Every file of the corpus goes through split, seal, open and restore, and comes back byte for byte."""

from collections import Counter
from dataclasses import dataclass, field
from hashlib import sha256

import pytest

from deid.deflate import InflateError, inflate_bounded, is_deflated
from deid.keys.values import PatientKey
from deid.restore import restore
from deid.seal.reader import open_companion
from deid.seal.values import Sealable, SealNames
from deid.seal.writer import seal_part
from deid.splice import Split, payload_of, program_for, split
from tests.corpus import corpus_files
from tests.unit.deid.seal.build import BodySource

KEY = PatientKey("corpus-patient", bytes(range(32)))
_META_GROUP = b"\x02\0"
_LONG_VRS = {b"OB", b"OW", b"UN", b"UT", b"SQ"}

# Companion bytes an instance, digest (32) and padding included: a fifth above what is measured.
SEAL_BYTES = {
    "ct_abdomen_ge": 150,
    "ct_chest_philips": 120,
    "mr_thigh_t2_siemens": 170,
    "pet_wholebody_ge": 120,
    "mr_brain_bold_philips": 190,
    "mr_fmri_ge": 760,
    "mr_acr_ge_t1": 1700,
    "sts002_pet_cropped_ge": 155,
}


@dataclass(frozen=True)
class Original:
    """The data set of a file as DIMSE would bring it, and how it splits."""

    dataset: bytes = field(repr=False)
    transfer_syntax: str
    found: object
    kind: str
    sealable: Sealable


def strip_part10(raw: bytes) -> tuple[bytes, str]:
    """Return data set bytes and transfer syntax; the meta elements are walked, with or without preamble."""
    position = 132 if raw[128:132] == b"DICM" else 0
    syntax = ""
    while raw[position : position + 2] == _META_GROUP:
        long_form = raw[position + 4 : position + 6] in _LONG_VRS
        size = slice(position + 8, position + 12) if long_form else slice(position + 6, position + 8)
        length = int.from_bytes(raw[size], "little")
        if raw[position : position + 4] == b"\x02\0\x10\0":
            syntax = raw[size.stop : size.stop + length].strip(b"\0 ").decode("ascii", "replace")
        position = size.stop + length
    return raw[position:], syntax


def load(path) -> Original:
    dataset, syntax = strip_part10(path.read_bytes())
    looked_at = dataset
    found = None
    try:
        looked_at = inflate_bounded(dataset) if is_deflated(syntax) else dataset
        found = split(looked_at, syntax)
    except InflateError:
        pass
    program = program_for(found, len(dataset))
    sealable = Sealable(
        dataset, syntax, sha256(dataset).digest(), program, lambda index: payload_of(looked_at, found, index)
    )
    return Original(dataset, syntax, found, kind(found), sealable)


def kind(found) -> str:
    if not isinstance(found, Split):
        return "whole"
    if found.inflated:
        return "deflated"
    if found.pixel_tag is None:
        return "no pixels"
    return "fragments" if found.encapsulated else "native"


def come_back(originals: list[Original], part: str) -> float:
    """Seal as one part, open, restore and compare; return the companion's bytes an instance."""
    names = SealNames("corpus", KEY.name, part)
    entries = [original.sealable for original in originals]
    made = seal_part(entries, names, KEY, b"rows of the catalog")
    reader = open_companion(BodySource(made.body), KEY, names)
    for index, original in enumerate(originals):
        sealed = reader.instance(index)
        for below in (0, 1 << 30):
            restored = b"".join(restore(sealed, original.sealable.published, assemble_below_bytes=below))
            assert restored == original.dataset
    return made.size / len(originals)


@pytest.mark.corpus
@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        ("series", {"native": 863}),
        ("odd", {"native": 83, "fragments": 43, "no pixels": 25, "deflated": 2, "whole": 2}),
        ("malformed", {"native": 9, "fragments": 2, "no pixels": 7, "whole": 13}),
    ],
)
def test_every_file_comes_back(corpus, folder, expected, record_property):
    paths = corpus_files(folder)
    originals = [load(path) for path in paths]
    counts = Counter(original.kind for original in originals)
    record_property("counts", f"{folder}: {dict(counts)}")
    come_back(originals, folder)
    if len(paths) == sum(expected.values()):
        assert dict(counts) == expected
    assert counts["whole"] < len(paths) / 2


@pytest.mark.corpus
def test_no_byte_outside_the_holes_is_lost_or_doubled(corpus):
    for path in corpus_files("series", "odd"):
        original = load(path)
        if original.kind in {"native", "fragments"}:
            end = 0
            for hole in original.found.holes:
                assert end <= hole.start
                end = hole.start + hole.length
            assert original.found.value_start <= end <= original.found.value_end


@pytest.mark.corpus
@pytest.mark.parametrize("series", sorted(SEAL_BYTES))
def test_a_series_seals_into_few_bytes(corpus, series, record_property):
    paths = corpus_files(f"series/{series}")
    if not paths:
        pytest.skip(f"this corpus has no series {series}")
    each = come_back([load(path) for path in paths], series)
    record_property("companion", f"{series}: {each:.1f} bytes an instance")
    assert each < SEAL_BYTES[series]
