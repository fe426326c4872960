from storage_nodes.record.errors import DamagedRecordError
from storage_nodes.record.sources import Source
from storage_nodes.record.values import Buffer, Extent


class Window:
    """Remembers the last stretch that was read, so that neighbours cost one read together.

    Several threads may use it: the stretch is replaced as one value, at worst read twice.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._held: tuple[int, memoryview] = (0, memoryview(b""))

    def read(self, extent: Extent, ahead_to: int = 0) -> Buffer:
        """Read a whole extent, and what follows it up to `ahead_to` where it has to be read anyway.

        Raises:
            DamagedRecordError: the object ends before the extent does.
        """
        start, held = self._held
        offset = extent.start - start
        if offset < 0 or offset + extent.length > len(held):
            length = max(extent.end, min(ahead_to, self._source.size)) - extent.start
            held = memoryview(self._source.read(extent.start, length)) if length else memoryview(b"")
            if len(held) != length:
                raise DamagedRecordError("the record is shorter than it says")
            offset, self._held = 0, (extent.start, held)
        return held[offset : offset + extent.length]
