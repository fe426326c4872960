"""The process that decodes what came from strangers: `python -m dgis.transcode.child`, its socket as input.

It holds no key, no file and no connection but that socket, writes nowhere, and may be killed at any moment.
"""

import contextlib
import resource
import socket
import sys
from collections.abc import Callable

from deid.elements import WalkError
from dgis.transcode import codecs, wire
from dgis.transcode.errors import TranscodeError
from dgis.transcode.job import Job

Work = Callable[[bytes, bytes], bytes]  # what is asked and the bytes it is about, to the answer


def decode(job: bytes, stream: bytes) -> bytes:
    """Return one native frame."""
    return codecs.decode(Job.from_json(job), stream)


def serve(connection: socket.socket, codestream_bytes: int, frame_seconds: int, work: Work) -> None:
    """Work on frames until the door closes the socket."""
    while (request := wire.receive_request(connection, codestream_bytes)) is not None:
        _allow(frame_seconds)
        job, stream = request
        try:
            frame, status = work(job, stream), wire.DECODED
        except (TranscodeError, WalkError) as error:
            frame, status = str(error).encode(), wire.REFUSED
        except Exception as error:  # noqa: BLE001 - every decoder has errors of its own, and one meaning
            frame, status = type(error).__name__.encode(), wire.REFUSED
        connection.sendall(wire.ANSWER.pack(status, len(frame)))
        connection.sendall(frame)


def _confine(memory_bytes: int) -> None:
    """Give up what a decoder does not need; the limits hold for whatever runs in this process."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core dump would hold pixels
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))


def _allow(seconds: int) -> None:
    """Allow so much more processor time: it counts from the start of the process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(used.ru_utime + used.ru_stime) + seconds + 1
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.RLIM_INFINITY))


def main(work: Work = decode) -> None:
    """Run with the arguments memory (bytes), longest codestream (bytes), seconds of a frame."""
    memory_bytes, codestream_bytes, frame_seconds = map(int, sys.argv[1:4])
    _confine(memory_bytes)
    with socket.socket(fileno=0) as connection, contextlib.suppress(EOFError, OSError):
        serve(connection, codestream_bytes, frame_seconds, work)


if __name__ == "__main__":
    main()
