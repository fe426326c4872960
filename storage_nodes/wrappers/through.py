from collections.abc import Iterator

from storage_nodes.names import ObjectName
from storage_nodes.node import Body, Capabilities, Node, ObjectStat


class Through:
    """A node that passes every call on to another; a wrapper overrides what it adds to."""

    def __init__(self, inner: Node) -> None:
        self._inner = inner

    @property
    def name(self) -> str:
        """The inner node's."""
        return self._inner.name

    @property
    def site(self) -> str:
        """The inner node's."""
        return self._inner.site

    @property
    def kind(self) -> str:
        """The inner node's."""
        return self._inner.kind

    @property
    def capabilities(self) -> Capabilities:
        """The inner node's."""
        return self._inner.capabilities

    def put(self, name: ObjectName, body: Body, sha256: bytes) -> None:
        """Pass on."""
        self._inner.put(name, body, sha256)

    def get(self, name: ObjectName) -> bytes:
        """Pass on."""
        return self._inner.get(name)

    def get_range(self, name: ObjectName, start: int, length: int) -> bytes:
        """Pass on."""
        return self._inner.get_range(name, start, length)

    def stat(self, name: ObjectName) -> ObjectStat:
        """Pass on."""
        return self._inner.stat(name)

    def list(self, prefix: str = "") -> Iterator[ObjectStat]:
        """Pass on."""
        return self._inner.list(prefix)

    def delete(self, name: ObjectName) -> None:
        """Pass on."""
        self._inner.delete(name)

    def clean_leftovers(self, older_than_seconds: float) -> int:
        """Pass on."""
        return self._inner.clean_leftovers(older_than_seconds)
