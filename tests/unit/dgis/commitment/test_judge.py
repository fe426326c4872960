"""What is committed, and what is not: over a real publisher, catalog, seal and nodes in memory."""

from dataclasses import replace

import pytest
import sqlalchemy as sa

from catalog.callers import Caller, Right
from catalog.tables import DEID, PHI
from dgis.commitment import rows
from dgis.commitment.values import Standing
from dgis.dimse.references import Reference
from dgis.dimse.status import Refusal, Status
from dgis.erasure.originals import take_away
from dgis.tables import cache_conflict
from replica import check, fill
from storage_nodes.addresses import Kind
from tests.tools import burned_in
from tests.unit.dgis.commitment.asking import Asking, published, references, session
from tests.unit.dgis.site import CLEARED, UNCLEARED, phantom

COMMITTED, WAITING = ("committed", None), ("waiting", None)
MR = "1.2.840.10008.5.1.4.1.1.4"
PRINTER = "1.2.840.10008.5.1.1.16"


@pytest.fixture
def asking(site):
    return Asking(site)


def damage(site, kind, nodes, at=0.6):
    for node in nodes:
        objects = site.grid.memory[node].objects
        for name in [name for name in objects if name.startswith(f"{kind}/")]:
            data = bytearray(objects[name])
            data[int(len(data) * at)] ^= 0xFF
            objects[name] = bytes(data)


def test_what_every_copy_gives_back_is_committed(asking, site):
    images = published(site)
    assert asking.ask(references(images)) is None
    asking.look()
    assert asking.states() == [COMMITTED] * 3
    (row,) = asking.transactions
    assert (row.state, row.committed, row.failed) == ("judged", 3, 0)
    assert all(each.instance_key for each in asking.instances)


def test_every_copy_is_read_of_record_and_companion(asking, site, monkeypatch):
    images = published(site)
    read = set()
    for name, node in site.grid.memory.items():

        def noted(which, start, length, *, name=name, get_range=node.get_range):
            read.add((name, str(which).partition("/")[0]))
            return get_range(which, start, length)

        monkeypatch.setattr(node, "get_range", noted)
    asking.ask(references(images[:1]))
    asking.look()
    assert asking.states() == [COMMITTED]
    assert read == {(node, str(kind)) for node in "abc" for kind in Kind}


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("node", ["a", "b", "c"])
def test_one_damaged_copy_keeps_it_waiting_until_it_is_repaired(asking, site, kind, node):
    images = published(site)
    damage(site, kind, node)
    asking.ask(references(images))
    asking.look()
    assert WAITING in asking.states()
    assert Standing.UNPROVEN.value in asking.standings()
    asking.look(5)
    assert Standing.FEW_COPIES.value in asking.standings()  # the copy is out of use until it was looked at
    check.run_once(site.grid.replicas)
    fill.run_once(site.grid.replicas)
    asking.look(120)
    assert asking.states() == [COMMITTED] * 3


def test_a_damaged_frame_holds_up_its_instance_alone_until_the_copy_is_taken_out_of_use(asking, site):
    images = published(site)
    damage(site, Kind.RECORD, "c", at=0.9)
    asking.ask(references(images))
    asking.look()
    assert sorted(asking.states()) == [COMMITTED, COMMITTED, WAITING]
    asking.look(3_601)
    assert sorted(asking.states()) == [COMMITTED, COMMITTED, ("failed", 0x0213)]


def test_fewer_copies_than_the_rule_are_waited_for_until_there_are_enough(asking, site):
    site.grid.flaky["c"].script("*=down")
    images = published(site, 2)  # the write quorum is two
    asking.ask(references(images))
    asking.look()
    assert asking.states() == [WAITING] * 2
    assert asking.standings() == {Standing.FEW_COPIES.value}
    site.grid.flaky["c"].script("")
    site.clock.pass_seconds(600)
    assert fill.run_once(site.grid.replicas) != fill.Filled()
    asking.look(60)
    assert asking.states() == [COMMITTED] * 2


def test_fewer_copies_than_the_rule_for_too_long_fail_for_want_of_resources(asking, site):
    site.grid.flaky["c"].script("*=down")
    images = published(site, 2)
    asking.ask(references(images))
    asking.look()
    asking.look(3_601)
    assert asking.states() == [("failed", 0x0213)] * 2
    assert asking.transactions[0].state == "judged"


