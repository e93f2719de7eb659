"""Long calls: a handle to wait for, to watch, to cancel, and to take up again elsewhere."""

from __future__ import annotations

import threading
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Generic, TypeVar

from mailstore.errors import DeadlineExceededError, MailStoreError, TaskError
from mailstore.models.envelope import StatusCode, StatusEnvelope, failure_of
from mailstore.settings import checked_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

    from mailstore._engine import Engine
    from mailstore.settings import Progress

R = TypeVar("R")

UNSEEN = -1
"""The status version of a caller that has seen no status yet."""


class Task(Generic[R]):
    """A call that goes on on the server.

    The server works on whether or not anybody watches. Waiting is long polling: the
    server holds each request until there is something new, so nothing here sleeps. A
    connection that breaks while waiting is made anew with the same token.

    Three clocks are kept apart: the HTTP timeout of one exchange and the wait of one poll
    (both settings of the client), and the caller's own deadline, which `wait` and `result`
    take in seconds. A deadline that the call was started with holds until it has passed
    once: who waits again after that sets a new one.

    A task may be used by several threads at once; one of them polls, and all see what comes.

    Example:
        >>> task = server.start(VerifyStore(id=3))
        >>> for status in task:
        ...     print(status.log_output or "", end="")
    """

    def __init__(
        self,
        engine: Engine,
        function: str,
        kind: type[StatusEnvelope[R]],
        *,
        status: StatusEnvelope[R] | None = None,
        token: str | None = None,
        status_version: int = UNSEEN,
        until: float | None = None,
        on_progress: Progress | None = None,
        secrets: Iterable[str] = (),
        abandoned: Callable[[], bool] | None = None,
    ) -> None:
        self._engine = engine
        self._function = function
        self._kind = kind
        self._status = status
        self._token = token if status is None else status.token
        self._version = status_version if status is None else status.status_version
        self._log = [status.log_output] if status is not None and status.log_output else []
        self._until = until
        self._on_progress = on_progress
        self._secrets = tuple(secrets)
        self._abandoned = abandoned
        self._lock = threading.RLock()

    @property
    def function(self) -> str:
        """Name of the API function."""
        return self._function

    @property
    def token(self) -> str | None:
        """What the task is polled, cancelled and resumed with; `None` when the call was finished at once."""
        return self._token

    @property
    def status(self) -> StatusEnvelope[R] | None:
        """The last status seen; `None` before the first poll of a resumed task. Asks nobody."""
        return self._status

    @property
    def status_version(self) -> int:
        """The version of the last status seen, to resume from where the log was left; -1 for none."""
        return self._version

    @property
    def log(self) -> str:
        """Everything logged so far, each line once, in order."""
        return "".join(self._log)

    @property
    def done(self) -> bool:
        """Whether the last status seen was the end. Asks nobody."""
        return self._status is not None and not self._status.is_running

    def poll(self, wait: float | None = None) -> StatusEnvelope[R]:
        """Ask for the status once; a task that is done is not asked for again.

        Args:
            wait: Seconds that the server may hold the request when there is nothing new;
                the client's `poll_wait` if left out, 0 for an answer at once.

        Returns:
            The status, which is the last one again when there is nothing new.

        Raises:
            ApiError: The call failed.
            UnknownTokenError: The server does not know the token, or no longer.
            TransportError: There was no answer, for as long as the client's settings are patient.
        """
        if wait is not None:
            checked_seconds("wait", wait, zero=True)
        with self._telling_of_an_interrupt():
            status = self._ask(wait=wait)
        if status.status_code == StatusCode.FAILED:
            raise self._failure()
        return status

    def wait(self, timeout: float | None = None, on_progress: Progress | None = None) -> StatusEnvelope[R]:
        """Wait for the end and return the last status, that of a cancelled task included.

        Ctrl+C ends the waiting, not the task; the interrupt carries a note with the token.

        Args:
            timeout: Seconds to wait; until the deadline that the call was started with, or
                as long as it takes, if left out.
            on_progress: Is called with the status so far, each later one, and the last.

        Raises:
            DeadlineExceededError: Still running after `timeout`; carries the task, which goes on.
            ApiError: The call failed.
            UnknownTokenError: The server does not know the token, or no longer.
            TransportError: There was no answer, for as long as the client's settings are patient.
        """
        # There is always a last one, or an error.
        return deque(self._updates(timeout, on_progress or self._on_progress), maxlen=1).pop()

    def result(self, timeout: float | None = None) -> R:
        """Wait for the end and return what the function returned.

        Args:
            timeout: Seconds to wait; until the deadline that the call was started with, or
                as long as it takes, if left out.

        Raises:
            DeadlineExceededError: Still running after `timeout`; carries the task, which goes on.
            TaskCancelledError: The task was cancelled.
            ApiError: The call failed.
            UnknownTokenError: The server does not know the token, or no longer.
            TransportError: There was no answer, for as long as the client's settings are patient.
        """
        status = self.wait(timeout)
        if status.status_code != StatusCode.SUCCEEDED:
            raise self._failure()
        return status.result

    def cancel(self) -> None:
        """Ask the server to cancel the task; nothing is asked when it is done.

        The server does not say whether it will; it may be too late. Waiting tells.

        Raises:
            ApiError: The server refused, or the task has failed meanwhile.
            UnknownTokenError: The server does not know the token, or no longer.
            TransportError: There was no answer.
        """
        if self.done:
            return
        try:
            self._engine.cancel(self._token)
        except TaskError as error:
            error.token, error.task = self._token, self
            raise

    def __iter__(self) -> Iterator[StatusEnvelope[R]]:
        """Yield the status so far, then each later one as it comes, the last included.

        Raises:
            DeadlineExceededError: The deadline that the call was started with has passed.
            ApiError: The call failed; raised after its last status was yielded.
        """
        return self._updates(None, None)

    def __repr__(self) -> str:
        """Show what is known without asking."""
        seen = f"{self._status.status_code}" if self._status is not None else "not polled yet"
        return f"Task({self._function}, token={self._token!r}, {seen})"

    def _updates(self, timeout: float | None, callback: Progress | None) -> Iterator[StatusEnvelope[R]]:
        clock = self._engine.clock
        until = self._until if timeout is None else clock.monotonic() + checked_seconds("timeout", timeout, zero=True)
        status, seen = self._status, None
        try:
            with self._telling_of_an_interrupt():
                if status is not None:
                    seen = status.status_version
                    if callback is not None:
                        callback(status)
                    yield status
                while status is None or status.is_running:
                    status = self._ask(seen, until=until)
                    if status.status_version != seen or not status.is_running:
                        seen = status.status_version
                        if callback is not None:
                            callback(status)
                        yield status
                    if status.is_running:
                        self._check_patience(until, timeout)
        except DeadlineExceededError:
            if timeout is None:
                self._until = None  # it was told once; who waits again has as long as it takes
            raise
        if status.status_code == StatusCode.FAILED:
            raise self._failure()

    def _ask(
        self, seen: int | None = None, *, wait: float | None = None, until: float | None = None
    ) -> StatusEnvelope[R]:
        """Return a status newer than the one that was seen if another thread has got it, else poll once."""
        left = -1 if until is None else max(until - self._engine.clock.monotonic(), 0.0)
        if not self._lock.acquire(timeout=left):
            raise self._late("still running when the time was up")
        try:
            known = self._status
            if known is not None and (not known.is_running or (seen is not None and known.status_version > seen)):
                return known
            return self._polled(wait, until)
        finally:
            self._lock.release()

    def _polled(self, wait: float | None, until: float | None) -> StatusEnvelope[R]:
        try:
            status = self._engine.poll(
                self._kind,
                self._function,
                self._token,
                self._version,
                wait=wait,
                until=until,
                secrets=self._secrets,
            )
        except TaskError as error:
            error.token, error.task = self._token, self
            raise
        except MailStoreError as error:
            # The caller may have no other trace of the task, after `run` for one.
            error.add_note(self._goes_on())
            raise
        if status.status_version > self._version and status.log_output:
            self._log.append(status.log_output)
        self._version = max(self._version, status.status_version)
        self._status = status
        return status

    def _check_patience(self, until: float | None, timeout: float | None) -> None:
        if until is not None and self._engine.clock.monotonic() >= until:
            raise self._late(
                "still running at the deadline of the call" if timeout is None else f"still running after {timeout:g} s"
            )
        if self._abandoned is not None and self._abandoned():
            self._engine.logger.warning("%s", self._goes_on())
            raise self._late("nobody waits any longer")

    @contextmanager
    def _telling_of_an_interrupt(self) -> Generator[None]:
        try:
            yield
        except KeyboardInterrupt as interrupt:
            if not self.done:
                self._engine.logger.warning("%s", self._goes_on())
                interrupt.add_note(self._goes_on())
            raise

    def _failure(self) -> MailStoreError:
        """Return the error that tells why the last status has no result."""
        if self._status is None:
            raise ValueError("no status was seen yet")
        error = failure_of(self._status, self._function)
        if isinstance(error, TaskError):
            error.task = self
        return self._engine.located(error, self._function, self._secrets)

    def _late(self, message: str) -> DeadlineExceededError:
        error = DeadlineExceededError(
            message,
            token=self._token,
            task=self,
            envelope=self._status,
            hint="the task goes on on the server: wait for `error.task` again, resume it by its token, or cancel it",
        )
        return self._engine.located(error, self._function)

    def _goes_on(self) -> str:
        return f"{self._function} goes on on the server; its token, to resume or to cancel it, is {self._token}"
