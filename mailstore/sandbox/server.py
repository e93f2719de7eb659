"""The sandbox: a server in this process that speaks the API over real HTTPS."""

from __future__ import annotations

import ipaddress
import logging
import os
import socket
import socketserver
import ssl
import struct
import tempfile
import threading
from collections.abc import Iterable
from dataclasses import replace
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import parse_qsl

from mailstore.sandbox.behaviour import Behaviour
from mailstore.sandbox.certificate import self_signed
from mailstore.sandbox.connections import Connections
from mailstore.sandbox.dispatch import Dispatcher, Received
from mailstore.sandbox.faults import Fault, FaultKind, Faults
from mailstore.sandbox.journal import Call, Calls
from mailstore.sandbox.pace import Pace
from mailstore.sandbox.registry import Registry, registry
from mailstore.sandbox.state import World
from mailstore.sandbox.tasks import Tasks
from mailstore.sandbox.wire import Answer, page, plain_answer

__all__ = ["Sandbox"]

_POLL_INTERVAL = 0.01
"""Seconds between two looks of the accepting thread at whether it shall stop."""

_LARGEST_BODY = 64 * 1024 * 1024
_LINGER_NOT = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)
"""``SO_LINGER`` for a connection that shall end with a reset."""

_logger = logging.getLogger("mailstore.sandbox")


class Sandbox:
    """A server of the API for tests and trials, in this process, on real HTTPS.

    Args:
        host: Address to listen on.
        port: Port to listen on; 0 for a free one.
        username: Login name of an administrator, who is created in the world.
        password: Password of this administrator. As on the real server, ``admin`` for ``admin``
            is accepted on connections to localhost only.
        world: The state to begin with; a small one if left out.
        pace: How fast long calls go; at once if left out.
        behaviour: What to do where the real server's way is unknown.
        answer_within: Seconds to wait for the end of a long call before it is answered with ``running``;
            0 answers before the call begins. If left out, the answer comes as soon as the call is over
            or has to wait for its pace, so that no test depends on a clock.
        faults: What goes wrong from the start.
        functions: The functions to answer; all that the sandbox has if left out.

    Example:
        >>> with Sandbox() as sandbox:
        ...     server = MailStoreServer(
        ...         sandbox.host, port=sandbox.port, password=sandbox.password, fingerprint=sandbox.fingerprint
        ...     )
        ...     server.get_server_info()
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        username: str = "admin",
        password: str = "admin",  # noqa: S107 - the password of a fresh installation
        *,
        world: World | None = None,
        pace: Pace | None = None,
        behaviour: Behaviour | None = None,
        answer_within: float | None = None,
        faults: Iterable[Fault] = (),
        functions: Registry | None = None,
    ) -> None:
        self.host: str = host
        """Address that the sandbox listens on."""
        self.port: int = port
        """Port that the sandbox listens on, known once it has started."""
        self.username: str = username
        """Login name of the administrator."""
        self.password: str = password
        """Password of the administrator at the start."""
        self.world: World = World() if world is None else world
        """The state; hold its lock to change it while the sandbox runs."""
        self.faults: Faults = Faults(faults)
        """What goes wrong."""
        self.calls: Calls = Calls()
        """The requests that arrived."""
        self.connections: Connections = Connections()
        """The connections: how many there were and how many there are."""
        self._certificate = self_signed(host)
        self._dispatcher = Dispatcher(
            self.world,
            registry if functions is None else functions,
            pace or Pace.at_once(),
            behaviour or Behaviour(),
            answer_within,
        )
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None
        self._directory: tempfile.TemporaryDirectory[str] | None = None
        self.world.set_administrator(username, password)

    @property
    def fingerprint(self) -> str:
        """SHA-256 fingerprint of the certificate, ``sha256:`` and hex pairs joined by colons."""
        return self._certificate.fingerprint

    @property
    def certificate(self) -> str:
        """Path of the certificate as PEM, fit as a file of trusted authorities; gone after `stop`."""
        if self._directory is None:
            raise RuntimeError("the sandbox is not running")
        return str(Path(self._directory.name, "certificate.pem"))

    @property
    def url(self) -> str:
        """Address of the server, such as ``https://127.0.0.1:50123``."""
        if self._server is None:
            raise RuntimeError("the sandbox is not running")
        return f"https://{_connectable(self.host)}:{self.port}"

    @property
    def pace(self) -> Pace:
        """How fast long calls go; a new pace holds for tasks that are started from then on."""
        return self._dispatcher.pace

    @pace.setter
    def pace(self, pace: Pace) -> None:
        self._dispatcher.pace = pace

    @property
    def behaviour(self) -> Behaviour:
        """What the sandbox does where the real server's way is unknown; may be replaced at any time."""
        return self._dispatcher.behaviour

    @behaviour.setter
    def behaviour(self, behaviour: Behaviour) -> None:
        self._dispatcher.behaviour = behaviour

    def start(self) -> Self:
        """Begin to listen; after `stop`, on the same port, with the same state and certificate.

        Raises:
            OSError: The port is taken.
        """
        if self._server is not None:
            return self
        self._server = _Server(self, self._certificate.context())
        self.port = self._server.port
        self._directory = tempfile.TemporaryDirectory(prefix="mailstore-sandbox-")
        Path(self.certificate).write_bytes(self._certificate.certificate)
        self.faults.restart()
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_POLL_INTERVAL,), name="mailstore-sandbox", daemon=True
        )
        self._thread.start()
        return self

    def stop(self) -> None:
        """Close the port and all connections, break off all tasks and wait for the ends of all threads.

        The tokens of all tasks are unknown when the sandbox is started again.
        """
        if self._server is None or self._thread is None or self._directory is None:
            return
        tasks = self._dispatcher.tasks
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        serving = self.connections.threads
        # First the connections, so that nobody who waits gets an answer that a stopped server would not give.
        self.connections.close()
        self.faults.stop()
        tasks.stop()
        self.connections.join(serving)
        tasks.join()
        self._directory.cleanup()
        self._server = self._thread = self._directory = None
        self._dispatcher.tasks = Tasks()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # ------------------------------------------------------------------------- for the server

    @property
    def dispatcher(self) -> Dispatcher:
        """What answers the requests."""
        return self._dispatcher


