"""Many calls at once: what became of each."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from mailstore.errors import MailStoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

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


def outcome_of(run: Callable[[Request[R]], R], request: Request[R]) -> Outcome[R]:
    """Carry out a request and return its outcome; only errors of this package are taken for one."""
    try:
        return Outcome(request, raw_result=run(request))
    except MailStoreError as error:
        return Outcome(request, error=error)


def run_many(
    run: Callable[[Request[R]], R],
    settings: Settings,
    requests: Iterable[Request[R]],
    max_workers: int,
    executor: Executor | None,
) -> Iterator[Outcome[R]]:
    """Yield the outcomes of requests in their order, a bounded number of them under way at once."""
    if executor is not None:
        submit = _local(run, executor) if isinstance(executor, ThreadPoolExecutor) else _remote(settings, executor)
        yield from _in_order(submit, requests, max_workers * AHEAD)
        return
    with ThreadPoolExecutor(max_workers, thread_name_prefix="mailstore") as threads:
        yield from _in_order(_local(run, threads), requests, max_workers * AHEAD)


def _in_order(
    submit: Callable[[Request[R]], Future[Outcome[R]]], requests: Iterable[Request[R]], ahead: int
) -> Iterator[Outcome[R]]:
    under_way: deque[Future[Outcome[R]]] = deque()
    try:
        for request in requests:
            under_way.append(submit(request))
            if len(under_way) >= ahead:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()
    finally:
        # The caller stopped early, or the iterator of requests failed: what has not begun does not begin.
        for future in under_way:
            future.cancel()


def _local(run: Callable[[Request[R]], R], executor: Executor) -> Callable[[Request[R]], Future[Outcome[R]]]:
    return lambda request: executor.submit(outcome_of, run, request)


def _remote(settings: Settings, executor: Executor) -> Callable[[Request[R]], Future[Outcome[R]]]:
    # Only settings and request travel; the other process makes a client of its own and keeps it. A callback
    # belongs to this process, and most of them cannot be pickled.
    travelling = settings.changed(on_progress=None)
    return lambda request: executor.submit(_elsewhere, travelling, request)


def _elsewhere(settings: Settings, request: Request[Any]) -> Outcome[Any]:
    return outcome_of(_runner(settings), request)


@cache
def _runner(settings: Settings) -> Callable[[Request[Any]], Any]:
    from mailstore.client import MailStoreServer

    return MailStoreServer.from_settings(settings).run
