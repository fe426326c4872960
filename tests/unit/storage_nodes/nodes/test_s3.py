import base64
import hashlib
import io
import socket

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError, SSLError
from botocore.response import StreamingBody
from hypothesis import given
from hypothesis import strategies as st
from moto.server import ThreadedMotoServer

from storage_nodes.errors import (
    DigestMismatch,
    NameTaken,
    NodeFull,
    NodeRefused,
    NodeUnavailable,
    ObjectDamaged,
    ObjectMissing,
)
from storage_nodes.names import ObjectName
from storage_nodes.s3 import S3Node
from storage_nodes.s3_body import BodyReader, cut
from storage_nodes.s3_claim import claimed
from storage_nodes.s3_client import S3Location
from storage_nodes.s3_errors import from_client_error, s3_errors
from storage_nodes.s3_upload import PartSizes, Target
from storage_nodes.testing.contract import sha256, some_name

_MIB = 1 << 20
NAME = ObjectName("record/object")


@pytest.fixture(scope="module")
def endpoint():
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def node(endpoint):
    location = S3Location(endpoint, "grid", "access", "secret", prefix="p")
    node = S3Node("node-s3", "east", location, PartSizes(above_bytes=6 * _MIB, part_bytes=5 * _MIB))
    node._client.create_bucket(Bucket="grid")
    yield node
    node.close()


@pytest.fixture
def requests(node):
    """Names of the operations that the node asked for, in order, with their arguments."""
    seen = []
    node._client.meta.events.register(
        "before-parameter-build.s3.*", lambda params, model, **_: seen.append((model.name, dict(params)))
    )
    return seen


def test_the_environment_has_no_say(endpoint, monkeypatch, tmp_path):
    (tmp_path / "config").write_text("[default]\nregion = mars-1\n[profile x]\nregion = moon-1\n")
    for name, value in {
        "AWS_PROFILE": "no-such-profile",
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_ACCESS_KEY_ID": "stolen",
        "AWS_SECRET_ACCESS_KEY": "stolen",
        "AWS_SESSION_TOKEN": "stolen",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_CA_BUNDLE": "/no/such/file",
        "AWS_MAX_ATTEMPTS": "9",
        "AWS_USE_FIPS_ENDPOINT": "true",
        "AWS_REQUEST_CHECKSUM_CALCULATION": "when_supported",
        "HTTP_PROXY": "http://127.0.0.1:9",
        "http_proxy": "http://127.0.0.1:9",
    }.items():
        monkeypatch.setenv(name, value)
    node = S3Node("n", "east", S3Location(endpoint, "own", "access", "secret"))
    sent = []
    node._client.meta.events.register("before-send.s3.*", lambda request, **_: sent.append(request))
    node._client.create_bucket(Bucket="own")
    node.put(NAME, b"bytes", sha256(b"bytes"))
    assert node.get(NAME) == b"bytes"
    assert all(b"Credential=access/" in request.headers["Authorization"] for request in sent)
    assert not any("x-amz-security-token" in {key.lower() for key in request.headers} for request in sent)
    node.close()


def test_a_secret_is_not_shown():
    assert "hush" not in repr(S3Location("http://x", "b", "access", "hush"))


def test_a_put_says_what_it_puts(node, requests):
    name = some_name()
    node.put(name, [b"by", b"tes"], sha256(b"bytes"))
    (operation, arguments) = requests[-1]
    assert operation == "PutObject"
    assert arguments["ContentMD5"] == base64.b64encode(hashlib.md5(b"bytes").digest()).decode()
    assert arguments["Metadata"] == {"sha256": sha256(b"bytes").hex()}
    assert "ChecksumAlgorithm" not in arguments
    assert "IfNoneMatch" not in arguments
    assert node.stat(name).sha256 == sha256(b"bytes")


def test_a_large_object_goes_in_parts_each_with_its_digest(node, requests):
    name, data = some_name(), bytes(11 * _MIB)
    node.put(name, data, sha256(data))
    operations = [operation for operation, _ in requests]
    assert operations.count("UploadPart") == 3
    assert all("ContentMD5" in arguments for operation, arguments in requests if operation == "UploadPart")
    assert node.stat(name).sha256 == sha256(data)


@pytest.mark.parametrize(("at", "left"), [("UploadPart", 2), ("CompleteMultipartUpload", 0)])
def test_an_upload_without_an_answer_is_taken_up_by_the_next_put(node, requests, at, left):
    asked = []

    def refuse(**_):
        asked.append(at)
        if len(asked) == (2 if at == "UploadPart" else 1):
            raise ConnectionClosedError(endpoint_url="http://x")

    node._client.meta.events.register(f"before-call.s3.{at}", refuse)
    name, data = some_name(), bytes(5 * _MIB) + bytes(range(256)) * (4096 * 5) + b"end"
    with pytest.raises(NodeUnavailable):
        node.put(name, data, sha256(data))
    with pytest.raises(ObjectMissing):
        node.stat(name)
    node._client.meta.events.unregister(f"before-call.s3.{at}", refuse)
    del requests[:]
    node.put(name, data, sha256(data))
    operations = [operation for operation, _ in requests]
    assert operations.count("CreateMultipartUpload") == 0
    assert operations.count("UploadPart") == left
    assert node.get(name) == data
    assert "Uploads" not in node._client.list_multipart_uploads(Bucket="grid", Prefix=f"p/{name}")


