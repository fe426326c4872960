import zlib
from io import BytesIO

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from dgis.dimse.identify import Identity, identify
from dgis.dimse.status import Refusal, Status
from dgis.dimse.uids import DEFLATED_LE, EXPLICIT_BE, EXPLICIT_LE, IMPLICIT_LE
from tests.corpus import corpus_files
from tests.unit.dgis.dimse.parrot import CT, data_set, element

EXPECTED = Identity(CT, "1.2.3.4", "1.2.3", "1.2.3.1")


def encoded(*, implicit: bool, little: bool) -> bytes:
    made = Dataset()
    made.SOPClassUID, made.SOPInstanceUID = CT, "1.2.3.4"
    made.StudyInstanceUID, made.SeriesInstanceUID = "1.2.3", "1.2.3.1"
    made.ReferencedStudySequence = [Dataset()]
    made.ReferencedStudySequence[0].ReferencedSOPInstanceUID = "9.9.9"
    made.PatientName = "Canary^Planted"
    stream = DicomBytesIO()
    stream.is_implicit_VR, stream.is_little_endian = implicit, little
    write_dataset(stream, made)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("syntax", "data"),
    [
        (IMPLICIT_LE, encoded(implicit=True, little=True)),
        (EXPLICIT_LE, encoded(implicit=False, little=True)),
        (EXPLICIT_BE, encoded(implicit=False, little=False)),
        ("1.2.840.10008.1.2.4.90", encoded(implicit=False, little=True)),
        (IMPLICIT_LE, encoded(implicit=False, little=True)),
        (EXPLICIT_LE, encoded(implicit=True, little=True)),
        (DEFLATED_LE, zlib.compress(encoded(implicit=False, little=True), wbits=-15)),
        ("1.2.3.4.5", encoded(implicit=False, little=True)),
    ],
)
def test_the_uids_are_found_in_every_encoding_also_where_the_syntax_is_a_lie(syntax, data):
    assert identify(data, syntax) == EXPECTED


def test_the_beginning_is_enough_and_less_asks_for_more():
    data = data_set(pixel_bytes=100_000)
    needed = data.index(b"1.2.3.1") + 8
    assert identify(data[:needed], EXPLICIT_LE, whole=False) == EXPECTED
    for cut in range(needed - 1):
        assert identify(data[:cut], EXPLICIT_LE, whole=False) is None


def test_a_deflated_beginning_is_enough():
    plain = data_set() + element(0x00291010, b"UN", bytes(range(256)) * 4000)
    stream = zlib.compress(plain, wbits=-15)
    assert identify(stream[:2000], DEFLATED_LE, whole=False) == EXPECTED
    assert identify(stream[:20], DEFLATED_LE, whole=False) is None
    assert isinstance(identify(b"\xff" * 50, DEFLATED_LE, whole=False), Refusal)


def test_a_deflate_bomb_is_not_inflated_to_its_end():
    bomb = zlib.compress(element(0x00080005, b"UN", bytes(40 << 20)), wbits=-15)
    assert isinstance(identify(bomb, DEFLATED_LE), Refusal)


@pytest.mark.parametrize(
    ("values", "tag", "words"),
    [
        ({"study": ""}, 0x0020000D, "Study Instance UID missing"),
        ({"series": ""}, 0x0020000E, "Series Instance UID missing"),
        ({"series": " "}, 0x0020000E, "Series Instance UID missing"),
        ({"sop_instance": ""}, 0x00080018, "SOP Instance UID missing"),
        ({"sop_class": ""}, 0x00080016, "SOP Class UID missing"),
        ({"study": "../../x"}, 0x0020000D, "Study Instance UID is not"),
        ({"study": "1" * 65}, 0x0020000D, "Study Instance UID is not"),
        ({"series": "1.2.Canary"}, 0x0020000E, "Series Instance UID is not"),
    ],
)
def test_what_is_missing_is_named_and_its_value_is_not(values, tag, words):
    refusal = identify(data_set(**values), EXPLICIT_LE)
    assert refusal.status is Status.CANNOT_UNDERSTAND
    assert refusal.offending[0] == tag
    assert refusal.comment.startswith(words)
    assert "Canary" not in refusal.comment
    assert len(refusal.comment) <= 64


def test_leading_zeros_and_padding_are_let_pass():
    found = identify(data_set(study="1.02.3", series="1.2.3.10 "), EXPLICIT_LE)
    assert (found.study_uid, found.series_uid) == ("1.02.3", "1.2.3.10")


def test_uids_inside_sequences_are_not_those_of_the_instance():
    item = element(0x0020000D, b"UI", b"6.6.6")
    sequence = element(0x00081110, b"SQ", b"\xfe\xff\0\xe0" + len(item).to_bytes(4, "little") + item)
    head = data_set(study="")
    data = head[: head.index(b"\x10\0\x10\0")] + sequence + head[head.index(b"\x10\0\x10\0") :]
    assert isinstance(identify(data, EXPLICIT_LE), Refusal)


@pytest.mark.parametrize("syntax", [IMPLICIT_LE, EXPLICIT_LE])
def test_a_delimiter_that_ends_nothing_is_passed(syntax):
    stray = b"\xfe\xff\xdd\xe0\0\0\0\0"
    data = encoded(implicit=syntax == IMPLICIT_LE, little=True)
    first = 8 + len(EXPECTED.sop_class_uid) + len(EXPECTED.sop_class_uid) % 2
    assert identify(data[:first] + stray + data[first:] + stray, syntax) == EXPECTED
    assert identify(data[:first] + stray, syntax).status is Status.CANNOT_UNDERSTAND


@pytest.mark.parametrize("data", [b"", b"\0", b"plain text, nothing else", bytes(200), b"\xff" * 300])
def test_no_data_set_at_all(data):
    assert isinstance(identify(data, EXPLICIT_LE), Refusal)


@pytest.mark.corpus
def test_real_files_are_identified_as_another_reader_does(corpus):
    identified = 0
    for path in corpus_files("odd"):
        with path.open("rb") as stream:
            raw = stream.read()
        meta = dcmread(BytesIO(raw), stop_before_pixels=True, force=True)
        if raw[128:132] != b"DICM" or "StudyInstanceUID" not in meta or not meta.SeriesInstanceUID:
            continue
        start = 132 + 12 + meta.file_meta.FileMetaInformationGroupLength
        found = identify(raw[start : start + 131_060], meta.file_meta.TransferSyntaxUID, whole=False)
        assert isinstance(found, Identity), path.name
        assert found.sop_instance_uid == meta.SOPInstanceUID
        assert found.series_uid == meta.SeriesInstanceUID
        identified += 1
    assert identified > 50
