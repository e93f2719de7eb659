"""One small call over a connection that is kept open."""

from __future__ import annotations

import statistics
import time
from contextlib import closing
from typing import TYPE_CHECKING

from benchmarks.clients import ByHand, package
from benchmarks.measuring import Row, in_turns, median_ratio
from benchmarks.server import running

if TYPE_CHECKING:
    from collections.abc import Callable

BUDGET = 2.0
_CALLS = 20
"""Calls of one side in a row, before it is the other's turn."""


def measure(*, quick: bool) -> list[Row]:
    """Compare a call by this package with one by `http.client` and `json.loads`."""
    rounds = 15 if quick else 100
    with running() as address, closing(ByHand(address)) as by_hand, package(address) as server:
        sides = [
            _timed(lambda: by_hand.call("GetServerInfo")),
            _timed(server.get_server_info),
            _timed(lambda: by_hand.call("GetUserInfo", userName="john.doe")),
            _timed(lambda: server.get_user_info("john.doe")),
        ]
        in_turns(sides, 3)  # connections, and models that are built when first used
        base_info, our_info, base_user, our_user = in_turns(sides, rounds)
    return [
        _row("GetServerInfo", our_info, base_info),
        _row("GetUserInfo", our_user, base_user),
    ]


def _timed(call: Callable[[], object]) -> Callable[[], float]:
    def block() -> float:
        times: list[float] = []
        for _ in range(_CALLS):
            started = time.perf_counter()
            call()
            times.append(time.perf_counter() - started)
        return statistics.median(times)

    return block


def _row(function: str, ours: list[float], base: list[float]) -> Row:
    return Row(
        f"call: {function}, keep-alive TLS, against http.client + json.loads",
        median_ratio(ours, base),
        BUDGET,
        f"{statistics.median(ours) * 1e6:.0f} against {statistics.median(base) * 1e6:.0f} us",
    )
