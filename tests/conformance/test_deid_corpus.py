"""Other people's files: nothing that names anyone comes out, and what science needs stays."""

import os
import random
import re
from collections import Counter

import pytest
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.uid import UID_dictionary

from deid.deflate import inflate_bounded, is_deflated
from deid.elements import Encoding, WalkError, detect_encoding, elements, encoding_of, items
from deid.engine import Published, Withheld
from tests.corpus import corpus_files
from tests.tools.part10 import opened
from tests.unit.deid.engine.build import OTHER_SECRETS, deidentifier

pytestmark = pytest.mark.corpus

FILES = corpus_files("series", "odd", "malformed")
SAMPLE = [path for path in FILES if "malformed" not in path.parts and sum(map(ord, path.name)) % 11 == 0]
IDENTIFIERS = frozenset({0x00100020, 0x00080050, 0x00200010, 0x00181000, 0x00400253, 0x00401001})
# Names of devices and programs that the allow-lists know; real patients and sites are never called so.
KNOWN = re.compile(rb"(?i)QIICR|PixelMed|Segmentation|Brain|Brain-MRA|Carotids")


def walked(data, encoding, start=0, stop=None):
    for element in elements(data, encoding, start, stop):
        if element.vr == "SQ" or (element.vr == "UN" and element.length < 0):
            try:
                for one in items(data, element, encoding):
                    yield from walked(data, one.encoding, one.start, one.stop)
            except WalkError:
                continue
        else:
            yield element


def names_someone(element, text):
    """Whether a value tells who, where or when; a few digits alone occur in numbers by chance."""
    if element.vr == "UI":
        registered = text.startswith(b"1.2.840.10008.") or text.decode("latin_1") in UID_dictionary
        return len(text) > 10 and not registered
    if element.vr == "DA":
        return len(text) == 8
    personal = element.vr == "PN" or element.tag in IDENTIFIERS
    return personal and not KNOWN.search(text) and len(text) > (6 if text.isdigit() else 3)


def identifying(data, syntax):
    """The values of a data set that must not be in its de-identified form."""
    source = inflate_bounded(data) if is_deflated(syntax) else data
    for element in walked(source, detect_encoding(source, encoding_of(syntax))):
        if 0 < element.length < 4096:
            values = bytes(source[element.value : element.end]).split(b"\\")
            yield from (
                text for text in (one.strip(b" \0") for one in values) if names_someone(element, text)
            )


@pytest.fixture(scope="module")
def engine():
    return deidentifier()


@pytest.mark.usefixtures("corpus")
def test_every_file_is_published_without_its_identifiers_or_withheld_with_a_reason(engine):
    told = Counter()
    for path in FILES:
        data, syntax = opened(path)
        form = engine.deidentify(data, syntax, "1.2.3")
        folder = "malformed" if "malformed" in path.parts else path.parent.name
        if isinstance(form, Withheld):
            told[folder, form.reason.name] += 1
            continue
        told[folder, "published"] += 1
        output = form.before + form.after
        found = [value for value in identifying(data, syntax) if value in output]
        assert found == [], path
        header = read_dataset(DicomBytesIO(output), is_implicit_VR=False, is_little_endian=True)
        assert header.PatientIdentityRemoved == "YES"
        assert (header.SOPInstanceUID, header.SeriesInstanceUID) == (form.sop_instance_uid, form.series_uid)
        for element in header.iterall():
            assert element.tag.group % 2 == 0, path
    assert sum(count for (_folder, what), count in told.items() if what == "published") > 950


@pytest.mark.usefixtures("corpus")
def test_two_runs_are_equal_and_two_secrets_have_no_uid_in_common(engine):
    other = deidentifier(secrets=OTHER_SECRETS)
    for path in SAMPLE:
        data, syntax = opened(path)
        form = engine.deidentify(data, syntax, "1.2.3")
        again = deidentifier().deidentify(data, syntax, "1.2.3")
        theirs = other.deidentify(data, syntax, "1.2.3")
        assert form.sop_instance_uid != theirs.sop_instance_uid
        assert form.patient_key != theirs.patient_key
        if isinstance(form, Published):
            assert (form.before, form.after, form.payload_edits) == (
                again.before,
                again.after,
                again.payload_edits,
            )


@pytest.mark.usefixtures("corpus")
def test_technical_values_of_the_series_stay_to_the_byte(engine):
    technical = frozenset({0x0018, 0x0028})
    placed = frozenset({0x00200032, 0x00200037, 0x00541300})  # position, orientation, frame time
    kept = lost = 0
    for path in SAMPLE:
        data, syntax = opened(path)
        form = engine.deidentify(data, syntax, "1.2.3")
        if "series" not in path.parts or isinstance(form, Withheld):
            continue
        published = {
            element.tag: form.before[element.value : element.end].strip(b" \0")
            for element in elements(form.before, Encoding.EXPLICIT_LE)
        }
        for element in elements(data, detect_encoding(data, encoding_of(syntax))):
            numeric = element.vr in {"DS", "IS", "US", "SS", "FD", "FL", "CS"} and element.length
            wanted = element.tag in placed or element.tag >> 16 in technical
            if not numeric or not wanted or not element.tag & 0xFFFF or element.tag == 0x00280303:
                continue
            value = data[element.value : element.end].strip(b" \0")
            same = published.get(element.tag) == value
            kept, lost = kept + same, lost + (not same)
            assert same or element.vr == "CS", f"{path} {element.tag:08X}"
    assert kept > 1000
    assert lost <= kept / 100


@pytest.mark.usefixtures("corpus")
def test_mangled_files_are_answered(engine):
    choose = random.Random(4711)
    small = [path for path in FILES if path.stat().st_size < 200_000]
    for _ in range(int(os.environ.get("DGIS_TEST_MUTATIONS", "500"))):
        data, syntax = opened(choose.choice(small))
        mangled = bytearray(data)
        for _ in range(choose.randint(1, 8) if mangled else 0):
            at = choose.randrange(min(len(mangled), 20_000))
            put = choose.choice([b"\xff\xff\xff\xff", b"\0\0\0\0", b"\xfe\xff\xdd\xe0", choose.randbytes(1)])
            mangled[at : at + choose.choice([0, len(put)])] = put
        form = engine.deidentify(bytes(mangled), syntax, "1.2.3")
        assert isinstance(form, Published | Withheld)
        if isinstance(form, Published):
            tags = [one.tag for one in elements(form.before, Encoding.EXPLICIT_LE)]
            assert tags == sorted(set(tags))
