"""Two gateways on one PostgreSQL and the same nodes: racing, one killed, and retrieval from either."""

import json
import os
import threading
from collections import Counter
from contextlib import contextmanager
from dataclasses import replace

import psycopg
import pytest

from dgis.demo import anatomy, kinds, phantoms
from dgis.demo.people import PEOPLE
from tests.gateway import Gateway, wait_until
from tests.tools import crash, wire
from tests.tools.client import Client
from tests.tools.fetching import HOSPITAL, RESEARCH, get, get_everything
from tests.tools.report import show

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.xdist_group("gateways-postgres")]

RACING = int(os.environ.get("DGIS_TEST_RACING_SERIES", "200"))
_AWAY_SECONDS = 10
_KIND = replace(kinds.PET, scanner=replace(anatomy.PET, rows=16))
_PAIRS = [(_KIND.sop_class_uid, wire.EXPLICIT)]


@contextmanager
def two_gateways(url, failpoints=""):
    """Yield two gateways that share database, nodes and keys; the first one's home holds those."""
    common = {
        "DGIS__GATEWAY__AWAY_AFTER_SECONDS": str(_AWAY_SECONDS),
        "DGIS__PUBLISH__WORKERS": "1",
    }
    first = Gateway(common, database_url=url)
    keys, nodes = first.home / "keys", first.home / "nodes"
    first.change({"DGIS__NODES": json.dumps([_node(nodes, letter) for letter in "abc"])})
    second = Gateway(
        {
            **common,
            "DGIS__GATEWAY__NAME": "gateway-2",
            "DGIS__NODES": json.dumps([_node(nodes, letter) for letter in "abc"]),
            "DGIS__KEYS__SITE_SECRET_FILE": str(keys / "site-secret"),
            "DGIS__KEYS__KEY_ENCRYPTION_KEY_FILE": str(keys / "kek"),
            "DGIS__KEYS__STORES": json.dumps([str(keys / "store-a"), str(keys / "store-b")]),
        },
        database_url=url,
    )
    try:
        first.start(failpoints)
        second.start()
        yield first, second
    finally:
        second.discard()
        first.discard()


def _node(folder, letter):
    return {"kind": "folder", "name": f"node-{letter}", "path": str(folder / f"node-{letter}")}


def images(series, first_seed=1):
    made = []
    for seed in range(first_seed, first_seed + series):
        made += phantoms.series(_KIND, PEOPLE[seed % len(PEOPLE)], 1, 5000 + seed)
    return made


def store(gateway, instances, failed):
    with Client(gateway.address, HOSPITAL, [(sop, [syntax]) for sop, syntax in _PAIRS]) as client:
        for one in instances:
            status = client.store(one.sop_class_uid, one.sop_instance_uid, one.transfer_syntax, one.dataset)
            if status != 0:
                failed.append(status)


def store_on_both(pair, instances):
    failed = []
    orders = (instances, instances[::-1])
    senders = [
        threading.Thread(target=store, args=(one, order, failed))
        for one, order in zip(pair, orders, strict=True)
    ]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    assert failed == []


def ask(url, statement):
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as link:
        link.execute("SET dgis.originals TO 'all'")
        return link.execute(statement).fetchall()


def published_once(url, gateway, instances):
    """Every instance is in one live record, and on each node in one object."""
    (count,) = ask(url, "SELECT count(*), count(DISTINCT instance_key) FROM deid_instance")
    assert count == (len(instances), len(instances))
    live = "committed_ms IS NOT NULL AND superseded_ms IS NULL AND kind = 'record'"
    held = ask(url, f"SELECT count(*) FROM replica_object WHERE {live}")
    records = ask(url, "SELECT count(DISTINCT record_key) FROM deid_instance")
    assert held == records
    assert crash._on_nodes(gateway) == ((), ())


def originals(gateway):
    found = get_everything(gateway.address, HOSPITAL, _PAIRS)
    assert max(Counter(one.sop_instance_uid for one in found).values()) == 1
    return {one.sop_instance_uid: one.dataset for one in found}


@pytest.mark.timeout(1800)
def test_of_two_that_race_one_publishes_and_either_gives_back(postgres_url, request):
    with two_gateways(postgres_url) as pair:
        instances = images(RACING)
        store_on_both(pair, instances)
        for one in pair:
            one.wait_published(600)
        published_once(postgres_url, pair[0], instances)
        shares = ask(
            postgres_url,
            "SELECT gateway_id, count(*) FROM publish_part WHERE state = 'published' GROUP BY 1 ORDER BY 1",
        )
        show(request, f"two gateways racing over {RACING} series: each published once, by {dict(shares)}")
        pair[0].cli("cache", "evict", "--all")
        want = {one.sop_instance_uid: one.dataset for one in instances}
        for one in pair:  # the second from its own cache or the nodes, the first from the nodes
            assert originals(one) == want
        assert len(get_everything(pair[1].address, RESEARCH, _PAIRS)) == len(instances)


def test_what_a_killed_gateway_had_begun_the_other_publishes(postgres_url):
    with two_gateways(postgres_url, "publish.record_put:3") as (first, second):
        shared, alone = images(12), images(2, first_seed=100)
        store(first, alone, [])
        first.wait_published(120)
        own = images(3, first_seed=200)
        failed = []
        store(first, [*shared, *own], failed)
        wait_until(first.lost_a_process, 60, "the first gateway dies while it publishes")
        first.kill()
        store(second, shared, failed)
        assert failed == []
        second.wait_published(180)
        told = second.cli("status").stdout
        assert "trouble    gateway gateway-1 is silent" in told
        waits = second.json("status")["gateways"][0]
        assert waits["gateway_id"] == "gateway-1"
        assert waits["alone"] == 3
        assert waits["shared"] == 0
        (not_here,) = get(second.address, HOSPITAL, [own[0].study_uid], _PAIRS)
        assert not_here.received == []  # only the dead gateway can give it out, so nobody else shows it
        assert not_here.final["NumberOfFailedSuboperations"] == 0
        first.start()
        first.wait_published(120)
        everything = [*shared, *alone, *own]
        published_once(postgres_url, first, everything)
        assert originals(second) == {one.sop_instance_uid: one.dataset for one in everything}
        first.cli("cache", "evict", "--all")
        assert originals(first) == {one.sop_instance_uid: one.dataset for one in everything}
        assert "silent" not in second.cli("status").stdout
