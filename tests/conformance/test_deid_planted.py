"""Nothing that is planted comes out: every hiding place there is, under every set of options."""

import os
from functools import cache

import pytest

from deid.engine import Deidentifier
from deid.files.instance import CleanFile, deidentify_file
from deid.profile import Profile
from deid.pseudonyms import SiteSecrets
from deid.science.check import ScienceCheck
from deid.science.outcome import Failed
from tests.needs import needs
from tests.planted import Hunter, planted, write_corpus
from tests.planted.mapping import mapping, unresolved
from tests.planted.references import KINDS
from tests.tools import dciodvfy
from tests.tools.deid_command import run
from tests.tools.report import show

SEEDS = [int(seed) for seed in os.environ.get("DGIS_TEST_PLANTED_SEEDS", "20261130").split()]
SECRETS, OTHER_SECRETS = SiteSecrets(bytes(range(32))), SiteSecrets(bytes(range(1, 33)))
OPTIONS = {
    "basic": (),
    "dates": ("modified-dates",),
    "science": ("modified-dates", "safe-private", "patient-characteristics"),
    "reports": ("full-dates", "clean-descriptors", "clean-structured-content", "safe-private"),
}
# What may not be published at all: documents, what cannot be followed, what would have to change to be clean.
WITHHELD = {
    *(
        "pdf.dcm",
        "cda.dcm",
        "stl.dcm",
        "video.dcm",
        "jpeg-xl.dcm",
        "pixels-in-a-report.dcm",
        "class-carrier.dcm",
    ),
    *(
        "jpeg-behind-coded-data.dcm",
        "jpeg-long-segments.dcm",
        "jpeg-2000-other-segments.dcm",
        "syntax-carrier.dcm",
    ),
    *("jpeg-2000-tile-comment.dcm", "rle-between-segments.dcm", "rle-more-segments.dcm", "rle-header.dcm"),
    *("rle-unused-bits.dcm", "first-fragment.dcm", "embedded-overlay.dcm", "behind-the-data-set.dcm"),
    "sequence-that-is-none.dcm",
}
# Text for numbers that science needs or an object must have: a made-up number may not stand there.
SEALED = {
    *("lying-vrs.dcm", "packed-values.dcm", "presentation.dcm", "report.dcm", "text-behind-numbers.dcm"),
    *("further-values.dcm", "behind-controls.dcm", "bytes-of-every-kind.dcm"),
    *("unlisted-attributes.dcm", "unlisted-nested.dcm", "waveform.dcm", "wide-text-as-numbers.dcm"),
    *(f"series-{number}.dcm" for number in range(2, 6)),
}
SEALED_PRIVATE = {f"known-creators{how}.dcm" for how in ("", "-packed", "-wide")}


@cache
def corpus(seed):
    return planted(seed)


@cache
def hunter(seed):
    return Hunter(corpus(seed).canaries)


@cache
def published(seed, options, secrets=SECRETS):
    """The de-identified files of a corpus by name."""
    engine = Deidentifier(Profile.named("basic", OPTIONS[options]), secrets, "Demo Hospital")
    done = {one.name: deidentify_file(engine, one.data) for one in corpus(seed).files}
    return {name: form.data for name, form in done.items() if isinstance(form, CleanFile)}


@cache
def mapped(seed, secrets=SECRETS):
    originals = {one.name: one.data for one in corpus(seed).files}
    files = published(seed, "dates", secrets)
    # Which of two elements counts, readers disagree: pydicom takes the last, we the first.
    return mapping(originals, {name: data for name, data in files.items() if name != "twice.dcm"})


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_planted_comes_out(seed, options, request):
    files = published(seed, options)
    found = hunter(seed).leaks(files)
    if options == "reports":  # full dates are asked for: they stay
        found = [one for one in found if one.canary.kind != "date"]
    counts = f"{len(corpus(seed).files)} files, {len(corpus(seed).canaries)} values planted"
    show(request, f"seed {seed}, {options}: {counts}, {len(files)} published, {len(found)} leaks")
    assert list(map(str, found)) == []


@pytest.mark.parametrize("seed", SEEDS)
def test_no_more_is_withheld_than_has_to_be(seed):
    names = {one.name for one in corpus(seed).files}
    assert names - published(seed, "dates").keys() <= WITHHELD


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("seed", SEEDS)
def test_no_more_is_sealed_for_its_numbers_than_has_to_be(seed, options):
    profile = Profile.named("basic", OPTIONS[options])
    engine, science = Deidentifier(profile, SECRETS, "Demo Hospital"), ScienceCheck(profile)
    forms = {one.name: deidentify_file(engine, one.data) for one in corpus(seed).files}
    clean = {name: form for name, form in forms.items() if isinstance(form, CleanFile)}
    failed = {name for name, form in clean.items() if isinstance(form.compared(science), Failed)}
    assert failed <= SEALED | (SEALED_PRIVATE if "safe-private" in OPTIONS[options] else set())


