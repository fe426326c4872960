"""Files and multipart bodies as STOW-RS clients send them."""

from collections.abc import Iterable, Iterator

from dgis.demo.phantoms import Instance
from storage_nodes.record.part10 import file_head

BOUNDARY = "stow-0f3cf5c0"
RELATED = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'
_PART = b"--" + BOUNDARY.encode() + b"\r\nContent-Type: application/dicom\r\n\r\n"
_END = b"--" + BOUNDARY.encode() + b"--\r\n"


def file_of(instance: Instance) -> bytes:
    """Return an instance as a file (PS3.10 7.1)."""
    head = file_head(instance.sop_class_uid, instance.sop_instance_uid, instance.transfer_syntax)
    return head + instance.dataset


def pieces(files: Iterable[bytes]) -> Iterator[bytes]:
    """Yield a multipart body piece by piece, of files that need not be there at once."""
    for file in files:
        yield _PART
        yield file
        yield b"\r\n"
    yield _END


def body(*files: bytes) -> bytes:
    """Return a whole multipart body."""
    return b"".join(pieces(files))


def uids(said: dict, sequence: str, attribute: str = "00081155") -> list:
    """Return one attribute of each item of a sequence in a response."""
    items = said.get(sequence, {}).get("Value", [])
    return [item[attribute]["Value"][0] for item in items]


KEPT, FAILED, OTHER = "00081199", "00081198", "0008119A"
"""ReferencedSOPSequence, FailedSOPSequence, OtherFailuresSequence."""
REASON, RETRIEVE_URL = "00081197", "00081190"
