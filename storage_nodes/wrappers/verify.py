import hashlib
from enum import Enum, auto

from storage_nodes.body import RemoteBody, size_of
from storage_nodes.errors import DigestMismatch
from storage_nodes.names import ObjectName
from storage_nodes.node import Body, Node
from storage_nodes.wrappers.through import Through


class Proof(Enum):
    """How a put is confirmed once the node said that it was done.

    STATED: the node says size and, where it keeps one, digest of what it holds. Finds a node that lost the
        object or cut it; the bytes themselves rest on what the node compared on the way in (a server the
        Content-MD5, a folder what it read back).
    READ_BACK: every byte is fetched again and hashed. Finds a node that lies, at the cost of a read; bytes
        may still come from the node's memory and not its medium, which only a later scrub reaches.
    """

    STATED = auto()
    READ_BACK = auto()


class Verified(Through):
    """A node whose puts return only after the copy was confirmed."""

    def __init__(self, inner: Node, proof: Proof = Proof.STATED) -> None:
        super().__init__(inner)
        self._proof = proof

    def put(self, name: ObjectName, body: Body, sha256: bytes) -> None:
        """Put and confirm.

        Raises:
            DigestMismatch: what the node holds is not what was put. It stays there: the caller knows of a
                copy that is not one, and removes or replaces it.
        """
        self._inner.put(name, body, sha256)
        stated = self._inner.stat(name)
        if stated.size != size_of(body) or stated.sha256 not in {None, sha256}:
            raise DigestMismatch(self.name, "the node states another size or digest than was put")
        if self._proof is Proof.READ_BACK and digest_of(self._inner, name, stated.size) != sha256:
            raise DigestMismatch(self.name, "the node gives back other bytes than were put")


def get_verified(node: Node, name: ObjectName, sha256: bytes) -> bytes:
    """Return the whole object, never with another digest than the one given.

    Raises:
        DigestMismatch: the bytes are others; they are not returned.
        NodeError: as `Node.get`.
    """
    data = node.get(name)
    if hashlib.sha256(data).digest() != sha256:
        raise DigestMismatch(node.name, "the copy's bytes are not the ones that were put")
    return data


def digest_of(node: Node, name: ObjectName, size: int) -> bytes:
    """Return the SHA-256 of the first `size` bytes of an object, read piece by piece.

    Raises:
        NodeError: as `Node.get_range`.
    """
    digest = hashlib.sha256()
    for piece in RemoteBody(node, name, size):
        digest.update(piece)
    return digest.digest()
