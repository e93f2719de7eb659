"""Faults on request: what servers, networks and proxies do to a client on a bad day."""

from __future__ import annotations

import enum
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field

from mailstore.models.protocol import CancelAsync, GetStatus


class FaultKind(enum.Enum):
    """What goes wrong. A function is carried out unless the text of the kind says otherwise."""

    RESET_BEFORE = "reset before"
    """The connection is reset when the head of the request has arrived; the function is not carried out."""

    RESET_AFTER = "reset after"
    """The function is carried out, then the connection is reset instead of an answer."""

    RESET_INSIDE = "reset inside"
    """The connection is reset in the middle of the body of the answer."""

    STALL_HANDSHAKE = "stall handshake"
    """The connection is accepted, but the TLS handshake does not begin. For any function."""

    STALL_HEAD = "stall head"
    """The function is carried out, but not a byte of the answer is sent."""

    STALL_BODY = "stall body"
    """The answer stops in the middle of its body."""

    CUT_BODY = "cut body"
    """The connection is closed in the middle of the body, short of its ``Content-Length``."""

    WRONG_LENGTH = "wrong length"
    """``Content-Length`` is half of the length of the body, which is sent whole."""

    EMPTY_BODY = "empty body"
    """HTTP 200 without a body."""

    HTML = "html"
    """HTTP 200 with a page of HTML."""

    HALF_JSON = "half json"
    """HTTP 200 with the first half of the JSON, and a ``Content-Length`` that says so."""

    ANSWER = "answer"
    """The `status`, `headers` and `body` of the fault. The function is not carried out, unless `executed` is set."""

    EXPIRED_TOKEN = "expired token"  # noqa: S105
    """The token of a poll or of a cancellation is unknown from now on. For ``get-status`` and ``cancel-async``."""


_POLLING = frozenset({GetStatus.function, CancelAsync.function})


@dataclass(eq=False)
class Fault:
    """Something that goes wrong for some requests; hand it to `Faults.add`.

    Example:
        >>> sandbox.faults.add(Fault(FaultKind.RESET_AFTER, "CreateUser"))
        >>> sandbox.faults.add(Fault(FaultKind.ANSWER, times=2, status=503, headers={"Retry-After": "1"}))
    """

    kind: FaultKind
    """What goes wrong."""

    function: str | None = None
    """Name of the function that it goes wrong for, ``get-status`` and the like included; any if left out."""

    times: int | None = 1
    """How many requests it goes wrong for; `None` for all from now on."""

    skip: int = 0
    """How many requests go well before."""

    status: int = 200
    """HTTP status, for `FaultKind.ANSWER`."""

    headers: dict[str, str] = field(default_factory=dict[str, str])
    """Header fields, for `FaultKind.ANSWER`; length, server and date are added where they are not given."""

    body: bytes = b""
    """Body, for `FaultKind.ANSWER`."""

    executed: bool = False
    """Whether the function is carried out nevertheless, for `FaultKind.ANSWER`."""

    fired: int = field(default=0, init=False)
    """For how many requests it went wrong so far."""

    def __post_init__(self) -> None:
        if self.kind is FaultKind.STALL_HANDSHAKE and self.function is not None:
            raise ValueError("during the handshake, nobody knows yet which function will be called")
        if self.kind is FaultKind.EXPIRED_TOKEN and self.function not in {None, *_POLLING}:
            raise ValueError(f"only {' and '.join(sorted(_POLLING))} have a token that can expire")


def _concerns(fault: Fault, function: str | None) -> bool:
    """Return whether a fault is meant for requests like this; no function stands for the handshake."""
    if (function is None) != (fault.kind is FaultKind.STALL_HANDSHAKE):
        return False
    if fault.kind is FaultKind.EXPIRED_TOKEN and function not in _POLLING:
        return False
    return fault.function in {None, function}


def _strikes(fault: Fault) -> bool:
    """Count a request that a fault is meant for, and return whether it goes wrong this time."""
    if fault.times is not None and fault.fired >= fault.times:
        return False
    if fault.skip > 0:
        fault.skip -= 1
        return False
    fault.fired += 1
    return True


class Faults:
    """The faults of a sandbox. Each request meets one at most, the one that was added first."""

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self._changed = threading.Condition()
        self._faults = list(faults)
        self._releases = 0
        self._stalled = 0
        self._stopped = False

    def add(self, fault: Fault) -> Fault:
        """Let something go wrong from now on; return the fault, which counts how often it did."""
        with self._changed:
            self._faults.append(fault)
        return fault

    def clear(self) -> None:
        """Let everything go well again; what is stalled goes on."""
        with self._changed:
            self._faults.clear()
        self.release()

    def release(self) -> None:
        """Let everything that is stalled at this moment go on."""
        with self._changed:
            self._releases += 1
            self._changed.notify_all()

    def wait_until_stalled(self, connections: int = 1, timeout: float = 10.0) -> None:
        """Wait until so many connections are stalled.

        Raises:
            TimeoutError: They are not in time.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._stalled >= connections, timeout):
                raise TimeoutError(f"{self._stalled} connections are stalled, not {connections}")

    # ------------------------------------------------------------------------- for the server

    def meet(self, function: str | None) -> Fault | None:
        """Return the fault that a request meets; `None` as function stands for the handshake."""
        with self._changed:
            concerned = [fault for fault in self._faults if _concerns(fault, function)]
            return next((fault for fault in concerned if _strikes(fault)), None)

    def stall(self) -> bool:
        """Wait for `release`; return `False` when the sandbox stops instead."""
        with self._changed:
            seen = self._releases
            self._stalled += 1
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._stopped or self._releases > seen)
            self._stalled -= 1
            return not self._stopped

    def stop(self) -> None:
        """End all stalling because the sandbox stops."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def restart(self) -> None:
        """Stall again, after `stop`."""
        with self._changed:
            self._stopped = False
