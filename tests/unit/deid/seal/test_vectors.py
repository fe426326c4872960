"""Companions written by earlier versions are read for ever. These files are never made anew."""

import json
from hashlib import sha256
from pathlib import Path

from deid.keys.values import PatientKey
from deid.restore import restore
from deid.seal.reader import open_companion, read_names
from deid.seal.values import SealNames
from tests.unit.deid.seal.build import BodySource

VECTORS = Path(__file__).resolve().parents[3] / "vectors"
V1_SHA256 = "7c47978971a982bd4edc675581ac9c611e409d6e40b6de3fa4208f2096201e6a"


def test_version_1_is_read_for_ever():
    body = (VECTORS / "seal-v1" / "companion.bin").read_bytes()
    assert sha256(body).hexdigest() == V1_SHA256
    told = json.loads((VECTORS / "seal-v1" / "companion.json").read_text())
    key = PatientKey(told["patient_key"]["name"], bytes.fromhex(told["patient_key"]["secret"]))
    names = SealNames(told["site"], key.name, told["part"])
    source = BodySource((body,))
    assert read_names(source) == names
    reader = open_companion(source, key, names)
    reader.verify()
    assert reader.rows().hex() == told["rows"]
    assert len(reader) == len(told["instances"])
    for index, instance in enumerate(told["instances"]):
        sealed = reader.instance(index)
        published = [bytes.fromhex(payload) for payload in instance["published"]]
        restored = b"".join(restore(sealed, published.__getitem__))
        assert restored == original(instance), instance["note"]
        assert sealed.transfer_syntax == instance["transfer_syntax"]
        assert sealed.whole == (not published)


def original(instance: dict) -> bytes:
    if "original" in instance:
        return bytes.fromhex(instance["original"])
    repeated = instance["original_repeated"]
    return bytes.fromhex(repeated["hex"]) * repeated["times"]
