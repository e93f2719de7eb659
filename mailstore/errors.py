"""What can go wrong, as one tree that a program can act on.

Everything that this package raises is a `MailStoreError`::

    MailStoreError
    ├── ConfigurationError          the client cannot be set up like this (also ValueError)
    ├── ArgumentError               refused before anything was sent (also ValueError)
    │   └── LinesError              lines of JSON that are no requests (in `mailstore.pipelines`)
    ├── ClientClosedError           used after close()
    ├── TransportError              no answer came
    │   ├── ConnectionFailedError   refused, reset, cut, or no such host
    │   ├── TlsError
    │   │   └── CertificateError    the certificate is not trusted; carries its fingerprint
    │   └── RequestTimeoutError     (also TimeoutError)
    ├── ProtocolError               an answer that is no status envelope
    │   └── RedirectError           the server wanted to send us elsewhere
    ├── ApiError                    the server said no
    │   ├── AuthenticationError     name or password refused, or not allowed to use the API
    │   ├── UnknownFunctionError    this server does not have the function
    │   ├── MissingArgumentError    the server misses an argument
    │   ├── InvalidArgumentError    the server does not accept the value of an argument
    │   ├── ServerUnavailableError  not now: overloaded, stopping or starting
    │   └── FunctionFailedError     anything else, in the server's own words
    └── TaskError
        ├── TaskRunningError        there is no result yet
        ├── TaskCancelledError      there will be no result
        ├── DeadlineExceededError   waited long enough; the task goes on (also TimeoutError)
        ├── UnknownTokenError       the server does not know the token, or no longer
        └── NoTokenError            a status without a token cannot be polled (also ValueError)

Each carries the name of the function, the server, how often it was tried and for how
long, the server's own words and a hint where there is one. None carries a secret, and
all of them can be pickled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from mailstore.models.envelope import StatusEnvelope
    from mailstore.tasks import Task


class SecurityWarning(UserWarning):
    """A setting gives up protection, such as switching off the check of the certificate."""


class MailStoreError(Exception):
    """Base of everything that this package raises."""

    message: str
    """What happened, in one sentence or in the server's own words."""

    function: str | None
    """Name of the API function that was called."""

    server: str | None
    """``host:port`` of the server."""

    hint: str | None
    """What a person can do about it."""

    attempt: int
    """Number of the attempt that failed, from 1; 0 when nothing was sent."""

    elapsed: float | None
    """Seconds since the call began, all attempts together."""

    earlier: tuple[MailStoreError, ...]
    """The failures of the earlier attempts, oldest first."""

    details: str | None
    """What the server added to its message, usually a .NET stack trace."""

    envelope: StatusEnvelope[Any] | None
    """The status envelope that the server answered with, where there is one."""

    def __init__(
        self,
        message: str,
        *,
        function: str | None = None,
        server: str | None = None,
        hint: str | None = None,
        details: str | None = None,
        envelope: StatusEnvelope[Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.function = function
        self.server = server
        self.hint = hint
        self.attempt = 0
        self.elapsed = None
        self.earlier = ()
        self.details = details
        self.envelope = envelope

    def __str__(self) -> str:
        """Return what was attempted, what came of it and what to do, in one line."""
        where = " on ".join(part for part in (self.function, self.server) if part)
        text = f"{where}: {self._what()}" if where else self._what()
        if self.attempt > 1:
            text += f" (attempt {self.attempt}, {self.elapsed or 0:.1f} s)"
        if self.hint:
            text = text.rstrip(".") + f". Hint: {self.hint}"
        return " ".join(text.split())

    def _what(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[Callable[..., MailStoreError], tuple[type[Self], dict[str, Any]]]:
        """Pickle by attributes, so that every subclass travels between processes."""
        return _rebuild, (type(self), self._state())

    def _state(self) -> dict[str, Any]:
        return dict(self.__dict__)


def _rebuild(kind: type[MailStoreError], state: dict[str, Any]) -> MailStoreError:
    error = kind.__new__(kind, state["message"])
    error.__dict__.update(state)
    error.args = (error.message,)
    return error


class ConfigurationError(MailStoreError, ValueError):
    """The client cannot be set up like this; nothing was sent."""


class ArgumentError(MailStoreError, ValueError):
    """An argument is missing, unknown or not what the API allows; nothing was sent."""

    argument: str | None
    """The argument that the message begins with."""

    def __init__(self, message: str, *, function: str | None = None, argument: str | None = None) -> None:
        super().__init__(message, function=function)
        self.argument = argument


class ClientClosedError(MailStoreError, RuntimeError):
    """The client was used after it was closed; nothing was sent."""


class TransportError(MailStoreError):
    """No answer came."""

    hopeless: ClassVar[bool] = False
    """Whether trying again cannot help."""

    sent: bool
    """Whether the request may have reached the server, so that it may have been carried out."""

    def __init__(self, message: str, *, sent: bool = False, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.sent = sent


class ConnectionFailedError(TransportError):
    """The connection was refused, reset or cut, or the host was not found."""


class TlsError(TransportError):
    """The encrypted connection could not be made."""

    hopeless: ClassVar[bool] = True


class CertificateError(TlsError):
    """The server's certificate is not trusted, or is not the one that was pinned."""

    fingerprint: str | None
    """SHA-256 fingerprint of the certificate that the server showed, ``sha256:…``."""

    def __init__(self, message: str, *, fingerprint: str | None = None, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.fingerprint = fingerprint


class RequestTimeoutError(TransportError, TimeoutError):
    """The server did not accept the connection, or did not answer, in time."""


class ProtocolError(MailStoreError):
    """The answer is no status envelope, or its result is not what the function returns."""

    http_status: int | None
    """The HTTP status of the answer."""

    body: str | None
    """The beginning of the answer."""

    def __init__(
        self, message: str, *, http_status: int | None = None, body: str | None = None, hint: str | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.http_status = http_status
        self.body = body

    def _what(self) -> str:
        return f"{self.message}; the answer begins with {self.body[:_SHOWN]!r}" if self.body else self.message


_SHOWN = 60
"""Characters of an unexpected answer that the text of an error shows."""


class RedirectError(ProtocolError):
    """The server answered with a redirect, which is never followed: the credentials stay here."""


class ApiError(MailStoreError):
    """The server understood the call and said no."""

    http_status: int | None
    """The HTTP status of the answer."""

    retry_after: float | None
    """Seconds after which the server wants to be asked again, where it said so."""

    def __init__(
        self,
        message: str,
        *,
        function: str | None = None,
        hint: str | None = None,
        details: str | None = None,
        envelope: StatusEnvelope[Any] | None = None,
        http_status: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, function=function, hint=hint, details=details, envelope=envelope)
        self.http_status = http_status
        self.retry_after = retry_after


class AuthenticationError(ApiError):
    """The server refused the name or the password, or the account may not use the API."""


class UnknownFunctionError(ApiError):
    """The server does not have this function."""


class MissingArgumentError(ApiError):
    """The server misses an argument."""


class InvalidArgumentError(ApiError):
    """The server does not accept the value of an argument."""


class ServerUnavailableError(ApiError):
    """The server cannot answer now: overloaded, starting or stopping."""


class FunctionFailedError(ApiError):
    """The function was carried out and failed; the message is the server's own."""


class TaskError(MailStoreError):
    """A task has no result for its caller."""

    token: str | None
    """The token of the task, with which it can be resumed."""

    task: Task[Any] | None
    """The task, ready to be waited for again; `None` after pickling, which drops the connection."""

    def __init__(
        self,
        message: str,
        *,
        token: str | None = None,
        task: Task[Any] | None = None,
        envelope: StatusEnvelope[Any] | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint, envelope=envelope)
        self.token = token
        self.task = task

    def _state(self) -> dict[str, Any]:
        # The task holds the client and with it the password, which must not travel with an error.
        return super()._state() | {"task": None}


class TaskRunningError(TaskError):
    """There is no result yet: the task is still running."""


class TaskCancelledError(TaskError):
    """There will be no result: the task was cancelled."""


class DeadlineExceededError(TaskError, TimeoutError):
    """The caller's deadline passed; the task goes on on the server and can be waited for again."""


class UnknownTokenError(TaskError):
    """The server does not know the token: it expired, was misspelt, or the server was restarted."""


class NoTokenError(TaskError, ValueError):
    """The status has no token: the call was finished at once, there is nothing to poll or to cancel."""
