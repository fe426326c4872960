import io
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmread

from deid.files import CleanFile, LeftOut, WithheldFile, deidentify_file, restore_file
from deid.restore import RestoreReason, RestoreRefused
from deid.seal.reader import open_companion
from deid.seal.writer import seal_part
from deid.splice import published_payload
from storage_nodes.names import RecordKey
from storage_nodes.record.reader import RecordReader
from storage_nodes.record.unpack import part10 as unpacked
from storage_nodes.record.values import FrameLayout, PixelElement, RecordInstance
from storage_nodes.record.writer import write_record
from tests.unit.deid.engine.build import deidentifier, el
from tests.unit.deid.files.build import SENDER, native, part10, published_kinds, withheld_kinds
from tests.unit.deid.seal.build import KEY, NAMES, BodySource

PUBLISHED, WITHHELD = published_kinds(), withheld_kinds()


def sealed(sealable):
    """The one original of a companion, as it is read from its bytes."""
    return open_companion(BodySource(seal_part([sealable], NAMES, KEY, b"").body), KEY, NAMES).instance(0)


@pytest.mark.parametrize("kind", PUBLISHED)
def test_what_is_published_names_nobody_and_comes_back_whole(kind):
    told = deidentify_file(deidentifier(), PUBLISHED[kind])
    assert isinstance(told, CleanFile)
    for canary in (b"DOE", b"JANE", b"MRN-4711", b"1.2.276.111", SENDER, b"MZ"):
        assert canary not in told.data
    back = restore_file(sealed(told.sealable()), told.data, told.native_bytes)
    assert back == PUBLISHED[kind]


@pytest.mark.parametrize("kind", PUBLISHED)
def test_other_programs_read_what_is_published(kind):
    told = deidentify_file(deidentifier(), PUBLISHED[kind])
    read = dcmread(io.BytesIO(told.data))
    assert read.file_meta.MediaStorageSOPInstanceUID == read.SOPInstanceUID == told.form.sop_instance_uid
    assert read.file_meta.FileMetaInformationGroupLength
    assert read.PatientIdentityRemoved == "YES"
    if kind == "plain":
        assert read.PixelData == b"\1\0\2\0\3\0\4\0"


@pytest.mark.parametrize("kind", PUBLISHED)
def test_pixels_can_be_sealed_too(kind):
    told = deidentify_file(deidentifier(), PUBLISHED[kind])
    assert restore_file(sealed(told.sealable(whole=True))) == PUBLISHED[kind]


@pytest.mark.parametrize("kind", WITHHELD)
def test_what_is_withheld_comes_back_whole(kind):
    told = deidentify_file(deidentifier(), WITHHELD[kind])
    assert isinstance(told, WithheldFile)
    assert restore_file(sealed(told.sealable())) == WITHHELD[kind]


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"no image", LeftOut.NOT_DICOM),
        (part10(el(0x00041130, "CS", "X"), sop_class="1.2.840.10008.1.3.10"), LeftOut.DIRECTORY),
    ],
)
def test_what_is_left_out_says_why(raw, why):
    assert deidentify_file(deidentifier(), raw) is why


@given(preamble=st.binary(min_size=128, max_size=128), tail=st.binary(max_size=60))
@settings(deadline=None)
def test_whatever_stands_around_the_data_set_comes_back(preamble, tail):
    raw = part10(native(), preamble=preamble) + tail
    told = deidentify_file(deidentifier(), raw)
    published = told.data if isinstance(told, CleanFile) else b""
    native_bytes = told.native_bytes if isinstance(told, CleanFile) else 0
    assert restore_file(sealed(told.sealable()), published, native_bytes) == raw


def test_a_header_rewritten_by_another_program_does_not_matter():
    told = deidentify_file(deidentifier(), PUBLISHED["plain"])
    rewritten = dcmread(io.BytesIO(told.data))
    rewritten.SeriesDescription = "second reading"
    out = io.BytesIO()
    rewritten.save_as(out)
    assert restore_file(sealed(told.sealable()), out.getvalue(), told.native_bytes) == PUBLISHED["plain"]


@pytest.mark.parametrize(
    ("published", "reason"),
    [
        (part10(native(values=(4, 3, 2, 1))), RestoreReason.DIGEST),
        (b"", RestoreReason.PAYLOAD),
        (part10(native()[:-20]), RestoreReason.PAYLOAD),
    ],
    ids=["other pixels", "nothing", "no pixels"],
)
def test_without_its_pixels_an_original_is_refused(published, reason):
    told = deidentify_file(deidentifier(), PUBLISHED["plain"])
    with pytest.raises(RestoreRefused) as refused:
        restore_file(sealed(told.sealable()), published, told.native_bytes)
    assert refused.value.reason is reason


def test_a_seal_refers_to_pixels_and_holds_everything_else():
    told = deidentify_file(deidentifier(), PUBLISHED["plain"])
    sealable = told.sealable()
    assert sealable.program.literal_bytes == len(PUBLISHED["plain"]) - 8
    assert sealable.sha256 == sha256(PUBLISHED["plain"]).digest()


def test_uids_that_are_kept_on_request_are_kept_only_where_they_are_uids():
    engine = deidentifier("retain-uids")
    assert isinstance(deidentify_file(engine, part10(native(instance="1.2.3"))), CleanFile)
    told = deidentify_file(engine, part10(native(instance="../../DOE")))
    assert isinstance(told, CleanFile)
    assert told.form.sop_instance_uid.startswith("2.25.")


@pytest.mark.parametrize("kind", PUBLISHED)
def test_the_gateway_publishes_the_same_bytes(kind):
    told = deidentify_file(deidentifier(), PUBLISHED[kind])
    record = write_record(RecordKey("a.b"), [record_instance(told)], manifest={})
    body = BodySource([bytes(piece) for piece in record.body])
    assert b"".join(unpacked(RecordReader(body), 0)) == told.data


def record_instance(told):
    form, split = told.form, told.form.split
    dataset = memoryview(told._file)[told._start :] if form.inflated is None else form.inflated
    pixel = None
    if split.pixel_tag is not None:
        at = split.layout
        layout = FrameLayout(
            at.rows, at.columns, at.samples, at.bits_allocated, at.bits_stored, at.high_bit,
            at.signed, at.planar, at.photometric,
        )  # fmt: skip
        payloads = [
            published_payload(dataset, split, index, form.payload_edits) for index in range(len(split.holes))
        ]
        pixel = PixelElement(
            split.pixel_tag,
            split.pixel_vr,
            split.encapsulated,
            b"" if form.payload_edits else split.offset_table,
            None if split.encapsulated else layout,
            payloads,
        )
    return RecordInstance(
        form.sop_instance_uid, form.sop_class_uid, form.transfer_syntax, form.before, form.after, pixel
    )
