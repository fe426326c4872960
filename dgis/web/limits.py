"""How much a client of the web door can take up, whoever it is."""

from dataclasses import dataclass

from catalog.credentials.values import LONGEST_BYTES


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on connections and requests; times in seconds."""

    max_connections: int = 256
    header_bytes: int = LONGEST_BYTES + (32 << 10)  # request line and fields: the longest credential fits
    header_seconds: float = 10.0  # from connecting, or from the last answer, to the end of the fields
    body_bytes: int = 1 << 20
    store_bytes: int = 32 << 30  # of a body that stores images (`POST /dicom-web/studies`), in its place
    body_grace_seconds: float = 10.0  # beyond what `body_bytes_per_second` allows
    body_bytes_per_second: int = 1024
    body_idle_seconds: float = 60.0  # without a byte of the body, however fast the rest came
    stalled_seconds: float = 30.0  # without taking some 48 KiB of an answer
    drain_seconds: int = 5  # of the supervisor's ten: what is running may end, then it is cut
