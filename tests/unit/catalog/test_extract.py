import warnings
from itertools import product

import pydicom
import pytest
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian

from catalog.charset import decode, encodings_of
from catalog.extract import MAX_VALUES, extract, forget
from tests.corpus import corpus_files
from tests.unit.catalog.world import EXPLICIT, header

IMPLICIT, BIG_ENDIAN = "1.2.840.10008.1.2", "1.2.840.10008.1.2.2"
YAMADA = "Yamada^Tarou=\u5c71\u7530^\u592a\u90ce=\u3084\u307e\u3060^\u305f\u308d\u3046"


# One image stands for its series.
SOME = [*{path.parent: path for path in corpus_files("series")}.values(), *corpus_files("odd", "malformed")]


def encoded(dataset, *, implicit=False, little=True):
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = little, implicit
    write_dataset(buffer, dataset)
    return buffer.getvalue()


def sample():
    dataset = pydicom.Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.ImageType = ["ORIGINAL", "PRIMARY"]
    dataset.SOPInstanceUID = "1.2.3"
    dataset.StudyDate = "20240131"
    dataset.StudyTime = "101500.25"
    dataset.PatientName = "M\u00fcller^J\u00f6rg"
    dataset.OperatorsName = ["Op^A", "Op^B"]
    dataset.SeriesNumber = 7
    dataset.Rows = 513
    return dataset


@pytest.mark.parametrize(
    ("syntax", "options"),
    [(EXPLICIT, {}), (IMPLICIT, {"implicit": True}), (BIG_ENDIAN, {"little": False})],
)
def test_every_encoding_gives_the_same_attributes(syntax, options):
    found = extract(encoded(sample(), **options), syntax)
    assert found.patient["patient_name"] == "M\u00fcller^J\u00f6rg"
    assert found.patient["patient_name_alphabetic"] == "m\u00fcller^j\u00f6rg"
    assert found.image["image_type"] == '["ORIGINAL", "PRIMARY"]'
    assert found.series["operators_name_folded"] == '["op^a", "op^b"]'
    assert (found.series["series_number"], found.image["rows"]) == (7, 513)
    assert (found.study["study_date"], found.study["study_time"]) == ("20240131", "101500.25")
    assert found.sop_instance_uid == "1.2.3"
    assert found.study_instance_uid == ""


def test_a_cut_header_gives_what_stands_before_the_cut():
    whole = encoded(sample())
    seen = set()
    for length in range(len(whole)):
        found = extract(whole[:length], EXPLICIT)
        seen.add((found.sop_instance_uid, found.study["study_date"], found.image["rows"]))
    assert seen == {("", "", None), ("1.2.3", "", None), ("1.2.3", "20240131", None)}


def test_the_bytes_decide_where_the_syntax_lies():
    assert extract(encoded(sample()), IMPLICIT).sop_instance_uid == "1.2.3"
    assert extract(encoded(sample(), implicit=True), EXPLICIT).sop_instance_uid == "1.2.3"


def test_pixels_are_not_looked_at():
    dataset = sample()
    dataset.add_new(0x7FE00010, "OW", b"\0" * 64)
    whole = encoded(dataset)
    assert extract(whole[: len(whole) - 60], EXPLICIT) == extract(whole, EXPLICIT)


@pytest.mark.parametrize(
    ("terms", "codec", "name"),
    [
        ("ISO_IR 192", "utf-8", YAMADA),
        ("GB18030", "gb18030", "Wang^XiaoDong=\u738b^\u5c0f\u4e1c"),
        ("GBK", "gbk", "Wang^XiaoDong=\u738b^\u5c0f\u4e1c\u4e17"),
        ("ISO_IR 100", "latin-1", "Buc^J\u00e9r\u00f4me"),
        ("ISO_IR 144", "iso8859_5", "\u041b\u044ek\u0446ee\u0431ypg"),
        ("ISO_IR 126", "iso8859_7", "\u0394\u03b9\u03bf\u03bd\u03c5\u03c3\u03b9\u03bf\u03c2"),
        ("ISO_IR 166", "tis-620", "\u0e19\u0e32\u0e21\u0e2a\u0e01\u0e38\u0e25"),
        ("iso-ir 100", "latin-1", "\u00e9"),
    ],
)
def test_character_sets(terms, codec, name):
    assert decode(name.encode(codec), encodings_of(terms.encode())) == name


