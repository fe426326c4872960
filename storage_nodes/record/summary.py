"""What a record holds and what packing saved, by codec."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from storage_nodes.record.codecs.choose import RPCL, SERVABLE
from storage_nodes.record.index import Index
from storage_nodes.record.values import Codec


@dataclass(frozen=True, slots=True)
class CodecShare:
    """The payloads of one codec: how many, bytes decoded and as they lie."""

    payloads: int
    decoded_bytes: int
    stored_bytes: int


@dataclass(frozen=True, slots=True)
class RecordSummary:
    """Counts and bytes of a record.

    Attributes:
        record_bytes: the whole object.
        header_bytes: de-identified headers inflated.
        stored_header_bytes: the same as they lie.
        overhead_bytes: manifest, index and ZIP structure.
        codecs: only those that occur.
        servable: payloads that a viewer can be sent as they lie.
        servable_rpcl: those of them that suit transfer syntax 1.2.840.10008.1.2.4.202.
    """

    instances: int
    payloads: int
    record_bytes: int
    header_bytes: int
    stored_header_bytes: int
    overhead_bytes: int
    codecs: Mapping[Codec, CodecShare]
    servable: int
    servable_rpcl: int

    @property
    def raw_bytes(self) -> int:
        """Headers and payloads as a data set holds them, without the few bytes around the pixels."""
        return self.header_bytes + sum(share.decoded_bytes for share in self.codecs.values())


def summarise(index: Index, record_bytes: int) -> RecordSummary:
    """Sum up an index."""
    columns = index.payloads.columns
    shares = {}
    for codec in Codec:
        own = columns["codec"] == codec
        if np.any(own):
            shares[codec] = CodecShare(
                int(np.count_nonzero(own)),
                int(columns["decoded_bytes"][own].sum(dtype=np.int64)),
                int(columns["stored_bytes"][own].sum(dtype=np.int64)),
            )
    stored_headers = index.block_starts[-1]
    return RecordSummary(
        instances=len(index.instances),
        payloads=len(index.payloads),
        record_bytes=record_bytes,
        header_bytes=sum(block.inflated_bytes for block in index.blocks),
        stored_header_bytes=stored_headers,
        overhead_bytes=record_bytes - stored_headers - int(index.payload_starts[-1]),
        codecs=shares,
        servable=int(np.count_nonzero(columns["flags"] & SERVABLE)),
        servable_rpcl=int(np.count_nonzero(columns["flags"] & RPCL)),
    )
