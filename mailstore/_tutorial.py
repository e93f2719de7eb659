"""What the tutorial's client is apart from its methods for the functions."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast, overload

from pydantic import JsonValue

from mailstore._engine import Engine
from mailstore.errors import ConfigurationError, MailStoreError, NoTokenError
from mailstore.models.base import Request, secrets_of
from mailstore.models.envelope import StatusCode, StatusEnvelope, failure_of
from mailstore.models.protocol import FunctionMetadata, GetMetadata, GetStatus
from mailstore.settings import CONNECT_TIMEOUT, READ_TIMEOUT, Settings, Timeout, Verify
from mailstore.tasks import UNSEEN, Task

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

R = TypeVar("R")

Callback: TypeAlias = Callable[[StatusEnvelope[Any]], object]
"""Is called with a status."""

_LEVELS = (logging.CRITICAL + 1, logging.ERROR, logging.WARNING, logging.INFO, logging.DEBUG)
_NAMES = {logging.ERROR: "ERROR", logging.WARNING: "WARNING", logging.INFO: "INFO", logging.DEBUG: "DEBUG"}


class TutorialCalls:
    """The constructor, the handling of tokens, and the output of the tutorial's client."""

    def __init__(
        self,
        username: str = "admin",
        password: str = "admin",  # noqa: S107 - the server's own default, which works on the server itself only
        host: str = "127.0.0.1",
        port: int = 8463,
        autoHandleToken: bool = True,
        waitTime: int = 1000,
        callbackStatus: Callback | None = None,
        logLevel: int = 2,
        ignoreInvalidSSLCerts: bool = False,
        *,
        verify: Verify = True,
        fingerprint: str | None = None,
        timeout: Timeout = (CONNECT_TIMEOUT, READ_TIMEOUT),
        raiseOnError: bool = True,
    ) -> None:
        """Describe a server; nothing is sent before the first call.

        Args:
            username: Login name of an administrator.
            password: Its password. ``admin`` and ``admin`` work from the server itself only.
            host: Host name or IP address.
            port: TCP port of the Administration API.
            autoHandleToken: Whether methods wait for the end of a long call.
            waitTime: Milliseconds that the server may hold a poll when there is nothing new.
            callbackStatus: Is called with every status of a long call that is waited for, the first and the
                last included.
            logLevel: What is printed to stdout: 0 nothing, 1 errors, 2 warnings, 3 what became of each call,
                4 each HTTP request; each level with those below. Values of arguments and results never are.
            ignoreInvalidSSLCerts: Whether any certificate is accepted; the same as ``verify=False``.
            verify: How the certificate is checked: `True`, ``"system"``, the path of a CA file, an
                `ssl.SSLContext`, or `False`.
            fingerprint: SHA-256 fingerprint of the certificate, for a self-signed one.
            timeout: Seconds for one exchange, or (seconds to connect, seconds to wait for the answer).
            raiseOnError: Whether a call that failed raises; `False` returns its envelope, for scripts that
                look at ``statusCode`` themselves.

        Raises:
            ConfigurationError: A setting makes no sense, or two contradict each other.
        """
        if not _is_whole(logLevel) or logLevel not in range(5):
            raise ConfigurationError(f"logLevel must be a number from 0 to 4, not {logLevel!r}")
        if ignoreInvalidSSLCerts and not isinstance(verify, bool):
            raise ConfigurationError("ignoreInvalidSSLCerts and verify contradict each other; give one of them")
        self.autoHandleToken = autoHandleToken
        self.callbackStatus = callbackStatus
        self.raiseOnError = raiseOnError
        self._engine = Engine(
            Settings(
                host=host,
                port=port,
                username=username,
                password=password,
                # A pin is the better answer to an untrusted certificate, so it takes the place of ignoring it.
                verify=False if ignoreInvalidSSLCerts and fingerprint is None else verify,
                fingerprint=fingerprint,
                timeout=timeout,
                poll_wait=_seconds(waitTime),
            ),
            logger=_stdout_logger(_LEVELS[logLevel]),
        )

    # ------------------------------------------------------------------------ the protocol's calls

    def GetMetadata(self) -> StatusEnvelope[list[FunctionMetadata]]:
        """List every function that the server offers, with its arguments.

        Returns:
            The status envelope; its ``result`` is a list of `FunctionMetadata`.
        """
        return self._exchange(GetMetadata())

    @overload
    def GetStatus(self, status: StatusEnvelope[R], waitTime: int | None = None) -> StatusEnvelope[R]: ...
    @overload
    def GetStatus(self, status: Mapping[str, Any], waitTime: int | None = None) -> StatusEnvelope[Any]: ...
    def GetStatus(
        self, status: StatusEnvelope[Any] | Mapping[str, Any], waitTime: int | None = None
    ) -> StatusEnvelope[Any]:
        """Ask once how far a long running call is.

        Args:
            status: The last status of the call, or a mapping with its ``token`` and ``statusVersion``.
            waitTime: Milliseconds that the server may hold the request when there is nothing new; the
                client's own setting if left out.

        Returns:
            The status now; also that of a call that was cancelled.

        Raises:
            NoTokenError: The status has no token: the call was finished at once.
            UnknownTokenError: The server does not know the token, or no longer.
            ApiError: The call failed; not with ``raiseOnError=False``.
        """
        token, version = _token_of(status)
        wait = None if waitTime is None else _seconds(waitTime)
        kind: type[StatusEnvelope[Any]] = type(status) if isinstance(status, StatusEnvelope) else StatusEnvelope
        try:
            now = self._engine.poll(kind, GetStatus.function, token, version, wait=wait)
            if now.status_code == StatusCode.FAILED:
                raise self._engine.located(failure_of(now), GetStatus.function)
        except MailStoreError as error:
            return self._envelope_of(error)
        return now

    def CancelAsync(self, status: StatusEnvelope[Any] | Mapping[str, Any]) -> StatusEnvelope[JsonValue]:
        """Ask the server to cancel a long running call.

        The server does not say whether it will: go on with ``GetStatus`` until the status is no
        longer ``running``. Nothing is asked when the status given is not running any more.

        Args:
            status: Any status of the call, or a mapping with its ``token``.

        Returns:
            The server's answer, which means nothing.

        Raises:
            NoTokenError: The status has no token: the call was finished at once.
            UnknownTokenError: The server does not know the token, or no longer.
        """
        token, _ = _token_of(status)
        code = str(status.get("statusCode", StatusCode.RUNNING))
        if code != StatusCode.RUNNING:
            return StatusEnvelope[JsonValue](token=token, status_code=StatusCode(code))
        try:
            return self._engine.cancel(token)
        except MailStoreError as error:
            return self._envelope_of(error)

    @overload
    def HandleToken(self, status: StatusEnvelope[R]) -> StatusEnvelope[R]: ...
    @overload
    def HandleToken(self, status: Mapping[str, Any]) -> StatusEnvelope[Any]: ...
    def HandleToken(self, status: StatusEnvelope[Any] | Mapping[str, Any]) -> StatusEnvelope[Any]:
        """Wait for the end of a long running call, calling ``callbackStatus`` with every status.

        Args:
            status: A status of the call, or a mapping with its ``token``.

        Returns:
            The last status.

        Raises:
            NoTokenError: The status is running, or a mapping, and has no token.
            UnknownTokenError: The server does not know the token, or no longer.
            TaskCancelledError: The call was cancelled; not with ``raiseOnError=False``.
            ApiError: The call failed; not with ``raiseOnError=False``.
        """
        return self._wait(self._task(status))

    @overload
    def YieldStatus(self, status: StatusEnvelope[R]) -> Iterator[StatusEnvelope[R]]: ...
    @overload
    def YieldStatus(self, status: Mapping[str, Any]) -> Iterator[StatusEnvelope[Any]]: ...
    def YieldStatus(self, status: StatusEnvelope[Any] | Mapping[str, Any]) -> Iterator[StatusEnvelope[Any]]:
        """Yield the status given, then each later one as it comes, the last included.

        Args:
            status: A status of the call, or a mapping with its ``token``.

        Raises:
            NoTokenError: The status is running, or a mapping, and has no token.
            UnknownTokenError: The server does not know the token, or no longer.
            ApiError: The call failed, after its last status was yielded; not with ``raiseOnError=False``.
        """
        try:
            yield from self._task(status)
        except MailStoreError as error:
            self._envelope_of(error)

    # --------------------------------------------------------------------------------- every call

    def _call(
        self, request_type: type[Request[R]], autoHandleToken: bool | None, /, **arguments: object
    ) -> StatusEnvelope[R]:
        given = {name: value for name, value in arguments.items() if value is not None}
        request = request_type.from_wire(given)
        status = self._exchange(request)
        wait = self.autoHandleToken if autoHandleToken is None else autoHandleToken
        if not (status.is_running and wait):
            return status
        return self._wait(
            Task(self._engine, request.function, type(status), status=status, secrets=secrets_of(request))
        )

    def _exchange(self, request: Request[R]) -> StatusEnvelope[R]:
        try:
            status = self._engine.exchange(request).envelope
            if status.status_code not in {StatusCode.RUNNING, StatusCode.SUCCEEDED}:
                raise self._engine.located(failure_of(status), request.function, secrets_of(request))
        except MailStoreError as error:
            return self._envelope_of(error)
        self._engine.logger.info("%s: %s", request.function, status.status_code)
        return status

    def _task(self, status: StatusEnvelope[Any] | Mapping[str, Any]) -> Task[Any]:
        if isinstance(status, StatusEnvelope):
            return Task(self._engine, GetStatus.function, type(status), status=status)
        token, version = _token_of(status)
        return Task(self._engine, GetStatus.function, StatusEnvelope, token=token, status_version=version)

    def _wait(self, task: Task[R]) -> StatusEnvelope[R]:
        try:
            status = task.wait(on_progress=self.callbackStatus)
            task.result()
        except MailStoreError as error:
            return self._envelope_of(error)
        self._engine.logger.info("%s: %s", task.function, status.status_code)
        return status

    def _envelope_of(self, error: MailStoreError) -> StatusEnvelope[Any]:
        """Return the envelope that an error is about; raise the error if there is none or the client raises."""
        self._engine.logger.error("%s", error)
        if self.raiseOnError or error.envelope is None:
            raise error
        return error.envelope

    # ----------------------------------------------------------------------------- life and death

    def close(self) -> None:
        """Release the connections; a call after that is refused. Long running calls go on on the server."""
        self._engine.transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        """Show where and as whom, never the password."""
        settings = self._engine.settings
        return f"{type(self).__name__}(username={settings.username!r}, host={settings.host!r}, port={settings.port})"


