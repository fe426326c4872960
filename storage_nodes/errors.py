class NodeError(Exception):
    """What goes wrong with a node; the class says whose fault it is and what helps.

    The text names the node and the trouble in words, never a path, a credential or an object.

    Attributes:
        node: name of the node, as configured.
        trouble: the words alone, for a row or a status line that names the node anyway.
    """

    def __init__(self, node: str, trouble: str) -> None:
        super().__init__(f"{node}: {trouble}")
        self.node = node
        self.trouble = trouble


class ObjectMissing(NodeError):  # noqa: N818 (a name the joint API fixes)
    """The node works and holds no object of that name: another copy must be read, this one made anew."""


class ObjectDamaged(NodeError):  # noqa: N818 (as above)
    """The object is there and is not whole: shorter than it should be, or its medium fails under it."""


class DigestMismatch(ObjectDamaged):
    """The bytes are not the ones the digest speaks of."""


class NodeUnavailable(NodeError):  # noqa: N818 (as above)
    """The node does not answer, or answers that it cannot just now: later, or another node."""


class NodeRefused(NodeError):  # noqa: N818 (as above)
    """The node answers and says no (credentials, permissions, no such bucket): an operator must act."""


class NodeFull(NodeError):  # noqa: N818 (as above)
    """The node takes no more bytes (full, over quota, read-only); what it holds can still be read."""


class NameTaken(NodeError):  # noqa: N818 (as above)
    """Other bytes lie under that name: names carry a content hash, so what lies there is damaged."""


class ObjectLocked(NodeError):  # noqa: N818 (as above)
    """The node keeps the object against a delete, as it was told to when the object was put.

    Attributes:
        until_ms: epoch milliseconds; no delete succeeds before. None: until somebody lifts a legal hold.
    """

    def __init__(self, node: str, trouble: str, until_ms: int | None) -> None:
        super().__init__(node, trouble)
        self.until_ms = until_ms
