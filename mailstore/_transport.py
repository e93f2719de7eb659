"""HTTPS: one pool of connections to one server, its TLS policy and its timeouts. No models here.

The pool is that of requests. Calls go to it directly: the way through a prepared request
and a session costs as much again as the whole exchange, and a session would bring things
that have no place here (netrc, proxies and CA files from the environment, cookies, redirects).
"""

from __future__ import annotations

import hashlib
import hmac
import socket
import ssl
import threading
import time
import warnings
from base64 import b64encode
from pathlib import Path
from typing import TYPE_CHECKING, Any

from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3 import HTTPSConnectionPool  # requests is built on urllib3 and hands out its pools
from urllib3.connection import HTTPSConnection
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NameResolutionError,
    NewConnectionError,
    SSLError,
)
from urllib3.exceptions import (
    TimeoutError as PoolTimeoutError,
)
from urllib3.util import Timeout

from mailstore._protocol import HttpAnswer
from mailstore._version import __version__
from mailstore.errors import (
    CertificateError,
    ClientClosedError,
    ConfigurationError,
    ConnectionFailedError,
    MailStoreError,
    RequestTimeoutError,
    SecurityWarning,
    TlsError,
    TransportError,
)
from mailstore.settings import normal_fingerprint

if TYPE_CHECKING:
    from mailstore.settings import Settings

_progress = threading.local()
"""Whether the calling thread's request has begun to go out; a connection sets it, `post` reads it."""


