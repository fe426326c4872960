"""The S3 node on a real Ceph radosgw: the contract over HTTP and TLS, kills, locks, lies, credentials."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from storage_nodes.errors import (
    DigestMismatch,
    NameTaken,
    NodeError,
    NodeRefused,
    NodeUnavailable,
    ObjectLocked,
    ObjectMissing,
)
from storage_nodes.s3 import S3Node
from storage_nodes.s3_client import S3Location
from storage_nodes.s3_upload import PartSizes
from storage_nodes.testing.contract import NodeContract, sha256, some_name
from storage_nodes.wrappers.usual import guarded
from storage_nodes.wrappers.verify import Proof, Verified
from tests.engines.ceph import Account, bucket_node
from tests.engines.relay import relaying
from tests.gateway import PROJECT, Gateway, wait_until
from tests.tools.report import show

pytestmark = [pytest.mark.ceph, pytest.mark.xdist_group("ceph")]

_MIB = 1 << 20
_KILLS = 5
_PARTS = PartSizes(above_bytes=60, part_bytes=5 * _MIB)


@pytest.fixture(scope="module")
def keys(ceph):
    return ceph.account("gateway")


@pytest.fixture(scope="module")
def a_node(ceph, keys):
    """Makes nodes over new buckets, all closed at the end."""
    made = []

    def make(bucket=None, **more):
        made.append(bucket_node(ceph, keys, bucket or f"b{uuid.uuid4().hex[:12]}", **more))
        return made[-1]

    yield make
    for node in made:
        node.close()


@pytest.fixture(scope="module")
def over_http(a_node):
    return a_node(prefix="grid/records", conditional_put=True)


@pytest.fixture(scope="module")
def over_tls(a_node):
    return a_node(tls=True)


@pytest.fixture(scope="module")
def in_parts(a_node):
    return a_node(tls=True, conditional_put=True, prefix="p", sizes=_PARTS)


class TestCephOverHttp(NodeContract):
    @pytest.fixture
    def node(self, over_http):
        return over_http


class TestCephOverTls(NodeContract):
    @pytest.fixture
    def node(self, over_tls):
        return Verified(guarded(over_tls), Proof.READ_BACK)


class TestCephInPartsOverTls(NodeContract):
    @pytest.fixture
    def node(self, in_parts):
        return guarded(in_parts)


@pytest.mark.parametrize("kind", ["over_http", "in_parts"])
def test_of_two_puts_of_different_bytes_at_once_one_wins(kind, request):
    node = request.getfixturevalue(kind)
    bodies = [b"one" * 70_000, b"two" * 70_000]
    start = threading.Barrier(2)

    def attempt(name, body):
        start.wait()
        try:
            node.put(name, body, sha256(body))
        except NameTaken:
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        for name in [some_name() for _ in range(25)]:
            won = list(pool.map(attempt, [name] * 2, bodies))
            assert won.count(True) == 1
            assert node.get(name) == bodies[won.index(True)]


# A process that puts a body of which the fourth part never comes, and says so before it waits.
_CRASHES = """
import os, sys, time
from storage_nodes.body import RemoteBody
from storage_nodes.names import ObjectName
from storage_nodes.s3 import S3Node
from storage_nodes.s3_client import S3Location
from storage_nodes.s3_upload import PartSizes
from tests.engines.test_s3_ceph import a_large_body

class Stuck:
    def get_range(self, name, start, length):
        if start == 15 << 20:
            print("three parts", flush=True)
            time.sleep(600)
        return b"".join(a_large_body())[start : start + length]

