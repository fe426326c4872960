"""Publishing under a decision on pixels: what is blanked, what is said of it, and the way back."""

import hashlib
import struct

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.filebase import DicomBytesIO

from deid.cleaned import NotDecoded
from deid.engine import Deidentifier
from deid.outcome import Published, WithheldReason
from deid.pixel_decision import DecidedBy, PixelDecision
from deid.profile import Profile
from deid.rectangles import Rectangle
from deid.restore import restore
from deid.seal.values import SealedInstance
from deid.splice import literals_of, program_for, published_payload
from deid.verdict import parse_rules, standard_rules
from tests.unit.deid.engine.build import (
    BIG_ENDIAN,
    EXPLICIT,
    IMPLICIT,
    INSTANCE,
    SECRETS,
    dataset,
    el,
    us,
)

US_CLASS = "1.2.840.10008.5.1.4.1.1.6.1"
ROWS, COLUMNS = 6, 8
RECTANGLE = Rectangle(1, 2, 4, 3)
_VRS = {1: "OB", 8: "OB", 16: "OW", 32: "OW"}


def image(
    cells, *, photometric="MONOCHROME2", stored=None, signed=0, planar=0, frames=1, samples=1, more=(),
    syntax=EXPLICIT, bits=None, rows=ROWS, columns=COLUMNS,
):  # fmt: skip
    """An ultrasound data set around the pixel cells given, as an array of the cells' type or as bytes."""
    order = ">" if syntax == BIG_ENDIAN else "<"
    bits = bits or cells.dtype.itemsize * 8
    stored = stored or bits
    raw = cells if isinstance(cells, bytes) else cells.astype(cells.dtype.newbyteorder(order)).tobytes()
    if bits == 32 and syntax == BIG_ENDIAN:
        raw = cells.astype("<u4").view("<u2").astype(">u2").tobytes()  # OW is words of 16 bits
    numbers = {0x00280002: samples, 0x00280006: planar, 0x00280010: rows, 0x00280011: columns}
    numbers |= {0x00280100: bits, 0x00280101: stored, 0x00280102: stored - 1, 0x00280103: signed}
    if samples == 1:
        del numbers[0x00280006]
    return dataset(
        el(0x00080060, "CS", "US", syntax=syntax),
        el(0x00280004, "CS", photometric, syntax=syntax),
        el(0x00280008, "IS", str(frames), syntax=syntax),
        el(0x00280301, "CS", "YES", syntax=syntax),
        el(0x00280106, "US", us(0, order=order), syntax=syntax),
        *(el(tag, "US", us(value, order=order), syntax=syntax) for tag, value in numbers.items()),
        *more,
        el(0x7FE00010, _VRS[bits], raw, syntax=syntax),
        syntax=syntax,
        sop_class=US_CLASS,
    )


def noise(*shape, dtype="<u1", low=1, high=200, seed=3):
    return np.random.default_rng(seed).integers(low, high, shape).astype(dtype)


def engine(*lines, decode=None):
    site = tuple(parse_rules(line.replace(" | ", "\t") for line in lines))
    given = {} if decode is None else {"decode": decode}
    return Deidentifier(Profile(), SECRETS, "Demo Hospital", (*site, *standard_rules()), **given)


def by_reviewer(*rectangles, frames=()):
    return PixelDecision(DecidedBy.REVIEWER, rectangles or (RECTANGLE,), frames)


def published(data, decision, syntax=EXPLICIT, using=None):
    form = (using or engine()).deidentify(data, syntax, INSTANCE, decision)
    assert isinstance(form, Published), form
    return form


def payloads(data, form):
    source = form.inflated if form.inflated is not None else data
    return [
        bytes(published_payload(source, form.split, index, form.payload_edits))
        for index in range(len(form.split.holes))
    ]


def restored(data, form, syntax):
    """The original from the published payloads and what a companion would hold."""
    source = form.inflated if form.inflated is not None else data
    program = program_for(form.split, len(data), form.payload_edits)

    def payload(index):
        return published_payload(source, form.split, index, form.payload_edits)

    literals = [bytes(piece) for piece in literals_of(data, program, payload)]
    sealed = SealedInstance(syntax, len(data), hashlib.sha256(data).digest(), program, literals)
    return b"".join(restore(sealed, payload))


def header(form):
    file = DicomBytesIO(bytes(132)[:128] + b"DICM" + form.before)
    return dcmread(file, force=True)


