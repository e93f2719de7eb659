"""HTTPS: one pool of connections to one server, its TLS policy and its timeouts. No models here.

The pool is that of requests. Calls go to it directly: the way through a prepared request
and a session costs as much again as the whole exchange, and a session would bring things
that have no place here (netrc, proxies and CA files from the environment, cookies, redirects).
"""

from __future__ import annotations

import codecs
import hashlib
import hmac
import io
import os
import socket
import ssl
import sys
import threading
import warnings
from base64 import b64encode
from http.client import HTTPException, HTTPResponse, IncompleteRead
from pathlib import Path
from time import monotonic
from typing import Any
from weakref import WeakSet

from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3 import HTTPSConnectionPool  # requests is built on urllib3 and hands out its pools
from urllib3.connection import HTTPSConnection
from urllib3.exceptions import ClosedPoolError, ConnectTimeoutError, HTTPError, NewConnectionError
from urllib3.util import Retry, Timeout

from mailstore._protocol import WRONG_PORT, HttpAnswer
from mailstore._version import __version__
from mailstore.errors import (
    CertificateError,
    ClientClosedError,
    ConfigurationError,
    ConnectionFailedError,
    MailStoreError,
    ProtocolError,
    RequestTimeoutError,
    SecurityWarning,
    TlsError,
    TransportError,
)
from mailstore.settings import Settings, normal_fingerprint

LARGEST = 1 << 30
"""Bytes that an answer may have, its head included: 1 GiB, ten times the folders of a million users."""

_NEVER = float("inf")

_ONCE = Retry(False)
"""Whether a request is sent again is decided elsewhere, by those who know what it does."""


class _Exchange(threading.local):
    """How far the calling thread's exchange is: `post` sets the limits, its connection notes the progress."""

    sent = False
    """Whether the request has begun to go out."""

    received = 0
    """Bytes of the answer so far."""

    read = 0.0
    """Seconds that the answer may take."""

    ends = _NEVER
    """When the whole exchange must be over, by the monotonic clock."""


_now = _Exchange()


