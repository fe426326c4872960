"""Who is not cleared learns nothing from a commitment: not by answer, report, or what is run for it."""

from contextlib import contextmanager
from dataclasses import replace

import pytest
from sqlalchemy import event

from catalog.callers import Right
from catalog.tables import DEID
from dgis.commitment.reporting import prepare
from dgis.commitment.rows import claim_to_report, on_its_own_association
from dgis.commitment.tables import commitment
from dgis.dimse.references import Reference
from tests.unit.dgis.commitment.asking import Asking, references, session
from tests.unit.dgis.site import CLEARED, UNCLEARED, phantom

MR = "1.2.840.10008.5.1.4.1.1.4"
NO_PHI = replace(CLEARED, may=frozenset({Right.RETRIEVE, Right.FIND}))


@contextmanager
def statements(engine):
    seen = []

    def note(_connection, _cursor, statement, _parameters, _context, _many):
        seen.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(engine, "before_cursor_execute", note)


def told(site, caller, asked, uid):
    """Everything that a transaction sets off, from the request to the report: steps, times, outcome."""
    asking = Asking(site)
    who = session(caller, title="PEER")
    began_ms = site.clock.now_ms
    steps = []
    with statements(site.engine) as seen:
        steps.append(asking.ask(asked, who=who, uid=uid))
        for seconds in (0, 1, 10, 40, 9, 10):
            site.clock.pass_seconds(seconds)
            steps.append(asking.judge.run_once())
            steps += [
                (row.state, row.due_ms - began_ms, row.committed, row.failed) for row in mine(site, uid)
            ]
        (row,) = mine(site, uid)
        which = on_its_own_association(row.held_by)
        with site.engine.begin() as connection:
            claimed = claim_to_report(connection, "claim", site.clock(), 1, which)
            outcome = prepare(connection, claimed, None, "test", site.clock())
    return steps, [failed.reason for failed in outcome.failed], len(outcome.committed), seen


def mine(site, uid):
    return [row for row in site.rows(commitment) if row.transaction_uid == uid]


@pytest.mark.parametrize("caller", [UNCLEARED, NO_PHI], ids=["uncleared", "no phi"])
def test_hit_and_miss_are_told_alike(site, caller):
    """Published originals, one that is only received, pseudonyms, and what nobody has ever sent."""
    images = phantom(3)
    site.publish(images)
    received = phantom(2, person=1)
    site.receive(received)
    sop_class = images[0].sop_class_uid
    pseudonyms = [Reference(sop_class, row.sop_instance_uid) for row in site.rows(DEID.instance)][:2]
    hits = {
        "published": references(images)[:2],
        "received": references(received),
        "pseudonyms": pseudonyms,
        "other class": [
            each._replace(sop_class_uid="1.2.840.10008.5.1.4.1.1.4") for each in references(images)[:2]
        ],
        "nothing": [Reference(sop_class, "1.2.3.4"), Reference(sop_class, "1.2.3.5")],
    }
    told(site, caller, hits["nothing"], "1.9")  # from then on what the caller holds is remembered
    answers = {name: told(site, caller, asked, f"1.{at}") for at, (name, asked) in enumerate(hits.items())}
    assert len(answers["nothing"][-1]) > 20
    assert answers["nothing"][1] == [0x0112] * 2
    for name, answer in answers.items():
        assert answer == answers["nothing"], name


def test_a_cleared_caller_is_told_something_else(site):
    images = phantom(3)
    site.publish(images)
    hit = told(site, CLEARED, references(images)[:2], "1.1")
    miss = told(site, CLEARED, [Reference(images[0].sop_class_uid, f"1.{n}") for n in range(2)], "1.2")
    assert (hit[2], miss[2]) == (2, 0)
