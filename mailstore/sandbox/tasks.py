"""Long calls: each runs in a thread of its own and can be polled and cancelled by its token."""

from __future__ import annotations

import secrets
import threading
import time
from typing import TYPE_CHECKING

from pydantic import JsonValue

from mailstore.sandbox.registry import Failed, Step, Steps
from mailstore.sandbox.wire import envelope, error_member

if TYPE_CHECKING:
    from mailstore.sandbox.behaviour import Behaviour
    from mailstore.sandbox.pace import Pace

_KEPT = 1000
"""Finished tasks that are remembered; the oldest are forgotten first."""

_RUNNING = "running"


class Task:
    """A long call.

    Args:
        function: Name of the API function.
        steps: What the call does.
        pace: How fast it does it.
        behaviour: The switches in force when the task was started.
    """

    def __init__(self, function: str, steps: Steps[JsonValue], pace: Pace, behaviour: Behaviour) -> None:
        self.token: str = secrets.token_hex(16)
        self.function = function
        self._steps = steps
        self._behaviour = behaviour
        self._changed = threading.Condition()
        self._gate = pace.gate(self._changed)
        self._thread = threading.Thread(target=self._run, name=f"mailstore-sandbox-{function}", daemon=True)
        self._version = 1
        self._told = 0
        self._code = _RUNNING
        self._percent: int | None = None
        self._text: str | None = None
        self._log: list[tuple[int, str]] = []
        self._error: JsonValue = None
        self._result: JsonValue = None
        self._cancelled = False
        self._stopped = False
        self._finished_at: float | None = None

    # ------------------------------------------------------------------------- for the server

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def cancel(self) -> None:
        """Ask the task to end; it does before its next step."""
        with self._changed:
            self._cancelled = True
        self._gate.interrupt()

    def stop(self) -> None:
        """Break the task off because the sandbox stops, and release everybody who waits for it."""
        with self._changed:
            self._stopped = True
        self._gate.interrupt()

    def join(self) -> None:
        """Wait for the end of the thread."""
        self._thread.join()

    @property
    def is_finished(self) -> bool:
        """Whether the task is over."""
        with self._changed:
            return self._code != _RUNNING

    def has_expired(self, lifetime: float | None) -> bool:
        """Return whether the task has been over for longer than this."""
        with self._changed:
            if lifetime is None or self._finished_at is None:
                return False
            return time.monotonic() - self._finished_at >= lifetime

    def wait_until_idle(self) -> None:
        """Wait until the task is over or has to wait for its pace."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_over() or self._gate.is_waiting)

    def wait_until_finished(self, timeout: float) -> None:
        """Wait for the end of the task, but no longer than this."""
        with self._changed:
            self._changed.wait_for(self._is_over, min(timeout, threading.TIMEOUT_MAX))

    def wait_until_newer(self, version: int, timeout: float) -> None:
        """Wait until the status is newer than the one that is known or the task is over, but no longer than this."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._version > version or self._is_over(), min(timeout, threading.TIMEOUT_MAX)
            )

    def status(self, since: int = 0, *, with_log: bool = True) -> dict[str, JsonValue]:
        """Return the envelope of the task as it is now.

        Args:
            since: The version that the client knows; the log begins after it.
            with_log: Whether the log is told at all.
        """
        with self._changed:
            return envelope(
                error=self._error,
                token=self.token,
                status_version=self._version,
                status_code=self._code,
                percent_progress=self._percent,
                status_text=self._text,
                result=self._result,
                log_output=self._new_log(since) if with_log else None,
            )

    def _new_log(self, since: int) -> str | None:
        if self._behaviour.log_replay == "since_last_answer":
            since = self._told
        elif self._behaviour.log_replay == "everything":
            since = 0
        self._told = self._version
        return "".join(text for version, text in self._log if version > since) or None

    def _is_over(self) -> bool:
        return self._code != _RUNNING or self._stopped

    # ------------------------------------------------------------------------- in the thread

    def _run(self) -> None:
        try:
            self._end("succeeded", result=self._work())
        except Failed as failed:
            self._fail(failed)
        finally:
            self._gate.close()

    def _work(self) -> JsonValue:
        try:
            while True:
                try:
                    step = next(self._steps)
                except StopIteration as end:
                    result: JsonValue = end.value
                    return result
                self._tell(step)
                if not self._gate.wait():
                    raise _Cancelled
        finally:
            self._steps.close()

    def _tell(self, step: Step) -> None:
        with self._changed:
            self._version += 1
            if step.log is not None:
                self._log.append((self._version, "".join(f"{line}\r\n" for line in step.log.split("\n"))))
            if step.percent is not None:
                self._percent = step.percent
            if step.text is not None:
                self._text = step.text
            self._changed.notify_all()

    def _fail(self, failed: Failed) -> None:
        if isinstance(failed, _Cancelled) and self._behaviour.cancelled_status != "failed":
            self._end(self._behaviour.cancelled_status)
        else:
            self._end("failed", error=error_member(failed, self.function))

    def _end(self, code: str, *, result: JsonValue = None, error: JsonValue = None) -> None:
        with self._changed:
            self._version += 1
            self._code = code
            self._result = result
            self._error = error
            # Only a task that went to its end is known to say 100; the others stay where they were.
            self._percent = 100 if code == "succeeded" else self._percent
            self._finished_at = time.monotonic()
            self._changed.notify_all()


class _Cancelled(Failed):
    """The task was cancelled; the message is .NET's, for the switch that makes it an ordinary failure."""

    def __init__(self) -> None:
        super().__init__("The operation was canceled.", kind="System.OperationCanceledException")


class Tasks:
    """The long calls of a server, by token."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, Task] = {}
        self._running: set[Task] = set()
        self._stopped = False

    def start(self, task: Task) -> None:
        """Remember a task and let it begin to work."""
        with self._lock:
            self._running = {other for other in self._running if not other.is_finished} | {task}
            self._known[task.token] = task
            self._forget_the_oldest()
            if self._stopped:
                task.stop()
            task.start()

    def _forget_the_oldest(self) -> None:
        surplus = len(self._known) - _KEPT
        if surplus > 0:
            finished = [token for token, task in self._known.items() if task.is_finished]
            for token in finished[:surplus]:
                del self._known[token]

    def find(self, token: str, lifetime: float | None = None) -> Task | None:
        """Return a task by its token, unless it has been over for longer than `lifetime` seconds."""
        with self._lock:
            task = self._known.get(token)
            if task is not None and task.has_expired(lifetime):
                del self._known[token]
                return None
            return task

    def forget(self, token: str) -> None:
        """Let a token be unknown from now on; a running task goes on unseen."""
        with self._lock:
            self._known.pop(token, None)

    def stop(self) -> None:
        """Break all tasks off, and those that are still to come at once."""
        with self._lock:
            self._stopped = True
            running = list(self._running)
        for task in running:
            task.stop()

    def join(self) -> None:
        """Wait for the threads of all tasks."""
        with self._lock:
            running = list(self._running)
        for task in running:
            task.join()