def test_a_node_that_is_away_while_copies_are_read_holds_up_and_loses_nothing(asking, site):
    images = published(site, 2)
    site.grid.flaky["b"].script("get_range=down")
    asking.ask(references(images))
    asking.look()
    assert asking.standings() == {Standing.UNPROVEN.value}
    site.grid.flaky["b"].script("")
    asking.look(60)
    assert asking.states() == [COMMITTED] * 2


def test_what_is_not_published_is_waited_for(asking, site):
    images = phantom(2)
    site.receive(images)
    asking.ask(references(images))
    asking.look()
    assert asking.standings() == {Standing.UNPUBLISHED.value}
    assert asking.transactions[0].state == "waiting"
    site.publish()
    asking.look(5)
    assert asking.states() == [COMMITTED] * 2


def test_what_is_never_published_fails_with_a_reason(asking, site):
    images = phantom(2)
    site.receive(images)
    asking.ask(references(images))
    asking.look(3_599)
    assert asking.states() == [WAITING] * 2
    asking.look(2 + 60)
    assert asking.states() == [("failed", 0x0110)] * 2


def test_what_comes_after_the_question_is_found(asking, site):
    images = phantom(2)
    asking.ask(references(images))
    asking.look(30)
    assert asking.states() == [WAITING] * 2
    site.publish(images)
    asking.look(5)
    assert asking.states() == [COMMITTED] * 2


def test_what_never_comes_fails(asking):
    asking.ask([Reference(MR, "1.2.3.4")])
    asking.look(61)
    assert asking.states() == [("failed", 0x0112)]


def test_another_class_is_a_conflict_and_an_unknown_class_not_supported(asking, site):
    (image, *_) = published(site)
    asking.ask([Reference(MR, image.sop_instance_uid), Reference(PRINTER, image.sop_instance_uid)])
    asking.look()
    assert asking.states() == [("failed", 0x0119), ("failed", 0x0122)]


def test_an_instance_with_other_bytes_under_its_uid_waits_for_the_operator(asking, site):
    images = published(site)
    site.receive([replace(images[0], dataset=images[0].dataset[:-2] + bytes((7, 7)))])
    assert len(site.rows(cache_conflict)) == 1
    asking.ask(references(images))
    asking.look()
    assert asking.states() == [WAITING, COMMITTED, COMMITTED]
    with site.engine.begin() as connection:
        connection.execute(sa.update(cache_conflict).values(resolved_ms=1))
    asking.look(60)
    assert asking.states() == [COMMITTED] * 3


@pytest.mark.parametrize(
    "caller",
    [
        UNCLEARED,
        replace(CLEARED, may=frozenset({Right.RETRIEVE})),
        replace(CLEARED, may=frozenset({Right.RETRIEVE, Right.FIND})),
        Caller("nobody", may=CLEARED.may),
    ],
    ids=["uncleared", "no phi", "no phi either", "no grant"],
)
def test_who_may_not_retrieve_originals_is_told_of_none(asking, site, caller):
    images = published(site)
    pseudonyms = [row.sop_instance_uid for row in site.rows(DEID.instance)]
    of_class = images[0].sop_class_uid
    asked = [*references(images), *(Reference(of_class, uid) for uid in pseudonyms), Reference(MR, "1.9")]
    asking.ask(asked, who=session(caller))
    asking.look(30)
    assert asking.states() == [WAITING] * len(asked)
    asking.look(31)
    assert asking.states() == [("failed", 0x0112)] * len(asked)
    assert {row.instance_key for row in asking.instances} == {None}


def test_a_pseudonym_names_no_original_for_a_cleared_caller_either(asking, site):
    images = published(site)
    (pseudonym, *_) = [row.sop_instance_uid for row in site.rows(DEID.instance)]
    asking.ask([Reference(images[0].sop_class_uid, pseudonym)])
    asking.look(61)
    assert asking.states() == [("failed", 0x0112)]