def _connectable(host: str) -> str:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if address.is_unspecified:
        return "localhost"
    return f"[{host}]" if address.version == 6 else host


class _Reset(Exception):  # noqa: N818 - no error, the way out of a request whose connection shall be reset
    """The connection shall end with a reset."""


class _Server(socketserver.TCPServer):
    """Accepts connections and serves each in a thread of its own."""

    allow_reuse_address = os.name != "nt"  # there, it would let two servers share a port
    request_queue_size = 128

    def __init__(self, sandbox: Sandbox, context: ssl.SSLContext) -> None:
        self._sandbox = sandbox
        self._context = context
        self.address_family = socket.AF_INET6 if ":" in sandbox.host else socket.AF_INET
        super().__init__((sandbox.host, sandbox.port), BaseHTTPRequestHandler)

    @property
    def port(self) -> int:
        """The port that is listened on."""
        port: int = self.socket.getsockname()[1]
        return port

    def get_request(self) -> tuple[socket.socket, object]:
        """Accept a connection; the handshake is left to its thread, so that a silent client stops nobody else."""
        connection, address = self.socket.accept()
        try:
            # Raises when the client has left already, in which case ssl would lose the socket without closing it.
            connection.getpeername()
            return self._context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False), address
        except OSError:
            connection.close()
            raise

    def process_request(self, request: socket.socket | tuple[bytes, socket.socket], client_address: object) -> None:
        """Serve a connection in a thread."""
        assert isinstance(request, ssl.SSLSocket)
        thread = threading.Thread(
            target=self._serve, args=(request, client_address), name="mailstore-sandbox-connection", daemon=True
        )
        self._sandbox.connections.opened(request, thread)
        thread.start()

    def _serve(self, connection: ssl.SSLSocket, address: object) -> None:
        try:
            self._shake_hands_and_answer(connection, address)
        except _Reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
            connection.close()
        except OSError as error:
            _logger.debug("a connection broke: %s", error)
        except Exception:
            _logger.exception("a connection ended with a mistake of the sandbox")
        finally:
            self.shutdown_request(connection)
            self._sandbox.connections.closed(connection)

    def _shake_hands_and_answer(self, connection: ssl.SSLSocket, address: object) -> None:
        faults = self._sandbox.faults
        if faults.meet(None) is None or faults.stall():
            connection.do_handshake()
            _Handler(connection, address, self, self._sandbox)