def test_parts_that_are_not_what_the_server_says_do_not_count(node):
    name, data = some_name(), bytes(11 * _MIB)
    key = f"p/{name}"
    begun = node._client.create_multipart_upload(
        Bucket="grid", Key=key, Metadata={"sha256": sha256(data).hex()}
    )
    node._client.upload_part(
        Bucket="grid", Key=key, UploadId=begun["UploadId"], PartNumber=1, Body=b"x" * (5 * _MIB)
    )

    def lie(parsed, **_):
        parsed["Parts"][0]["ETag"] = hashlib.md5(bytes(5 * _MIB)).hexdigest()

    def agree(params, **_):  # the server takes its own tag only
        params["MultipartUpload"]["Parts"][0]["ETag"] = hashlib.md5(b"x" * (5 * _MIB)).hexdigest()

    node._client.meta.events.register("after-call.s3.ListParts", lie)
    node._client.meta.events.register("before-parameter-build.s3.CompleteMultipartUpload", agree)
    with pytest.raises(DigestMismatch):
        node.put(name, data, sha256(data))
    with pytest.raises(ObjectMissing):
        node.stat(name)
    node._client.meta.events.unregister("before-parameter-build.s3.CompleteMultipartUpload", agree)
    node.put(name, data, sha256(data))
    assert node.get(name) == data


def test_an_upload_that_the_server_refuses_is_aborted(node):
    def refuse(**_):
        raise ClientError({"Error": {"Code": "AccessDenied"}}, "UploadPart")

    node._client.meta.events.register("before-call.s3.UploadPart", refuse)
    name, data = some_name(), bytes(7 * _MIB)
    with pytest.raises(NodeRefused):
        node.put(name, data, sha256(data))
    assert "Uploads" not in node._client.list_multipart_uploads(Bucket="grid", Prefix=f"p/{name}")


def test_claims_are_hidden_shared_by_equal_bytes_and_cleaned_by_age(endpoint):
    location = S3Location(endpoint, "claims", "access", "secret", prefix="p", conditional_put=True)
    node = S3Node("node-s3", "east", location, PartSizes(above_bytes=1, part_bytes=5 * _MIB))
    node._client.create_bucket(Bucket="claims")
    name, data = some_name(), b"to be put in parts"
    node._client.put_object(Bucket="claims", Key=f"p/.claims/{name}", Body=sha256(b"other").hex().encode())
    with pytest.raises(NameTaken, match="being put"):
        node.put(name, data, sha256(data))
    assert list(node.list()) == []
    assert node.clean_leftovers(3600) == 0
    assert node.clean_leftovers(-3600) == 1
    node._client.put_object(Bucket="claims", Key=f"p/.claims/{name}", Body=sha256(data).hex().encode())
    node.put(name, data, sha256(data))
    assert node.get(name) == data
    assert [each["Key"] for each in node._client.list_objects_v2(Bucket="claims")["Contents"]] == [
        f"p/{name}"
    ]
    node.close()


def test_an_upload_of_other_bytes_than_announced_is_aborted(node):
    name, data = some_name(), bytes(7 * _MIB)
    with pytest.raises(DigestMismatch):
        node.put(name, data, sha256(b""))
    assert "Uploads" not in node._client.list_multipart_uploads(Bucket="grid", Prefix=f"p/{name}")


def test_forgotten_uploads_are_leftovers(node):
    node._client.create_multipart_upload(Bucket="grid", Key="p/forgotten")
    node._client.create_multipart_upload(Bucket="grid", Key="of-somebody-else")
    assert node.clean_leftovers(3600) == 1  # the mock says of every upload that it was begun in 2010
    assert node.clean_leftovers(3600) == 0
    assert len(node._client.list_multipart_uploads(Bucket="grid")["Uploads"]) == 1


def test_equal_bytes_that_lost_their_metadata_are_still_equal(node):
    name = some_name()
    node._client.put_object(Bucket="grid", Key=f"p/{name}", Body=b"bytes")
    assert node.stat(name).sha256 is None
    node.put(name, b"bytes", sha256(b"bytes"))
    with pytest.raises(NameTaken):
        node.put(name, b"other", sha256(b"other"))


