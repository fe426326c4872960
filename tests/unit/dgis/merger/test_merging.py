"""Small parts become one record that gives the same: to both kinds of callers, and to readers at work."""

from catalog.tables import PHI
from dgis.merger.tables import merge_source, merged_part
from dgis.publisher.tables import publish_part
from dgis.review.values import Choice, State
from replica import clean
from replica.tables import replica_object
from storage_nodes.addresses import Kind
from storage_nodes.names import RecordKey
from tests.tools import burned_in
from tests.unit.dgis.merger.merging import (
    as_sent,
    consider,
    forms,
    in_parts,
    job,
    merge,
    merger,
    originals,
    records,
    shown,
    small,
)
from tests.unit.dgis.review.conftest import desk, transcoder  # noqa: F401 (fixtures, found by name)
from tests.unit.dgis.site import UNCLEARED, digest, phantom


def live(site):
    return {
        (row.record_key, row.kind)
        for row in site.rows(replica_object)
        if row.committed_ms is not None and row.superseded_ms is None
    }


def test_everybody_gets_the_same_bytes_from_one_record(site):
    images = small(site)
    old, before, rows = records(site), forms(site), shown(site)
    assert len(old) == 3
    assert merge(site) == 1
    (new,) = records(site)
    assert new not in old
    assert forms(site) == before
    assert shown(site) == rows
    assert originals(site) == as_sent(images)
    assert live(site) == {(new, Kind.RECORD), (new, Kind.SEALED)}
    (part,) = site.rows(publish_part)
    assert (part.instances, part.withheld, part.state) == (6, 0, "published")
    assert part.raw_bytes == sum(len(image.dataset) for image in images)
    assert {(row.record_key, row.into_key) for row in site.rows(merged_part)} == {(key, new) for key in old}
    assert site.rows(merge_source) == []
    assert job(site) is None


def test_the_record_says_what_it_takes_the_place_of(site):
    small(site)
    old = records(site)
    merge(site)
    (new,) = records(site)
    about = site.shelf.record(RecordKey(new)).ask(lambda reader: reader.manifest.about)
    assert sorted(about["supersedes"]) == old
    assert about["patient"]


def test_readers_that_hold_an_old_key_find_it_until_the_grace_time_is_over(site):
    small(site)
    ref, *_rest = site.refs(UNCLEARED)
    reading = site.shelf.record(RecordKey(ref.record_key)).dataset(ref.position)
    first = bytes(next(reading))
    expected = forms(site)[ref.sop_instance_uid]
    merge(site)
    assert digest(first + b"".join(reading)) == expected  # began before
    late = site.shelf.record(RecordKey(ref.record_key))  # resolved before, opened after
    assert digest(b"".join(late.dataset(ref.position))) == expected
    site.clock.pass_seconds(3601)
    while clean.run_once(site.grid.replicas).copies:
        pass
    assert len({row.record_key for row in site.rows(replica_object)}) == 1
    assert {name for node in site.grid.memory.values() for name in node.objects} == {
        row.name for row in site.rows(replica_object)
    }
    assert forms(site)[ref.sop_instance_uid] == expected


def test_what_reviewers_said_stays(site, desk):  # noqa: F811 (asked for by name)
    images = in_parts(site, burned_in.series(8), count=4)
    for key in desk.keys()[0:5:2]:
        desk.say([key], Choice.RELEASE)
        desk.carry_out()
    consider(site)
    states = {item.instance: item.state for item in desk.queue(tuple(State))}
    before, rows = forms(site), shown(site)
    assert (len(before), len(records(site))) == (3, 7)
    assert merge(site) == 2
    assert len(records(site)) == 2  # what was decided, and what was not
    assert (forms(site), shown(site)) == (before, rows)
    assert originals(site) == as_sent(images)
    assert {item.instance: item.state for item in desk.queue(tuple(State))} == states


def test_what_was_withdrawn_is_sealed_whole_and_not_in_the_new_record(site, desk):  # noqa: F811
    images = small(site)
    key, *_others = forms(site)
    desk.say([key], Choice.WITHDRAW)
    assert merge(site) == 1
    (new,) = records(site)
    assert key not in forms(site)
    in_record = site.shelf.record(RecordKey(new)).ask(lambda reader: reader.instances)
    assert (len(in_record), key in {entry.sop_instance_uid for entry in in_record}) == (5, False)
    assert originals(site) == as_sent(images)
    withheld = [row for row in site.rows(PHI.instance) if row.withheld_reason]
    assert [row.instance_key for row in withheld] == [key]
    desk.say([key], Choice.RELEASE)
    desk.carry_out()
    assert key in forms(site)


def test_copies_that_lie_are_passed_over(site):
    images = small(site)
    for name in list(site.grid.memory["a"].objects):
        body = bytearray(site.grid.memory["a"].objects[name])
        body[len(body) // 2] ^= 1
        site.grid.memory["a"].objects[name] = bytes(body)
    assert merge(site) == 1
    assert len(records(site)) == 1
    assert originals(site) == as_sent(images)


def test_a_merge_that_cannot_be_put_waits_and_goes_on_with_the_same_record(site):
    small(site)
    for node in ("a", "b"):
        site.grid.flaky[node].script("put=down")
    site.clock.pass_seconds(120)
    own = merger(site)
    assert own.run_once()
    before = job(site)
    assert "copies needed could be put" in before.last_error
    assert len(records(site)) == 3
    assert not own.run_once()
    for node in ("a", "b"):
        site.grid.flaky[node].script("")
    site.clock.pass_seconds(3)
    assert own.run_once()
    assert records(site) == [before.record_key]


def test_two_workers_never_merge_the_same(site):
    small(site)
    site.clock.pass_seconds(120)
    first = merger(site, owner="first")
    inner = first._pack

    def slow(*arguments):
        packed = inner(*arguments)
        site.clock.pass_seconds(200)  # its lease runs out
        assert merger(site, owner="second").run_once()
        return packed

    first._pack = slow
    assert first.run_once()
    assert len(records(site)) == 1
    assert len(live(site)) == 2
    assert len(forms(site)) == 6


def test_parts_of_several_profiles_are_left_alone(site):
    site.publish(phantom(2))
    site.packer = type(site.packer)(
        site.packer.deidentifier, site.packer.science, {"profile": "other"}, None, site.packer.contributions
    )
    for start in (2, 4):
        site.publish(phantom(6)[start : start + 2])
    consider(site)
    before = forms(site)
    merge(site)
    assert len(records(site)) == 3
    assert forms(site) == before
    assert job(site) is None
