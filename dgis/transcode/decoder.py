import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

from deid.elements import Buffer
from dgis.transcode import wire
from dgis.transcode.errors import DamagedPixelsError, DecoderFailedError
from dgis.transcode.job import Job
from dgis.transcode.limits import Limits

_START_SECONDS = 30.0  # to import the codecs on a busy machine; added to the first frame's time
_SOCKET_BYTES = 1 << 20
DECODING = "dgis.transcode.child"


class Decoder:
    """One child process that decodes frames, one after another; for one thread at a time.

    Args:
        limits: of the process.
        module: what runs in it: `dgis.transcode.child`, or what calls that with other work.
    """

    def __init__(self, limits: Limits, module: str = DECODING) -> None:
        self._limits = limits
        self._grace_seconds = _START_SECONDS
        self._connection, other = socket.socketpair()
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SOCKET_BYTES)
        arguments = (limits.decoder_memory_bytes, limits.codestream_bytes, int(limits.frame_seconds))
        with other:
            self._process = subprocess.Popen(  # noqa: S603 - our own module, our own numbers
                [sys.executable, "-m", module, *map(str, arguments)],
                stdin=other.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,  # some codecs talk there about what they read
                # Nothing of our environment, where secrets may be. One thread: address space is limited.
                env={"PYTHONPATH": os.pathsep.join(sys.path), "OPENBLAS_NUM_THREADS": "1"},
                cwd="/",
                start_new_session=True,  # an interrupt from the terminal is the door's, which drains first
            )
        self.usable = True
        self.process_id = self._process.pid

    def decode(self, job: Job, stream: bytes, deadline_s: float) -> Iterator[bytes]:
        """Yield the native frame in pieces; the decoder is of no use until all were taken.

        Args:
            job: what the frame must be.
            stream: its codestream.
            deadline_s: the moment, by `time.monotonic`, to give up at; the frame's own limit may come first.

        Raises:
            DamagedPixelsError: the frame cannot be decoded.
            DecoderFailedError: the process overran its limits or died; it is of no more use.
        """
        return self.ask(job.to_json(), stream, deadline_s, lambda size: size == job.frame_bytes)

    def ask(
        self, request: bytes, stream: Buffer, deadline_s: float, fits: Callable[[int], bool]
    ) -> Iterator[bytes]:
        """Yield the answer to any request in pieces, as `decode` does; `fits` says whether its size may be.

        Raises:
            DamagedPixelsError, DecoderFailedError: as `decode`.
        """
        allowed = self._limits.frame_seconds + self._grace_seconds
        deadline_s = min(deadline_s, time.monotonic() + allowed)
        usable, self.usable = self.usable, False
        if not usable:
            raise DecoderFailedError("the decoder failed before")
        try:
            wire.send_request(self._connection, request, stream, deadline_s)
            head = b"".join(wire.pieces(self._connection, wire.ANSWER.size, deadline_s))
            status, size = wire.ANSWER.unpack(head)
            words = ""
            if status == wire.DECODED and fits(size):
                yield from wire.pieces(self._connection, size, deadline_s)
            elif status == wire.REFUSED and 0 < size <= wire.LONGEST_WORDS_BYTES:
                words = b"".join(wire.pieces(self._connection, size, deadline_s)).decode("utf-8", "replace")
            else:
                raise DecoderFailedError("the decoder answers what nobody asked")
        except TimeoutError as error:
            raise DecoderFailedError(f"no frame within {allowed:.0f} s") from error
        except OSError as error:
            raise DecoderFailedError("the decoder died of a frame") from error
        self.usable, self._grace_seconds = True, 0.0
        if words:
            raise DamagedPixelsError(words)

    def close(self) -> None:
        """End the process, whatever it is doing."""
        self.usable = False
        self._connection.close()
        self._process.kill()
        self._process.wait()
