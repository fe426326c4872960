"""Whatever the bytes are, the engine answers, and what it publishes parses."""

import os
from collections import Counter
from functools import cache
from random import Random

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from deid.deflate import DEFLATED_SYNTAXES
from deid.elements import Encoding, elements
from deid.engine import Published, Withheld
from deid.files import Fate
from tests.tools.mutation import sources
from tests.tools.mutation.cases import NAMES, Case
from tests.tools.mutation.judge import OPTIONS
from tests.tools.mutation.worker import Worker
from tests.tools.report import show
from tests.unit.deid.engine.build import BIG_ENDIAN, EXPLICIT, IMPLICIT, INSTANCE, deidentifier, pixels
from tests.unit.deid.engine.planted import IDENTIFYING, UNLISTED, leaks, plant
from tests.unit.deid.files.site import Ward, contents

SYNTAXES = [
    IMPLICIT,
    EXPLICIT,
    BIG_ENDIAN,
    "1.2.840.10008.1.2.4.50",
    "1.2.840.10008.1.2.5",
    *DEFLATED_SYNTAXES,
]
CASES = int(os.environ.get("DGIS_TEST_MUTATIONS", "300"))
SHARES = 2  # of the mutated files, so that two cores have work
FILES = int(
    os.environ.get("DGIS_TEST_MUTATED_FILES") or ("10000" if os.environ.get("CI") == "true" else "1000")
)
SEED = int(os.environ.get("DGIS_TEST_SEED") or "0")
ENGINE = deidentifier()


@cache
def grown(syntax, depth):
    """A data set with canaries, small enough to be mangled many times."""
    attributes = [*IDENTIFYING[::9], *UNLISTED[::17]]
    planted = plant(attributes, f"{syntax}{depth}", depth=depth, syntax=syntax)
    image = b"".join(pixels([1, 2, 3, 4], syntax=syntax))
    return planted.data + image, tuple(planted.canaries)


@st.composite
def mangled(draw):
    """Bytes of a data set with a few of them changed, cut out, doubled or swapped with others."""
    syntax = draw(st.sampled_from([IMPLICIT, EXPLICIT, BIG_ENDIAN]))
    data = bytearray(grown(syntax, draw(st.sampled_from([0, 2])))[0])
    for _ in range(draw(st.integers(1, 6))):
        if not data:
            break
        at = draw(st.integers(0, len(data) - 1))
        size = draw(st.sampled_from([1, 2, 4, 8, 100]))
        match draw(st.sampled_from(["set", "cut", "double", "end"])):
            case "set":
                data[at : at + size] = draw(st.binary(min_size=size, max_size=size))
            case "cut":
                del data[at : at + size]
            case "double":
                data[at:at] = data[at : at + size]
            case "end":
                del data[max(at, len(data) - 200) :]
    return bytes(data), draw(st.sampled_from([syntax, *SYNTAXES]))


@given(mangled())
@settings(
    max_examples=CASES,
    deadline=5000,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
def test_mangled_data_sets_are_published_or_withheld_never_raised(case):
    data, syntax = case
    form = ENGINE.deidentify(data, syntax, INSTANCE)
    assert isinstance(form, Published | Withheld)
    if isinstance(form, Published):
        tags = [one.tag for part in (form.before, form.after) for one in elements(part, Encoding.EXPLICIT_LE)]
        assert tags == sorted(set(tags))
        assert not any(tag >> 16 & 1 for tag in tags)


@given(
    st.sampled_from([IMPLICIT, EXPLICIT, BIG_ENDIAN]), st.integers(0, 12), st.randoms(use_true_random=False)
)
@settings(max_examples=max(CASES // 10, 20), deadline=5000)
def test_any_choice_of_attributes_at_any_depth_leaks_nothing(syntax, depth, choose):
    attributes = sorted(choose.sample([*IDENTIFYING, *UNLISTED], 60))
    planted = plant(attributes, choose.random(), depth=depth, syntax=syntax)
    form = ENGINE.deidentify(planted.data, syntax, INSTANCE)
    if isinstance(form, Published):
        assert leaks(form.before + form.after, planted.canaries) == []


@given(st.binary(max_size=400), st.sampled_from(SYNTAXES))
@settings(max_examples=CASES, deadline=5000)
def test_any_bytes_at_all_are_answered(data, syntax):
    assert isinstance(ENGINE.deidentify(data, syntax, INSTANCE), Withheld)


@st.composite
def cases(draw):
    """A file of the corpus, or of the project's own where there is none, and one to five mutations of it."""
    steps = draw(
        st.lists(st.tuples(st.sampled_from(NAMES), st.integers(0, (1 << 16) - 1)), min_size=1, max_size=5)
    )
    return Case(draw(st.sampled_from(sources.names())), draw(st.integers(0, len(OPTIONS) - 1)), tuple(steps))


@pytest.mark.slow
@pytest.mark.timeout(0)
@pytest.mark.parametrize("share", range(SHARES))
def test_mutated_files_harm_nothing(share, request):
    """No crash, no hang, little memory, no leak; originals come back. `make mutations` makes more cases."""
    worker, counted = Worker(), Counter()

    @seed(SEED * SHARES + share)
    @settings(
        max_examples=FILES // SHARES,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(cases())
    def judged(case):
        found = worker.judge(case)
        counted[found.outcome] += 1
        assert found.wrong is None, f"{found.wrong}\npython -m tests.tools.mutation '{case!r}'"

    try:
        judged()
    finally:
        worker.close()
        lines = (f"{count:7} {outcome}" for outcome, count in counted.most_common())
        show(request, "\n".join((f"{counted.total()} mutated files, seed {SEED}, share {share}:", *lines)))
    assert counted["published"] > counted.total() // 10  # else most of the engine was never reached


def test_a_folder_of_mutated_files_comes_back(tmp_path):
    """Through the whole of `dgis deid`: nothing fails but what is told, and every DICOM file is restored."""
    random = Random(SEED)
    chosen = [
        Case(random.choice(sources.names()), 0, ((random.choice(NAMES), random.randrange(1 << 16)),))
        for _ in range(150)
    ]
    ward = Ward(tmp_path).put({f"{number:03}": case.file() for number, case in enumerate(chosen)})
    told = ward.run()
    assert [note for note in told.notes if note.fate is Fate.FAILED] == []
    assert told.files == len(chosen)
    ward.restore()
    left_out = {note.path for note in told.notes if note.fate is Fate.LEFT_OUT}
    given = {name: raw for name, raw in contents(ward.source).items() if name not in left_out}
    assert contents(ward.back) == given
    assert len(given) > len(chosen) // 2
