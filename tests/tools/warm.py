"""Commands of `dgis` in processes forked from one that has loaded them: a second and a half less for each.

What runs is `dgis.cli.main.run` with arguments, environment, folder and standard descriptors of its own, to
the ordinary end of an interpreter. A process for each test worker keeps the modules; it has no thread and
opens nothing of the program's.
"""

import contextlib
import gc
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import NamedTuple, NoReturn

_PROJECT = Path(__file__).resolve().parents[2]
_NUMBER = struct.Struct("<i")
_LIFE = 0  # the server's standard input: at its end the test worker is gone
_NO_EXIT_CODE = 255  # nobody was left to say one


class Done(NamedTuple):
    """How a command ended, and what it wrote."""

    returncode: int
    stdout: str
    stderr: str


class Running:
    """A command that runs; what `subprocess.Popen` is to a command, as far as it is needed here."""

    def __init__(self, arguments: list[str], environment: dict[str, str], files: list[int]) -> None:
        self.returncode: int | None = None
        self._link = socket.socket(socket.AF_UNIX)
        try:
            self._link.connect(_server())
            asked = {"arguments": arguments, "environment": environment, "folder": str(Path.cwd())}
            text = json.dumps(asked).encode()
            socket.send_fds(self._link, [_NUMBER.pack(len(text))], files)
            self._link.sendall(text)
            said = self._link.recv(_NUMBER.size, socket.MSG_WAITALL)
        except BaseException:
            self._link.close()
            raise
        (self.pid,) = _NUMBER.unpack(said)

    def poll(self) -> int | None:
        """Return the exit code, minus the signal where that ended it; None while it runs."""
        with contextlib.suppress(TimeoutError, BlockingIOError):
            return self.wait(0)
        return None

    def wait(self, seconds: float) -> int:
        """Return the exit code; raises TimeoutError where it still runs after so many seconds."""
        if self.returncode is None:
            self._link.settimeout(seconds)
            said = self._link.recv(_NUMBER.size)
            self.returncode = _NUMBER.unpack(said)[0] if said else _NO_EXIT_CODE
            self._link.close()
        return self.returncode

    def send_signal(self, signum: int) -> None:
        """Send a signal, if it still runs."""
        if self.poll() is None:
            os.kill(self.pid, signum)


def run(arguments: list[str], environment: dict[str, str], typed: str, seconds: float) -> Done:
    """Run `dgis ARGUMENTS` in this environment and no other; raises TimeoutError after so many seconds."""
    with (
        tempfile.TemporaryFile() as given,
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as errors,
    ):
        given.write(typed.encode())
        given.seek(0)
        files = [file.fileno() for file in (given, out, errors)]
        running = Running(arguments, environment, files)
        try:
            return Done(running.wait(seconds), _text(out), _text(errors))
        except TimeoutError:
            running.send_signal(signal.SIGKILL)
            running.wait(seconds)
            raise


def _text(file) -> str:
    file.seek(0)
    return file.read().decode()


@cache
def _server() -> str:
    """Where the server of this process listens; it ends with this process."""
    address = f"\0dgis-tests-{os.getpid()}-{os.urandom(8).hex()}"  # no file: an abstract one (unix(7))
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen(64)
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "LANG") if name in os.environ}
    _alive.append(
        subprocess.Popen(
            # Its last word is how commands know a gateway that runs by its command line (dgis.cli.running).
            [sys.executable, "-m", "tests.tools.warm", str(listener.fileno()), "dgis"],
            stdin=subprocess.PIPE,
            env={**kept, "PYTHONPATH": str(_PROJECT)},
            pass_fds=(listener.fileno(),),
            start_new_session=True,
        )
    )
    listener.close()
    return address


_alive: list[subprocess.Popen] = []


class _Asked(NamedTuple):
    arguments: list[str]
    environment: dict[str, str]
    folder: str
    files: list[int]


def _serve(listener: socket.socket) -> _Asked:
    """Return in a process of its own for each command; this one waits for the next, or ends."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those who wait for commands
    while True:
        ready, _, _ = select.select([listener, _LIFE], [], [])
        if _LIFE in ready:
            os._exit(0)
        link, _ = listener.accept()
        with link, contextlib.suppress(EOFError):
            asked = _receive(link)
            _load(asked.arguments)
            gc.freeze()  # a command's search for cycles leaves alone what all share
            if os.fork() == 0:
                listener.close()
                _wait_for(link, asked)
                return asked
            for file in asked.files:
                os.close(file)


def _receive(link: socket.socket) -> _Asked:
    head, files, _, _ = socket.recv_fds(link, _NUMBER.size, 3)
    if len(head) != _NUMBER.size:
        raise EOFError
    (left,) = _NUMBER.unpack(head)
    text = b""
    while left > len(text):
        more = link.recv(left - len(text))
        if not more:
            raise EOFError
        text += more
    return _Asked(**json.loads(text), files=list(files))


def _load(arguments: list[str]) -> None:
    from dgis.cli import main  # noqa: PLC0415 - the server's alone

    place = main._COMMANDS.get(arguments[0] if arguments else "")
    if place is None:
        return
    command = import_module(place.partition(":")[0])
    if arguments[0] == "serve":
        for role in ("dicom", "web", "worker"):
            command._runner(role)


def _wait_for(link: socket.socket, asked: _Asked) -> None:
    """Return in a child, which is to be the command; wait for it here, say how it ended, and end."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    pid = os.fork()
    if pid == 0:
        link.close()
        return
    for file in asked.files:
        os.close(file)
    with contextlib.suppress(OSError):
        link.sendall(_NUMBER.pack(pid))
    _, status = os.waitpid(pid, 0)
    with contextlib.suppress(OSError):
        link.sendall(_NUMBER.pack(os.waitstatus_to_exitcode(status)))
    os._exit(0)


def _become(asked: _Asked) -> NoReturn:
    from dgis.cli import main  # noqa: PLC0415 - the server's alone

    for number, file in enumerate(asked.files):  # nothing was read or written there yet
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(asked.environment)
    os.chdir(asked.folder)
    sys.argv = ["dgis", *asked.arguments]
    sys.modules["__main__"].__package__ = ""  # or usage would name this module
    main.run()
    sys.exit(0)


if __name__ == "__main__":
    _become(_serve(socket.socket(fileno=int(sys.argv[1]))))
