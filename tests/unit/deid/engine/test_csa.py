import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deid.csa import csa_numbers
from deid.memo import Done
from deid.tables.loader import records
from tests.unit.deid.engine.build import BIG_ENDIAN, EXPLICIT, IMPLICIT, dataset, deidentifier, el, published
from tests.unit.deid.engine.csa import csa_header, read_csa

DIFFUSION = {
    "B_value": ["1000"],
    "DiffusionGradientDirection": ["0.70710678", "-0.70710678", "0.00000000"],
    "B_matrix": ["500", "-500", "0", "500", "0", "0"],
    "MosaicRefAcqTimes": ["0.0", "1450.00000001", "482.5"],
}


def test_numbers_stay_as_they_are_written_and_texts_go():
    blob = csa_header(
        {
            "UsedPatientWeight": ["90"],
            "PatReinPattern": ["1;HFS;90.00;48.00;3;0;2;-20489"],
            **DIFFUSION,
            "SequenceName": ["DOE^JANE"],
            "MrPhoenixProtocol": ['tPatientName = "DOE^JANE"'],
            "ImageHistory": ["DOE", "JANE"],
        },
        residue=b"DOE^JANE 4711",
    )
    made = csa_numbers(blob)
    assert read_csa(made) == DIFFUSION
    assert b"DOE" not in made
    assert b"4711" not in made
    assert csa_numbers(made) == made


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("B_value", ["DOE"]),
        ("B_value", ["1000 DOE"]),
        ("B_value", ["1000", "1000"]),
        ("B_value", ["88205170"]),
        ("B_value", ["-1"]),
        ("B_value", ["1e3"]),
        ("B_value", ["nan"]),
        ("NumberOfImagesInMosaic", ["19760512"]),
        ("DiffusionGradientDirection", ["0", "0", "19760512"]),
        ("DiffusionGradientDirection", ["", "0", "1"]),
        ("MosaicRefAcqTimes", ["43200000", "43200100"]),  # ms since midnight: the time of day
    ],
)
def test_a_value_that_is_not_what_it_should_be_takes_its_tag_with_it(name, values):
    kept = csa_numbers(csa_header({name: values, "RealDwellTime": ["3000"]}))
    assert read_csa(kept) == {"RealDwellTime": ["3000"]}


def test_a_header_that_holds_nothing_safe_goes():
    assert csa_numbers(csa_header({"UsedPatientWeight": ["90"], "B_value": []})) is None


@pytest.mark.parametrize(
    "change",
    [
        lambda blob: blob[:-60],
        lambda blob: blob[:20],
        lambda blob: b"",
        lambda blob: b"SV11" + blob[4:],
        lambda blob: blob[4:],
        lambda blob: blob[:8] + struct.pack("<I", 0xFFFFFFFF) + blob[12:],
        lambda blob: blob[:8] + struct.pack("<I", 0) + blob[12:],
        lambda blob: blob[:12] + struct.pack("<I", 78) + blob[16:],
        lambda blob: blob[:92] + struct.pack("<i", -1) + blob[96:],
        lambda blob: blob[:92] + struct.pack("<i", 0x7FFFFFFF) + blob[96:],
        lambda blob: blob[:96] + struct.pack("<i", 1) + blob[100:],
        lambda blob: blob[:104] + struct.pack("<i", -4) + blob[108:],
        lambda blob: blob[:104] + struct.pack("<i", 0x7FFFFFFF) + blob[108:],
        lambda blob: blob + bytes(4 << 20),
    ],
)
def test_an_odd_header_goes_whole(change):
    whole = csa_header(DIFFUSION)
    assert csa_numbers(whole) is not None
    assert csa_numbers(change(whole)) is None


def test_two_tags_of_one_name_are_odd():
    twice = csa_header(DIFFUSION, again={"B_value": ["0"]})
    assert csa_numbers(twice) is None


@given(st.data())
def test_any_damage_is_answered_and_what_comes_out_is_listed(data):
    blob = bytearray(csa_header({"SequenceName": ["DOE^JANE"], **DIFFUSION}, residue=b"DOE^JANE"))
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(blob) - 1))
        blob[at : at + 4] = data.draw(st.binary(max_size=6))
    made = csa_numbers(bytes(blob))
    if made is not None:
        names = {name for name, *_more in records("csa_numbers.tsv")}
        assert set(read_csa(made)) <= names
        assert b"DOE" not in made


@given(st.binary(max_size=400))
def test_any_bytes_are_answered(blob):
    assert csa_numbers(blob) is None
    csa_numbers(b"SV10\4\3\2\1" + blob)


def siemens(syntax, blob, vr="OB"):
    creator = el(0x00290010, "LO", "SIEMENS CSA HEADER", syntax=syntax)
    return dataset(creator, el(0x00291010, vr, blob, syntax=syntax), syntax=syntax)


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG_ENDIAN])
def test_the_engine_keeps_numbers_of_csa_headers_with_safe_private_only(syntax):
    blob = csa_header({"UsedPatientWeight": ["90"], **DIFFUSION})
    data = siemens(syntax, blob)
    kept = el(0x00291010, "OB", csa_numbers(blob))
    engine = deidentifier("modified-dates", "safe-private")
    for _ in range(3):
        form = published(data, syntax, engine)
        assert kept in form.before
        assert el(0x00290010, "LO", "SIEMENS CSA HEADER") in form.before
    assert b"SV10" not in published(data, syntax).before
    assert b"SV10" not in published(siemens(syntax, b"SV10" + blob), syntax, engine).before
    assert Done(b"", ((0x00291010, "X"),)) in published(data, syntax).report.elements