class _Handler(BaseHTTPRequestHandler):
    """Reads requests from one connection and writes the answers."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    connection: ssl.SSLSocket

    def __init__(
        self, connection: ssl.SSLSocket, address: object, server: socketserver.BaseServer, sandbox: Sandbox
    ) -> None:
        self._sandbox = sandbox
        super().__init__(connection, address, server)

    def _exchange(self) -> None:
        sandbox = self._sandbox
        headers = self.headers
        received = Received(self.command, self.path, headers.get("Host", ""), headers.get("Authorization", ""))
        fault = sandbox.faults.meet(received.function)
        if fault is not None and fault.kind is FaultKind.RESET_BEFORE:
            sandbox.calls.arrived(Call(received.function, self.path, {}))
            raise _Reset
        body = self._body()
        if isinstance(body, Answer):
            self._refuse(received, body)
            return
        fields = dict(parse_qsl(body.decode("utf-8", errors="replace"), keep_blank_values=True))
        shown = sandbox.dispatcher.shown(received, fields)
        number = sandbox.calls.arrived(Call(received.function, self.path, shown))
        answer = self._answer(received, fields, fault)
        if fault is not None:
            answer = self._spoil_before(answer, fault.kind)
        sandbox.calls.answered(number, answer.status)
        self._send(answer, fault.kind if fault is not None else None)

    do_POST = do_GET = do_HEAD = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = _exchange  # noqa: N815

    def _answer(self, received: Received, fields: dict[str, str], fault: Fault | None) -> Answer:
        dispatcher = self._sandbox.dispatcher
        if fault is not None and fault.kind is FaultKind.ANSWER:
            if fault.executed:
                dispatcher.answer(received, fields)
            return plain_answer(fault.status, fault.body, fault.headers)
        if fault is not None and fault.kind is FaultKind.EXPIRED_TOKEN:
            dispatcher.tasks.forget(fields.get("token", ""))
        return dispatcher.answer(received, fields)

    # ------------------------------------------------------------------------------- reading

    def _body(self) -> bytes | Answer:
        """Return the body of the request, or the answer that refuses to read it."""
        given = self.headers.get("Content-Length")
        if given is None and self.command in {"GET", "HEAD", "DELETE", "OPTIONS"}:
            return b""
        if given is None:
            sentence = "The request must be chunked or have a content length."
            return page(411, "Length Required", sentence, closes=True)
        if not (given.isascii() and given.isdigit()) or len(given) > 15:
            return page(400, "Bad Request", "The request is badly formed.", closes=True)
        length = int(given)
        if length > _LARGEST_BODY:
            return page(413, "Payload Too Large", "The request is too large.", closes=True)
        body = self.rfile.read(length)
        if len(body) < length:
            raise ConnectionAbortedError("the request broke off")
        return body

    def _refuse(self, received: Received, answer: Answer) -> None:
        """Refuse a request whose body is not read, and close the connection."""
        calls = self._sandbox.calls
        calls.answered(calls.arrived(Call(received.function, self.path, {})), answer.status)
        self._send(answer)
        self._swallow_the_rest()

    def _swallow_the_rest(self) -> None:
        # With unread bytes, closing would reset the connection, and the client might lose the answer.
        self.connection.settimeout(1.0)
        socket.socket.shutdown(self.connection, socket.SHUT_WR)
        swallowed = 0
        while swallowed < _LARGEST_BODY and (chunk := socket.socket.recv(self.connection, 65_536)):
            swallowed += len(chunk)

    # ------------------------------------------------------------------------------- writing

    def _spoil_before(self, answer: Answer, kind: FaultKind) -> Answer:
        """Do to an answer what a fault does before the first byte is sent."""
        match kind:
            case FaultKind.RESET_AFTER:
                raise _Reset
            case FaultKind.STALL_HEAD:
                self._stall()
                return answer
            case FaultKind.EMPTY_BODY:
                return _with_body(answer, b"")
            case FaultKind.HALF_JSON:
                return _with_body(answer, _half(answer.body))
            case FaultKind.HTML:
                return page(200, "Welcome", "This is another server.")
            case FaultKind.WRONG_LENGTH:
                return replace(answer, headers=answer.headers | {"Content-Length": str(len(_half(answer.body)))})
            case _:
                return answer

    def _send(self, answer: Answer, kind: FaultKind | None = None) -> None:
        """Send an answer; a fault may break it off in the middle."""
        self.close_connection = self.close_connection or answer.closes
        head = replace(answer, closes=self.close_connection).head()
        body = b"" if self.command == "HEAD" else answer.body
        first = _half(body) if kind in _IN_THE_BODY else body
        # In one piece: two writes would be two packets, and the second waits for the client's acknowledgement.
        self.wfile.write(head + first)
        if kind is FaultKind.RESET_INSIDE:
            raise _Reset
        if kind is FaultKind.CUT_BODY:
            self.close_connection = True
        if kind is FaultKind.STALL_BODY:
            self._stall()
            self.wfile.write(body[len(first) :])

    def _stall(self) -> None:
        if not self._sandbox.faults.stall():
            raise ConnectionAbortedError("the sandbox was stopped")

    # --------------------------------------------------------------- what the base class asks for

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuse a request that is no proper HTTP, with a page like that of Windows."""
        self.close_connection = True
        answer = page(code, HTTPStatus(code).phrase, "The request is badly formed.", closes=True)
        self.wfile.write(answer.head() + answer.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Keep silent; `Sandbox.calls` has it all."""


_IN_THE_BODY = frozenset({FaultKind.RESET_INSIDE, FaultKind.CUT_BODY, FaultKind.STALL_BODY})


def _half(body: bytes) -> bytes:
    return body[: len(body) // 2]


def _with_body(answer: Answer, body: bytes) -> Answer:
    return replace(answer, body=body, headers=answer.headers | {"Content-Length": str(len(body))})