def check(data, form, cells, fill, *, syntax=EXPLICIT, frames=None, rectangle=RECTANGLE):
    """The rectangle of the frames is the fill and every other cell is as it was; the way back is exact."""
    wanted = cells.copy()
    which = range(len(wanted)) if frames is None else frames
    for frame in which:
        wanted[
            frame, rectangle.y : rectangle.y + rectangle.height, rectangle.x : rectangle.x + rectangle.width
        ] = fill
    found = np.frombuffer(b"".join(payloads(data, form)), cells.dtype).reshape(cells.shape)
    assert np.array_equal(found, wanted)
    assert not np.array_equal(cells, wanted)
    assert restored(data, form, syntax) == data


SYNTAXES = (EXPLICIT, IMPLICIT, BIG_ENDIAN)


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize(
    ("dtype", "stored", "photometric", "fill"),
    [
        ("<u1", 8, "MONOCHROME2", 0),
        ("<u1", 8, "MONOCHROME1", 255),
        ("<u2", 12, "MONOCHROME2", 0),
        ("<u2", 12, "MONOCHROME1", 4095),
        ("<i2", 16, "MONOCHROME2", -32768),
        ("<i2", 12, "MONOCHROME2", -2048),
        ("<i2", 12, "MONOCHROME1", 2047),
        ("<u4", 32, "MONOCHROME2", 0),
        ("<u4", 32, "MONOCHROME1", 2**32 - 1),
        ("<u1", 8, "PALETTE COLOR", 0),
    ],
)
def test_grey_pixels_become_black(dtype, stored, photometric, fill, syntax):
    cells = noise(2, ROWS, COLUMNS, dtype=dtype)
    signed = int(dtype == "<i2")
    data = image(cells, photometric=photometric, stored=stored, signed=signed, frames=2, syntax=syntax)
    form = published(data, by_reviewer(), syntax)
    check(data, form, cells, fill, syntax=syntax)


@pytest.mark.parametrize(
    ("value", "signed", "fill"),
    [(us(4000), 0, 4000), (us(5000), 0, 0), (struct.pack("<h", -2000), 1, -2000), (b"", 0, 0)],
)
def test_padding_is_used_where_the_image_has_a_value_for_it(value, signed, fill):
    cells = noise(1, ROWS, COLUMNS, dtype="<i2" if signed else "<u2")
    padding = el(0x00280120, "SS" if signed else "US", value)
    data = image(cells, stored=12, signed=signed, more=[padding])
    check(data, published(data, by_reviewer()), cells, fill)


@pytest.mark.parametrize(
    ("photometric", "fill"),
    [("RGB", (0, 0, 0)), ("YBR_FULL", (0, 128, 128)), ("YBR_PARTIAL_422", (16, 128, 128))],
)
@pytest.mark.parametrize("planar", [0, 1])
@pytest.mark.parametrize("syntax", SYNTAXES)
def test_colour_pixels_become_black_by_pixel_and_by_plane(photometric, fill, planar, syntax):
    cells = noise(3, ROWS, COLUMNS, 3)
    laid = cells.transpose(0, 3, 1, 2) if planar else cells
    data = image(
        np.ascontiguousarray(laid), photometric=photometric, samples=3, planar=planar, frames=3, syntax=syntax
    )
    form = published(data, by_reviewer(), syntax)
    found = np.frombuffer(b"".join(payloads(data, form)), "u1").reshape(laid.shape)
    back = found.transpose(0, 2, 3, 1) if planar else found
    wanted = cells.copy()
    wanted[:, 2:5, 1:5] = fill
    assert np.array_equal(back, wanted)
    assert restored(data, form, syntax) == data


