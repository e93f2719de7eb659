"""What `MailStoreServer` is apart from its methods for the functions: the ways that every call can go."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, overload

from pydantic import JsonValue

from mailstore._engine import Engine, Exchange
from mailstore._protocol import envelope_type, loose_fields
from mailstore.errors import ArgumentError, ConfigurationError
from mailstore.models.base import Request, secrets_of
from mailstore.models.envelope import StatusCode
from mailstore.models.protocol import GetStatus
from mailstore.outcomes import Outcome, run_many
from mailstore.settings import (
    CONNECT_TIMEOUT,
    READ_TIMEOUT,
    Options,
    Password,
    Progress,
    RetryPolicy,
    Settings,
    Timeout,
    Verify,
    checked_seconds,
    timeout_pair,
)
from mailstore.tasks import UNSEEN, Task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from concurrent.futures import Executor
    from types import TracebackType
    from typing import Self, Unpack

    from mailstore._clock import Clock
    from mailstore.compatibility import CompatibilityReport
    from mailstore.models.envelope import StatusEnvelope

R = TypeVar("R")

_FUNCTION_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*")


class Calls:
    """The ways that every call can go, over one pool of connections.

    A client may be shared between threads. It makes no connection before the first call;
    `close`, or the end of a ``with`` block, releases them all.
    """

    def __init__(
        self,
        host: str,
        *,
        port: int = 8463,
        username: str = "admin",
        password: Password,
        verify: Verify = True,
        fingerprint: str | None = None,
        timeout: Timeout = (CONNECT_TIMEOUT, READ_TIMEOUT),
        poll_wait: float = 5.0,
        deadline: float | None = None,
        on_progress: Progress | None = None,
        retry: RetryPolicy | None = None,
        max_connections: int = 64,
        pause_collector: bool = True,
    ) -> None:
        """Describe a server; nothing is sent before the first call.

        Args:
            host: Host name or IP address.
            port: TCP port of the Administration API.
            username: Login name of an administrator.
            password: Its password, or a function that fetches it when the first call is made. Where a
                second factor is asked for, an app or API password.
            verify: How the certificate is checked: `True` against the bundled public authorities,
                ``"system"`` against those of the operating system (extra ``truststore``), the path of a file
                or directory of CA certificates, an `ssl.SSLContext`, or `False` for not at all.
            fingerprint: SHA-256 fingerprint of the certificate. Alone it stands in for the check of the
                chain, which is what a self-signed certificate needs; with a CA file or a context both must hold.
            timeout: Seconds for one exchange, or (seconds to connect, seconds to wait for the answer).
            poll_wait: Seconds that the server may hold a poll of a task when there is nothing new.
            deadline: Seconds that a call may take until its result is there; as long as it takes if `None`.
            on_progress: Is called with every status of every task that is waited for.
            retry: When a call is sent again; three attempts, where that is safe, if left out.
            max_connections: How many idle connections are kept open.
            pause_collector: Whether Python's garbage collector rests while an answer of more than 1 MiB is read.

        Raises:
            ConfigurationError: A setting makes no sense, or two contradict each other.
        """
        self._engine = Engine(
            Settings(
                host=host,
                port=port,
                username=username,
                password=password,
                verify=verify,
                fingerprint=fingerprint,
                timeout=timeout,
                poll_wait=poll_wait,
                deadline=deadline,
                on_progress=on_progress,
                retry=retry or RetryPolicy(),
                max_connections=max_connections,
                pause_collector=pause_collector,
            )
        )

    @classmethod
    def from_settings(
        cls, settings: Settings, *, clock: Clock | None = None, random: Callable[[], float] | None = None
    ) -> Self:
        """Make a client from settings.

        Args:
            settings: Address, login, trust, timeouts, repetition.
            clock: What waiting goes by; the system's clock if left out. For tests.
            random: Returns numbers from 0 to 1 for the pauses between attempts. For tests.
        """
        client = cls.__new__(cls)
        client._engine = Engine(settings, clock=clock, random=random)
        return client

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Make a client from the environment variables ``MAILSTORE_HOST``, ``MAILSTORE_PASSWORD`` and others.

        Also read: ``MAILSTORE_PORT``, ``MAILSTORE_USERNAME``, ``MAILSTORE_FINGERPRINT``, ``MAILSTORE_CA_FILE``.

        Args:
            environ: The variables; those of the process if left out.

        Raises:
            ConfigurationError: A variable is missing or makes no sense; the message names it.
        """
        return cls.from_settings(Settings.from_env(environ))

    @property
    def settings(self) -> Settings:
        """How this client reaches its server; unchangeable."""
        return self._engine.settings

    def with_options(self, **options: Unpack[Options]) -> Self:
        """Return a client with other defaults over the same connections.

        Closing either closes both.

        Args:
            **options: Any of `timeout`, `deadline`, `poll_wait`, `on_progress`, `retry`, `pause_collector`;
                what is left out stays.

        Example:
            >>> patient = server.with_options(timeout=600, deadline=3600)

        Raises:
            ConfigurationError: An option is unknown, or belongs to the connections.
        """
        changeable = Options.__annotations__.keys()
        fixed = options.keys() - changeable
        if fixed:
            raise ConfigurationError(
                f"with_options cannot change {', '.join(sorted(fixed))}, only {', '.join(sorted(changeable))}",
                hint="make another client for another server, login or trust",
            )
        client = type(self).__new__(type(self))
        client._engine = self._engine.with_settings(self.settings.changed(**options))
        return client

    # ------------------------------------------------------------------ the ways a call can go

    def run(
        self,
        request: Request[R],
        *,
        timeout: Timeout | None = None,
        deadline: float | None = None,
        on_progress: Progress | None = None,
    ) -> R:
        """Call a function, wait for its end and return its result.

        Args:
            request: What to call.
            timeout: Seconds for the HTTP exchange that starts the call; the client's if left out.
            deadline: Seconds until the result must be there; the client's if left out.
            on_progress: Is called with every status when the call becomes a task.

        Raises:
            ApiError: The server said no.
            DeadlineExceededError: The call became a task that goes on; the error carries it.
            TaskCancelledError: The task was cancelled.
            TransportError: No answer came.
            ProtocolError: The answer was none that this API gives.

        Example:
            >>> server.run(VerifyStore(id=3), deadline=3600, on_progress=print)
        """
        return self._run(request, timeout, deadline, on_progress)

    def start(
        self,
        request: Request[R],
        *,
        timeout: Timeout | None = None,
        deadline: float | None = None,
        on_progress: Progress | None = None,
    ) -> Task[R]:
        """Call a function and return its task at once.

        A call that the server finishes immediately gives a task that is done.

        Args:
            request: What to call.
            timeout: Seconds for the HTTP exchange; the client's if left out.
            deadline: Seconds, from now, until the result must be there for those who wait for the task
                without a timeout of their own; the client's if left out.
            on_progress: Is called with every status while somebody waits for the task.

        Raises:
            ApiError: The server said no.
            TransportError: No answer came.
            ProtocolError: The answer was none that this API gives.
        """
        until = self._until(deadline)
        status = self._engine.exchange(request, timeouts=_timeouts(timeout), until=until).envelope
        return self._task(request, status, until, on_progress)

    def invoke(self, request: Request[R], *, timeout: Timeout | None = None) -> StatusEnvelope[R]:
        """Call a function by one exchange and return the envelope, which may say that it is still running.

        Raises:
            ApiError: The server said no.
            TransportError: No answer came.
            ProtocolError: The answer was none that this API gives.
        """
        return self._engine.exchange(request, timeouts=_timeouts(timeout)).envelope

    def exchange(self, request: Request[R], *, timeout: Timeout | None = None) -> Exchange[R]:
        """Call a function by one exchange and return the envelope beside the raw HTTP answer.

        Example:
            >>> answer = server.exchange(GetServerInfo())
            >>> answer.http.status, answer.http.elapsed, answer.envelope.result.version
        """
        return self._engine.exchange(request, timeouts=_timeouts(timeout))

    def call(
        self,
        function: str,
        arguments: Mapping[str, object] | None = None,
        *,
        timeout: Timeout | None = None,
    ) -> StatusEnvelope[JsonValue]:
        """Call any function by its name, also one that this version does not know, by one exchange.

        Args:
            function: Name of the function, as the API spells it.
            arguments: Arguments, as the API spells them: texts, numbers, booleans, datetimes; lists of texts
                travel with commas between, other lists and mappings as JSON; `None` is left out.
            timeout: Seconds for the HTTP exchange; the client's if left out.

        Returns:
            The envelope. While it says ``running``, ``resume(envelope.token)`` gives the task.

        Raises:
            ArgumentError: The name is none.
            ApiError: The server said no.
        """
        request_type = _unknown_function(function)
        given = dict(arguments or {})
        return self._engine.send(request_type, loose_fields(given, function), given, _timeouts(timeout)).envelope

    @overload
    def resume(self, token: str, request_type: None = None, *, status_version: int = UNSEEN) -> Task[JsonValue]: ...
    @overload
    def resume(self, token: str, request_type: type[Request[R]], *, status_version: int = UNSEEN) -> Task[R]: ...
    def resume(
        self, token: str, request_type: type[Request[Any]] | None = None, *, status_version: int = UNSEEN
    ) -> Task[Any]:
        """Take up a task by its token, begun by another client, perhaps in another process.

        Asks nothing yet.

        Args:
            token: The task's token.
            request_type: The class of the call, such as `VerifyStore`; without it the result is plain JSON.
            status_version: Version of the last status whose log was seen; from the beginning if left out.

        Example:
            >>> task = server.resume("d242d822a59bd4db308eef8b85af7d2a", VerifyStore)
            >>> task.result()
        """
        kind = request_type or _AnyFunction
        return Task(
            self._engine,
            kind.function,
            envelope_type(kind),
            token=token,
            status_version=status_version,
            until=self._until(None),
            on_progress=self.settings.on_progress,
        )

    def run_many(
        self, requests: Iterable[Request[R]], *, max_workers: int = 16, executor: Executor | None = None
    ) -> Iterator[Outcome[R]]:
        """Call many functions at once and yield what became of each, in the order of the requests.

        An error in one never loses the others. Requests are taken from the iterable only as
        fast as they are carried out, so that there may be any number of them; nothing begins
        before the first outcome is asked for. When the caller stops early, calls that have not
        begun do not begin, and nobody waits any longer for tasks, which go on on the server.

        Args:
            requests: What to call. If it raises, the outcomes of the requests before come first.
            max_workers: How many calls are under way at once.
            executor: An engine of your own to work on, such as a process pool or Dask's
                ``Client.get_executor()``. It is not shut down; a thread pool works with this client.
                To others, settings and requests are pickled, the password included; each of their
                processes makes a client of its own, without `on_progress`. An engine that repeats
                work which it has lost repeats calls.

        Raises:
            ArgumentError: `max_workers` is below 1.
            ConfigurationError: The settings cannot travel to the executor.

        Example:
            >>> for outcome in server.run_many(GetUserInfo(user_name=name) for name in names):
            ...     print(outcome.result.email_addresses if outcome.ok else outcome.error)
        """
        if max_workers < 1:
            raise ArgumentError("max_workers must be at least 1", argument="max_workers")

        def run(request: Request[R], abandoned: Callable[[], bool]) -> R:
            return self._run(request, None, None, None, abandoned)

        return run_many(run, self.settings, requests, max_workers, executor)

    def check_compatibility(self) -> CompatibilityReport:
        """Compare what the server offers with what this version of the package knows.

        Returns:
            A report of functions and arguments that only one side has, and of those that differ.
        """
        from mailstore.compatibility import compare
        from mailstore.models.protocol import GetMetadata

        return compare(self.run(GetMetadata()))

    # ----------------------------------------------------------------------------- life and death

    def close(self) -> None:
        """Release the connections; a call after that is refused. Tasks go on on the server."""
        self._engine.transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __reduce__(self) -> tuple[Callable[[Settings], Self], tuple[Settings]]:
        """Pickle by settings: the copy makes connections of its own."""
        return type(self).from_settings, (self.settings,)

    def __repr__(self) -> str:
        """Show where and as whom, never the password."""
        return f"{type(self).__name__}({self.settings.server!r}, username={self.settings.username!r})"

    def _run(
        self,
        request: Request[R],
        timeout: Timeout | None,
        deadline: float | None,
        on_progress: Progress | None,
        abandoned: Callable[[], bool] | None = None,
    ) -> R:
        until = self._until(deadline)
        status = self._engine.exchange(request, timeouts=_timeouts(timeout), until=until).envelope
        if status.status_code == StatusCode.SUCCEEDED:
            return status.result
        return self._task(request, status, until, on_progress, abandoned).result()

    def _task(
        self,
        request: Request[R],
        status: StatusEnvelope[R],
        until: float | None,
        on_progress: Progress | None,
        abandoned: Callable[[], bool] | None = None,
    ) -> Task[R]:
        return Task(
            self._engine,
            request.function,
            envelope_type(type(request)),
            status=status,
            until=until,
            on_progress=on_progress or self.settings.on_progress,
            secrets=secrets_of(request),
            abandoned=abandoned,
        )

    def _until(self, deadline: float | None) -> float | None:
        """Return when a call that begins now must have its result, by the clock."""
        seconds = self.settings.deadline if deadline is None else checked_seconds("deadline", deadline, zero=True)
        return None if seconds is None else self._engine.clock.monotonic() + seconds


def _timeouts(timeout: Timeout | None) -> tuple[float, float] | None:
    return None if timeout is None else timeout_pair(timeout)


class _AnyFunction(Request[JsonValue]):
    """A function that this version does not know."""

    function: ClassVar[str] = GetStatus.function


@cache
def _unknown_function(name: str) -> type[Request[JsonValue]]:
    if not _FUNCTION_NAME.fullmatch(name):
        raise ArgumentError(
            f"function: {name!r} is no name of a function: letters and digits only", argument="function"
        )

    class AnyFunction(_AnyFunction):
        function: ClassVar[str] = name

    AnyFunction.returns = JsonValue
    return AnyFunction
