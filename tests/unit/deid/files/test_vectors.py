"""Sealed folders of earlier versions give their originals back for ever. These files are never made anew."""

from hashlib import sha256
from pathlib import Path

from tests.unit.deid.files.site import Ward, contents

VECTOR = Path(__file__).resolve().parents[3] / "vectors" / "sealed-folder-v1"
V1_SHA256 = "926441fa73e5aac1a7c318ea21c077a24e8f326d4ede95bc3f6fe5ff4005a924"


def test_version_1_is_restored_for_ever(tmp_path):
    digest = sha256()
    for path, raw in sorted(contents(VECTOR).items()):
        digest.update(path.encode() + raw)
    assert digest.hexdigest() == V1_SHA256
    ward = Ward(tmp_path)
    told = ward.restore(sealed=VECTOR / "sealed", published=VECTOR / "published")
    assert told.failed == {}
    assert contents(ward.back) == contents(VECTOR / "originals")
