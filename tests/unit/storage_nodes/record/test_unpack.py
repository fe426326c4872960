import pydicom
import pytest

from storage_nodes.record.errors import DamagedRecordError
from storage_nodes.record.part10 import file_head
from storage_nodes.record.reader import RecordReader
from storage_nodes.record.sources import BufferSource
from storage_nodes.record.unpack import unpack
from tests.unit.storage_nodes.record.builders import native, pack, reader_of, smooth, without_pixels


def test_every_instance_becomes_a_file_of_its_own(tmp_path):
    instances = [native(0, smooth(20, 20)), without_pixels(1), native(2, smooth(20, 20))]
    reader = reader_of(*instances)
    paths = list(unpack(reader, tmp_path / "new" / "folder"))
    assert [path.name for path in paths] == ["2.25.1.dcm", "2.25.2.dcm", "2.25.3.dcm"]
    assert sorted(path.parent.iterdir() for path in paths[:1]) is not None
    for number, path in enumerate(paths):
        dataset = pydicom.dcmread(path)
        assert dataset.file_meta.MediaStorageSOPInstanceUID == f"2.25.{number + 1}"
        assert path.read_bytes().endswith(b"".join(map(bytes, reader.dataset(number))))
    assert dataset.PixelData == smooth(20, 20).tobytes()


def test_a_damaged_instance_ends_it_and_leaves_no_half_file_under_a_whole_name(tmp_path):
    instances = [native(0, smooth(128, 128)), native(1, smooth(128, 128))]
    packed = pack(*instances)
    data = bytearray(b"".join(packed.body))
    data[packed.layout.frames.end - 5] ^= 1
    told = []
    with pytest.raises(DamagedRecordError):
        told.extend(unpack(RecordReader(BufferSource(data)), tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2.25.1.dcm", "2.25.2.dcm.part"]


@pytest.mark.parametrize("uid", ["1", "1.2", "2.25.123"])
def test_file_meta_is_even_and_states_its_own_length(uid):
    head = file_head("1.2.840.10008.5.1.4.1.1.7", uid, "1.2.840.10008.1.2.1")
    assert head[:132] == bytes(128) + b"DICM"
    assert head[132:140] == b"\x02\0\0\0UL\x04\0"
    assert int.from_bytes(head[140:144], "little") == len(head) - 144
    assert len(head) % 2 == 0
