"""A cohort names a set of series by one hash, and tells what became of it."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

import dgis.client as grid
from dgis.client.cohort import Member


@pytest.fixture
def connected(server):
    with grid.connect(server.url) as connected:
        yield connected


def test_what_is_written(connected, tmp_path):
    path = connected.series(Modality="CT").cohort().save(tmp_path / "cohort.json")
    said = json.loads(path.read_text())
    assert (said["count"], said["total"]) == (2, 23)
    assert said["query"] == {"level": "series", "keys": {"Modality": "CT"}}
    assert re.fullmatch(r"20..-..-..T..:..:..\+00:00", said["edition"])
    assert {one["series"] for one in said["series"]} == {"1.2.1.1", "1.2.1.2"}


def test_the_same_set_has_the_same_hash_whatever_found_it(connected):
    one = connected.series(Modality="CT").cohort()
    assert one.hash == connected.studies().cohort().hash == connected.instances().cohort().hash
    assert one.hash != connected.series(BodyPartExamined="HEAD").cohort().hash


def test_it_is_had_again_later(server, connected, tmp_path):
    path = connected.series(Modality="CT").cohort().save(tmp_path / "cohort.json")
    cohort = connected.cohort(path)
    assert not cohort.verify()
    assert cohort.download(tmp_path / "files").files == 23
    server.datasets.pop()  # one instance fewer of the second series
    found = cohort.verify()
    assert found.words == ("changed: series 1.2.1.2, 20 instances then, 19 now",)
    del server.datasets[:3]
    assert cohort.verify().words[0] == "missing: series 1.2.1.1, 3 instances"


def test_a_login_that_may_see_originals_makes_none(server, connected):
    server.may = ["find", "phi", "retrieve"]
    with pytest.raises(grid.RefusedError, match="pseudonyms only"):
        connected.series().cohort()


@pytest.mark.parametrize(
    "change",
    [
        lambda said: said["series"].pop(),
        lambda said: said["series"][0].update(instances=4),
        lambda said: said["series"][0].update(series="1.9"),
        lambda said: said.update(hash="0" * 64),
    ],
)
def test_an_altered_file_is_refused(connected, tmp_path, change):
    path = connected.series().cohort().save(tmp_path / "cohort.json")
    said = json.loads(path.read_text())
    change(said)
    path.write_text(json.dumps(said))
    with pytest.raises(grid.CohortError, match="altered"):
        grid.read_cohort(path)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version": 1}', "not JSON", '{"version": 2, "hash": ""}'])
def test_what_is_no_cohort_is_said(tmp_path, text):
    path = tmp_path / "x"
    path.write_text(text)
    with pytest.raises(grid.CohortError):
        grid.read_cohort(path)


UIDS = st.lists(st.from_regex(r"2\.25\.[1-9][0-9]{3}", fullmatch=True), min_size=1, max_size=6, unique=True)


@given(UIDS, st.randoms())
def test_the_content_is_that_of_the_set_not_of_its_order(uids, chance):
    other = [*uids, uids[0]]
    chance.shuffle(other)
    assert Member.of("1", "2", uids) == Member.of("1", "2", other)
    assert Member.of("1", "2", uids) != Member.of("1", "2", [*uids, "2.25.1"])
