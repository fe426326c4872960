import struct

import pytest

from deid.elements import Encoding, elements
from deid.vr import is_private
from tests.unit.deid.engine.build import BIG_ENDIAN, EXPLICIT, IMPLICIT, dataset, deidentifier, el, published

ENGINE = deidentifier("modified-dates", "safe-private")

KEPT = [
    ("SIEMENS MR HEADER", 0x0019100C, "IS", b"1000"),
    ("SIEMENS MR HEADER", 0x0019100E, "FD", struct.pack("<3d", 0.6, -0.8, 0)),
    ("SIEMENS MR HEADER", 0x00191027, "FD", struct.pack("<6d", 500, 1, 2, 3, 4, 5)),
    ("SIEMENS MR HEADER", 0x00191029, "FD", struct.pack("<2d", 0, 1450.00000001)),
    ("SIEMENS MR HEADER", 0x0019100B, "FD", struct.pack("<d", 5000.0)),  # listed as DS: releases differ
    ("SIEMENS MR HEADER", 0x00511013, "SH", b"+LPH"),
    ("SIEMENS MR HEADER", 0x00511011, "LO", b"p2"),
    ("SIEMENS MR SDI 02", 0x0021101C, "IS", b"1 "),
    ("GEMS_PARM_01", 0x00431039, "IS", b"1000001000\\8\\0\\0 "),
    ("GEMS_ACQU_01", 0x001910BB, "DS", b"0.577350"),
    ("GEMS_ACQU_01", 0x001910BC, "DS", b"-0.57735"),
    ("GEMS_ACQU_01", 0x001910BD, "DS", b"0.577350"),
    ("GEMS_RELA_01", 0x0021105A, "SL", struct.pack("<i", 6)),
    ("GEMS_PETD_01", 0x00091038, "FL", struct.pack("<f", 370.5)),
    ("Philips Imaging DD 001", 0x20011003, "FL", struct.pack("<f", 1000.0)),
    ("Philips Imaging DD 001", 0x20011004, "CS", b"P "),
    ("Philips MR Imaging DD 001", 0x200510B0, "FL", struct.pack("<f", 0.6)),
    ("Philips MR Imaging DD 001", 0x200510B1, "FL", struct.pack("<f", -0.8)),
    ("Philips MR Imaging DD 001", 0x200510B2, "FL", struct.pack("<f", 0.0)),
    ("Philips MR Imaging DD 001", 0x2005100D, "FL", struct.pack("<f", 0.0)),
    ("Philips MR Imaging DD 001", 0x2005100E, "FL", struct.pack("<f", 0.0132383)),
    ("Philips PET Private Group", 0x70531000, "DS", b"0.000353"),
    ("Philips PET Private Group", 0x70531009, "DS", b"1.504490"),
]


def private(creator, tag, vr, value, syntax=EXPLICIT):
    block = tag & 0xFFFF0000 | (tag & 0xFFFF) >> 8
    return dataset(el(block, "LO", creator, syntax=syntax), el(tag, vr, value, syntax=syntax), syntax=syntax)


@pytest.mark.parametrize(("creator", "tag", "vr", "value"), KEPT, ids=lambda one: str(one)[:25])
def test_what_science_needs_stays_to_the_byte(creator, tag, vr, value):
    form = published(private(creator, tag, vr, value), engine=ENGINE)
    assert el(tag, vr, value) in form.before
    assert creator.encode() in form.before
    for stranger in ("SOMEBODY ELSE", creator.lower()):
        assert stranger.encode() not in published(private(stranger, tag, vr, value), engine=ENGINE).before


@pytest.mark.parametrize("syntax", [IMPLICIT, BIG_ENDIAN])
def test_whatever_they_were_written_in(syntax):
    order = ">" if syntax == BIG_ENDIAN else "<"
    value = struct.pack(f"{order}3d", 0.6, -0.8, 0)
    form = published(private("SIEMENS MR HEADER", 0x0019100E, "FD", value, syntax), syntax, ENGINE)
    assert el(0x0019100E, "FD", struct.pack("<3d", 0.6, -0.8, 0)) in form.before


@pytest.mark.parametrize(
    ("creator", "tag", "vr", "value"),
    [
        ("SIEMENS MR HEADER", 0x0019100C, "IS", b"DOE "),
        ("SIEMENS MR HEADER", 0x0019100C, "LO", b"1000"),  # text where a number should be
        ("SIEMENS MR HEADER", 0x0019100C, "PN", b"DOE^JANE"),
        ("SIEMENS MR HEADER", 0x0019100D, "CS", b"DOE "),
        ("SIEMENS MR HEADER", 0x00191011, "SH", b"DOE JANE"),
        ("SIEMENS MR HEADER", 0x00511011, "LO", b"p2 DOE"),
        ("SIEMENS MR HEADER", 0x00511011, "LO", b"p2\\DOE"),
        ("SIEMENS MR HEADER", 0x00511013, "SH", b"+LPH\n"),
        ("SIEMENS MR HEADER", 0x0051100B, "LO", b"88205170"),
        ("SIEMENS MR HEADER", 0x0051100C, "LO", b"FoV DOE "),
        ("SIEMENS MR HEADER", 0x0019100E, "FD", b"DOE^JANE" * 3),
        ("SIEMENS MR HEADER", 0x0019100E, "FD", b"abc"),
        ("GEMS_ACQU_01", 0x0019109E, "LO", b"DOE "),
        ("GEMS_ACQU_01", 0x001910BB, "DS", b"DOE "),
        ("GEMS_PARM_01", 0x0043108A, "CS", b"DOE "),
        ("GEMS_SERS_01", 0x0025101B, "OB", b"\x1f\x8bDOE^JANE"),
        ("Philips Imaging DD 001", 0x20011004, "CS", b"DOE "),
        ("Philips MR Imaging DD 001", 0x20051011, "CS", b"DOE "),
        ("Philips PET Private Group", 0x70531000, "DS", b"DOE "),
    ],
)
def test_what_is_not_what_it_should_be_goes(creator, tag, vr, value):
    form = published(private(creator, tag, vr, value), engine=ENGINE)
    left = [one.tag for one in elements(form.before, Encoding.EXPLICIT_LE) if is_private(one.tag)]
    assert left == []  # nothing, nor the name of the block's creator
    assert b"DOE" not in form.before


def test_moments_of_a_tracer_move_with_the_dates():
    data = private("GEMS_PETD_01", 0x0009103B, "DT", b"20200301101112.00")
    with_date = dataset(el(0x00080020, "DA", "20200301"))
    moved = published(with_date, engine=ENGINE).before
    day = moved[moved.index(b"\x08\x00\x20\x00DA\x08\x00") + 8 :][:8]
    assert el(0x0009103B, "DT", day + b"101112.00") in published(data, engine=ENGINE).before
    assert b"GEMS" not in published(data, engine=deidentifier("safe-private")).before
    coarse = deidentifier("modified-dates", "coarse-times", "safe-private")
    assert el(0x0009103B, "DT", day + b"100000") in published(data, engine=coarse).before