class Transport:
    """A pool of connections to one server. Safe to share between threads, and to inherit by a fork."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._pool: HTTPSConnectionPool | None = None
        self._adapter: _Adapter | None = None
        self._headers: dict[str, str] = {}
        self._closed = False
        self.secrets: tuple[str, ...] = ()
        """The password once it was fetched, to be kept out of errors and logs."""
        if settings.verify is False:
            warnings.warn(
                f"The certificate of {settings.server} is not checked: whoever is in between can read the password. "
                "Pin it with fingerprint= instead.",
                SecurityWarning,
                stacklevel=_frames_of_ours(),
            )
        _transports.add(self)

    def post(self, path: str, body: bytes, timeouts: tuple[float, float], within: float | None = None) -> HttpAnswer:
        """Send one request and return the answer, whatever its HTTP status.

        Args:
            path: Path below ``/api/``.
            body: The form, encoded.
            timeouts: Seconds to connect, handshake included, and seconds until the last byte of the answer.
            within: Seconds that connecting and answering may take together.

        Raises:
            TransportError: No answer came; its `sent` tells whether the request may have arrived.
            ProtocolError: What came is no HTTP, or is beyond every measure.
            ClientClosedError: The transport was closed.
        """
        pool = self._pool or self._open()
        connect, read = timeouts
        started = monotonic()
        _now.sent, _now.received, _now.read = False, 0, read
        _now.ends = _NEVER if within is None else started + within
        try:
            response = pool.urlopen(
                "POST",
                f"/api/{path}",
                body=body,
                headers=self._headers,
                timeout=Timeout(connect=connect if within is None else min(connect, within), read=read),
                retries=_ONCE,
                redirect=False,
                assert_same_host=False,
                decode_content=False,
            )
        except (HTTPError, HTTPException, OSError, ValueError) as error:
            reason = _root(error)
            failure = self._failure(error, reason, monotonic() - started)
        else:
            # Cut off here, where nobody holds the whole: a large answer would be in memory twice while it is parsed.
            body = response.data.removeprefix(codecs.BOM_UTF8)
            return HttpAnswer(response.status, response.headers, body, monotonic() - started)
        # What the system said stays as the cause; what the parser of HTTP said quotes what was received.
        raise failure from (reason if isinstance(reason, OSError) and not isinstance(reason, HTTPException) else None)

    def close(self) -> None:
        """Close the connections. Calls under way on other threads finish; later ones are refused."""
        with self._lock:
            self._closed = True
            adapter, self._adapter, self._pool = self._adapter, None, None
        if adapter is not None:
            adapter.pool.close()  # the adapter alone would leave it open for as long as a thread holds it
            adapter.close()

    def _open(self) -> HTTPSConnectionPool:
        with self._lock:
            if self._closed:
                raise _closed()
            if self._pool is None:
                settings = self._settings
                password = settings.reveal_password()
                self.secrets = (password,)
                self._headers = {
                    "Authorization": _basic(settings.username, password),
                    "Content-Type": "application/x-www-form-urlencoded",
                    "User-Agent": f"mailstore-python/{__version__}",
                }
                self._adapter = _Adapter(settings)
                self._pool = self._adapter.pool
            return self._pool

    def _forget_connections(self) -> None:
        """Leave the connections to the process that this one was forked from, and make others when needed."""
        self._lock = threading.Lock()
        self._adapter = self._pool = None

    def _failure(self, error: Exception, reason: BaseException, waited: float) -> MailStoreError:
        """Return our error for one of requests' pool, which callers never see."""
        sent, received = _now.sent, _now.received
        match reason:
            case ClosedPoolError():
                return _closed()
            case socket.gaierror():
                return ConnectionFailedError(
                    f"there is no host {self._settings.host}: {_words(reason)}", hint="check the name and your DNS"
                )
            case TimeoutError() if not sent:
                what, hint = (
                    ("connection", "a firewall, or the wrong address or port?")
                    if isinstance(error, ConnectTimeoutError)
                    else ("TLS handshake", "is this an HTTPS port?")
                )
                return RequestTimeoutError(f"no {what} within {waited:.3g} s", hint=hint)
            case TimeoutError():
                came = f"only {received} bytes of the answer" if received else "no answer"
                return RequestTimeoutError(
                    f"{came} within {waited:.3g} s",
                    sent=True,
                    hint="raise the timeout for slow calls and large answers",
                )
            case ssl.SSLError() if not sent and not isinstance(reason, _CUT):
                return TlsError(
                    f"no encrypted connection: {_words(reason)}",
                    hint="is this the port of the Administration API, which speaks HTTPS with TLS 1.2 or newer?",
                )
            case IncompleteRead():
                return ConnectionFailedError(
                    "the server ended the connection in the middle of its answer", sent=True, hint=_CUT_OFF
                )
            case HTTPException() | HTTPError() | ValueError() if sent and not isinstance(reason, OSError):
                return ProtocolError(f"what came is no HTTP: {_words(reason)}", hint=WRONG_PORT)
            case _ if isinstance(error, NewConnectionError):
                return ConnectionFailedError(
                    f"the server does not accept connections: {_words(reason)}",
                    hint=(
                        "the API is off by default: switch it on in the MailStore Server Service Configuration and "
                        "restart the service; its port is 8463 (Service Provider Edition: 8474)"
                    ),
                )
            case _:
                when = "before the answer was complete" if sent else "before the request was sent"
                return ConnectionFailedError(
                    f"the connection broke {when}: {_words(reason)}",
                    sent=sent,
                    hint=_CUT_OFF if sent else "is this the port of the Administration API, which speaks HTTPS?",
                )


_CUT_OFF = "was the service restarted, or does something in between cut connections?"

_CUT = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)
"""Errors of TLS that only mean that the other side went away."""

_transports: WeakSet[Transport] = WeakSet()


def _after_fork() -> None:
    # Two processes on one connection would get each other's answers.
    for transport in list(_transports):
        transport._forget_connections()


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_after_fork)


def _frames_of_ours() -> int:
    """Return the `stacklevel` of the line outside of this package that led here."""
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_globals["__name__"].startswith("mailstore."):
        frame, level = frame.f_back, level + 1
    return level


def _closed() -> ClientClosedError:
    return ClientClosedError("the client was closed", hint="make a new one; a `with` block closes it at its end")