def _token_of(status: object) -> tuple[str, int]:
    """Return the token and the version of a status; scripts may pass anything, also what they got elsewhere."""
    known: Mapping[str, object] = {}
    if isinstance(status, StatusEnvelope | Mapping):
        known = cast("Mapping[str, object]", status)
    token, version = known.get("token"), known.get("statusVersion")
    if not isinstance(token, str) or not token:
        raise NoTokenError(
            "this status has no token, so there is nothing to ask about",
            hint="the call was finished at once; look at its statusCode and result",
        )
    return token, version if isinstance(version, int) else UNSEEN


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _seconds(waitTime: int) -> float:
    if not _is_whole(waitTime) or waitTime < 0:
        raise ConfigurationError(f"waitTime must be a number of milliseconds, not {waitTime!r}")
    return waitTime / 1000


class _Stdout(logging.Handler):
    """Prints to whatever stdout is at the moment, as the tutorial promises."""

    def emit(self, record: logging.LogRecord) -> None:
        print(_NAMES.get(record.levelno, record.levelname), record.getMessage(), file=sys.stdout)


def _stdout_logger(level: int) -> logging.Logger:
    # A logger of its own for each client, outside of the tree of loggers: one client's level is none
    # of another's business, and nothing is printed twice.
    logger = logging.Logger("mailstore.server", level)
    logger.addHandler(_Stdout())
    return logger
