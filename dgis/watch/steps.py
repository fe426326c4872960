"""One block around a step: what it took is counted, and it is a span where traces are on."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from functools import cache
from time import perf_counter

from prometheus_client import Histogram

from dgis.watch import tracing
from dgis.watch.figures import STEP_SECONDS


class Step(StrEnum):
    """What is timed: operations of the DICOM door, and the steps of publishing a part."""

    VERIFY = "verify"
    STORE = "store"  # from the command to the answer, the sender's own slowness included
    KEEP = "keep"  # of that: until the bytes are durable
    FIND = "find"
    GET = "get"
    MOVE = "move"
    PUBLISH = "publish"  # all of the following three
    PACK = "pack"
    PLACE = "place"
    COMMIT = "commit"


@contextmanager
def timed(step: Step) -> Iterator[None]:
    """Time what happens inside, however it ends."""
    began = perf_counter()
    try:
        with tracing.span(step.value):
            yield
    finally:
        _seconds_of(step).observe(perf_counter() - began)


@cache
def _seconds_of(step: Step) -> Histogram:
    return STEP_SECONDS.labels(step.value)