class _Adapter(HTTPAdapter):
    """The pool of requests with our TLS policy in it."""

    def __init__(self, settings: Settings) -> None:
        self._context = _tls_context(settings)
        super().__init__(pool_connections=1, pool_maxsize=settings.max_connections, max_retries=0)
        pool = self.poolmanager.connection_from_url(f"https://{settings.server}")
        if not isinstance(pool, HTTPSConnectionPool):
            raise ConfigurationError("the transport needs HTTPS")
        connection_class: Any = _connection_class(settings)  # urllib3 types the attribute by a narrow protocol
        pool.ConnectionCls = connection_class
        self.pool = pool

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Hand our context to the pool, so that nothing in the environment replaces it."""
        super().init_poolmanager(*args, ssl_context=self._context, **kwargs)


def _tls_context(settings: Settings) -> ssl.SSLContext:
    verify = settings.verify
    if isinstance(verify, ssl.SSLContext):
        return verify
    if verify is False or (verify is True and settings.fingerprint is not None):
        return _unchecked_context()
    context = _system_context() if verify == "system" else _bundle_context(verify)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _unchecked_context() -> ssl.SSLContext:
    """Return a context that takes any certificate: one that is pinned, or one that nobody cares about."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _system_context() -> ssl.SSLContext:
    try:
        import truststore
    except ImportError:
        raise ConfigurationError(
            "verify='system' needs the package truststore", hint="pip install 'mailstore[truststore]'"
        ) from None
    return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _bundle_context(verify: bool | str | Path) -> ssl.SSLContext:
    path = DEFAULT_CA_BUNDLE_PATH if verify is True else str(verify)
    directory = Path(path).is_dir()
    try:
        return ssl.create_default_context(cafile=None if directory else path, capath=path if directory else None)
    except OSError as error:
        raise ConfigurationError(f"{path!r} cannot be used as a file of CA certificates: {_words(error)}") from None


def _connection_class(settings: Settings) -> type[HTTPSConnection]:
    class Connection(HTTPSConnection):
        """A connection that keeps to the limits of an exchange, and knows whom it may talk to."""

        response_class = _Answer
        _ends = 0.0
        _unsent: list[bytes] | None = None

        def connect(self) -> None:
            self._ends = monotonic() + float(self.timeout or 0)
            try:
                super().connect()
            except ssl.SSLCertVerificationError as error:
                refused = _untrusted(settings, error)
            else:
                seen = fingerprint_of(self.sock)
                if settings.fingerprint is None or hmac.compare_digest(seen, settings.fingerprint):
                    # The policy of the caller is fulfilled, be it to check nothing; urllib3 need not warn again.
                    self.is_verified = True
                    return
                self.close()
                refused = _not_the_pinned_one(settings, seen)
            raise refused

        def _new_conn(self) -> socket.socket:
            connected = super()._new_conn()
            # The handshake gets what is left of the time to connect.
            connected.settimeout(max(self._ends - monotonic(), _INSTANT))
            return connected

        @property
        def is_connected(self) -> bool:
            # Bytes that the last answer left over would be taken for the beginning of the next one.
            return super().is_connected and not (isinstance(self.sock, ssl.SSLSocket) and self.sock.pending())

        def request(self, *args: Any, **kwargs: Any) -> None:
            _now.sent = True
            _now.ends = min(_now.ends, monotonic() + _now.read)
            self.timeout = max(_now.ends - monotonic(), _INSTANT)
            self._unsent = []
            super().request(*args, **kwargs)
            unsent, self._unsent = b"".join(self._unsent), None
            super().send(unsent)

        def send(self, data: Any) -> None:
            """Collect head and body, to send them as one."""
            if self._unsent is None:
                super().send(data)
            else:
                self._unsent.append(data)

    return Connection


class _Answer(HTTPResponse):
    """An answer that must be complete in time, of a sane size, and proper HTTP from its first byte."""

    def __init__(self, sock: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = _Reader(_Limited(self.fp.detach(), sock, _now))

    def begin(self) -> None:
        """Read the head."""
        super().begin()
        if self.headers.defects or self.headers.get_payload():
            raise ProtocolError("the head of the answer is malformed", http_status=self.status, hint=WRONG_PORT)


class _Reader(io.BufferedReader):
    """Makes room for what has come, not for what a server says will come."""

    def read(self, size: int | None = -1, /) -> bytes:
        """Read so many bytes, or all."""
        if size is None or size <= _PIECE:
            return super().read(size)
        if size > LARGEST:
            raise _too_large(f"{size} bytes")
        pieces: list[bytes] = []
        while size > 0 and (piece := super().read(min(size, _PIECE))):
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)


