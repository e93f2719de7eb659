"""Long calls: a handle to wait for, to watch, to cancel, and to take up again elsewhere."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Generic, TypeVar

from mailstore.errors import DeadlineExceededError, MailStoreError, NoTokenError
from mailstore.models.envelope import StatusCode, StatusEnvelope, failure_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

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
    (both settings of the client), and the caller's own `timeout` here, in seconds.

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
        on_progress: Progress | None = None,
        secrets: Iterable[str] = (),
    ) -> None:
        self._engine = engine
        self._function = function
        self._kind = kind
        self._status = status
        self._token = token if status is None else status.token
        self._version = status_version if status is None else status.status_version
        self._log = [status.log_output] if status is not None and status.log_output else []
        self._on_progress = on_progress
        self._secrets = tuple(secrets)
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
        """Ask for the status once.

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
        return self._advance(None, wait)

    def wait(self, timeout: float | None = None, on_progress: Progress | None = None) -> StatusEnvelope[R]:
        """Wait for the end and return the last status, that of a cancelled task included.

        Ctrl+C ends the waiting, not the task; the interrupt carries a note with the token.

        Args:
            timeout: Seconds to wait; as long as it takes if left out.
            on_progress: Is called with the status so far, each later one, and the last.

        Raises:
            DeadlineExceededError: Still running after `timeout`; carries the task, which goes on.
            ApiError: The call failed.
            UnknownTokenError: The server does not know the token, or no longer.
        """
        callback = on_progress or self._on_progress
        last: StatusEnvelope[R] | None = None
        try:
            for last in self._updates(timeout):
                if callback is not None:
                    callback(last)
        except KeyboardInterrupt as interrupt:
            note = f"{self.function} goes on on the server; its token is {self._token}"
            self._engine.logger.warning("%s", note)
            interrupt.add_note(f"{note}. Resume it with server.resume({self._token!r}, {self.function}).")
            raise
        if last is None:
            raise NoTokenError("there is nothing to wait for: the task has neither a status nor a token")
        return last

    def result(self, timeout: float | None = None) -> R:
        """Wait for the end and return what the function returned.

        Args:
            timeout: Seconds to wait; as long as it takes if left out.

        Raises:
            DeadlineExceededError: Still running after `timeout`; carries the task, which goes on.
            TaskCancelledError: The task was cancelled.
            ApiError: The call failed.
        """
        status = self.wait(timeout)
        if status.status_code != StatusCode.SUCCEEDED:
            raise self._failure(status)
        return status.result

    def cancel(self) -> None:
        """Ask the server to cancel the task.

        The server does not say whether it will; it may be too late. Waiting tells.

        Raises:
            NoTokenError: The call was finished at once.
            TransportError: There was no answer.
        """
        if self.done:
            return
        self._engine.cancel(self._token)

    def __iter__(self) -> Iterator[StatusEnvelope[R]]:
        """Yield the status so far, then each later one as it comes, the last included."""
        return self._updates(None)

    def __repr__(self) -> str:
        """Show what is known without asking."""
        seen = f"{self._status.status_code}" if self._status is not None else "not polled yet"
        return f"Task({self.function}, token={self._token!r}, {seen})"

    def _updates(self, timeout: float | None) -> Iterator[StatusEnvelope[R]]:
        clock = self._engine.clock
        until = None if timeout is None else clock.monotonic() + timeout
        status, seen = self._status, self._version
        if status is not None:
            yield status
        while status is None or status.is_running:
            status = self._advance(until, None)
            if self._version != seen or not status.is_running:
                seen = self._version
                yield status
            if status.is_running and until is not None and clock.monotonic() >= until:
                raise self._late(timeout)

    def _advance(self, until: float | None, wait: float | None) -> StatusEnvelope[R]:
        with self._lock:
            if self._status is not None and not self._status.is_running:
                if self._status.status_code == StatusCode.FAILED:
                    raise self._failure(self._status)
                return self._status
            try:
                status = self._engine.poll(
                    self._kind, self._function, self._token, self._version, wait=wait, until=until
                )
            except DeadlineExceededError as late:
                late.task = self
                raise
            if status.status_version > self._version and status.log_output:
                self._log.append(status.log_output)
            self._version = max(self._version, status.status_version)
            self._status = status
        if status.status_code == StatusCode.FAILED:
            raise self._failure(status)
        return status

    def _failure(self, status: StatusEnvelope[R]) -> MailStoreError:
        return self._engine.located(failure_of(status, self.function), self.function, self._secrets)

    def _late(self, timeout: float | None) -> DeadlineExceededError:
        error = DeadlineExceededError(
            f"still running after {timeout:g} s" if timeout is not None else "still running",
            token=self._token,
            task=self,
            envelope=self._status,
            hint="the task goes on on the server: wait for `error.task` again, resume it by its token, or cancel it",
        )
        return self._engine.located(error, self.function)
