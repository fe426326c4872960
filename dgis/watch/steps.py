"""One block around a step: what it took is counted, and it is a span where traces are on."""

from enum import StrEnum
from functools import cache
from time import perf_counter
from types import TracebackType

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
    MERGE = "merge"  # of small parts into one; pack and place of it are counted there, too


class timed:  # noqa: N801 - used as a block, like the functions of contextlib
    """Time what happens inside, however it ends."""

    __slots__ = ("_began", "_seconds", "_span")

    def __init__(self, step: Step) -> None:
        self._seconds = _seconds_of(step)
        self._span = tracing.span(step.value)

    def __enter__(self) -> None:
        self._began = perf_counter()
        self._span.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._span.__exit__(kind, error, trace)
        finally:
            self._seconds.observe(perf_counter() - self._began)


@cache
def _seconds_of(step: Step) -> Histogram:
    return STEP_SECONDS.labels(step.value)
