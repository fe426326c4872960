"""What the door grants a peer: sizes, times and rates, in one frozen value."""

from dataclasses import dataclass

_TICK_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Limits:
    """Every bound of one association and of the door; a peer can reach none of them by sending well.

    Times are counted only while we wait for the peer: our own disk never counts against a sender.
    """

    max_pdu_bytes: int = 131_072  # offered to the peer; larger ones bring no speed (measured)
    send_pdu_bytes: int = 1 << 20  # the most we send when the peer names no limit or an absurd one
    smallest_pdu_bytes: int = 64  # a peer that takes less per PDU cannot be served
    associate_bytes: int = 1 << 20  # A-ASSOCIATE-RQ: 128 contexts and user identities of 64 KiB fit
    command_bytes: int = 65_536
    identifier_bytes: int = 4 << 20  # a list of 60,000 UIDs
    header_scan_bytes: int = 8 << 20  # the most that is kept of a data set while its UIDs are looked for
    most_references: int = 10_000  # instances of one storage commitment
    kept_bytes: int = 64 << 20  # of identifiers and headers, for all associations together
    most_empty_values: int = 1024  # data values without a byte, one after another

    artim_seconds: float = 10.0  # PS3.8 9.1.5, while an A-ASSOCIATE-RQ is awaited (Sta2)
    close_seconds: float = 2.0  # PS3.8 9.1.5, while the peer is to close the connection (Sta13)
    idle_seconds: float = 60.0  # between messages
    message_seconds: float = 21_600.0  # waited for one message in all
    response_seconds: float = 120.0  # for the response to what we asked
    connect_seconds: float = 10.0
    send_seconds: float = 30.0  # without one byte taken by the peer
    window_seconds: float = 15.0  # of waiting, in each of which the minimum rate must be reached
    minimum_bytes_per_second: int = 1024

    max_associations: int = 100
    max_associations_per_address: int | None = None  # None: half of all, so that nobody takes every one
    spare_after_seconds: float = 2.0  # idle so long, an association gives way where a limit is reached
    max_unassociated: int = 64  # connections that have not proposed an association yet; the oldest gives way

    @property
    def associations_per_address(self) -> int:
        """How many associations one address may hold."""
        if self.max_associations_per_address is not None:
            return self.max_associations_per_address
        return max(1, self.max_associations // 2)

    @property
    def tick_seconds(self) -> float:
        """How often a silent wait looks at its limits, at least."""
        times = (
            self.artim_seconds,
            self.idle_seconds,
            self.response_seconds,
            self.send_seconds,
            self.window_seconds,
        )
        return min(_TICK_SECONDS, *times)
