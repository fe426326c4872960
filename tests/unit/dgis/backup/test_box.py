import io
import json
import os

import pytest

from dgis.backup.box import BoxWriter, Opener, opened
from dgis.backup.entries import EntryReader, EntryWriter
from dgis.backup.values import BackupError, Manifest

OPENER = Opener(bytes(range(32)))
MANIFEST = Manifest(1, "gateway-1", "Hospital", "0013", "database")


def sealed(data, opener=OPENER):
    file = io.BytesIO()
    box = BoxWriter(file, opener)
    for start in range(0, len(data), 700_001):
        box.write(data[start : start + 700_001])
    box.close()
    return file.getvalue()


def unsealed(raw, opener=OPENER):
    return b"".join(opened(io.BytesIO(raw), opener))


@pytest.mark.parametrize("length", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3 << 20])
def test_what_is_sealed_comes_back(length):
    data = os.urandom(length)
    raw = sealed(data)
    assert unsealed(raw) == data
    if length >= 1 << 20:
        assert data[:64] not in raw


def test_two_files_of_one_stream_share_nothing():
    first, second = sealed(b"the same"), sealed(b"the same")
    assert first[12:] != second[12:]


def test_a_passphrase_opens_its_own_and_nothing_else(tmp_path):
    path = tmp_path / "passphrase"
    path.write_text("correct horse battery\n")
    opener = Opener.passphrase_file(path)
    raw = sealed(b"secret", opener)
    assert unsealed(raw, opener) == b"secret"
    with pytest.raises(BackupError, match="passphrase"):
        unsealed(raw)
    with pytest.raises(BackupError, match="not its key"):
        unsealed(raw, Opener(b"another passphrase", passphrase=True))
    path.write_text("short\n")
    with pytest.raises(BackupError, match="characters"):
        Opener.passphrase_file(path)


LONG = os.urandom((2 << 20) + 5)
_CHUNK = (1 << 20) + 16
CHANGES = {
    "a bit of a chunk": lambda raw: raw[:100] + bytes([raw[100] ^ 1]) + raw[101:],
    "a bit of the salt": lambda raw: raw[:15] + bytes([raw[15] ^ 1]) + raw[16:],
    "the last chunk is gone": lambda raw: raw[: 35 + 2 * _CHUNK],
    "cut in a chunk": lambda raw: raw[:-3],
    "chunks change places": lambda raw: (
        raw[:35] + raw[35 + _CHUNK : 35 + 2 * _CHUNK] + raw[35 : 35 + _CHUNK] + raw[35 + 2 * _CHUNK :]
    ),
    "something behind": lambda raw: raw + b"x",
    "a header alone": lambda raw: raw[:35],
    "nothing": lambda _raw: b"",
    "another file": lambda _raw: b"PK\3\4" + bytes(100),
    "a later version": lambda raw: raw[:9] + b"\2" + raw[10:],
}


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_was_changed_is_refused(change):
    with pytest.raises(BackupError):
        unsealed(CHANGES[change](sealed(LONG)))


def file_of(entries):
    file = io.BytesIO()
    writer = EntryWriter(BoxWriter(file, OPENER))
    for name, pieces in entries.items():
        writer.add(name, pieces)
    return file.getvalue() or file, writer.finish(MANIFEST), file


def test_entries_come_back_in_order_with_a_manifest_of_all():
    _raw, manifest, file = file_of({"a": [b"one", b"two"], "empty": [], "long": [os.urandom(3 << 20)]})
    reader = EntryReader(opened(io.BytesIO(file.getvalue()), OPENER))
    found = {name: b"".join(pieces) for name, pieces in reader}
    assert found["a"] == b"onetwo"
    assert [*found] == ["a", "empty", "long"]
    assert reader.manifest == manifest
    assert manifest.entries["a"]["bytes"] == 6
    json.dumps(manifest.as_json())


def test_an_entry_that_is_passed_over_is_compared_all_the_same():
    _raw, manifest, file = file_of({"a": [b"one", b"two"], "b": [b"three"]})
    reader = EntryReader(opened(io.BytesIO(file.getvalue()), OPENER))
    assert [name for name, _pieces in reader] == ["a", "b"]
    assert reader.manifest == manifest