endpoint, bucket, access, name, digest = sys.argv[1:]
location = S3Location(endpoint, bucket, access, os.environ["SECRET"], conditional_put=True)
node = S3Node("n", "e", location, PartSizes(above_bytes=60, part_bytes=5 << 20))
node.put(ObjectName(name), RemoteBody(Stuck(), "any", 30 << 20, 5 << 20), bytes.fromhex(digest))
"""


def a_large_body():
    return [bytes([number]) * (5 * _MIB) for number in range(6)]


def test_a_put_that_was_killed_is_taken_up_part_by_part(ceph, keys, a_node):
    node = a_node(conditional_put=True, sizes=_PARTS)
    name, body = some_name(), a_large_body()
    digest = sha256(b"".join(body))
    command = [
        sys.executable,
        "-c",
        _CRASHES,
        ceph.endpoint,
        node._bucket,
        keys.access_key,
        name,
        digest.hex(),
    ]
    environment = {**os.environ, "SECRET": keys.secret_key, "PYTHONPATH": str(PROJECT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout.readline() == b"three parts\n"
        process.send_signal(signal.SIGKILL)
    with pytest.raises(ObjectMissing):
        node.stat(name)
    asked = []
    node._client.meta.events.register("before-call.s3.*", lambda model, **_: asked.append(model.name))
    node.put(name, body, digest)
    assert asked.count("UploadPart") == 3
    assert "CreateMultipartUpload" not in asked
    assert node.get(name) == b"".join(body)
    assert "Uploads" not in node._client.list_multipart_uploads(Bucket=node._bucket)
    assert [stat.name for stat in node.list()] == [name]
    assert [each["Key"] for each in node._client.list_objects_v2(Bucket=node._bucket)["Contents"]] == [name]


def test_stale_uploads_are_aborted_by_age(a_node):
    node = a_node(prefix="p", sizes=_PARTS)
    begun = node._client.create_multipart_upload(Bucket=node._bucket, Key="p/stale")
    node._client.upload_part(
        Bucket=node._bucket, Key="p/stale", UploadId=begun["UploadId"], PartNumber=1, Body=b"x"
    )
    assert node.clean_leftovers(3600) == 0
    assert node.clean_leftovers(-3600) == 1
    assert "Uploads" not in node._client.list_multipart_uploads(Bucket=node._bucket)


def test_the_credentials_of_records_open_no_companion(ceph, keys, a_node):
    records, sealed_keys = a_node(), ceph.account("sealed")
    sealed = bucket_node(ceph, sealed_keys, f"b{uuid.uuid4().hex[:12]}")
    name = some_name()
    sealed.put(name, b"sealed", sha256(b"sealed"))
    location = S3Location(ceph.endpoint, sealed._bucket, keys.access_key, keys.secret_key)
    intruder = S3Node("node-ceph", "east", location)
    asks = (
        lambda: intruder.get(name),
        lambda: intruder.get_range(name, 0, 1),
        lambda: intruder.stat(name),
        lambda: list(intruder.list()),
        lambda: intruder.put(some_name(), b"x", sha256(b"x")),
        lambda: intruder.delete(name),
    )
    for ask in asks:
        with pytest.raises(NodeRefused, match="credentials do not allow"):
            ask()
    assert sealed.get(name) == b"sealed"
    records.put(name, b"record", sha256(b"record"))
    assert records.get(name) == b"record"
    for node in (sealed, intruder):
        node.close()


@pytest.fixture(scope="module")
def locked(ceph, keys):
    bucket = f"b{uuid.uuid4().hex[:12]}"
    node = bucket_node(ceph, keys, bucket, create=False, object_lock_days=1, sizes=_PARTS)
    node._client.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    yield node
    node.close()


@pytest.mark.parametrize("data", [b"small", b"large" * _MIB], ids=["at-once", "in-parts"])
def test_a_locked_object_refuses_its_delete_and_says_until_when(locked, data):
    name = some_name()
    locked.put(name, data, sha256(data))
    for _ in range(2):
        with pytest.raises(ObjectLocked, match="kept by a lock until") as refused:
            locked.delete(name)
        left = refused.value.until_ms / 1000 - time.time()
        assert 0.9 * 86400 < left <= 86400
    assert locked.get(name) == data
    locked.put(name, data, sha256(data))
    with pytest.raises(NameTaken):
        locked.put(name, b"other", sha256(b"other"))


def test_a_lock_that_a_crash_left_out_is_set_by_the_next_put(locked):
    name, data = some_name(), b"put and not locked"
    locked._client.put_object(
        Bucket=locked._bucket, Key=name, Body=data, Metadata={"sha256": sha256(data).hex()}
    )
    locked.put(name, data, sha256(data))
    with pytest.raises(ObjectLocked):
        locked.delete(name)


def test_when_the_lock_has_run_out_nothing_is_left_of_an_object(locked):
    name, until = some_name(), datetime.now(UTC) + timedelta(seconds=4)
    for body in (b"first", b"again"):
        locked._client.put_object(
            Bucket=locked._bucket,
            Key=name,
            Body=body,
            ObjectLockMode="COMPLIANCE",
            ObjectLockRetainUntilDate=until,
        )
    with pytest.raises(ObjectLocked):
        locked.delete(name)

    def deleted():
        try:
            locked.delete(name)
        except ObjectLocked:
            return False
        return True

    wait_until(deleted, 30, "the lock runs out", 0.5)
    listed = locked._client.list_object_versions(Bucket=locked._bucket, Prefix=name)
    assert "Versions" not in listed
    assert "DeleteMarkers" not in listed


def test_a_legal_hold_refuses_without_a_time(locked):
    name = some_name()
    locked._client.put_object(Bucket=locked._bucket, Key=name, Body=b"held", ObjectLockLegalHoldStatus="ON")
    with pytest.raises(ObjectLocked, match="legal hold") as refused:
        locked.delete(name)
    assert refused.value.until_ms is None


def test_a_server_killed_under_load_loses_and_doubles_nothing(ceph, a_node, request):
    node = Verified(guarded(a_node(conditional_put=True)))
    enough = threading.Event()
    told_to_wait = []

    def put(name, body):
        while True:
            try:
                return node.put(name, body, sha256(body))
            except NodeUnavailable:
                told_to_wait.append(name)
                time.sleep(0.05)

    def put_on_and_on(_worker):
        acknowledged = {}
        while not enough.is_set():
            name, body = some_name("load"), os.urandom(200_000)
            put(name, body)
            acknowledged[name] = body
        return acknowledged

    with ThreadPoolExecutor(4) as pool:
        working = [pool.submit(put_on_and_on, worker) for worker in range(4)]
        try:
            for _ in range(_KILLS):
                time.sleep(0.5)
                ceph.kill_gateway()
                time.sleep(0.5)
                ceph.start_gateway()
        finally:
            enough.set()
        acknowledged = {name: body for done in working for name, body in done.result().items()}
    assert len(acknowledged) > _KILLS
    assert {stat.name for stat in node.list()} == set(acknowledged)
    assert [name for name, body in acknowledged.items() if node.get(name) != body] == []
    show(
        request,
        f"radosgw killed {_KILLS} times under load: acknowledged {len(acknowledged)}, lost 0, wrong 0; "
        f"told to wait {len(told_to_wait)} times",
    )


@pytest.mark.parametrize(("which", "words"), [("access", "not known"), ("secret", "secret key")])
def test_wrong_credentials_are_named_in_words(ceph, keys, over_http, which, words):
    access = "nobody" if which == "access" else keys.access_key
    secret = "wrong" if which == "secret" else keys.secret_key
    node = S3Node("n", "e", S3Location(ceph.endpoint, over_http._bucket, access, secret))
    with pytest.raises(NodeRefused, match=words) as refused:
        node.put(some_name(), b"x", sha256(b"x"))
    assert secret not in str(refused.value)
    node.close()


def test_a_wrong_bucket_is_named_in_words(ceph, keys):
    node = S3Node("n", "e", S3Location(ceph.endpoint, "no-such-bucket", keys.access_key, keys.secret_key))
    for ask in (node.stat, node.get, lambda name: node.put(name, b"x", sha256(b"x"))):
        with pytest.raises(NodeRefused, match="no such bucket"):
            ask(some_name())
    node.close()


def test_a_certificate_that_is_not_trusted_is_refused(ceph, keys):
    node = S3Node("n", "e", S3Location(ceph.tls_endpoint, "any", keys.access_key, keys.secret_key))
    with pytest.raises(NodeRefused, match="certificate"):
        node.get(some_name())
    node.close()


@pytest.fixture
def lying(ceph, keys, over_http):
    with relaying(ceph.http_port) as relay:
        location = S3Location(relay.endpoint, over_http._bucket, keys.access_key, keys.secret_key)
        node = S3Node("node-lying", "east", location)
        yield relay, node
        node.close()


def only(method, what):
    return lambda asked, _path: what if asked == method else None


def test_an_answer_that_ends_early_is_no_object(lying):
    relay, node = lying
    name, data = some_name(), bytes(range(256)) * 2000
    node.put(name, data, sha256(data))
    relay.fault = only("GET", "short")
    for ask in (lambda: node.get(name), lambda: node.get_range(name, 10, 10_000)):
        with pytest.raises(NodeError):
            ask()
    relay.fault = only("", None)
    assert node.get(name) == data


def test_a_tag_that_is_made_up_proves_nothing_and_breaks_nothing(lying):
    relay, node = lying
    relay.fault = lambda _method, _path: "tag"
    name, data = some_name(), bytes(range(256)) * 2000
    Verified(node, Proof.READ_BACK).put(name, data, sha256(data))
    assert node.get(name) == data


def test_a_put_that_stored_nothing_is_not_believed(lying):
    relay, node = lying
    relay.fault = only("PUT", "cut")
    name = some_name()
    with pytest.raises(NodeError):
        Verified(node).put(name, b"bytes", sha256(b"bytes"))
    relay.fault = only("", None)
    Verified(node).put(name, b"bytes", sha256(b"bytes"))
    assert node.get(name) == b"bytes"


def test_a_put_whose_answer_is_lost_is_found_done(lying):
    relay, node = lying
    dropped = []

    def once(method, path):
        if method == "PUT" and not dropped:
            dropped.append(path)
            return "drop"
        return None

    relay.fault = once
    name = some_name()
    guarded(node).put(name, b"bytes", sha256(b"bytes"))
    assert dropped
    assert node.get(name) == b"bytes"


def test_a_body_that_changes_on_the_way_is_refused_by_the_server(over_http):
    with pytest.raises(DigestMismatch):
        over_http.put(some_name(), b"bytes", sha256(b"other"))


def entry(ceph, node, keys, sealed, sealed_keys, **more):
    return {
        "kind": "s3",
        "name": node,
        "endpoint": ceph.tls_endpoint,
        "ca_file": str(ceph.ca_file),
        "bucket": more.pop("bucket"),
        "access_key": keys.access_key,
        "secret_key": keys.secret_key,
        "sealed_bucket": sealed,
        "sealed_access_key": sealed_keys.access_key,
        "sealed_secret_key": sealed_keys.secret_key,
        **more,
    }


def doctor(*entries):
    settings = {"DGIS__NODES": json.dumps(entries), "DGIS__PLACEMENT__COPIES": "1"}
    gateway = Gateway({**settings, "DGIS__PLACEMENT__WRITE_QUORUM": "1"})
    try:
        done = gateway.cli("doctor", "--json", check=False)
    finally:
        gateway.discard()
    for one in entries:
        assert one["secret_key"] not in done.stdout + done.stderr
    return {each["what"]: each for each in json.loads(done.stdout) if each["what"].startswith("node ")}


def test_doctor_finds_an_s3_node_well(ceph, keys, over_tls, a_node):
    other = ceph.account("sealed")
    sealed = bucket_node(ceph, other, f"b{uuid.uuid4().hex[:12]}")
    seen = doctor(
        entry(ceph, "s3", keys, sealed._bucket, other, bucket=over_tls._bucket, conditional_put=True)
    )
    assert [each for each in seen.values() if not each["well"]] == []
    assert any("as conditional_put says" in what for what in seen)
    assert any("do not open the sealed companions" in what for what in seen)
    assert any("clock" in what for what in seen)
    assert "Contents" not in sealed._client.list_objects_v2(Bucket=sealed._bucket)
    sealed.close()


def test_doctor_says_what_is_wrong_with_an_s3_node(ceph, keys, locked, a_node):
    wrong = Account(keys.access_key, "wrong-secret")
    seen = doctor(
        entry(ceph, "lock", keys, locked._bucket, keys, bucket=locked._bucket, conditional_put=True),
        entry(ceph, "keys", wrong, "nowhere", wrong, bucket=locked._bucket),
        entry(ceph, "gone", keys, "nowhere", keys, bucket="nowhere", object_lock_days=1),
        entry(ceph, "free", keys, a_node()._bucket, keys, bucket=a_node()._bucket, object_lock_days=1),
    )
    trouble = " ".join(f"{each['what']}: {each['advice']}" for each in seen.values() if not each["well"])
    assert (
        "lock: a put is refused where an object lies, as conditional_put says: the server ignores" in trouble
    )
    assert f"keys: bucket {locked._bucket} answers and takes the credentials: the secret key" in trouble
    assert "gone: bucket nowhere answers and takes the credentials: there is no such bucket" in trouble
    assert "free: the bucket locks objects, for 1 days as object_lock_days says" in trouble


def test_doctor_tells_when_the_keys_of_records_open_companions(ceph, keys, a_node):
    friend = ceph.account("friend")
    sealed = a_node()
    sealed._client.put_bucket_policy(
        Bucket=sealed._bucket,
        Policy=json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Effect": "Allow",
                        "Principal": {"AWS": [f"arn:aws:iam:::user/{friend.access_key}"]},
                        "Action": "s3:*",
                        "Resource": [f"arn:aws:s3:::{sealed._bucket}", f"arn:aws:s3:::{sealed._bucket}/*"],
                    }
                ],
            }
        ),
    )
    records = bucket_node(ceph, friend, f"b{uuid.uuid4().hex[:12]}")
    seen = doctor(entry(ceph, "open", friend, sealed._bucket, keys, bucket=records._bucket))
    crossed = seen["node open: the credentials of records do not open the sealed companions"]
    assert not crossed["well"]
    assert "policy" in crossed["advice"]
    records.close()
