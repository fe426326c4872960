"""The same data set in another uncompressed transfer syntax, as another reader sees it."""

from io import BytesIO
from itertools import product

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from deid.elements import WalkError, encoding_of
from dgis.dimse.rewriting import Rewriter, rewrite
from dgis.dimse.uids import DEFLATED_LE, EXPLICIT_BE, EXPLICIT_LE, IMPLICIT_LE
from tests.corpus import corpus_files
from tests.unit.dgis.dimse.fakes import Kept
from tests.unit.dgis.dimse.parrot import CT

SYNTAXES = (IMPLICIT_LE, EXPLICIT_LE, EXPLICIT_BE)
PAIRS = [(source, target) for source, target in product(SYNTAXES, SYNTAXES[:2]) if source != target]


def example() -> Dataset:
    made = Dataset()
    made.SOPClassUID, made.SOPInstanceUID = CT, "1.2.3"
    made.PatientName = "Name^Odd"
    made.ReferencedStudySequence = [Dataset(), Dataset()]
    made.ReferencedStudySequence[1].ReferencedSOPInstanceUID = "1.2.4"
    made.ReferencedStudySequence[1].PurposeOfReferenceCodeSequence = [Dataset()]
    made.ReferencedStudySequence[1].PurposeOfReferenceCodeSequence[0].CodeValue = "1"
    block = made.private_block(0x0029, "OWNER", create=True)
    block.add_new(1, "UN", b"\1\2\3\4")
    made.PixelRepresentation = 1
    made.SmallestImagePixelValue = -5
    made.Rows, made.Columns, made.BitsAllocated = 3, 2, 16
    made.FrameIncrementPointer = 0x00181063
    made.RealWorldValueLastValueMapped = 7
    made.TableOfXBreakPoints = [1, 70_000]
    made.EventElapsedTimes = "1.5"
    made.SelectorFDValue = 2.25
    made.PixelData = bytes(range(12))
    made["PixelData"].VR = "OW"
    made.DataSetTrailingPadding = b"\0\0"
    return made


def written(made: Dataset, syntax: str) -> bytes:
    stream = DicomBytesIO()
    stream.is_implicit_VR, stream.is_little_endian = syntax == IMPLICIT_LE, syntax != EXPLICIT_BE
    write_dataset(stream, made)
    return stream.getvalue()


def read(data: bytes, syntax: str) -> Dataset:
    uid = syntax.encode() + b"\0" * (len(syntax) % 2)
    meta = b"\2\0\x10\0UI" + len(uid).to_bytes(2, "little") + uid
    return dcmread(BytesIO(bytes(128) + b"DICM" + meta + data), force=True)


@pytest.mark.parametrize("piece_bytes", [1, 7, 50, 10_000])
@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_another_reader_finds_the_same_values(source, target, piece_bytes):
    data = written(example(), source)
    pieces = [data[start : start + piece_bytes] for start in range(0, len(data), piece_bytes)]
    result = b"".join(rewrite(pieces, encoding_of(source), encoding_of(target)))
    before, after = read(data, source), read(result, target)
    assert [element.tag for element in after.iterall()] == [element.tag for element in before.iterall()]
    for element in before.iterall():
        if element.VR not in ("SQ", "OW"):
            assert str(after.walk and _find(after, element)) == str(element.value)
    pixels = b"".join(
        bytes(pair[::-1]) for pair in zip(before.PixelData[::2], before.PixelData[1::2], strict=True)
    )
    assert after.PixelData == (pixels if source == EXPLICIT_BE else before.PixelData)
    assert after.SmallestImagePixelValue == -5


def _find(where: Dataset, wanted) -> object:
    return next(element.value for element in where.iterall() if element.tag == wanted.tag)


@pytest.mark.parametrize(("source", "target"), [pair for pair in PAIRS if pair[0] != EXPLICIT_BE])
def test_there_and_back_is_the_same_bytes(source, target):
    data = written(example(), source)
    there = b"".join(rewrite([data], encoding_of(source), encoding_of(target)))
    assert b"".join(rewrite([there], encoding_of(target), encoding_of(source))) == data


