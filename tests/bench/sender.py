"""C-STORE load over one or several associations, each a process of its own; messages are made beforehand."""

import multiprocessing
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection

from tests.bench.association import Address, Association, store_message
from tests.bench.images import Image

_FORK = multiprocessing.get_context("fork")  # what is to be sent need not be copied
_READY_SECONDS = 120


class SendError(Exception):
    """A server did not take what was sent; the text says what a sender met."""


@dataclass(frozen=True, slots=True)
class Load:
    """What came of sending: seconds from the first byte to the last answer, images, when it began."""

    seconds: float
    images: int
    began: float  # by the performance counter, which is one for all processes

    @property
    def rate(self) -> float:
        """Images a second."""
        return self.images / self.seconds


class Senders:
    """Associations that are open and have their messages ready; `send` lets them go at once."""

    def __init__(
        self, address: Address, calling: str, called: str, slices: Sequence[Sequence[Image]]
    ) -> None:
        self._pipes: list[Connection] = []
        self._images = sum(map(len, slices))
        self._processes = []
        for images in slices:
            ours, theirs = _FORK.Pipe()
            process = _FORK.Process(target=_run, args=(theirs, address, calling, called, images), daemon=True)
            process.start()
            theirs.close()
            self._pipes.append(ours)
            self._processes.append(process)
        for pipe in self._pipes:
            self._expect(pipe, "ready")

    def send(self) -> Load:
        """Send everything; return when every image is answered with success and all is released."""
        for pipe in self._pipes:
            pipe.send("go")
        spans = [self._expect(pipe, "sent") for pipe in self._pipes]
        for process in self._processes:
            process.join()
        began, ended = min(span[1] for span in spans), max(span[2] for span in spans)
        return Load(ended - began, self._images, began)

    @staticmethod
    def _expect(pipe: Connection, word: str) -> tuple:
        said = pipe.recv() if pipe.poll(_READY_SECONDS) else ("silent", "")
        if said[0] != word:
            raise SendError(f"{said[0]}: {said[1]}")
        return said


def _run(pipe: Connection, address: Address, calling: str, called: str, images: Sequence[Image]) -> None:
    try:
        pipe.send(_sent(pipe, address, calling, called, images))
    except Exception as error:  # noqa: BLE001 - told to the parent, which fails with it
        pipe.send(("failed", repr(error)))


def _sent(pipe: Connection, address: Address, calling: str, called: str, images: Sequence[Image]) -> tuple:
    pairs = sorted({(image.sop_class_uid, image.syntax) for image in images})
    link = Association.request(address, calling, called, [(abstract, [syntax]) for abstract, syntax in pairs])
    assert len(link.accepted) == len(pairs), "a presentation context was not accepted"
    contexts = {pair: 2 * place + 1 for place, pair in enumerate(pairs)}
    messages = [
        store_message(
            contexts[image.sop_class_uid, image.syntax],
            link.max_pdu,
            image.sop_class_uid,
            image.uid,
            image.dataset,
        )
        for image in images
    ]
    pipe.send(("ready",))
    pipe.recv()
    began = time.perf_counter()  # CLOCK_MONOTONIC: the same in all processes
    for each in messages:
        link.sock.sendall(each)
        _, command, _ = link.message()
        assert command is not None, "the association was ended"
        assert command["Status"] == 0, hex(command["Status"])
    ended = time.perf_counter()
    link.release()
    return "sent", began, ended
