"""What arrived at the sandbox: calls and connections, for tests to count."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import overload

_KEPT = 10_000
"""Calls that are remembered; the oldest are forgotten first."""


@dataclass(frozen=True)
class Call:
    """A request that arrived."""

    function: str
    """Name of the function, ``get-status`` and the like included; empty where the path is none of the API."""

    path: str
    """Path as it came."""

    arguments: Mapping[str, str]
    """The form fields, secrets masked."""

    http_status: int | None = None
    """HTTP status of the answer; `None` where there is none, or none yet."""


class Calls(Sequence[Call]):
    """The requests that arrived, oldest first; the last ten thousand of them. Safe for threads.

    Example:
        >>> assert sandbox.calls.count_of("GetUsers") == 1
        >>> assert sandbox.calls[-1].http_status == 200
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._calls: dict[int, Call] = {}
        self._next = 0

    def clear(self) -> None:
        """Forget all calls."""
        with self._changed:
            self._calls.clear()

    def of(self, function: str) -> list[Call]:
        """Return the calls of one function."""
        return [call for call in self._snapshot() if call.function == function]

    def count_of(self, function: str) -> int:
        """Return how often a function was called."""
        return len(self.of(function))

    def wait_for(self, function: str, times: int = 1, timeout: float = 10.0) -> Call:
        """Wait until a function has been called so often, and return its last call.

        A call counts when it has arrived, answered or not.

        Raises:
            TimeoutError: It is not in time.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self.count_of(function) >= times, timeout):
                raise TimeoutError(f"{function} was called {self.count_of(function)} times, not {times}")
            return self.of(function)[-1]

    def __len__(self) -> int:
        return len(self._calls)

    def __iter__(self) -> Iterator[Call]:
        return iter(self._snapshot())

    @overload
    def __getitem__(self, index: int) -> Call: ...
    @overload
    def __getitem__(self, index: slice) -> list[Call]: ...
    def __getitem__(self, index: int | slice) -> Call | list[Call]:
        return self._snapshot()[index]

    def __repr__(self) -> str:
        return repr(self._snapshot())

    def _snapshot(self) -> list[Call]:
        with self._changed:
            return list(self._calls.values())

    # ------------------------------------------------------------------------- for the server

    def arrived(self, call: Call) -> int:
        """Note a call; return its number."""
        with self._changed:
            number = self._next
            self._next += 1
            self._calls[number] = call
            if len(self._calls) > _KEPT:
                del self._calls[next(iter(self._calls))]
            self._changed.notify_all()
            return number

    def answered(self, number: int, http_status: int) -> None:
        """Note the answer to a call."""
        with self._changed:
            if number in self._calls:
                self._calls[number] = replace(self._calls[number], http_status=http_status)