class _Limited(io.RawIOBase):
    """The bytes of an answer, up to the limits of the exchange."""

    def __init__(self, source: io.RawIOBase, connection: socket.socket, exchange: _Exchange) -> None:
        self._source = source
        self._connection = connection
        self._exchange = exchange

    def readable(self) -> bool:
        """Return that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """Wait for bytes, each time only as long as is left for all of them."""
        left = self._exchange.ends - monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        self._connection.settimeout(left)
        count = self._source.readinto(buffer)
        self._exchange.received += count or 0
        if self._exchange.received > LARGEST:
            raise _too_large(f"more than {LARGEST} bytes")
        return count

    def close(self) -> None:
        """Let go of the connection."""
        try:
            super().close()
        finally:
            self._source.close()


_PIECE = 1 << 24
"""Bytes that room is made for at once: 16 MiB."""

_INSTANT = 0.001
"""Seconds that stand for no time at all, where 0 would mean not to wait for anything."""


def _too_large(size: str) -> ProtocolError:
    return ProtocolError(f"the answer has {size}, no answer of this API has more than {LARGEST}", hint=WRONG_PORT)


def _untrusted(settings: Settings, error: ssl.SSLCertVerificationError) -> CertificateError:
    try:
        seen = fetch_fingerprint(settings.host, settings.port, timeout=settings.timeouts[0])
    except MailStoreError:
        seen = None
    how = f"fingerprint={seen!r}" if seen else "fingerprint=…"
    hint = (
        "a MailStore Server signs its own certificate: compare the fingerprint with the server's and pin it with "
        f"{how}, or name the file of your authority with verify='/path/to/ca.pem'"
    )
    if "Key Identifier" in error.verify_message:
        hint += "; Python 3.13 and newer want this extension, an ssl.SSLContext without VERIFY_X509_STRICT does not"
    return CertificateError(
        f"the certificate of {settings.server} is not trusted: {error.verify_message}"
        + (f"; its fingerprint is {seen}" if seen else ""),
        fingerprint=seen,
        hint=hint,
    )


def _not_the_pinned_one(settings: Settings, seen: str) -> CertificateError:
    return CertificateError(
        f"the certificate of {settings.server} is not the pinned one: "
        f"its fingerprint is {seen}, not {settings.fingerprint}",
        fingerprint=seen,
        hint="was the certificate replaced? Compare with the server before you pin the new one; nothing was sent",
    )


def fetch_fingerprint(host: str, port: int = 8463, *, timeout: float = 10.0) -> str:
    """Return the SHA-256 fingerprint of the certificate that a server shows; nothing is sent to it.

    The certificate is not checked, that is the point: compare the fingerprint with what
    the administrator of the server reads there, then pin it.

    Raises:
        ConfigurationError: Host, port or timeout make no sense.
        TransportError: There is no TLS server to be reached.
    """
    settings = Settings(host, password="", port=port, timeout=timeout)
    server = settings.server
    try:
        with (
            socket.create_connection((settings.host, port), timeout) as plain,
            _unchecked_context().wrap_socket(plain, server_hostname=settings.host) as encrypted,
        ):
            return fingerprint_of(encrypted)
    except TimeoutError:
        failure: TransportError = RequestTimeoutError(f"no TLS handshake with {server} within {timeout:g} s")
    except ssl.SSLError as error:
        failure = TlsError(f"no encrypted connection to {server}: {_words(error)}")
    except OSError as error:
        failure = ConnectionFailedError(f"no connection to {server}: {_words(error)}")
    raise failure


def fingerprint_of(connection: Any) -> str:
    """Return the SHA-256 fingerprint of the certificate at the other end of a TLS connection."""
    certificate: bytes = connection.getpeercert(binary_form=True) or b""
    return normal_fingerprint(hashlib.sha256(certificate).hexdigest())


def _basic(username: str, password: str) -> str:
    # UTF-8, as MailStore's own client of 2024 does; requests would send Latin-1.
    return "Basic " + b64encode(f"{username}:{password}".encode()).decode("ascii")


def _root(error: BaseException) -> BaseException:
    """Return what the operating system, OpenSSL or the parser of HTTP said, out of the wrappings around it.

    The context of an exception is not looked at: it may be something that the caller is busy with.
    """
    while True:
        last = error.args[-1] if error.args and isinstance(error, HTTPError) else None
        inner = error.__cause__ or last
        if not isinstance(inner, BaseException):
            # What it carries along, the frames of requests' pool among it, may hold the request in the clear.
            error.__cause__ = error.__context__ = None
            return error.with_traceback(None)
        error = inner


def _words(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.strip()
    return str(error) or type(error).__name__
