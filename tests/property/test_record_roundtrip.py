import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from storage_nodes.names import RecordKey
from storage_nodes.record.reader import RecordReader
from storage_nodes.record.sources import BufferSource
from storage_nodes.record.values import FrameLayout, PixelElement, RecordInstance
from storage_nodes.record.verify import verify_record
from storage_nodes.record.writer import write_record
from tests.unit.storage_nodes.record.builders import (
    CT,
    EXPLICIT,
    JPEG_BASELINE,
    PIXEL_DATA,
    assert_equal,
    layout_of,
)

KINDS = st.sampled_from(["<i1", "<u1", "<i2", "<u2", "<i4", "<u4", "<f4", "<f8"])
SIDES = st.one_of(
    st.tuples(st.integers(1, 70), st.integers(1, 70)),
    st.tuples(st.just(1), st.integers(1, 3000)),
    st.tuples(st.integers(1, 3000), st.just(1)),
    st.sampled_from([(31, 33), (64, 64), (65, 64), (256, 3), (3, 257)]),
)


@st.composite
def frames(draw):
    """One image of any kind and size, filled as images and as enemies are."""
    kind = np.dtype(draw(KINDS))
    rows, columns = draw(SIDES)
    colour = draw(st.sampled_from([None, "interleaved", "planar"]))
    shape = {None: (rows, columns), "interleaved": (rows, columns, 3), "planar": (3, rows, columns)}[colour]
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    fill = draw(st.sampled_from(["noise", "slope", "constant", "checkerboard", "one"]))
    low, high = (np.iinfo(kind).min, np.iinfo(kind).max) if kind.kind in "iu" else (0, 1)
    cells = np.arange(np.prod(shape)).reshape(shape)
    image = {
        "noise": lambda: np.frombuffer(random.bytes(cells.size * kind.itemsize), kind).reshape(shape),
        "slope": lambda: (cells % 120).astype(kind),
        "constant": lambda: np.full(shape, draw(st.sampled_from([low, 0, high])), kind),
        "checkerboard": lambda: np.where(cells % 2, low, high).astype(kind),
        "one": lambda: np.where(cells == cells.size // 2, high, low).astype(kind),
    }[fill]()
    bits = kind.itemsize * 8
    stored = draw(st.integers(1, bits))
    photometric = "MONOCHROME2"
    if colour is not None:
        photometric = draw(st.sampled_from(["RGB", "YBR_FULL", "YBR_FULL_422", "HSV"]))
    layout = layout_of(
        image,
        planar=int(colour == "planar"),
        bits_stored=stored,
        high_bit=draw(st.sampled_from([stored - 1, bits - 1])),
        photometric=photometric,
    )
    return image, layout


LAYOUTS = st.builds(
    FrameLayout,
    rows=st.integers(0, 300),
    columns=st.integers(0, 300),
    samples=st.integers(0, 4),
    bits_allocated=st.sampled_from([0, 1, 8, 12, 16, 32, 64]),
    bits_stored=st.integers(0, 70),
    high_bit=st.integers(0, 70),
    signed=st.booleans(),
    planar=st.integers(0, 2),
    photometric=st.sampled_from(["", "MONOCHROME2", "RGB", "YBR_FULL_422", "rgb"]),
)
HEADERS = st.binary(max_size=300)


@st.composite
def instances(draw, number):
    """Any instance: without pixels, fragments, native frames with a true or a false layout."""
    before, after = draw(HEADERS), draw(HEADERS)
    uid = draw(st.sampled_from([f"2.25.{number}", f"1.2.{number}", f"2.25.0{number}"]))
    kind = draw(st.sampled_from(["none", "fragments", "native", "false layout"]))
    if kind == "none":
        return RecordInstance(uid, CT, EXPLICIT, before, after, None)
    if kind == "fragments":
        pieces = draw(st.lists(st.binary(max_size=200), max_size=5))
        pixel = PixelElement(PIXEL_DATA, "OB", True, draw(st.binary(max_size=16)), draw(LAYOUTS), pieces)
        return RecordInstance(uid, CT, JPEG_BASELINE, before, after, pixel)
    if kind == "native":
        image, layout = draw(frames())
        payloads = [image.tobytes()] * draw(st.integers(0, 2))
    else:
        layout = draw(st.none() | LAYOUTS)
        payloads = draw(st.lists(st.binary(max_size=400), max_size=3))
    pixel = PixelElement(PIXEL_DATA, "OW", False, b"", layout, payloads)
    return RecordInstance(uid, CT, EXPLICIT, before, after, pixel)


@settings(deadline=None, max_examples=150)
@given(frames())
def test_every_image_comes_back_bit_for_bit(frame):
    image, layout = frame
    pixel = PixelElement(PIXEL_DATA, "OW", False, b"", layout, [image.tobytes()])
    instance = RecordInstance("2.25.1", CT, EXPLICIT, b"", b"", pixel)
    packed = write_record(RecordKey("a"), [instance], manifest={})
    assert packed.size < image.nbytes + 1200
    assert_equal(RecordReader(BufferSource(b"".join(packed.body))), [instance])


@settings(deadline=None, max_examples=80)
@given(st.data())
def test_every_record_comes_back_whole(data):
    count = data.draw(st.integers(1, 4))
    packed_in = [data.draw(instances(number)) for number in range(count)]
    about = data.draw(st.dictionaries(st.text(), st.none() | st.text() | st.integers() | st.booleans()))
    packed = write_record(RecordKey("a"), packed_in, manifest=about)
    source = BufferSource(b"".join(packed.body))
    for reader in (RecordReader(source), RecordReader(source, packed.layout, read_ahead_bytes=100)):
        assert_equal(reader, packed_in)
        assert reader.manifest.about == about
        assert reader.layout == packed.layout
        assert reader.summary == packed.summary
    assert verify_record(source, packed.layout).whole
