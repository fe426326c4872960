"""The contract on S3, on a real server: rclone checks keys and Content-MD5 and ignores If-None-Match."""

import pytest

from storage_nodes.errors import DigestMismatch, NodeRefused, NodeUnavailable
from storage_nodes.s3 import S3Node
from storage_nodes.s3_client import S3Location
from storage_nodes.s3_errors import s3_errors
from storage_nodes.s3_upload import PartSizes
from storage_nodes.testing.contract import NodeContract, sha256, some_name
from storage_nodes.wrappers.usual import guarded
from storage_nodes.wrappers.verify import Proof, Verified
from tests.engines.rclone import serving

_ACCESS, _SECRET = "an-access-key", "a-secret-key-of-some-length"
_MIB = 1 << 20


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rclone")
    for bucket in ("grid", "parts"):
        (folder / bucket).mkdir()
    with serving(folder, _ACCESS, _SECRET) as url:
        yield url


def a_node(endpoint, bucket="grid", access=_ACCESS, secret=_SECRET, sizes=PartSizes()):  # noqa: B008 (frozen)
    return S3Node("node-s3", "east", S3Location(endpoint, bucket, access, secret, prefix="p"), sizes)


@pytest.fixture(scope="module")
def whole(endpoint):
    node = a_node(endpoint)
    yield node
    node.close()


@pytest.fixture(scope="module")
def in_parts(endpoint):
    node = a_node(endpoint, "parts", sizes=PartSizes(above_bytes=60, part_bytes=5 * _MIB))
    yield node
    node.close()


# Guarded, as a gateway holds a node: rclone may answer with status 500 while another put replaces the object.
class TestRclone(NodeContract):
    @pytest.fixture
    def node(self, whole):
        return guarded(whole)


class TestRcloneReadBack(NodeContract):
    @pytest.fixture
    def node(self, whole):
        return Verified(guarded(whole), Proof.READ_BACK)


class TestRcloneInParts(NodeContract):
    @pytest.fixture
    def node(self, in_parts):
        return guarded(in_parts)


def test_a_large_object_in_several_parts(in_parts):
    name, data = some_name(), bytes(range(256)) * (4096 * 12)
    Verified(in_parts, Proof.READ_BACK).put(name, [data[: 7 * _MIB], data[7 * _MIB :]], sha256(data))
    assert in_parts.get(name) == data
    assert in_parts.get_range(name, 5 * _MIB - 1, 2) == data[5 * _MIB - 1 :][:2]


def test_the_server_compares_what_arrives_with_content_md5(whole):
    with pytest.raises(DigestMismatch), s3_errors("node-s3"):
        whole._client.put_object(
            Bucket="grid", Key="p/damaged", Body=b"damaged on the way", ContentMD5="X03MO1qnZdYdgyfeuILPmQ=="
        )
    assert [stat.name for stat in whole.list("damaged")] == []


def test_forgotten_uploads_are_removed_by_age(whole):
    whole._client.create_multipart_upload(Bucket="grid", Key="p/forgotten")
    assert whole.clean_leftovers(3600) == 0
    assert whole.clean_leftovers(-3600) == 1
    assert whole.clean_leftovers(-3600) == 0


@pytest.mark.parametrize(("access", "secret"), [(_ACCESS, "wrong"), ("nobody", _SECRET)])
def test_wrong_credentials_are_refused_without_being_told(endpoint, access, secret):
    node = a_node(endpoint, access=access, secret=secret)
    for ask in (node.get, node.stat):
        with pytest.raises(NodeRefused) as caught:
            ask(some_name())
        assert secret not in str(caught.value)
    node.close()


def test_a_bucket_that_is_not_there_is_not_a_missing_object(endpoint):
    node = a_node(endpoint, "nowhere")
    for ask in (node.get, node.stat):
        with pytest.raises(NodeRefused, match="no such bucket"):
            ask(some_name())
    node.close()


def test_a_server_that_is_gone_is_unavailable(tmp_path):
    (tmp_path / "data" / "grid").mkdir(parents=True)
    with serving(tmp_path / "data", _ACCESS, _SECRET) as url:
        node = a_node(url)
        name = some_name()
        node.put(name, b"kept", sha256(b"kept"))
    with pytest.raises(NodeUnavailable):
        node.get(name)
    node.close()
