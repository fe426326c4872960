"""Copies on their way after a decision about a node, with progress; the worker does the same beside it."""

import time
from dataclasses import dataclass
from typing import Final

from rich.progress import Progress

from replica import clean, fill, leaving, move, review
from replica.allowance import Allowance
from replica.context import Replicas

_WAIT_SECONDS: Final = 0.1
_AT_ONCE: Final = 10


@dataclass(frozen=True, slots=True)
class Travelled:
    """What was copied, and what waits for a later attempt; the worker goes on with that."""

    copied: int
    waiting: int


def empty(replicas: Replicas, node: str, bytes_per_second: int, progress: Progress) -> Travelled:
    """Bring what belongs elsewhere away from a node that is being drained, until nothing can be done now."""
    leaving.make_due(replicas, node)
    allowance, copied = Allowance(bytes_per_second, replicas.clock_ms), 0
    while (left := leaving.left_on(replicas, node)).copies:
        progress.update(progress.task_ids[0], description=_left(node, left))
        if allowance.ready():
            done = _step(replicas)
            allowance.spend(done.copied_bytes)
            copied += done.copied
            if done != move.Moved():
                continue
        after = leaving.left_on(replicas, node)
        if after == left and not left.at_work:
            break
        time.sleep(_WAIT_SECONDS)
    return Travelled(copied, left.copies)


def balance(replicas: Replicas, bytes_per_second: int, progress: Progress) -> Travelled:
    """Bring every object to where it belongs, until nothing can be done now."""
    after = found = 0
    while True:
        reviewed = review.run_once(replicas, after)
        found, after = found + reviewed.misplaced + reviewed.made_due, reviewed.next_id
        progress.update(progress.task_ids[0], description=f"{found} objects to be moved")
        if not after:
            break
    allowance, copied, settled, waiting = Allowance(bytes_per_second, replicas.clock_ms), 0, 0, 0
    while True:
        if not allowance.ready():
            time.sleep(_WAIT_SECONDS)
            continue
        done = _step(replicas)
        if done == move.Moved():
            return Travelled(copied, waiting)
        allowance.spend(done.copied_bytes)
        copied, settled, waiting = copied + done.copied, settled + done.settled, waiting + done.waiting
        progress.update(progress.task_ids[0], description=f"moved {settled} of {found}")


def _step(replicas: Replicas) -> move.Moved:
    """Fill what misses copies, move one object, and remove what became surplus."""
    filled = fill.run_once(replicas, _AT_ONCE)
    moved = move.run_once(replicas, 1)
    clean.run_once(replicas, _AT_ONCE)
    if filled == fill.Filled():
        return moved
    return move.Moved(
        moved.copied + filled.copied, moved.copied_bytes, moved.settled + filled.complete, moved.waiting
    )


def _left(node: str, left: leaving.Left) -> str:
    return f"{left.copies} copies left on {node}, {left.size_bytes >> 20} MiB"
