"""Real files through a whole gateway: nothing lost, every byte given back, nobody's identity shown."""

from collections import Counter

import pytest

from tests.canary import Hunt
from tests.tools import files, identifiers, pixels
from tests.tools.report import show

pytestmark = [
    pytest.mark.dcmtk,
    pytest.mark.corpus,
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.usefixtures("values_as_they_are"),
    pytest.mark.xdist_group("gateway-corpus"),
]


# dcmtk reads a UID in an element of VR UN as the hexadecimal digits of its first byte, and proposes that.
MADE_UP_BY_DCMTK = {"31"}


def table(run, way, identical):
    rows = {
        "sent": len(run.journal),
        "stored": len(run.accepted),
        "distinct SOP Instance UIDs": len(run.versions),
        "conflicts": len(run.gateway.json("conflicts", "list")),
        "published": run.status["catalog"]["published"],
        "  of these sealed whole": run.status["catalog"]["withheld"],
        f"identical ({way.replace('_', ', ')})": identical,
    }
    reasons = {f"    {reason}": count for reason, count in run.status["withheld"].items()}
    return "\n".join(f"{name:60} {count:6}" for name, count in {**rows, **reasons}.items())


def test_every_instance_was_answered_with_success(corpus_run):
    storable = [file for file in map(files.read, corpus_run.paths) if file]
    crossed = Counter(sent.sop_instance_uid for sent in corpus_run.journal)
    wanted = Counter(file.sop_instance_uid for file in storable)
    homeless = {
        file.sop_instance_uid
        for file in storable
        if not files.belongs_to_a_series(file.dataset, file.transfer_syntax)
    }
    assert {uid for uid in wanted if crossed[uid] < wanted[uid]} <= homeless
    refused = {sent.sop_instance_uid for sent in corpus_run.journal if sent.status != 0}
    assert refused - {""} <= homeless | MADE_UP_BY_DCMTK


def test_other_bytes_under_a_known_uid_are_kept_as_conflicts(corpus_run):
    expected = sum(len(versions) - 1 for versions in corpus_run.versions.values())
    listed = corpus_run.gateway.json("conflicts", "list")
    assert {row["kind"] for row in listed} == {"different-bytes"}
    assert len(listed) == expected > 0
    assert corpus_run.status["cache"]["conflicts"] == expected


@pytest.mark.parametrize("way", ["hospital_got", "hospital_moved"])
def test_the_hospital_gets_its_own_bytes_back(corpus_run, way, request):
    received = getattr(corpus_run, way)
    by_uid = Counter(one.sop_instance_uid for one in received)
    assert by_uid == Counter(dict.fromkeys(corpus_run.versions, 1))
    identical = [
        one.sop_instance_uid
        for one in received
        if (one.sha256, one.transfer_syntax) in corpus_run.versions[one.sop_instance_uid]
    ]
    show(request, table(corpus_run, way, len(identical)))
    assert sorted(identical) == sorted(corpus_run.versions)


def test_get_and_move_give_the_same_of_two_versions(corpus_run):
    got = {one.sop_instance_uid: one.sha256 for one in corpus_run.hospital_got}
    assert got == {one.sop_instance_uid: one.sha256 for one in corpus_run.hospital_moved}


@pytest.mark.parametrize("way", ["research_got", "research_moved"])
def test_research_gets_the_same_pixels(corpus_run, way):
    received = getattr(corpus_run, way)
    sealed = corpus_run.status["catalog"]["withheld"]
    assert sealed == sum(corpus_run.status["withheld"].values())  # each is counted under its reason
    assert len(received) == len(corpus_run.versions) - sealed
    assert len({one.sop_instance_uid for one in received}) == len(received)
    ours = Counter(pixels.fingerprint(one.dataset, one.transfer_syntax) for one in received)
    theirs = Counter(pixels.fingerprint(one.dataset, one.transfer_syntax) for one in corpus_run.hospital_got)
    assert not ours - theirs  # nothing but what came in, pixel for pixel
    assert (theirs - ours).total() == sealed


@pytest.mark.parametrize("way", ["research_got", "research_moved"])
def test_no_date_of_an_original_is_in_its_deidentified_form(corpus_run, way):
    originals = {}
    for one in corpus_run.hospital_got:
        originals.setdefault(pixels.fingerprint(one.dataset, one.transfer_syntax), []).append(one)
    originals.pop(None, None)  # without pixels there is nothing to know an instance by
    compared = 0
    for one in getattr(corpus_run, way):
        ours = identifiers.dated(files.parse(one.dataset, one.transfer_syntax))
        for original in originals.get(pixels.fingerprint(one.dataset, one.transfer_syntax), ()):
            theirs = identifiers.dated(files.parse(original.dataset, original.transfer_syntax))
            same = {place for place, day in ours.items() if theirs.get(place) == day}
            assert not same
            compared += bool(ours)
    assert compared > 0


def test_no_identifier_of_any_original_is_received_on_a_node_or_in_a_log(corpus_run):
    values = set()
    for file in filter(None, map(files.read, corpus_run.paths)):
        dataset = files.parse(file.dataset, file.transfer_syntax)
        values |= identifiers.uids(dataset) | identifiers.words(dataset)
    for plant in corpus_run.planted:
        values |= plant.canaries
    hunt = Hunt(values)
    seen = {one.sop_instance_uid: one.sha256 for one in corpus_run.research_got}
    received = corpus_run.research_got + [
        one for one in corpus_run.research_moved if seen.get(one.sop_instance_uid) != one.sha256
    ]
    leaks = {("received", *found) for one in received for found in hunt.find(one.dataset)}
    leaks |= {("node", *found) for data in corpus_run.gateway.on_nodes() for found in hunt.find(data)}
    leaks |= {("log", *found) for found in hunt.find(corpus_run.gateway.log().encode())}
    assert not leaks


def test_the_search_finds_what_is_there(corpus_run):
    hunt = Hunt(
        identifiers.uids(
            files.parse(corpus_run.hospital_got[0].dataset, corpus_run.hospital_got[0].transfer_syntax)
        )
    )
    assert hunt.find(corpus_run.hospital_got[0].dataset)