def test_code_extensions():
    # PS3.5 Annex H.3 and I.2
    japanese = encodings_of(b"\\ISO 2022 IR 87")
    assert (
        decode(
            b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B", japanese
        )
        == YAMADA
    )
    korean = encodings_of(b"\\ISO 2022 IR 149")
    assert (
        decode(
            b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf",
            korean,
        )
        == "Hong^Gildong=\u6d2a^\u5409\u6d1e=\ud64d^\uae38\ub3d9"
    )
    half_width = encodings_of(b"ISO 2022 IR 13\\ISO 2022 IR 87")
    assert decode(b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J", half_width) == (
        "\uff94\uff8f\uff80\uff9e^\uff80\uff9b\uff73=\u5c71\u7530^\u592a\u90ce"
    )


@pytest.mark.parametrize(
    "declared", [b"", b"UNKNOWN 1", b"ISO_IR 6", b"ISO_IR 192", b"ISO 2022 IR 87\\X", b"\xff\xfe"]
)
@pytest.mark.parametrize("value", [b"\xff\xfe", b"\x1b", b"\x1b$B\x01", b"a\x1b(Zb", bytes(range(256))])
def test_whatever_the_bytes_text_comes_out(declared, value):
    assert isinstance(decode(value, encodings_of(declared)), str)


def test_undeclared_text_is_read_as_what_it_can_be():
    assert decode("M\u00fcller".encode(), ()) == "M\u00fcller"
    assert decode("M\u00fcller".encode("latin-1"), ()) == "M\u00fcller"


def test_values_are_bounded():
    found = extract(header(PatientID="x" * 64, ImageType=["A"] * 100), EXPLICIT)
    assert found.image["image_type"].count("A") == MAX_VALUES


@pytest.mark.corpus
@pytest.mark.parametrize("path", SOME, ids=lambda path: path.name)
def test_real_headers_read_as_pydicom_reads_them(corpus, path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            dataset = pydicom.dcmread(path, force=True, stop_before_pixels=True)
            syntax = str(dataset.file_meta.get("TransferSyntaxUID", IMPLICIT))
            plain = [
                (keyword, str(dataset.get(keyword) or ""))
                for keyword in ("SOPInstanceUID", "StudyInstanceUID", "PatientID")
            ]
            numbers = [(keyword, dataset.get(keyword)) for keyword in ("Rows", "Columns")]
        except Exception as error:  # noqa: BLE001 - what pydicom cannot read is no comparison
            pytest.skip(f"pydicom reads nothing here: {type(error).__name__}")
    if syntax == DeflatedExplicitVRLittleEndian:
        pytest.skip("the caller inflates")
    whole = path.read_bytes()
    start = dataset.file_meta.get("FileMetaInformationGroupLength")
    if start is None or whole[128:132] != b"DICM":
        pytest.skip("no file meta to find the data set by")
    found = extract(whole[144 + start :], syntax)
    row = found.patient | found.study | found.series | found.image
    for keyword, expected in plain:
        column = {
            "SOPInstanceUID": "sop_instance_uid",
            "StudyInstanceUID": "study_instance_uid",
            "PatientID": "patient_id",
        }
        assert row[column[keyword]] == expected.strip(" \0")[:256]
    for keyword, expected in numbers:
        assert (
            row[keyword.lower()] in {expected, None}
            if "malformed" in str(path)
            else row[keyword.lower()] == expected
        )


def test_what_came_before_changes_nothing_of_what_is_read():
    """Headers alike but for a value, a length, a character set, one attribute less or twice; all orders."""
    plain = sample()
    other_name, longer, without, utf_8 = sample(), sample(), sample(), sample()
    other_name.PatientName = "Roe^Jane"
    longer.StudyDescription = "a description that is longer than the one of the others"
    del without.StudyDate
    utf_8.SpecificCharacterSet, utf_8.PatientName = "ISO_IR 192", "B\u00fcc^J\u00e9r\u00f4me"
    latin = encoded(utf_8).replace(b"ISO_IR 192", b"ISO_IR 100")
    ended = b"\xe0\x7f\x10\x00OW\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00"
    headers = [encoded(each) + ended for each in (plain, other_name, longer, without, utf_8)]
    headers += [latin + ended, encoded(plain) + b"\x28\x00\x10\x00US\x02\x00\x05\x00" + ended]
    alone = []
    for each in headers:
        forget()
        alone.append(extract(each, EXPLICIT))
    assert all(one not in alone[:place] for place, one in enumerate(alone)), "no two say the same"
    for first, second in product(range(len(headers)), repeat=2):
        extract(headers[first], EXPLICIT)
        assert extract(memoryview(headers[second]), EXPLICIT) == alone[second]
