"""How fast long calls go: at once, by the clock, or by hand."""

from __future__ import annotations

import threading
from typing import Final

_SETTLE = 10.0
"""Seconds that `Pace.step` and `Pace.finish` wait for the tasks; they need milliseconds."""


class Pace:
    """The time that long calls take between two steps; made by `at_once`, `every` or `by_hand`.

    A step is what a function does between two entries of its log. The first step of a
    task is made without waiting, so that the first answer has the beginning of the log.

    Example:
        >>> pace = Pace.by_hand()
        >>> with Sandbox(pace=pace) as sandbox:
        ...     ...  # start a task
        ...     pace.step()
        ...     ...  # its status has grown by one step
        ...     pace.finish()
    """

    def __init__(self, seconds: float | None) -> None:
        self._seconds: Final = seconds
        self._lock = threading.Lock()
        self._gates: set[Gate] = set()

    @classmethod
    def at_once(cls) -> Pace:
        """Let tasks run to their end without a pause."""
        return cls(0.0)

    @classmethod
    def every(cls, seconds: float) -> Pace:
        """Let tasks make one step in so many seconds."""
        if seconds < 0:
            raise ValueError("a pace cannot be negative")
        return cls(seconds)

    @classmethod
    def by_hand(cls) -> Pace:
        """Let tasks wait after each step until `step` or `finish` is called."""
        return cls(None)

    def step(self, n: int = 1) -> None:
        """Let each running task make so many steps, and return when they are made.

        Tasks that are started later are not affected. At another pace than `by_hand`
        the tasks skip so many pauses.

        Raises:
            TimeoutError: A task did not make its steps; perhaps the caller holds the world's lock.
        """
        self._release(n, to_the_end=False)

    def finish(self) -> None:
        """Let each running task go on to its end, and return when all have arrived.

        Raises:
            TimeoutError: A task did not end; perhaps the caller holds the world's lock.
        """
        self._release(0, to_the_end=True)

    def gate(self, changed: threading.Condition) -> Gate:
        """Return the place where one task waits between its steps; the sandbox calls this.

        Args:
            changed: The condition of the task, notified when the task begins to wait.
        """
        gate = Gate(self, self._seconds, changed)
        with self._lock:
            self._gates.add(gate)
        return gate

    def forget(self, gate: Gate) -> None:
        """Drop the gate of a task that is over; the sandbox calls this."""
        with self._lock:
            self._gates.discard(gate)

    def _release(self, n: int, *, to_the_end: bool) -> None:
        with self._lock:
            gates = list(self._gates)
        for gate in gates:
            gate.release(n, to_the_end=to_the_end)
        for gate in gates:
            if not gate.wait_until_settled(_SETTLE):
                raise TimeoutError("a task does not make its step; does the caller hold the world's lock?")


class Gate:
    """Where one task waits between two steps."""

    def __init__(self, pace: Pace, seconds: float | None, changed: threading.Condition) -> None:
        self._pace = pace
        self._seconds = seconds
        self._changed = changed
        self._waiting = False
        self._permits = 0
        self._free = seconds == 0
        self._interrupted = False
        self._closed = False

    @property
    def is_waiting(self) -> bool:
        """Whether the task is waiting here; read it under the task's condition."""
        return self._waiting

    def wait(self) -> bool:
        """Wait until the next step may be made; return `False` when the task shall end instead."""
        with self._changed:
            if not self._may_pass():
                self._waiting = True
                self._changed.notify_all()
                self._changed.wait_for(self._may_pass, self._seconds)
                self._waiting = False
            self._permits = max(0, self._permits - 1)
            return not self._interrupted

    def _may_pass(self) -> bool:
        return self._free or self._interrupted or self._permits > 0

    def release(self, n: int, *, to_the_end: bool) -> None:
        """Allow so many steps, or all that are left."""
        with self._changed:
            self._permits += n
            self._free = self._free or to_the_end
            self._changed.notify_all()

    def wait_until_settled(self, timeout: float) -> bool:
        """Wait until all allowed steps are made; return whether they are."""
        with self._changed:
            return self._changed.wait_for(self._is_settled, timeout)

    def _is_settled(self) -> bool:
        return self._closed or (self._waiting and not self._may_pass())

    def interrupt(self) -> None:
        """End the waiting, now and from now on: the task was cancelled or the sandbox stops."""
        with self._changed:
            self._interrupted = True
            self._changed.notify_all()

    def close(self) -> None:
        """Note that the task is over."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._pace.forget(self)
