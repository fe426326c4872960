import contextlib
import hashlib
import io
import tracemalloc
import zipfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from storage_nodes.names import RecordKey
from storage_nodes.record.codecs import htj2k, zstd
from storage_nodes.record.errors import RecordRefusedError
from storage_nodes.record.limits import Limits
from storage_nodes.record.reader import RecordReader
from storage_nodes.record.sources import BufferSource
from storage_nodes.record.values import Codec, RecordInstance
from storage_nodes.record.writer import write_record
from tests.unit.storage_nodes.record.builders import (
    EXPLICIT,
    JPEG_BASELINE,
    assert_equal,
    encapsulated,
    native,
    of_payloads,
    pack,
    packed_bytes,
    smooth,
    without_pixels,
)

MIXED = [
    native(0, smooth(64, 48), smooth(64, 48, seed=1)),
    without_pixels(1),
    encapsulated(2, [b"\xff\xd8\xff\xd9", b"abc"], b"\0\0\0\0"),
    native(3, np.zeros((16, 16), "u1")),
    of_payloads(4, [], None),
    native(5, smooth(300, 280, "<u2")),
]


def test_a_record_is_a_zip_file_that_any_tool_opens():
    with zipfile.ZipFile(io.BytesIO(packed_bytes(*MIXED))) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["manifest", "index", "headers", "frames"]


def test_digest_and_size_are_those_of_the_body():
    packed = pack(*MIXED)
    body = b"".join(packed.body)
    assert packed.size == len(body)
    assert packed.sha256 == hashlib.sha256(body).digest()


def test_the_layout_says_where_the_parts_lie():
    packed = pack(*MIXED)
    body = b"".join(packed.body)
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        parts = {
            "index": packed.layout.index,
            "headers": packed.layout.headers,
            "frames": packed.layout.frames,
        }
        for name, extent in parts.items():
            assert body[extent.start : extent.end] == archive.read(name)
        assert packed.layout.index_sha256 == hashlib.sha256(archive.read("index")).digest()


def test_equal_input_gives_equal_bytes_on_any_number_of_threads():
    many = [native(n, smooth(256, 256, seed=n), smooth(256, 256, seed=n + 1000)) for n in range(40)]
    alone = pack(*many, about={"b": 1, "a": [2]})
    with ThreadPoolExecutor(3) as threads:
        together = pack(*many, about={"a": [2], "b": 1}, executor=threads)
    assert b"".join(alone.body) == b"".join(together.body)


def test_instances_and_payloads_are_drawn_as_they_are_needed():
    drawn = []

    def one_by_one():
        for number in range(200):
            drawn.append(number)
            yield native(number, smooth(512, 512))

    class FirstTaskFails(ThreadPoolExecutor):
        def submit(self, fn, /, *args, **kwargs):
            return super().submit(lambda: 1 / 0)

    with FirstTaskFails(1) as threads, pytest.raises(ZeroDivisionError):
        write_record(RecordKey("a"), one_by_one(), manifest={}, executor=threads)
    assert len(drawn) <= 32 * 2 + 3  # 32 MiB of half-MiB frames


def test_what_no_codec_makes_smaller_is_referenced_not_copied():
    noise = bytearray(np.random.default_rng(0).bytes(1 << 16))
    packed = pack(encapsulated(0, [noise]))
    assert any(isinstance(piece, memoryview) and piece.obj is noise for piece in packed.body)


def test_payload_buffers_may_be_of_any_kind():
    frame = smooth(64, 64)
    kinds = [frame.tobytes(), bytearray(frame.tobytes()), memoryview(frame.tobytes()), frame.data]
    packed = pack(*(of_payloads(n, [kind], native(0, frame).pixel.layout) for n, kind in enumerate(kinds)))
    reader = RecordReader(BufferSource(b"".join(packed.body)))
    assert all(bytes(reader.payload(n, 0)) == frame.tobytes() for n in range(len(kinds)))


@pytest.mark.parametrize("codec", ["htj2k", "zstd"])
def test_an_encoding_that_does_not_give_the_frame_back_is_not_trusted(monkeypatch, codec):
    frame = smooth(128, 128)
    if codec == "htj2k":
        monkeypatch.setattr(htj2k, "_htj2k_decode", lambda *_, **__: frame + 1)
        left = Codec.ZSTD
    else:
        monkeypatch.setattr(htj2k, "encoding_for", lambda *_: None)
        monkeypatch.setattr(zstd, "decompress", lambda _, length: bytes(length))
        left = Codec.RAW
        monkeypatch.setattr("storage_nodes.record.headers.zstd.compress", lambda data: data)
    packed = pack(native(0, frame))
    assert list(packed.summary.codecs) == [left]


