"""Many calls at once: what became of each."""

from __future__ import annotations

import os
import ssl
import threading
from collections import deque
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from itertools import count
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar, cast
from uuid import uuid4

from mailstore.errors import ConfigurationError, MailStoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from mailstore.client import MailStoreServer
    from mailstore.models.base import Request
    from mailstore.settings import Settings

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)

AHEAD = 4
"""Requests taken from the iterator ahead of the results, per worker: enough to keep all of them busy."""


@dataclass(frozen=True, slots=True)
class Outcome(Generic[R_co]):
    """What became of one request of many: a result or an error, never both."""

    request: Request[R_co]
    """The request."""

    error: MailStoreError | None = None
    """Why there is no result; `None` when the call succeeded."""

    raw_result: R_co | None = None
    """The result; `None` as well when the call failed. `result` is the guarded view of it."""

    @property
    def ok(self) -> bool:
        """Whether the call succeeded."""
        return self.error is None

    @property
    def result(self) -> R_co:
        """What the function returned.

        Raises:
            MailStoreError: The call failed; the error of this outcome.
        """
        if self.error is not None:
            raise self.error
        return cast("R_co", self.raw_result)


_Done: TypeAlias = tuple[R | None, MailStoreError | None]
"""What comes back from a worker: a result or an error. The request, with its secrets, does not travel back."""


def run_many(
    run: Callable[[Request[R], Callable[[], bool]], R],
    settings: Settings,
    requests: Iterable[Request[R]],
    max_workers: int,
    executor: Executor | None,
) -> Iterator[Outcome[R]]:
    """Return an iterator of the outcomes of requests in their order, a bounded number of them under way at once.

    Args:
        run: Carries out a request in this process; its second argument tells whether anybody still waits.
        settings: What another process makes its client of.
        requests: What to carry out.
        max_workers: How many at once.
        executor: Where; threads of our own if `None`.

    Raises:
        ConfigurationError: The settings cannot travel to the executor.
    """
    abandoned = threading.Event()
    ahead = max_workers * AHEAD
    if executor is None:
        return _on_own_threads(run, requests, max_workers, abandoned)
    if isinstance(executor, ThreadPoolExecutor):
        return _in_order(_local(run, executor, abandoned), requests, ahead, abandoned)
    return _in_order(_remote(settings, executor), requests, ahead, abandoned)


def _on_own_threads(
    run: Callable[[Request[R], Callable[[], bool]], R],
    requests: Iterable[Request[R]],
    max_workers: int,
    abandoned: threading.Event,
) -> Iterator[Outcome[R]]:
    with ThreadPoolExecutor(max_workers, thread_name_prefix="mailstore") as threads:
        yield from _in_order(_local(run, threads, abandoned), requests, max_workers * AHEAD, abandoned)


def _in_order(
    submit: Callable[[Request[R]], Future[_Done[R]]],
    requests: Iterable[Request[R]],
    ahead: int,
    abandoned: threading.Event,
) -> Iterator[Outcome[R]]:
    under_way: deque[tuple[Request[R], Future[_Done[R]]]] = deque()
    source = iter(requests)
    broken: Exception | None = None
    try:
        while True:
            try:
                request = next(source)
                under_way.append((request, submit(request)))
            except StopIteration:
                break
            except Exception as error:  # noqa: BLE001 - raised at the end, after the outcomes of the requests before
                broken = error
                break
            # One for one: the workers stay busy while the caller thinks, and a slow source holds nothing back.
            if len(under_way) >= ahead or under_way[0][1].done():
                yield _first_outcome(under_way)
        while under_way:
            yield _first_outcome(under_way)
    finally:
        # Where the caller stops early, what has not begun does not begin.
        abandoned.set()
        for _, future in under_way:
            future.cancel()
    if broken is not None:
        raise broken


def _first_outcome(under_way: deque[tuple[Request[R], Future[_Done[R]]]]) -> Outcome[R]:
    request, future = under_way[0]
    result, error = future.result()
    under_way.popleft()
    return Outcome(request, error, result)


def _local(
    run: Callable[[Request[R], Callable[[], bool]], R], executor: Executor, abandoned: threading.Event
) -> Callable[[Request[R]], Future[_Done[R]]]:
    def work(request: Request[R]) -> _Done[R]:
        return _done(lambda: run(request, abandoned.is_set))

    return lambda request: executor.submit(work, request)


def _remote(settings: Settings, executor: Executor) -> Callable[[Request[R]], Future[_Done[R]]]:
    if isinstance(settings.verify, ssl.SSLContext):
        raise ConfigurationError(
            "an ssl.SSLContext cannot travel to another process",
            hint="pin the certificate with fingerprint=, or name a CA file with verify=",
        )
    # A callback belongs to this process, and most of them cannot be pickled.
    travelling = settings.changed(on_progress=None)
    # Dask takes equal work for the same work and does it once; a call is made as often as it is asked for.
    run, numbers = uuid4().hex, count()
    return lambda request: executor.submit(_elsewhere, travelling, request, f"{run}-{next(numbers)}")


def _elsewhere(settings: Settings, request: Request[R], _unique: str) -> _Done[R]:
    return _done(lambda: _client(settings, os.getpid()).run(request))


@lru_cache(maxsize=16)
def _client(settings: Settings, _process: int) -> MailStoreServer:
    # Kept from one request to the next. A process that was forked off makes its own: connections cannot be shared.
    from mailstore.client import MailStoreServer

    return MailStoreServer.from_settings(settings)


def _done(call: Callable[[], R]) -> _Done[R]:
    """Make a call; only errors of this package are an outcome, all others are mistakes and end everything."""
    try:
        return call(), None
    except MailStoreError as error:
        return None, error
