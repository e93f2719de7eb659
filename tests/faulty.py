"""What the tests of bad days share: a server that sends what it is told to, and a watch over calls that may hang."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Generator
from types import TracebackType
from typing import Self

import pytest

from mailstore import MailStoreServer
from mailstore.errors import MailStoreError
from mailstore.sandbox import Sandbox
from mailstore.sandbox.certificate import Certificate, self_signed
from mailstore.settings import RetryPolicy, Settings
from tests.support import FakeClock

SHORT = 0.3
"""Seconds of patience with a server that keeps silent."""

ONCE = RetryPolicy(attempts=1)

FOREIGN = ("requests", "urllib3", "http", "json", "pydantic", "pydantic_core")
"""Packages whose exceptions no caller shall ever see."""

ENVELOPE = (
    b'{"error": null, "token": null, "statusVersion": 2, "statusCode": "succeeded", "percentProgress": null, '
    b'"statusText": null, "result": {"version": "1.0", "machineName": "ARCHIVE"}, "logOutput": null}'
)
"""An answer to GetServerInfo."""

Script = Callable[[ssl.SSLSocket], object]
"""What a server does after it has read a request."""


def http(body: bytes, *, status: str = "200 OK", headers: str = "", length: int | None = None) -> bytes:
    """Return an answer as it travels."""
    size = len(body) if length is None else length
    return f"HTTP/1.1 {status}\r\nContent-Length: {size}\r\n{headers}\r\n".encode() + body


class RawServer:
    """Reads each request and then does what the script says; whoever wants something broken breaks it by hand."""

    def __init__(self, script: Script, *, context: ssl.SSLContext | None = None, handshake: bool = True) -> None:
        self._certificate: Certificate = self_signed("127.0.0.1")
        self._context = context or self._certificate.context()
        self._script = script
        self._handshake = handshake
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self.requests: list[bytes] = []
        self.connections = 0

    @property
    def fingerprint(self) -> str:
        return self._certificate.fingerprint

    def wait(self, seconds: float) -> bool:
        """Let some time pass; return whether the test is over."""
        return self._over.wait(seconds)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        socket.create_connection(("127.0.0.1", self.port), 10).close()  # wakes the thread
        self._thread.join(10)
        self._listener.close()

    def _accept(self) -> None:
        while not self._over.is_set():
            connection, _ = self._listener.accept()
            if self._over.is_set():
                connection.close()
                return
            self.connections += 1
            # A thread that serves ends with its connection, which the client closes at the latest.
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, plain: socket.socket) -> None:
        plain.settimeout(20)
        with contextlib.suppress(OSError), plain:
            if not self._handshake:
                plain.recv(65_536)
                plain.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
                return
            with self._context.wrap_socket(plain, server_side=True) as connection:
                while (request := _read(connection)) is not None:
                    self.requests.append(request)
                    self._script(connection)


def _read(connection: ssl.SSLSocket) -> bytes | None:
    """Return one request, head and body; `None` when the client has left."""
    received = b""
    while b"\r\n\r\n" not in received:
        chunk = connection.recv(65_536)
        if not chunk:
            return None
        received += chunk
    head, _, body = received.partition(b"\r\n\r\n")
    length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    while len(body) < length:
        body += connection.recv(65_536)
    return head + b"\r\n\r\n" + body


def settings_of(
    server: Sandbox | RawServer, *, password: str = "admin", retry: RetryPolicy = ONCE, timeout: float = 20.0
) -> Settings:
    """Return the settings of a client of a server; it is impatient, and calls once, if nothing else is said."""
    return Settings(
        "127.0.0.1", password=password, port=server.port, fingerprint=server.fingerprint, timeout=timeout, retry=retry
    )


@contextlib.contextmanager
def client_of(
    server: Sandbox | RawServer,
    *,
    password: str = "admin",
    retry: RetryPolicy = ONCE,
    timeout: float = 20.0,
    clock: FakeClock | None = None,
    random: Callable[[], float] | None = None,
) -> Generator[MailStoreServer]:
    """Yield a client."""
    settings = settings_of(server, password=password, retry=retry, timeout=timeout)
    with MailStoreServer.from_settings(settings, clock=clock, random=random) as client:
        yield client


def ended(call: Callable[[], object], within: float = 30.0) -> object:
    """Carry out a call that must come to an end; return what it returned or raised."""
    outcome: list[object] = []

    def run() -> None:
        try:
            outcome.append(call())
        except BaseException as error:  # noqa: BLE001 - the test decides what it was
            outcome.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(within)
    assert outcome, "the call did not come to an end"
    return outcome[0]


def error_of(call: Callable[[], object]) -> MailStoreError:
    """Return the error that a call ends with, which has to be one of this package without foreign ones behind it."""
    error = ended(call)
    if isinstance(error, BaseException) and not isinstance(error, MailStoreError):
        raise AssertionError("an error of somebody else came through") from error
    assert isinstance(error, MailStoreError), f"it returned {error!r}"
    for behind in chain(error):
        if type(behind).__module__.partition(".")[0] in FOREIGN:
            pytest.fail(f"{behind!r} came along with {error!r}")
    return error


def chain(error: BaseException) -> list[BaseException]:
    """Return an error with everything that is attached to it, however indirectly."""
    found: list[BaseException] = []
    left: list[BaseException | None] = [error]
    while left:
        current = left.pop()
        if current is None or any(current is known for known in found):
            continue
        found.append(current)
        left += [current.__cause__, current.__context__, *getattr(current, "earlier", ())]
    return found
