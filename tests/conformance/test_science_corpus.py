"""Other people's files under several sets of options: no number changes, and almost all of them stay."""

from collections import Counter

import pytest
from pydicom.datadict import tag_for_keyword

from deid.elements import Encoding, detect_encoding, encoding_of
from deid.engine import Deidentifier, Published
from deid.profile import Profile
from deid.science import Failed, ScienceCheck
from deid.tables.loader import records
from tests.conformance.test_deid_corpus import opened
from tests.corpus import corpus_files
from tests.tools import files, report
from tests.unit.deid.engine.build import SECRETS, deidentifier

pytestmark = [pytest.mark.corpus, pytest.mark.usefixtures("corpus")]

SETS = (
    (),
    ("modified-dates",),
    ("modified-dates", "safe-private", "patient-characteristics", "device-identity"),
    ("full-dates", "coarse-times", "safe-private", "patient-characteristics", "institution", "retain-uids"),
    ("modified-dates", "coarse-times", "clean-structured-content", "clean-descriptors"),
)
FILES = corpus_files("series", "odd")
PATIENTS = {0x00101030, 0x00101020}  # weight and size: an option keeps them
KEEP = (
    frozenset(
        tag
        for _topic, how, gone, attributes in records("science.tsv")
        if how == "number" and gone == "fails" and "," not in attributes
        for tag in map(tag_for_keyword, attributes.split())
    )
    - PATIENTS
)


@pytest.mark.parametrize("options", SETS, ids=" ".join)
def test_no_file_fails_the_check(options):
    profile = Profile.named("basic", options)
    engine, check, failed = deidentifier(*options) if options else none_of_them(), ScienceCheck(profile), {}
    passed = 0
    for path in FILES:
        data, syntax = opened(path)
        form = engine.deidentify(data, syntax, "1.2.3")
        if isinstance(form, Published):
            told = check.check(data, syntax, form)
            passed += 1
            if isinstance(told, Failed):
                failed[path.name] = told.what
    assert failed == {}
    assert passed > 900


def none_of_them():
    return Deidentifier(Profile.named("basic", ()), SECRETS, "Demo Hospital")


def test_pydicom_reads_the_same_technical_numbers_on_both_sides(request):
    engine = deidentifier("modified-dates")
    kept, had = Counter(), Counter()
    for path in corpus_files("series"):
        data, syntax = opened(path)
        form = engine.deidentify(data, syntax, "1.2.3")
        if not isinstance(form, Published):
            continue
        assert detect_encoding(form.before, encoding_of(form.transfer_syntax)) is Encoding.EXPLICIT_LE
        before = files.parse(data, syntax)
        after = files.parse(form.before, "1.2.840.10008.1.2.1")
        series = path.relative_to(path.parents[1]).parts[0]
        for tag in KEEP:
            if tag in before and before[tag].value not in (None, ""):
                had[series] += 1
                if tag in after:
                    assert after[tag].value == before[tag].value, f"{path.name} {tag:08X}"
                    kept[series] += 1
    rows = [f"{series:28} {kept[series]:7} of {had[series]:7}" for series in sorted(had)]
    report.show(request, "\n".join(("technical attributes kept", *rows)))
    assert had
    for series, count in had.items():
        assert kept[series] >= 0.99 * count, series