class Transport:
    """A pool of connections to one server. Safe to share between threads."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._pool: HTTPSConnectionPool | None = None
        self._adapter: HTTPAdapter | None = None
        self._headers: dict[str, str] = {}
        self._closed = False
        self.secrets: tuple[str, ...] = ()
        """The password once it was fetched, to be kept out of errors and logs."""
        if settings.verify is False:
            warnings.warn(
                f"The certificate of {settings.server} is not checked: whoever is in between can read the password. "
                "Pin it with fingerprint= instead.",
                SecurityWarning,
                stacklevel=2,
            )

    def post(self, path: str, body: bytes, timeouts: tuple[float, float]) -> HttpAnswer:
        """Send one request and return the answer, whatever its HTTP status.

        Args:
            path: Path below ``/api/``.
            body: The form, encoded.
            timeouts: Seconds to connect, and seconds to wait for bytes of the answer.

        Raises:
            TransportError: No answer came; its `sent` tells whether the request may have arrived.
            ClientClosedError: The transport was closed.
        """
        pool = self._pool or self._open()
        started = time.perf_counter()
        _progress.sent = False
        try:
            response = pool.urlopen(
                "POST",
                f"/api/{path}",
                body=body,
                headers=self._headers,
                timeout=Timeout(connect=timeouts[0], read=timeouts[1]),
                retries=False,
                redirect=False,
                assert_same_host=False,
            )
        except (HTTPError, OSError, ValueError) as error:
            failure = self._failure(error, timeouts)
            raise failure from error
        return HttpAnswer(response.status, response.headers, response.data, time.perf_counter() - started)

    def close(self) -> None:
        """Close the connections. Calls under way on other threads finish; later ones are refused."""
        with self._lock:
            self._closed = True
            adapter, self._adapter, self._pool = self._adapter, None, None
        if adapter is not None:
            adapter.close()

    def _open(self) -> HTTPSConnectionPool:
        with self._lock:
            if self._closed:
                raise ClientClosedError(
                    "the client was closed", hint="make a new one; a `with` block closes it at its end"
                )
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

    def _failure(self, error: Exception, timeouts: tuple[float, float]) -> TransportError:
        """Return our error for one of requests' pool, which callers never see."""
        sent = bool(_progress.sent)
        server = self._settings.server
        match error:
            case NameResolutionError():
                return ConnectionFailedError(
                    f"there is no host {self._settings.host}", hint="check the name and your DNS"
                )
            case NewConnectionError():
                return ConnectionFailedError(
                    f"{server} does not accept connections: {_reason(error)}",
                    hint=(
                        "the API is off by default: switch it on in the MailStore Server Service Configuration and "
                        "restart the service; its port is 8463 (Service Provider Edition: 8474)"
                    ),
                )
            case ConnectTimeoutError():  # below NewConnectionError, which is one of its kind
                return RequestTimeoutError(
                    f"no connection to {server} within {timeouts[0]:g} s",
                    hint="a firewall, or the wrong address or port?",
                )
            case PoolTimeoutError():
                waited = timeouts[1] if sent else timeouts[0]
                what = "answer" if sent else "TLS handshake"
                return RequestTimeoutError(
                    f"no {what} from {server} within {waited:g} s",
                    sent=sent,
                    hint="raise the timeout for slow functions" if sent else "is this an HTTPS port?",
                )
            case SSLError() | ssl.SSLError() if not sent and not _cut(error):
                return TlsError(
                    f"no encrypted connection to {server}: {_reason(error)}",
                    hint="is this the port of the Administration API, which speaks HTTPS with TLS 1.2 or newer?",
                )
            case _:
                when = "before an answer was complete" if sent else "before the request was sent"
                return ConnectionFailedError(f"the connection to {server} broke {when}: {_reason(error)}", sent=sent)


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
    if verify == "system":
        try:
            import truststore
        except ImportError:
            raise ConfigurationError(
                "verify='system' needs the package truststore", hint="pip install 'mailstore[truststore]'"
            ) from None
        return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if verify is False or (verify is True and settings.fingerprint is not None):
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    path = DEFAULT_CA_BUNDLE_PATH if verify is True else str(verify)
    try:
        directory = Path(path).is_dir()
        return ssl.create_default_context(cafile=None if directory else path, capath=path if directory else None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(f"{path!r} cannot be used as a file of CA certificates: {_reason(error)}") from None


def _connection_class(settings: Settings) -> type[HTTPSConnection]:
    class Connection(HTTPSConnection):
        """A connection that knows when its request goes out, and whom it may talk to."""

        def connect(self) -> None:
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

        def request(self, *args: Any, **kwargs: Any) -> None:
            _progress.sent = True
            super().request(*args, **kwargs)

    return Connection


def _untrusted(settings: Settings, error: ssl.SSLCertVerificationError) -> CertificateError:
    try:
        seen = fetch_fingerprint(settings.host, settings.port, timeout=settings.timeouts[0])
    except MailStoreError:
        seen = None
    how = f"fingerprint={seen!r}" if seen else "fingerprint=…"
    return CertificateError(
        f"the certificate of {settings.server} is not trusted: {error.verify_message or _reason(error)}"
        + (f"; its fingerprint is {seen}" if seen else ""),
        fingerprint=seen,
        hint=(
            "a MailStore Server signs its own certificate: compare the fingerprint with the server's and pin it with "
            f"{how}, or name the file of your authority with verify='/path/to/ca.pem'"
        ),
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
        TransportError: There is no TLS server to be reached.
    """
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with (
            socket.create_connection((host, port), timeout) as plain,
            context.wrap_socket(plain, server_hostname=host) as encrypted,
        ):
            return fingerprint_of(encrypted)
    except TimeoutError:
        failure: TransportError = RequestTimeoutError(f"no connection to {host}:{port} within {timeout:g} s")
    except ssl.SSLError as error:
        failure = TlsError(f"no encrypted connection to {host}:{port}: {_reason(error)}")
    except OSError as error:
        failure = ConnectionFailedError(f"no connection to {host}:{port}: {_reason(error)}")
    raise failure


def fingerprint_of(connection: Any) -> str:
    """Return the SHA-256 fingerprint of the certificate at the other end of a TLS connection."""
    certificate: bytes = connection.getpeercert(binary_form=True) or b""
    return normal_fingerprint(hashlib.sha256(certificate).hexdigest())


def _cut(error: Exception) -> bool:
    """Whether a TLS error only means that the other side went away."""
    inner = error.args[0] if error.args and isinstance(error.args[0], ssl.SSLError) else error
    return isinstance(inner, ssl.SSLEOFError | ssl.SSLZeroReturnError | ssl.SSLSyscallError)


def _basic(username: str, password: str) -> str:
    # UTF-8, as MailStore's own client of 2024 does; requests would send Latin-1.
    return "Basic " + b64encode(f"{username}:{password}".encode()).decode("ascii")


def _reason(error: BaseException) -> str:
    """Return what the operating system or OpenSSL said, without the wrappings around it."""
    seen: BaseException = error
    while (inner := seen.__cause__ or seen.__context__ or (seen.args and seen.args[-1])) and isinstance(
        inner, BaseException
    ):
        seen = inner
    if isinstance(seen, OSError):
        return (seen.strerror or str(seen)).strip()
    return str(seen) or type(seen).__name__
