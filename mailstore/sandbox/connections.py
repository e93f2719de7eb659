"""The connections of a sandbox: how many there were, how many there are, and their end."""

from __future__ import annotations

import contextlib
import socket
import threading

_PATIENCE = 5.0
"""Seconds to wait for the end of a connection's thread; only a function that hangs needs them."""


class Connections:
    """The connections of a sandbox. Safe for threads."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._open: dict[socket.socket, threading.Thread] = {}
        self._accepted = 0

    @property
    def accepted(self) -> int:
        """How many connections were accepted so far."""
        with self._changed:
            return self._accepted

    @property
    def open(self) -> int:
        """How many connections are open now."""
        with self._changed:
            return len(self._open)

    def wait_until_closed(self, timeout: float = 10.0) -> None:
        """Wait until no connection is open.

        Raises:
            TimeoutError: There is one in spite of it.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: not self._open, timeout):
                raise TimeoutError(f"{len(self._open)} connections are still open")

    def close(self) -> None:
        """Close all connections, as a server does with those that were idle for too long."""
        with self._changed:
            for connection in self._open:
                # Below TLS, which must stay usable for the thread that reads from it.
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(connection, socket.SHUT_RDWR)

    # ------------------------------------------------------------------------- for the server

    def opened(self, connection: socket.socket, thread: threading.Thread) -> None:
        """Note a new connection and the thread that serves it."""
        with self._changed:
            self._accepted += 1
            self._open[connection] = thread

    def closed(self, connection: socket.socket) -> None:
        """Note that a connection is closed."""
        with self._changed:
            self._open.pop(connection, None)
            self._changed.notify_all()

    def join(self, threads: list[threading.Thread]) -> None:
        """Wait for the ends of threads."""
        for thread in threads:
            thread.join(_PATIENCE)

    @property
    def threads(self) -> list[threading.Thread]:
        """The threads that serve the connections."""
        with self._changed:
            return list(self._open.values())
