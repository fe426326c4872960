"""C-FIND as both callers: originals for one, pseudonyms for the other, and no question links them."""

from collections import defaultdict

import pytest

from tests.tools import files
from tests.tools.fetching import HOSPITAL, RESEARCH, find
from tests.tools.planted import DAY

pytestmark = [
    pytest.mark.dcmtk,
    pytest.mark.corpus,
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.usefixtures("values_as_they_are"),
    pytest.mark.xdist_group("gateway-corpus"),
]

ROOTS = ("patient", "study")
PSEUDONYM = "2.25."  # PS3.5 B.2; pseudonyms stand under it


@pytest.fixture(scope="module")
def originals(corpus_run):
    """The headers of what the hospital gets, as it should find them."""
    return [files.parse(one.dataset, one.transfer_syntax) for one in corpus_run.hospital_got]


@pytest.fixture(scope="module")
def tree(originals):
    """Study to series to instances, and the patient of each study."""
    below = defaultdict(lambda: defaultdict(set))
    patients = {}
    for dataset in originals:
        below[str(dataset.StudyInstanceUID)][str(dataset.SeriesInstanceUID)].add(str(dataset.SOPInstanceUID))
        patients[str(dataset.StudyInstanceUID)] = str(dataset.get("PatientID") or "")
    return below, patients


def ask(corpus_run, calling, level, root="study", **keys):
    outcome = find(corpus_run.gateway.address, calling, level, root, **keys)
    assert outcome.status == 0
    return outcome.identifiers


def values(found, keyword):
    return [str(one.get(keyword, "")) for one in found]


def test_the_hospital_finds_its_patients(corpus_run, originals):
    found = ask(corpus_run, HOSPITAL, "PATIENT", "patient", PatientID="", PatientName="", PatientBirthDate="")
    expected = {str(dataset.PatientID).strip() for dataset in originals if dataset.get("PatientID")}
    assert {value for value in values(found, "PatientID") if value} == expected


@pytest.mark.parametrize("root", ROOTS)
def test_the_hospital_finds_its_studies_series_and_images(corpus_run, tree, root):
    below, patients = tree
    named = [study for study in below if patients[study]]
    for study in sorted(named, key=lambda uid: -len(below[uid]))[:6]:
        above = {"PatientID": patients[study]} if root == "patient" else {}
        found = ask(corpus_run, HOSPITAL, "STUDY", root, StudyInstanceUID="", **above)
        assert study in values(found, "StudyInstanceUID")
        found = ask(
            corpus_run, HOSPITAL, "SERIES", root, StudyInstanceUID=study, SeriesInstanceUID="", **above
        )
        assert sorted(values(found, "SeriesInstanceUID")) == sorted(below[study])
        for series, instances in below[study].items():
            found = ask(
                corpus_run,
                HOSPITAL,
                "IMAGE",
                root,
                StudyInstanceUID=study,
                SeriesInstanceUID=series,
                SOPInstanceUID="",
                **above,
            )
            assert sorted(values(found, "SOPInstanceUID")) == sorted(instances)


def test_the_hospital_finds_every_study(corpus_run, tree):
    found = ask(corpus_run, HOSPITAL, "STUDY", StudyInstanceUID="")
    assert sorted(values(found, "StudyInstanceUID")) == sorted(tree[0])


def test_research_walks_down_the_same_tree_by_pseudonyms(corpus_run):
    got = defaultdict(set)
    for one in corpus_run.research_got:
        dataset = files.parse(one.dataset, one.transfer_syntax)
        place = (str(dataset.PatientID), str(dataset.StudyInstanceUID), str(dataset.SeriesInstanceUID))
        got[place].add(one.sop_instance_uid)
    found = ask(corpus_run, RESEARCH, "STUDY", StudyInstanceUID="", PatientID="", PatientName="")
    studies = {study for _, study, _ in got}
    assert set(values(found, "StudyInstanceUID")) == studies
    assert all(study.startswith(PSEUDONYM) for study in studies)
    for (patient, study, series), instances in sorted(got.items())[:10]:
        for root in ROOTS:
            above = {"PatientID": patient} if root == "patient" else {}
            found = ask(
                corpus_run,
                RESEARCH,
                "IMAGE",
                root,
                StudyInstanceUID=study,
                SeriesInstanceUID=series,
                SOPInstanceUID="",
                **above,
            )
            assert set(values(found, "SOPInstanceUID")) == instances
    patients = ask(corpus_run, RESEARCH, "PATIENT", "patient", PatientID="")
    assert {place[0] for place in got} <= set(values(patients, "PatientID"))


def test_research_learns_nothing_by_asking_for_originals(corpus_run, originals):
    questions, prefixes = [], set()
    for dataset in originals[:: max(1, len(originals) // 40)]:
        name = str(dataset.get("PatientName") or "").split("=")[0].strip()
        if len(name.strip("^ ")) > 3:  # of nothing but separators it is empty, and matches all
            questions.append(("STUDY", {"PatientName": name}))
            prefixes.add(name[:4])
        questions += [
            ("STUDY", {keyword: str(dataset[keyword].value)})
            for keyword in ("PatientID", "AccessionNumber", "PatientBirthDate")
            if len(str(dataset.get(keyword) or "")) > 3
        ]
        study, series = str(dataset.StudyInstanceUID), str(dataset.SeriesInstanceUID)
        questions += [
            ("STUDY", {"StudyInstanceUID": study}),
            ("SERIES", {"StudyInstanceUID": study, "SeriesInstanceUID": ""}),
            (
                "IMAGE",
                {
                    "StudyInstanceUID": study,
                    "SeriesInstanceUID": series,
                    "SOPInstanceUID": str(dataset.SOPInstanceUID),
                },
            ),
        ]
    questions += [("STUDY", {"StudyDate": f"{DAY}-{DAY}"}), ("STUDY", {"PatientBirthDate": f"-{DAY}"})]
    answered = [
        (level, sorted(keys))
        for level, keys in questions
        if ask(corpus_run, RESEARCH, level, **{"StudyInstanceUID": "", **keys})
    ]
    assert not answered
    own = research_names(corpus_run, "")
    for prefix in prefixes:
        by_chance = {pseudonym for pseudonym in own if pseudonym.startswith(prefix.upper())}
        assert research_names(corpus_run, f"{prefix}*") <= by_chance, prefix


def research_names(corpus_run, asked):
    """Pseudonyms, then: of sixteen letters and digits, whose first may be those of a name."""
    return set(
        values(ask(corpus_run, RESEARCH, "STUDY", StudyInstanceUID="", PatientName=asked), "PatientName")
    )


def test_the_same_questions_find_something_for_the_hospital(corpus_run, originals):
    # A name may be nothing but separators: it holds no letter to ask for.
    dataset = next(one for one in originals if len(str(one.get("PatientName") or "")[:4].strip("^= ")) > 3)
    name = str(dataset.PatientName)
    for keys in ({"PatientName": f"{name[:4]}*"}, {"StudyInstanceUID": str(dataset.StudyInstanceUID)}):
        assert ask(corpus_run, HOSPITAL, "STUDY", **{"StudyInstanceUID": "", **keys})
    assert ask(corpus_run, HOSPITAL, "STUDY", StudyInstanceUID="", StudyDate=f"{DAY}-{DAY}")
