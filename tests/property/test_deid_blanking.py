"""Whatever describes the pixels, a decision on them is carried out to the byte or not at all."""

import hashlib
import os

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deid.outcome import Published, Withheld
from deid.pixel_decision import DecidedBy, PixelDecision
from deid.rectangles import Rectangle
from deid.restore import restore
from deid.seal.values import SealedInstance
from deid.splice import literals_of, program_for, published_payload
from tests.unit.deid.engine.build import BIG_ENDIAN, EXPLICIT, IMPLICIT, INSTANCE, deidentifier
from tests.unit.deid.engine.test_blanking import image, noise

CASES = int(os.environ.get("DGIS_TEST_MUTATIONS", "300"))
ENGINE = deidentifier()

decisions = st.builds(
    PixelDecision,
    st.just(DecidedBy.REVIEWER),
    st.lists(
        st.builds(Rectangle, st.integers(0, 9), st.integers(0, 9), st.integers(1, 9), st.integers(1, 9)),
        max_size=3,
    ).map(tuple),
    st.sampled_from([(), ((1, 1),), ((2, 3),), ((1, 1), (3, 9))]),
    st.booleans(),
)


@st.composite
def mangled(draw):
    """An image of a few pixels, and perhaps some bytes of what describes it changed."""
    syntax = draw(st.sampled_from([EXPLICIT, IMPLICIT, BIG_ENDIAN]))
    frames, rows, columns = (draw(st.integers(1, 5)) for _ in range(3))
    samples = draw(st.sampled_from([1, 3]))
    dtype = draw(st.sampled_from(["<u1", "<u2", "<u4"])) if samples == 1 else "<u1"
    data = bytearray(
        image(
            noise(frames, rows, columns, samples, dtype=dtype),
            photometric=draw(
                st.sampled_from(["MONOCHROME1", "MONOCHROME2", "RGB", "YBR_FULL_422", "YBR_ICT"])
            ),
            samples=samples,
            frames=frames,
            planar=draw(st.integers(0, 1)),
            syntax=syntax,
            rows=rows,
            columns=columns,
        )
    )
    described = data.index(b"\x00\x28" if syntax == BIG_ENDIAN else b"\x28\x00")
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(described, len(data) - 1))
        data[at] = draw(st.integers(0, 255))
    return bytes(data), syntax


@given(mangled(), decisions)
@settings(max_examples=CASES, deadline=5000, suppress_health_check=[HealthCheck.too_slow])
def test_what_is_published_under_a_decision_gives_the_original_back(case, decision):
    data, syntax = case
    form = ENGINE.deidentify(data, syntax, INSTANCE, decision)
    assert isinstance(form, Published | Withheld)
    if isinstance(form, Withheld):
        return

    def payload(index):
        return published_payload(data, form.split, index, form.payload_edits)

    blanked = [payload(index) for index, edit in form.payload_edits.items() if edit.blank is not None]
    assert bool(blanked) is decision.blanks
    program = program_for(form.split, len(data), form.payload_edits)
    literals = [bytes(piece) for piece in literals_of(data, program, payload)]
    sealed = SealedInstance(syntax, len(data), hashlib.sha256(data).digest(), program, literals)
    assert b"".join(restore(sealed, payload)) == data