def test_pixels_pass_in_pieces_and_are_not_held():
    made = example()
    del made.DataSetTrailingPadding
    made.PixelData = bytes(1 << 20)
    made["PixelData"].VR = "OW"
    data = written(made, EXPLICIT_LE)

    def pieces():
        for start in range(0, len(data), 4096):
            yield data[start : start + 4096]

    sizes = [len(piece) for piece in rewrite(pieces(), encoding_of(EXPLICIT_LE), encoding_of(IMPLICIT_LE))]
    assert len(sizes) > 200
    assert max(sizes) <= 8192


def test_a_value_too_long_for_its_representation_becomes_unknown():
    data = b"\6\x30\x50\0" + (70_000).to_bytes(4, "little") + b"1\\" * 35_000
    result = b"".join(rewrite([data], encoding_of(IMPLICIT_LE), encoding_of(EXPLICIT_LE)))
    assert result[4:6] == b"UN"
    assert result.endswith(b"1\\" * 35_000)


@pytest.mark.parametrize("cut", [1, 30, 200, -3, -30])
def test_what_breaks_off_is_no_data_set(cut):
    data = written(example(), EXPLICIT_LE)[:cut]
    with pytest.raises(WalkError):
        list(rewrite([data], encoding_of(EXPLICIT_LE), encoding_of(IMPLICIT_LE)))


def test_a_transcoder_among_uncompressed_syntaxes():
    rewriter = Rewriter()
    assert rewriter.targets(CT, EXPLICIT_LE) == (IMPLICIT_LE,)
    assert rewriter.targets(CT, EXPLICIT_BE) == (EXPLICIT_LE, IMPLICIT_LE)
    assert rewriter.targets(CT, DEFLATED_LE) == rewriter.targets(CT, "1.2.840.10008.1.2.4.90") == ()
    data = written(example(), EXPLICIT_LE)
    result = b"".join(rewriter.convert(Kept(CT, "1.2.3", EXPLICIT_LE, data), IMPLICIT_LE))
    assert read(result, IMPLICIT_LE).PatientName == "Name^Odd"


@pytest.mark.corpus
@pytest.mark.filterwarnings("ignore")  # another reader minds what these files hold
def test_real_files_keep_every_value(corpus):
    done = 0
    for path in [*corpus_files("odd"), *corpus_files("series")[::40]]:
        before = dcmread(path, force=True)
        syntax = before.file_meta.get("TransferSyntaxUID")
        if syntax not in SYNTAXES or path.stat().st_size > 3 << 20:
            continue
        start = 132 + 12 + before.file_meta.FileMetaInformationGroupLength
        data = path.read_bytes()[start:]
        for target in Rewriter().targets("", syntax):
            try:
                result = b"".join(rewrite([data], encoding_of(syntax), encoding_of(target)))
            except WalkError:
                continue
            after = read(result, target)
            kept = [element.tag for element in before.iterall() if element.tag.element]
            assert [element.tag for element in after.iterall()] == kept, path.name
            assert str(after.get("PatientName")) == str(before.get("PatientName"))
            if syntax != EXPLICIT_BE:
                assert after.get("PixelData") == before.get("PixelData")
            done += 1
    assert done > 50


def test_the_small_image_of_another_library_reads_the_same():
    path = get_testdata_file("MR_small_bigendian.dcm", download=False)
    before, reference = dcmread(path), dcmread(get_testdata_file("MR_small.dcm", download=False))
    with open(path, "rb") as file:  # noqa: PTH123 - pydicom gives a str
        data = file.read()[132 + 12 + before.file_meta.FileMetaInformationGroupLength :]
    result = b"".join(rewrite([data], encoding_of(EXPLICIT_BE), encoding_of(EXPLICIT_LE)))
    assert read(result, EXPLICIT_LE).PixelData == reference.PixelData
