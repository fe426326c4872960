import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import structlog
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    stop_after_attempt,
    stop_after_delay,
    wait_exponential_jitter,
)

from storage_nodes.errors import NodeError, NodeUnavailable
from storage_nodes.names import ObjectName
from storage_nodes.node import Body, Node, ObjectStat
from storage_nodes.wrappers.through import Through

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to go on with one node before the caller is told; often another node is the better second try.

    Attributes:
        attempts: in all, the first one included.
        first_seconds: mean wait before the second attempt; doubles from there, with as much chance in it.
        most_seconds: no attempt begins later than this after the first.
    """

    attempts: int = 3
    first_seconds: float = 0.2
    most_seconds: float = 30.0


_USUAL: Final = Backoff()


def is_worth_retrying(error: BaseException) -> bool:
    """Tell whether the same call on the same node may well succeed a moment later.

    Only what is about the node and passes by itself. Missing, damaged, taken, full, refused: the answer
    would be the same.
    """
    return isinstance(error, NodeUnavailable)


class Retried(Through):
    """A node that is asked again when it does not answer; every method of the port may be repeated."""

    def __init__(
        self, inner: Node, backoff: Backoff = _USUAL, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        super().__init__(inner)
        self._retrying: Final = Retrying(
            retry=retry_if_exception(is_worth_retrying),
            stop=stop_after_attempt(backoff.attempts) | stop_after_delay(backoff.most_seconds),
            wait=wait_exponential_jitter(multiplier=backoff.first_seconds, jitter=backoff.first_seconds),
            before_sleep=self._say,
            reraise=True,
            sleep=sleep,
        )

    def put(self, name: ObjectName, body: Body, sha256: bytes) -> None:
        """Put; what an attempt without an answer left behind is found equal by the next."""
        self._retrying.copy()(self._inner.put, name, body, sha256)

    def get(self, name: ObjectName) -> bytes:
        """Get."""
        return self._retrying.copy()(self._inner.get, name)

    def get_range(self, name: ObjectName, start: int, length: int) -> bytes:
        """Get a range."""
        return self._retrying.copy()(self._inner.get_range, name, start, length)

    def stat(self, name: ObjectName) -> ObjectStat:
        """Stat."""
        return self._retrying.copy()(self._inner.stat, name)

    def list(self, prefix: str = "") -> Iterator[ObjectStat]:
        """List; an attempt that breaks off is taken up behind the last name it gave (names ascend)."""
        last = ""
        for attempt in self._retrying.copy():
            with attempt:
                for stat in self._inner.list(prefix):
                    if stat.name > last:
                        last = stat.name
                        yield stat

    def delete(self, name: ObjectName) -> None:
        """Delete."""
        self._retrying.copy()(self._inner.delete, name)

    def _say(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        trouble = error.trouble if isinstance(error, NodeError) else None
        _log.info("node_asked_again", node=self.name, attempt=state.attempt_number, trouble=trouble)