def test_pairs_of_subsampled_pixels_are_blanked_whole():
    pairs = noise(1, ROWS, COLUMNS // 2, 4)
    data = image(pairs, photometric="YBR_FULL_422", samples=3)
    form = published(data, by_reviewer(Rectangle(3, 2, 2, 3)))
    wanted = pairs.copy()
    wanted[0, 2:5, 1:3] = (0, 0, 128, 128)
    assert np.array_equal(np.frombuffer(payloads(data, form)[0], "u1").reshape(pairs.shape), wanted)
    assert restored(data, form, EXPLICIT) == data


@pytest.mark.parametrize(("rows", "columns"), [(4, 8), (3, 5)])
def test_images_of_one_bit_are_blanked_wherever_their_frames_begin(rows, columns):
    bits = np.random.default_rng(1).integers(0, 2, (3, rows, columns)).astype("u1")
    bits[:, 1:3, 1:4] = 1
    data = image(np.packbits(bits, bitorder="little").tobytes(), bits=1, frames=3, rows=rows, columns=columns)
    form = published(data, by_reviewer(Rectangle(1, 1, 3, 2), frames=((2, 3),)))
    wanted = bits.copy()
    wanted[1:, 1:3, 1:4] = 0
    found = np.unpackbits(np.frombuffer(b"".join(payloads(data, form)), "u1"), bitorder="little")
    assert np.array_equal(found[: wanted.size].reshape(wanted.shape), wanted)
    assert restored(data, form, EXPLICIT) == data


def test_only_the_frames_that_are_meant_are_blanked():
    cells = noise(5, ROWS, COLUMNS)
    data = image(cells, frames=5)
    form = published(data, by_reviewer(frames=((2, 3), (5, 9))))
    check(data, form, cells, 0, frames=[1, 2, 4])
    assert form.payload_edits.keys() == {1, 2, 4}


def test_a_rectangle_is_clipped_and_several_are_blanked():
    cells = noise(1, ROWS, COLUMNS)
    data = image(cells)
    form = published(data, by_reviewer(Rectangle(6, 4, 100, 100), Rectangle(0, 0, 1, 1)))
    wanted = cells[0].copy()
    wanted[4:, 6:] = wanted[0, 0] = 0
    assert np.array_equal(np.frombuffer(payloads(data, form)[0], "u1").reshape(ROWS, COLUMNS), wanted)


@pytest.mark.parametrize(
    "decision",
    [
        by_reviewer(RECTANGLE, Rectangle(COLUMNS, 0, 1, 1)),
        by_reviewer(Rectangle(0, ROWS, 1, 1)),
        by_reviewer(frames=((2, 7),)),
    ],
    ids=["beside it", "below it", "no such frame"],
)
def test_what_is_not_in_the_image_is_not_blanked_and_so_not_published(decision):
    form = engine().deidentify(image(noise(1, ROWS, COLUMNS)), EXPLICIT, INSTANCE, decision)
    assert form.reason is WithheldReason.NOT_BLANKED


def test_pixels_that_lie_in_an_unknown_way_are_not_blanked():
    data = image(noise(1, ROWS, COLUMNS * 3 // 2, dtype="<u1"), photometric="YBR_PARTIAL_420", samples=3)
    assert engine().deidentify(data, EXPLICIT, INSTANCE, by_reviewer()).reason is WithheldReason.NOT_BLANKED


def test_bits_beside_the_stored_ones_go_with_the_rectangle():
    cells = noise(1, ROWS, COLUMNS, dtype="<u2") | 0xF000
    data = image(cells, stored=12)
    form = published(data, by_reviewer())
    found = np.frombuffer(payloads(data, form)[0], "<u2").reshape(ROWS, COLUMNS)
    wanted = (cells & 0x0FFF)[0]
    wanted[2:5, 1:5] = 0
    assert np.array_equal(found, wanted)
    assert restored(data, form, EXPLICIT) == data


def codes(found):
    return [item.CodeValue for item in found.DeidentificationMethodCodeSequence]


def test_blanking_claims_clean_pixels_and_says_who_had_it_done():
    found = header(published(image(noise(1, ROWS, COLUMNS)), by_reviewer()))
    assert codes(found) == ["113100", "113101", "113107"]
    assert found.BurnedInAnnotation == "NO"
    assert found.DeidentificationMethod[1] == "a reviewer: rectangles of the pixels blanked"
    assert "SmallestImagePixelValue" not in found


def test_a_release_claims_no_cleaning_and_says_that_it_was_looked_at():
    cells = noise(1, ROWS, COLUMNS)
    data = image(cells)
    form = published(data, PixelDecision(DecidedBy.REVIEWER))
    found = header(form)
    assert codes(found) == ["113100", "113107"]
    assert found.BurnedInAnnotation == "YES"  # the sender's word; nothing was taken out
    assert found.DeidentificationMethod[1] == "a reviewer: pixels shown, nothing blanked"
    assert payloads(data, form) == [cells.tobytes()]
    assert found.PatientID != "MRN-4711"


def test_an_instance_beside_a_decided_one_has_flags_of_its_own():
    using = engine("publish | * | US | * | * | *")
    forms = [
        published(image(noise(1, ROWS, COLUMNS)), decision, using=using)
        for decision in (None, None, by_reviewer(), None)
    ]
    assert ["113101" in codes(header(form)) for form in forms] == [False, False, True, False]


def test_a_rule_blanks_without_a_reviewer():
    cells = noise(1, ROWS, COLUMNS)
    device = el(0x00080070, "LO", "Acme Medical")
    data = image(cells, more=[device])
    using = engine(f"blank {RECTANGLE} | * | US | * | * | * | acme* | * | * | {ROWS}x{COLUMNS}")
    form = published(data, None, using=using)
    check(data, form, cells, 0)
    found = header(form)
    assert codes(found) == ["113100", "113101", "113107"]
    assert found.DeidentificationMethod[1] == "a rule of the site: rectangles of the pixels blanked"
    other = using.deidentify(image(cells), EXPLICIT, INSTANCE)
    assert other.reason is WithheldReason.DECLARED_BURNED_IN


def region(left, top, right, bottom, syntax=EXPLICIT):
    order = ">" if syntax == BIG_ENDIAN else "<"
    corners = zip((0x00186018, 0x0018601A, 0x0018601C, 0x0018601E), (left, top, right, bottom), strict=True)
    return [el(tag, "UL", struct.pack(f"{order}I", value), syntax=syntax) for tag, value in corners]


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_a_rule_keeps_the_regions_of_an_ultrasound_image_alone(syntax):
    cells = noise(2, ROWS, COLUMNS)
    regions = [region(2, 1, 4, 3, syntax), region(6, 0, 99, 5, syntax)]
    data = image(cells, frames=2, syntax=syntax, more=[el(0x00186011, "SQ", regions, syntax=syntax)])
    form = published(data, None, syntax, engine("keep-regions | * | US | * | * | *"))
    wanted = np.zeros_like(cells)
    wanted[:, 1:4, 2:5], wanted[:, :, 6:] = cells[:, 1:4, 2:5], cells[:, :, 6:]
    assert np.array_equal(np.frombuffer(b"".join(payloads(data, form)), "u1").reshape(cells.shape), wanted)
    assert restored(data, form, syntax) == data


@pytest.mark.parametrize(
    "more",
    [
        [],
        [el(0x00186011, "SQ", [region(2, 1, 4, 3), region(5, 3, 4, 4)])],
        [el(0x00186011, "SQ", [region(2, 1, 4, 3)[:3]])],
        [el(0x00186011, "SQ", [region(0, 0, COLUMNS - 1, ROWS - 1)])],
    ],
    ids=["none", "one that ends before it begins", "one without a corner", "one of the whole image"],
)
def test_without_clear_regions_nothing_is_published(more):
    using = engine("keep-regions | * | US | * | * | *")
    form = using.deidentify(image(noise(1, ROWS, COLUMNS), more=more), EXPLICIT, INSTANCE)
    assert form.reason is WithheldReason.NO_REGIONS


def compressed(photometric="YBR_FULL_422"):
    """A data set with one fragment that nobody here decodes."""
    data = image(noise(1, ROWS, COLUMNS, 3), photometric=photometric, samples=3)
    head = data[: data.rindex(b"\xe0\x7f\x10\x00OB")]
    items = struct.pack("<HHI", 0xFFFE, 0xE000, 0) + struct.pack("<HHI", 0xFFFE, 0xE000, 6)
    end = struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    return head + b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff" + items + b"\xff\xd8ab\xff\xd9" + end


JPEG = "1.2.840.10008.1.2.4.50"


def test_compressed_pixels_are_decoded_and_the_companion_holds_the_original_whole():
    cells = noise(1, ROWS, COLUMNS, 3)
    asked = []

    def decode(data, syntax):
        asked.append((bytes(data), syntax))
        return image(cells, photometric="RGB", samples=3)

    data = compressed()
    form = published(data, by_reviewer(), JPEG, engine(decode=decode))
    assert asked == [(data, JPEG)]
    assert form.transfer_syntax == EXPLICIT
    assert program_for(form.split, len(data), form.payload_edits).whole
    found = np.frombuffer(payloads(data, form)[0], "u1").reshape(ROWS, COLUMNS, 3)
    assert not found[2:5, 1:5].any()
    assert np.array_equal(found[5:], cells[0, 5:])
    assert restored(data, form, JPEG) == data
    told = header(form)
    assert told.LossyImageCompression == "01"
    assert told.PhotometricInterpretation == "RGB"


def test_without_a_decoder_or_where_it_fails_nothing_is_published():
    def fails(_data, _syntax):
        raise NotDecoded("damaged")

    for using in (engine(), engine(decode=fails)):
        form = using.deidentify(compressed(), JPEG, INSTANCE, by_reviewer())
        assert form.reason is WithheldReason.NOT_DECODED


def test_what_has_no_pixels_is_not_released():
    form = engine().deidentify(dataset(), EXPLICIT, INSTANCE, PixelDecision(DecidedBy.REVIEWER))
    assert form.reason is WithheldReason.NO_PIXELS