def test_keys_of_others_in_the_bucket_are_not_listed(node):
    for key in ("elsewhere/x", "p/Not An Object", "p/.hidden", "px/y"):
        node._client.put_object(Bucket="grid", Key=key, Body=b"x")
    listed = [stat.name for stat in node.list()]
    assert not {"x", "y", "elsewhere/x"} & set(listed)
    assert not any(name.startswith(".") or " " in name for name in listed)


def test_a_bucket_that_is_not_there_is_the_operators_business(endpoint):
    node = S3Node("n", "east", S3Location(endpoint, "nowhere", "access", "secret"))
    for ask in (node.get, node.stat, lambda name: node.put(name, b"", sha256(b""))):
        with pytest.raises(NodeRefused, match="no such bucket"):
            ask(NAME)
    with pytest.raises(NodeRefused):
        list(node.list())
    node.close()


def test_a_server_that_is_not_there_is_unavailable():
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{reserved.getsockname()[1]}"
        node = S3Node("n", "east", S3Location(url, "grid", "access", "secret"))
        with pytest.raises(NodeUnavailable, match="cannot be reached"):
            node.get(NAME)
        node.close()


def test_an_answer_that_breaks_off_is_no_object(node):
    name = some_name()
    node.put(name, b"0123456789", sha256(b"0123456789"))

    def cut_off(parsed, **_):
        parsed["Body"] = StreamingBody(io.BytesIO(b"01234"), parsed["ContentLength"])

    node._client.meta.events.register("after-call.s3.GetObject", cut_off)
    with pytest.raises(NodeUnavailable):
        node.get(name)
    with pytest.raises(NodeUnavailable):
        node.get_range(name, 0, 8)


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("NoSuchKey", 404, ObjectMissing),
        ("404", 404, ObjectMissing),
        ("InvalidRange", 416, ObjectDamaged),
        ("BadDigest", 400, DigestMismatch),
        ("QuotaExceeded", 403, NodeFull),
        ("Whatever", 507, NodeFull),
        ("AccessDenied", 403, NodeRefused),
        ("SomethingNew", 403, NodeRefused),
        ("SlowDown", 503, NodeUnavailable),
        ("InternalError", 500, NodeUnavailable),
        ("RequestTimeout", 400, NodeUnavailable),
        ("", 0, NodeUnavailable),
    ],
)
def test_what_an_answer_means(code, status, kind):
    answer = {
        "Error": {"Code": code, "Message": "a text of the server's"},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    error = from_client_error("node", ClientError(answer, "PutObject"))
    assert type(error) is kind
    assert "text of the server" not in str(error)


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (SSLError(endpoint_url="https://x", error="certificate"), NodeRefused),
        (ReadTimeoutError(endpoint_url="https://x"), NodeUnavailable),
        (ConnectionResetError(), NodeUnavailable),
    ],
)
def test_what_a_broken_connection_means(raised, kind):
    with pytest.raises(kind), s3_errors("node"):
        raise raised


buffers = st.lists(st.binary(max_size=40), max_size=12)


@given(buffers, st.lists(st.tuples(st.integers(0, 500), st.integers(0, 60)), max_size=8))
def test_a_body_reads_like_a_file(parts, moves):
    reader, file = io.BufferedReader(BodyReader(parts)), io.BytesIO(b"".join(parts))
    for position, length in moves:
        assert reader.seek(position) == file.seek(position)
        assert reader.read(length) == file.read(length)
    assert reader.seek(0, io.SEEK_END) == file.seek(0, io.SEEK_END)


@given(buffers, st.integers(1, 50))
def test_parts_are_of_equal_length_and_lose_nothing(parts, part_bytes):
    found = [b"".join(part) for part in cut(parts, part_bytes)]
    assert b"".join(found) == b"".join(parts)
    assert all(len(part) == part_bytes for part in found[:-1])
    assert all(0 < len(part) <= part_bytes for part in found)


class _Coming:
    """A server on which the claim of another is there when we put, and gone when we look."""

    def __init__(self, times: int) -> None:
        self.left, self.puts = times, 0

    def put_object(self, **_asked: object) -> None:
        self.puts += 1
        if self.left:
            self.left -= 1
            raise ClientError({"Error": {"Code": "PreconditionFailed"}}, "PutObject")

    def get_object(self, **_asked: object) -> None:
        raise ClientError({"Error": {"Code": "NoSuchKey"}}, "GetObject")

    def delete_object(self, **_asked: object) -> None: ...


def test_a_claim_that_goes_between_two_looks_is_asked_for_again():
    coming = _Coming(times=3)
    with claimed(Target(coming, "node-s3", "bucket", "key", sha256(b"ours"), {}, {}), "claim"):
        assert coming.puts == 4


def test_a_claim_that_comes_and_goes_for_ever_is_given_up():
    with (
        pytest.raises(NodeUnavailable, match="end all the time"),
        claimed(Target(_Coming(10**9), "node-s3", "bucket", "key", sha256(b"ours"), {}, {}), "claim"),
    ):
        pass
