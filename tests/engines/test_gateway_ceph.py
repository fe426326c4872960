"""The whole gateway on three Ceph clusters, companions under other credentials: in, out, a node down."""

import json

import pytest

from dgis.demo import kinds, phantoms
from dgis.demo.people import PEOPLE
from storage_nodes.s3 import S3Node
from storage_nodes.s3_client import S3Location
from tests.engines.ceph import bucket_node
from tests.gateway import Gateway, wait_until
from tests.tools import wire
from tests.tools.client import Client
from tests.tools.fetching import HOSPITAL, RESEARCH, get_everything

pytestmark = [pytest.mark.ceph, pytest.mark.slow, pytest.mark.xdist_group("ceph")]

_PAIRS = [(kinds.CT.sop_class_uid, wire.EXPLICIT), (kinds.MR.sop_class_uid, wire.EXPLICIT)]


def a_node(cluster, number):
    """Return the entry of a node, and the two accounts that open its buckets."""
    keys = {name: cluster.account(name) for name in ("records", "sealed")}
    for name, account in keys.items():
        bucket_node(cluster, account, f"grid-{name}").close()
    return {
        "kind": "s3",
        "name": f"ceph-{number}",
        "site": f"site-{number}",
        "endpoint": cluster.tls_endpoint if number == 0 else cluster.endpoint,
        "ca_file": str(cluster.ca_file),
        "bucket": "grid-records",
        "access_key": keys["records"].access_key,
        "secret_key": keys["records"].secret_key,
        "sealed_bucket": "grid-sealed",
        "sealed_access_key": keys["sealed"].access_key,
        "sealed_secret_key": keys["sealed"].secret_key,
        "conditional_put": True,
    }


def _buckets(node):
    yield node["bucket"], node["access_key"], node["secret_key"]
    yield node["sealed_bucket"], node["sealed_access_key"], node["sealed_secret_key"]


def store(gateway, instances):
    with Client(gateway.address, HOSPITAL, [(sop, [syntax]) for sop, syntax in _PAIRS]) as client:
        return {
            client.store(one.sop_class_uid, one.sop_instance_uid, one.transfer_syntax, one.dataset)
            for one in instances
        }


def originals(gateway):
    found = get_everything(gateway.address, HOSPITAL, _PAIRS)
    return {one.sop_instance_uid: one.dataset for one in found}


def test_a_cluster_may_die_and_come_back(ceph_clusters):
    first = list(phantoms.series(kinds.CT, PEOPLE[0], 6))
    later = list(phantoms.series(kinds.MR, PEOPLE[1], 6))
    nodes = [a_node(cluster, number) for number, cluster in enumerate(ceph_clusters)]
    holders = [
        [S3Node("n", "e", S3Location(cluster.endpoint, *keys)) for keys in _buckets(node)]
        for cluster, node in zip(ceph_clusters, nodes, strict=True)
    ]
    with Gateway({"DGIS__NODES": json.dumps(nodes)}) as gateway:
        assert store(gateway, first) == {0}
        gateway.wait_published()
        ceph_clusters[1].kill_gateway()
        try:
            assert store(gateway, later) == {0}
            gateway.wait_published()
            gateway.cli("cache", "evict", "--all")
            want = {one.sop_instance_uid: one.dataset for one in [*first, *later]}
            assert originals(gateway) == want
            deidentified = get_everything(gateway.address, RESEARCH, _PAIRS)
            assert len(deidentified) == len(want)
            assert not {one.sop_instance_uid for one in deidentified} & want.keys()
        finally:
            ceph_clusters[1].start_gateway()
        wait_until(lambda: _alike(gateway, holders), 120, "the cluster that was away has its copies", 0.5)
        ceph_clusters[0].kill_gateway()
        try:
            assert originals(gateway) == want
        finally:
            ceph_clusters[0].start_gateway()


def _alike(gateway, holders):
    """Whether, after a repair, every cluster lists the same objects."""
    gateway.cli("repair", check=False)
    listed = [{stat.name for node in nodes for stat in node.list()} for nodes in holders]
    return len(listed[0]) > 0 and all(names == listed[0] for names in listed)