def test_a_codec_that_fails_is_passed_over(monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("of the codec")

    monkeypatch.setattr(htj2k, "_htj2k_encode", fail)
    frame = smooth(128, 128)
    reader = RecordReader(BufferSource(packed_bytes(native(0, frame))))
    assert bytes(reader.payload(0, 0)) == frame.tobytes()
    assert reader.codestream(0, 0).codec is Codec.ZSTD


NATIVE = native(0, smooth(4, 4))
REFUSED = {
    "nothing": [],
    "twice": [without_pixels(0), without_pixels(0)],
    "no uid": [replace(NATIVE, sop_instance_uid="")],
    "path as uid": [replace(NATIVE, sop_instance_uid="../1")],
    "long uid": [replace(NATIVE, sop_instance_uid="1" * 65)],
    "class": [replace(NATIVE, sop_class_uid="x")],
    "native in a syntax of fragments": [replace(NATIVE, transfer_syntax=JPEG_BASELINE)],
    "native in implicit": [replace(NATIVE, transfer_syntax="1.2.840.10008.1.2")],
    "fragments in native": [replace(encapsulated(0, [b"ab"]), transfer_syntax=EXPLICIT)],
    "vr": [replace(NATIVE, pixel=replace(NATIVE.pixel, vr="US"))],
    "offset table": [replace(NATIVE, pixel=replace(NATIVE.pixel, offset_table=b"abcd"))],
}


@pytest.mark.parametrize("instances", REFUSED.values(), ids=REFUSED.keys())
def test_what_has_no_place_in_a_record_is_refused(instances):
    with pytest.raises(RecordRefusedError):
        pack(*instances)


@pytest.mark.parametrize("bad", [case[0] for case in REFUSED.values() if len(case) == 1])
def test_a_refusal_names_the_instance_so_that_the_others_can_be_packed_without_it(bad):
    given = [replace(without_pixels(50), sop_instance_uid="2.25.50"), bad]
    with pytest.raises(RecordRefusedError) as refused:
        pack(*given)
    assert refused.value.instance == 1
    del given[refused.value.instance]
    assert pack(*given).summary.instances == 1


@pytest.mark.parametrize(
    ("limit", "value"),
    [
        ("LONGEST_VALUE_BYTES", 2047),
        ("DEFAULT_LIMITS", Limits(payload_bytes=1023)),
        ("DEFAULT_LIMITS", Limits(header_block_bytes=20)),
    ],
)
def test_what_is_too_long_is_refused(monkeypatch, limit, value):
    monkeypatch.setattr(f"storage_nodes.record.writer.{limit}", value)
    with pytest.raises(RecordRefusedError) as refused:
        pack(of_payloads(0, [], None), of_payloads(1, [bytes(1024), bytes(1024)], None))
    assert refused.value.instance == (0 if "header" in str(refused.value) else 1)


@pytest.mark.parametrize("about", [{"a": object()}, {"a": float("nan")}, {"a": "x" * (1 << 20)}, {"a": b"x"}])
def test_what_the_record_is_about_must_be_small_json(about):
    with pytest.raises(RecordRefusedError):
        pack(without_pixels(0), about=about)


@pytest.mark.parametrize(
    "odd", [{"planar": 70000}, {"photometric": "rgb\n"}, {"high_bit": -1}, {"photometric": "X" * 17}]
)
def test_a_layout_out_of_all_bounds_counts_as_unknown(odd):
    instance = native(0, smooth(64, 64), **odd)
    reader = RecordReader(BufferSource(packed_bytes(instance)))
    assert reader.instances[0].element.layout is None
    assert_equal(reader, [instance])


def test_a_representation_shows_neither_headers_nor_pixels():
    instance = RecordInstance("2.25.1", "1.2", "1.2.840.10008.1.2.1", b"CANARY", b"CANARY", None)
    frames = native(1, np.full((4, 4), 0x41, "u1"))
    packed = pack(frames, instance)
    for shown in (
        instance,
        frames,
        packed,
        RecordReader(BufferSource(b"".join(packed.body))).codestream(0, 0),
    ):
        assert "CANARY" not in repr(shown)
        assert "AAAA" not in repr(shown)


class FramesOnDemand(Sequence):
    """As a mapped file gives them: each frame is there only while it is looked at."""

    def __init__(self, count: int, frame: bytes) -> None:
        self.count, self.frame = count, frame

    def __len__(self):
        return self.count

    def __getitem__(self, number):
        if number >= self.count:
            raise IndexError
        return bytearray(self.frame)


@pytest.mark.parametrize(("threads", "most_bytes"), [(None, 4 << 20), (2, 40 << 20)])
def test_a_huge_instance_is_never_held_raw(threads, most_bytes):
    one = native(0, np.add.outer(np.arange(512), np.arange(512)).astype("<u2"))
    instance = of_payloads(0, FramesOnDemand(160, one.pixel.payloads[0]), one.pixel.layout)
    with contextlib.ExitStack() as stack:
        executor = stack.enter_context(ThreadPoolExecutor(threads)) if threads else None
        tracemalloc.start()
        stack.callback(tracemalloc.stop)
        packed = pack(instance, executor=executor)
        _, peak = tracemalloc.get_traced_memory()
    assert packed.summary.raw_bytes > 80 << 20
    assert peak < packed.size + most_bytes