@pytest.mark.parametrize("seed", SEEDS)
def test_uids_are_mapped_once_and_for_all(seed, request):
    found = mapped(seed)
    show(request, f"{len(found.uids)} UIDs: {len(found.kept)} kept, {len(found.inconsistent)} inconsistent")
    assert len(found.uids) > 300
    assert found.breaks == []
    read = published(seed, "dates").keys() - {"twice.dcm"}
    instances = {one.instance for one in corpus(seed).files if one.name in read}
    assert instances <= found.uids.keys()  # so that every reference to them is resolved


@pytest.mark.parametrize("seed", SEEDS)
def test_references_lead_where_they_led(seed):
    """In reports, selections, segmentations, structures, presentations, registrations, doses, images."""
    files, uids = published(seed, "dates"), mapped(seed).uids
    originals = {one.name: one.data for one in corpus(seed).files if one.name.startswith("refers-")}
    assert len(originals) == len(KINDS) == len(originals.keys() & files.keys())
    lost = {name: unresolved(data, files[name], uids) for name, data in originals.items()}
    assert {name: found for name, found in lost.items() if found} == {}


@pytest.mark.parametrize("seed", SEEDS)
def test_dates_of_a_patient_move_together(seed, request):
    found = mapped(seed)
    show(request, f"{found.dates} dates of {len(found.shifts)} patients")
    assert found.dates > 300
    moved = {patient: days for patient, days in found.shifts.items() if len(days) != 1}
    assert moved == {}
    assert all(days != {0} for days in found.shifts.values())


def test_one_secret_gives_the_same_and_another_nothing_of_it():
    seed = SEEDS[0]
    once, other = published(seed, "dates"), published(seed, "dates", OTHER_SECRETS)
    published.cache_clear()
    assert published(seed, "dates") == once
    mine, theirs = mapped(seed), mapped(seed, OTHER_SECRETS)
    assert set(mine.uids.values()).isdisjoint(theirs.uids.values())
    assert mine.patients.isdisjoint(theirs.patients)
    assert all(mine.shifts[patient] != theirs.shifts[patient] for patient in mine.shifts)
    assert once.keys() == other.keys()


def test_the_command_writes_nothing_planted(tmp_path, request):
    """Files, their names, report and seals; and everything comes back from what was sealed."""
    seed = SEEDS[0]
    written = write_corpus(tmp_path / "in", seed)
    done = run(
        tmp_path / "in", "--out", tmp_path / "out", "--sealed", tmp_path / "sealed",
        "--secret-file", tmp_path / "secret", "--init-secret", "--json", "--jobs", "1",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    hunt = hunter(seed)
    for where in (tmp_path / "out", tmp_path / "sealed", done.stdout.encode(), done.stderr.encode()):
        assert list(map(str, hunt.leaks(where))) == []
    back = run(
        tmp_path / "out", "--out", tmp_path / "back", "--restore", "--sealed", tmp_path / "sealed",
        "--secret-file", tmp_path / "secret",
    )  # fmt: skip
    assert back.returncode == 0, back.stdout + back.stderr
    restored = {path.name: path.read_bytes() for path in (tmp_path / "back").rglob("*.dcm")}
    assert restored == {one.name: one.data for one in written.files}


@needs("dciodvfy", "dicom3tools")
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("seed", SEEDS)
def test_no_file_gets_an_error_it_did_not_have(seed, options, tmp_path, request):
    profile = Profile.named("basic", OPTIONS[options])
    engine, science = Deidentifier(profile, SECRETS, "Demo Hospital"), ScienceCheck(profile)
    before, after = tmp_path / "before.dcm", tmp_path / "after.dcm"
    new, looked_at = {}, 0
    for one in corpus(seed).files:
        form = deidentify_file(engine, one.data)
        if not isinstance(form, CleanFile) or isinstance(form.compared(science), Failed):
            continue
        before.write_bytes(one.data)
        after.write_bytes(form.data)
        if dciodvfy.understands(before):
            looked_at += 1
            new[one.name] = dciodvfy.added(dciodvfy.complaints(before), dciodvfy.complaints(after))
    show(request, f"seed {seed}, {options}: dciodvfy looked at {looked_at} published files")
    assert looked_at > 50
    assert {name: errors for name, errors in new.items() if errors} == {}
