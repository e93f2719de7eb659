"""Many calls at once, to a server that takes its time for each."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING

from benchmarks.clients import package
from benchmarks.measuring import Row, in_turns, median_ratio
from benchmarks.server import running
from mailstore.models import GetUserInfo

if TYPE_CHECKING:
    from benchmarks.server import Address

CALLS = 500
DELAY = 0.02
WORKERS = 16
BUDGET = 12.0


def measure(*, quick: bool) -> list[Row]:
    """Compare 16 workers of `run_many` with one call after the other, each side with a client of its own."""
    with running(delay=DELAY) as address:
        serial, fanned = in_turns([lambda: _serial(address), lambda: _fanned(address)], 1 if quick else 5)
    return [
        Row(
            f"fanout: {CALLS} x GetUserInfo at {DELAY * 1e3:.0f} ms, {WORKERS} workers, faster than serial by",
            median_ratio(serial, fanned),
            BUDGET,
            f"{statistics.median(fanned):.2f} against {statistics.median(serial):.2f} s",
            at_least=True,
        )
    ]


def _serial(address: Address) -> float:
    requests = _requests()
    with package(address) as server:
        started = time.perf_counter()
        answered = [server.run(request).user_name for request in requests]
        took = time.perf_counter() - started
    return _checked(took, answered, requests)


def _fanned(address: Address) -> float:
    requests = _requests()
    with package(address) as server:
        started = time.perf_counter()
        answered = [outcome.result.user_name for outcome in server.run_many(requests, max_workers=WORKERS)]
        took = time.perf_counter() - started
    return _checked(took, answered, requests)


def _requests() -> list[GetUserInfo]:
    return [GetUserInfo(user_name=f"user{number}") for number in range(CALLS)]


def _checked(took: float, answered: list[str], requests: list[GetUserInfo]) -> float:
    if answered != [request.user_name for request in requests]:
        raise RuntimeError("answers are missing or mixed up")
    return took