def test_who_may_not_retrieve_is_refused_whatever_it_names(asking, site):
    images = published(site)
    none = replace(CLEARED, may=frozenset({Right.STORE, Right.PHI}))
    answers = [
        asking.ask(asked, who=session(none), uid=uid)
        for uid, asked in (("1.1", references(images)), ("1.2", [Reference(MR, "1.9")]))
    ]
    assert answers[0] == answers[1]
    assert answers[0].status is Status.NOT_AUTHORIZED
    assert asking.transactions == []


def test_a_transaction_uid_is_used_once_by_each_requestor(asking, site):
    images = references(published(site))
    assert asking.ask(images) is None
    again = asking.ask(images)
    assert isinstance(again, Refusal)
    assert again.status == 0x0131
    assert asking.ask(images[:1]).status == 0x0131
    assert asking.ask(images, who=session(UNCLEARED)) is None  # another's use of it is nobody's business
    assert asking.ask(images, who=session(title="HOSPITAL_2")) is None
    asking.look()
    assert asking.ask(images).status == 0x0131
    assert len(asking.transactions) == 3


def test_open_transactions_of_one_requestor_are_bounded(asking, monkeypatch):
    monkeypatch.setattr("dgis.commitment.rows.MOST_OPEN", 2)
    for number in range(2):
        assert asking.ask([Reference(MR, "1.9")], uid=f"1.{number}") is None
    assert asking.ask([Reference(MR, "1.9")], uid="1.7").status is Status.RESOURCE_LIMITATION
    assert asking.ask([Reference(MR, "1.9")], uid="1.7", who=session(UNCLEARED)) is None


def test_open_instances_of_one_requestor_are_bounded(asking, monkeypatch):
    monkeypatch.setattr("dgis.commitment.rows.MOST_INSTANCES", 3)
    two = [Reference(MR, "1.8"), Reference(MR, "1.9")]
    assert asking.ask(two, uid="1.1") is None
    assert asking.ask(two, uid="1.2").status is Status.RESOURCE_LIMITATION
    assert asking.ask(two[:1], uid="1.3") is None
    assert asking.ask(two, uid="1.2", who=session(UNCLEARED)) is None


def test_what_is_sealed_whole_is_given_back_by_its_companions_alone(asking, site):
    images = burned_in.series(2, frames=2)
    site.publish(images)
    assert {row.withheld_reason for row in site.rows(PHI.instance)} != {None}
    asking.ask(references(images))
    asking.look()
    assert asking.states() == [COMMITTED] * 2
    damage(site, Kind.SEALED, "abc", at=0.5)
    asking.ask(references(images), uid="1.2.4")
    asking.look()
    (transaction,) = [row for row in asking.transactions if row.transaction_uid == "1.2.4"]
    assert transaction.state == "waiting"


def test_a_shredded_key_gives_nothing_back(asking, site):
    images = published(site, 2)
    (key,) = {row.patient_key for row in site.rows(PHI.patient)}
    site.keys.shred(key, site.clock())
    asking.ask(references(images))
    asking.look()
    assert asking.standings() == {Standing.UNPROVEN.value}


def test_two_workers_judge_a_transaction_once(asking, site):
    images = published(site)
    asking.ask(references(images))
    other = Asking(site, name="gateway-2")
    with site.engine.begin() as connection:
        taken = rows.claim_to_judge(connection, "somebody", site.clock(), 60_000)
    assert taken is not None
    assert not asking.judge.run_once()
    assert not other.judge.run_once()
    site.clock.pass_seconds(61)  # who claimed it died: its lease runs out
    assert other.judge.run_once()
    assert asking.states() == [COMMITTED] * 3
    with site.engine.begin() as connection:
        assert not rows.look_again(connection, taken, 0)
        assert not rows.judged(connection, taken, 0)


def test_an_erased_patients_instances_are_forgotten(asking, site):
    images = published(site)
    asking.ask(references(images))
    asking.look()
    asking.ask(references(images), uid="1.2.4")
    (patient,) = {row.patient_key for row in site.rows(DEID.series)}
    with site.engine.begin() as connection:
        take_away(connection, patient, site.clock(), site.clock())
    assert asking.instances == []
    assert {row.state for row in asking.transactions} == {"erased"}
    assert not asking.judge.run_once()
