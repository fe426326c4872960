import pytest

from storage_nodes.names import InvalidNameError, ObjectName, RecordKey


@pytest.mark.parametrize(
    "name", ["a", "records/ab/key.0.zip", "a" * 200, "/".join(["ab"] * 100), "a..b", "-x"]
)
def test_object_name_is_a_plain_string_once_it_is_accepted(name):
    assert ObjectName(name) == name
    assert isinstance(ObjectName(name), str)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/a",
        "a/",
        "a//b",
        ".",
        "..",
        "a/../b",
        ".hidden",
        "a/.tmp",
        "A",
        "é",
        "a b",
        "a\\b",
        "a\n",
        "a\x00",
        "a" * 201,
        "/".join(["abc"] * 129),
        "a/" * 300 + "b",
    ],
)
def test_object_name_refuses_what_a_path_or_key_could_misread(name):
    with pytest.raises(InvalidNameError) as refused:
        ObjectName(name)
    assert not name or len(name) < 3 or name not in str(refused.value)


@pytest.mark.parametrize("key", ["a", "2.25.1", "ab-cd.0", "a" * 128])
def test_record_key_accepts(key):
    assert RecordKey(key) == key


@pytest.mark.parametrize("key", ["", "a" * 129, "a/b", "A", ".a", "a_b", "a\n"])
def test_record_key_refuses(key):
    with pytest.raises(InvalidNameError):
        RecordKey(key)
