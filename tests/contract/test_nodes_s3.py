"""The contract on S3, on moto: a mock with conditional puts that checks neither keys nor Content-MD5."""

import threading

import pytest
from moto.s3.exceptions import NoSuchUpload
from moto.s3.models import S3Backend
from moto.server import ThreadedMotoServer

from storage_nodes.s3 import S3Node
from storage_nodes.s3_client import S3Location
from storage_nodes.s3_upload import PartSizes
from storage_nodes.testing.contract import NodeContract

_MIB = 1 << 20


@pytest.fixture(scope="module")
def endpoint():
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(S3Backend, "upload_part", _upload_part)
        yield f"http://{host}:{port}"
    server.stop()


def _upload_part(backend, bucket_name, multipart_id, *part, own=S3Backend.upload_part):
    """As a server says it whose upload another completed meanwhile; the mock's own answer is a 500."""
    if multipart_id not in backend.get_bucket(bucket_name).multiparts:
        raise NoSuchUpload(multipart_id)
    return own(backend, bucket_name, multipart_id, *part)


def a_node(endpoint, bucket, prefix="", *, conditional_put=False, sizes=PartSizes()):  # noqa: B008 (frozen)
    location = S3Location(
        endpoint, bucket, "access", "secret", prefix=prefix, conditional_put=conditional_put
    )
    node = S3Node("node-s3", "east", location, sizes)
    node._client.create_bucket(Bucket=bucket)
    _one_request_at_a_time(node)
    return node


def _one_request_at_a_time(node):
    """The mock's threads share what they change: two puts of one key may end in a 500, or in both winning."""
    session, lock = node._client._endpoint.http_session, threading.Lock()
    send = session.send

    def alone(request):
        with lock:
            return send(request)

    session.send = alone


@pytest.fixture(scope="module")
def plain(endpoint):
    node = a_node(endpoint, "plain")
    yield node
    node.close()


@pytest.fixture(scope="module")
def conditional(endpoint):
    node = a_node(endpoint, "conditional", "grid/records", conditional_put=True)
    yield node
    node.close()


@pytest.fixture(scope="module")
def in_parts(endpoint):
    sizes = PartSizes(above_bytes=60, part_bytes=5 * _MIB)
    node = a_node(endpoint, "parts", "p", conditional_put=True, sizes=sizes)
    yield node
    node.close()


class TestS3(NodeContract):
    @pytest.fixture
    def node(self, plain):
        return plain


class TestS3Conditional(NodeContract):
    @pytest.fixture
    def node(self, conditional):
        return conditional


class TestS3InParts(NodeContract):
    @pytest.fixture
    def node(self, in_parts):
        return in_parts
