"""Codes payloads, in order, on the caller's thread or on an executor's, with bounded work in flight."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from typing import Final

from storage_nodes.record.codecs.choose import Coded, code_fragment, code_frame
from storage_nodes.record.limits import MIB
from storage_nodes.record.values import Buffer, FrameLayout

_BATCH_BYTES: Final = MIB
"""Small frames are coded many to a task: a task costs about as much as a 64 x 64 frame."""
_IN_FLIGHT_BYTES: Final = 32 * MIB
"""Raw; the codec needs 3.5 times that. A larger frame is coded with nothing beside it."""


@dataclass(frozen=True, slots=True)
class Task:
    """One payload to be coded: a fragment, or a native frame whose layout may be known."""

    payload: Buffer = field(repr=False)
    encapsulated: bool
    layout: FrameLayout | None


def code_all(tasks: Iterable[Task], executor: Executor | None) -> Iterator[Coded]:
    """Code payloads in order; `tasks` is drawn only as fast as results are taken."""
    if executor is None:
        return map(_code, tasks)
    return _in_flight(_batches(tasks), executor.submit)


def _in_flight(
    batches: Iterable[list[Task]], submit: Callable[..., "Future[list[Coded]]"]
) -> Iterator[Coded]:
    waiting: deque[tuple[int, Future[list[Coded]]]] = deque()
    in_flight = 0
    try:
        for batch in batches:
            size = _raw_bytes(batch)
            while waiting and in_flight + size > _IN_FLIGHT_BYTES:
                done, future = waiting.popleft()
                yield from future.result()
                in_flight -= done
            waiting.append((size, submit(_code_batch, batch)))
            in_flight += size
        while waiting:
            yield from waiting.popleft()[1].result()
    finally:
        for _, future in waiting:
            future.cancel()


def _batches(tasks: Iterable[Task]) -> Iterator[list[Task]]:
    batch: list[Task] = []
    size = 0
    for task in tasks:
        batch.append(task)
        size += len(task.payload)
        if size >= _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _raw_bytes(batch: list[Task]) -> int:
    return sum(len(task.payload) for task in batch)


def _code_batch(batch: list[Task]) -> list[Coded]:
    return [_code(task) for task in batch]


def _code(task: Task) -> Coded:
    return code_fragment(task.payload) if task.encapsulated else code_frame(task.payload, task.layout)
