"""The hunt for planted values finds what is there: it could fail wherever it is used."""

import base64
import bz2
import gzip
import hashlib
import uuid
import zlib
from io import BytesIO

import pytest
from pydicom import dcmread
from pydicom.dataelem import DataElement

from tests.planted import Hunter, leaks, planted, write_corpus
from tests.planted.canaries import Canary

WORD = Canary("Zkbrwqmtg", "word", "a file", "a place")
NUMBER = Canary("48151623", "number", "a file", "a place")
DAY = Canary("17510302", "date", "a file", "a place")
UID = Canary("1.2.276.0.99.48151623.777123456", "uid", "a file", "a place")
GREEK = Canary("Διονυσιος", "word", "a file", "a place", "Διονυσιος".encode("iso8859_7"))

_deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
WAYS = {
    "text": WORD.text.encode(),
    "capitals": WORD.text.upper().encode(),
    "backwards": WORD.text[::-1].encode(),
    "UTF-16": WORD.text.encode("utf_16_le"),
    "UTF-16 big endian": WORD.text.encode("utf_16_be"),
    "words turned": b"kZrbqwtmg",
    "words turned, an odd place": b".Zbkwrmqgt",
    "hex": WORD.text.encode().hex().encode(),
    "HEX": WORD.text.encode().hex().upper().encode(),
    **{f"base64 at {shift}": base64.b64encode(bytes(shift) + WORD.text.encode()) for shift in range(3)},
    "base64 of UTF-16": base64.b64encode(WORD.text.encode("utf_16_le")),
    "zlib": b"??" + zlib.compress(WORD.text.encode()),
    "gzip": b"??" + gzip.compress(WORD.text.encode(), mtime=0),
    "bzip2": bz2.compress(WORD.text.encode()),
    "zlib in base64": base64.b64encode(zlib.compress(WORD.text.encode() * 2)),
    "gzip in hex": gzip.compress(WORD.text.encode(), mtime=0).hex().encode(),
    **{name: hashlib.new(name, WORD.text.encode()).digest() for name in ("md5", "sha1", "sha256", "sha512")},
    "digest in hex": hashlib.sha256(WORD.text.encode()).hexdigest().encode(),
    "digest in base64": base64.b64encode(hashlib.sha1(WORD.text.encode()).digest()),
    "digest as UID": b"2.25." + str(int.from_bytes(hashlib.md5(WORD.text.encode()).digest(), "big")).encode(),
    "uuid5 as UID": b"2.25." + str(uuid.uuid5(uuid.NAMESPACE_OID, WORD.text).int).encode(),
}


@pytest.fixture(scope="module")
def corpus():
    return planted(1)


@pytest.fixture(scope="module")
def hunter(corpus):
    return Hunter(corpus.canaries)


@pytest.mark.parametrize("way", WAYS)
def test_every_form_of_a_value_is_found(way):
    assert [one.canary for one in leaks(b"\3\1" + WAYS[way] + b"\0\2", [WORD])] == [WORD]


def test_other_character_sets_components_and_names_of_files_are_found(tmp_path):
    assert leaks(b"." + GREEK.raw + b".", [GREEK])
    assert leaks(GREEK.text.encode(), [GREEK])
    assert leaks(b"1.2.3.777123456.5", [UID])
    (tmp_path / WORD.text).write_bytes(b"nothing")
    assert [one.found_in for one in leaks(tmp_path, [WORD])] == ["file names"]


def test_digits_count_only_where_they_stand_alone():
    assert leaks(b"MRN 48151623.", [NUMBER])
    assert not leaks(b"2.25.1481516230", [NUMBER])
    assert leaks(b"seen 17510302101112", [DAY])
    assert leaks(b"1.2.17510302.4", [DAY])
    assert not leaks(b"2.25.17510302999", [DAY])


def test_other_bytes_hold_nothing(corpus, hunter):
    found = hunter.leaks(b"".join(one.data for one in planted(2).files))
    assert [one for one in found if one.canary.kind != "date"] == []  # days are few


def test_a_copy_that_changes_nothing_is_caught_with_every_value(corpus, hunter):
    found = {one.canary.text for one in hunter.leaks({one.name: one.data for one in corpus.files})}
    assert {one.text for one in corpus.canaries if one.text not in found} == set()
    assert len(found) > 7000


def test_one_that_empties_the_top_level_is_caught_with_what_is_nested(corpus, hunter):
    def emptied(data):
        dataset = dcmread(BytesIO(data))
        for tag in list(dataset.keys()):
            if dataset.get_item(tag).VR not in {"SQ", "US"}:
                dataset[tag] = DataElement(tag, "LO", "")
        written = BytesIO()
        dataset.save_as(written)
        return written.getvalue()

    names = {"depth-05.dcm", "report.dcm"}
    files = {one.name: emptied(one.data) for one in corpus.files if one.name in names}
    found = hunter.leaks(files)
    assert {one.found_in.partition(" ")[0] for one in found} == names
    assert len(found) > 100
    assert not any(one.canary.place in {"PatientName", "InstitutionName"} for one in found)


def test_a_seed_gives_the_same_files_and_another_seed_others(tmp_path, corpus):
    again = write_corpus(tmp_path, 1)
    assert again.files == corpus.files
    assert {one.name for one in tmp_path.iterdir()} == {one.name for one in corpus.files}
    assert {one.text for one in again.canaries}.isdisjoint(
        one.text for one in planted(2).canaries if one.kind == "word"
    )


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_no_two_files_have_one_instance_number(corpus):
    """Outputs with new names are told apart by it: two of one number were taken for one file."""
    numbers = [str(dcmread(BytesIO(one.data), force=True).InstanceNumber) for one in corpus.files]
    assert len(set(numbers)) == len(numbers) > 100
