"""What the tutorial's client is apart from its methods for the functions."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from pydantic import JsonValue

from mailstore._engine import Engine
from mailstore.errors import ApiError, ConfigurationError, NoTokenError
from mailstore.models.base import Request, secrets_of
from mailstore.models.envelope import StatusCode, StatusEnvelope, failure_of
from mailstore.models.protocol import CancelAsync, FunctionMetadata, GetMetadata, GetStatus
from mailstore.settings import CONNECT_TIMEOUT, READ_TIMEOUT, Settings, Timeout, Verify
from mailstore.tasks import Task

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
            callbackStatus: Is called with every status of a long call that is waited for.
            logLevel: What is printed to stdout: 0 nothing, 1 errors, 2 warnings, 3 calls, 4 details.
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
        if isinstance(logLevel, bool) or logLevel not in range(5):
            raise ConfigurationError(f"logLevel must be a number from 0 to 4, not {logLevel!r}")
        if isinstance(waitTime, bool) or waitTime < 0:
            raise ConfigurationError(f"waitTime must be a number of milliseconds, not {waitTime!r}")
        if ignoreInvalidSSLCerts and verify is not True:
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
                poll_wait=waitTime / 1000,
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

    def GetStatus(
        self, status: StatusEnvelope[R] | Mapping[str, Any], waitTime: int | None = None
    ) -> StatusEnvelope[R]:
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
        wait = None if waitTime is None else waitTime / 1000
        kind: type[StatusEnvelope[R]] = type(status) if isinstance(status, StatusEnvelope) else StatusEnvelope
        asked = self._engine.poll(kind, GetStatus.function, token, version, wait=wait)
        if asked.status_code == StatusCode.FAILED and self.raiseOnError:
            raise self._engine.located(failure_of(asked), GetStatus.function)
        return asked

    def CancelAsync(self, status: StatusEnvelope[Any] | Mapping[str, Any]) -> StatusEnvelope[JsonValue]:
        """Ask the server to cancel a long running call.

        The server does not say whether it will: go on with ``GetStatus`` until the status is no
        longer ``running``.

        Args:
            status: Any status of the call, or a mapping with its ``token``.

        Returns:
            The server's answer, which means nothing.

        Raises:
            NoTokenError: The status has no token: the call was finished at once.
        """
        return self._exchange(CancelAsync(token=_token_of(status)[0]))

    def HandleToken(self, status: StatusEnvelope[R]) -> StatusEnvelope[R]:
        """Wait for the end of a long running call, calling ``callbackStatus`` with every status.

        Args:
            status: A status of the call.

        Returns:
            The last status.

        Raises:
            TaskCancelledError: The call was cancelled; not with ``raiseOnError=False``.
            ApiError: The call failed; not with ``raiseOnError=False``.
        """
        return self._wait(self._task(status))

    def YieldStatus(self, status: StatusEnvelope[R]) -> Iterator[StatusEnvelope[R]]:
        """Yield the status given, then each later one as it comes, the last included.

        Args:
            status: A status of the call.

        Raises:
            ApiError: The call failed; with ``raiseOnError=False`` its last status is yielded instead.
        """
        try:
            yield from self._task(status)
        except ApiError as error:
            if self.raiseOnError or error.envelope is None:
                raise
            yield error.envelope

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
        secrets = secrets_of(request)
        return self._wait(Task(self._engine, request.function, type(status), status=status, secrets=secrets))

    def _exchange(self, request: Request[R]) -> StatusEnvelope[R]:
        return self._engine.exchange(request, failed_raises=self.raiseOnError).envelope

    def _task(self, status: StatusEnvelope[R]) -> Task[R]:
        return Task(self._engine, GetStatus.function, type(status), status=status)

    def _wait(self, task: Task[R]) -> StatusEnvelope[R]:
        try:
            status = task.wait(on_progress=self._report)
            if status.status_code == StatusCode.CANCELLED and self.raiseOnError:
                raise self._engine.located(failure_of(status), task.function)
        except ApiError as error:
            if self.raiseOnError or error.envelope is None:
                raise
            self._report(error.envelope)
            return error.envelope
        return status

    def _report(self, status: StatusEnvelope[Any]) -> None:
        if self.callbackStatus is not None:
            self.callbackStatus(status)

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


def _token_of(status: StatusEnvelope[Any] | Mapping[str, Any]) -> tuple[str, int]:
    token, version = status.get("token"), status.get("statusVersion", -1)
    if not isinstance(token, str) or not token:
        raise NoTokenError(
            "this status has no token, so there is nothing to ask about",
            envelope=status if isinstance(status, StatusEnvelope) else None,
            hint="the call was finished at once; look at its statusCode and result",
        )
    return token, int(version)


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
