"""Opening an object of which nothing is known but its name: the first copy that opens says what it is."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from deid.seal.header import MAX_HEADER_BYTES, parse_header
from deid.seal.values import SealRefused
from dgis.rebuild.listing import Copy, Found
from replica.fleet import Fleet
from storage_nodes.addresses import Address, Kind
from storage_nodes.errors import NodeError, ObjectDamaged, ObjectMissing
from storage_nodes.node import Node
from storage_nodes.record.errors import DamagedRecordError, RecordError
from storage_nodes.record.manifest import JSON
from storage_nodes.record.reader import RecordReader
from storage_nodes.record.sources import RangeSource
from storage_nodes.record.values import RecordLayout
from storage_nodes.wrappers.verify import digest_of

_OTHER_SIZE = "has another length than a copy that opens"
_OTHER_BYTES = "has other bytes than its name says"


@dataclass(frozen=True, slots=True)
class Opened:
    """What an object is: its size in bytes, how a reader opens it, what it says of itself.

    `bad` names the nodes whose copies are not it, with the trouble in words.
    """

    size: int
    layout: RecordLayout | None = None
    about: Mapping[str, JSON] = field(default_factory=dict)
    bad: Mapping[str, str] = field(default_factory=dict)
    verified: bool = False


def open_found(fleet: Fleet, found: Found, address: Address, *, verify: bool) -> Opened | None:
    """Open the first copy that can be opened; None where none can."""
    bad: dict[str, str] = {}
    if verify:
        bad |= _hashed(fleet, found, address)
    for copy in found.copies:
        node = fleet.node(address.kind, copy.node)
        if node is None or copy.node in bad:
            continue
        try:
            with fleet.watched(address.kind, copy.node):
                opened = _OPENERS[address.kind](node, copy, address)
        except (RecordError, SealRefused) as error:
            bad[copy.node] = str(error)
        except (ObjectMissing, ObjectDamaged) as error:
            bad[copy.node] = error.trouble
        except NodeError:
            continue
        else:
            others = (each for each in found.copies if each.size != opened.size)
            bad |= {each.node: _OTHER_SIZE for each in others}
            return Opened(opened.size, opened.layout, opened.about, bad, verify)
    return None


def _hashed(fleet: Fleet, found: Found, address: Address) -> dict[str, str]:
    bad: dict[str, str] = {}
    for copy in found.copies:
        node = fleet.node(address.kind, copy.node)
        if node is None:
            continue
        try:
            with fleet.watched(address.kind, copy.node):
                if digest_of(node, copy.name, copy.size) != address.sha256:
                    bad[copy.node] = _OTHER_BYTES
        except NodeError as error:
            bad[copy.node] = error.trouble
    return bad


def _record(node: Node, copy: Copy, address: Address) -> Opened:
    reader = RecordReader(
        RangeSource(copy.size, lambda start, length: node.get_range(copy.name, start, length))
    )
    if reader.manifest.key != address.key:
        raise DamagedRecordError("it is another record than its name says")
    return Opened(copy.size, reader.layout, reader.manifest.about)


def _sealed(node: Node, copy: Copy, address: Address) -> Opened:
    header, _encoded = parse_header(node.get_range(copy.name, 0, max(1, min(copy.size, MAX_HEADER_BYTES))))
    if header.names.part != address.key or header.object_bytes != copy.size:
        raise DamagedRecordError("it is another companion, or another length of one, than it says")
    return Opened(copy.size)


_OPENERS = {Kind.RECORD: _record, Kind.SEALED: _sealed}
