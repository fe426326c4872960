"""A storage SCP that keeps what it receives byte for byte: where C-MOVE sends to in the tests."""

import socket
import threading
from collections.abc import Callable
from typing import Self

from tests.tools import wire
from tests.tools.client import received, store_response
from tests.tools.link import Link, Received


class Receiver:
    """Listens on a port of its own while entered; `instances` is everything that came, in order.

    Args:
        accept: which (abstract syntax, transfer syntax) it takes; by default the first proposed of each.
        answer: the status of each store, from its command.
    """

    def __init__(
        self,
        title: str,
        accept: Callable[[str, str], bool] = lambda _abstract, _syntax: True,
        answer: Callable[[dict], int] = lambda _command: 0,
        port: int = 0,
    ) -> None:
        self.title, self._accept, self._answer = title, accept, answer
        self.instances: list[Received] = []
        self.associations: list[dict[int, tuple[str, list[str]]]] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port = self._listener.getsockname()[1]

    def __enter__(self) -> Self:
        self._main = threading.Thread(target=self._listen, daemon=True)
        self._main.start()
        return self

    def __exit__(self, *_details) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._main.join()
        self._listener.close()
        for thread in self._threads:
            thread.join(10)

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:  # shut down
                return
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        link = Link(connection, 60)
        try:
            _, body = link.read_pdu()
            proposed = wire.proposed_contexts(body)
            self.associations.append(proposed)
            answers = {
                number: next(
                    ((0, syntax) for syntax in syntaxes if self._accept(abstract, syntax)), (4, syntaxes[0])
                )
                for number, (abstract, syntaxes) in proposed.items()
            }
            link.peer_max_pdu = wire.peer_max_pdu(body)
            calling = body[20:36].decode().strip()
            link.send_pdu(wire.associate_ac(calling, self.title, answers))
            while (message := link.receive()) is not None:
                status = self._answer(message.command)
                if status == 0:
                    self.instances.append(received(message, answers[message.context][1]))
                link.send(message.context, store_response(message.command, status))
        except (OSError, wire.GoneError):
            return
        finally:
            link.close()
