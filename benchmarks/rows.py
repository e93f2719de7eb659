"""A very large answer: time and memory until every row is a validated model.

Each side fetches its rows in a process of its own, and once: in a process that they share, one side
would find the memory that the other has left behind, and a peak can be measured but once.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.clients import ByHand, package
from benchmarks.measuring import Row, fresh_python, in_turns, median_ratio, peak_memory
from benchmarks.server import Address, running

if TYPE_CHECKING:
    from collections.abc import Callable, Sized

ROWS = 100_000
TIME_BUDGET = 1.6
MEMORY_BUDGET = 2.5


@dataclass(frozen=True, slots=True)
class _Fetched:
    """What it took to fetch the rows."""

    seconds: float
    growth: int
    """Bytes by which the peak of the process has grown."""


def measure(*, quick: bool) -> list[Row]:
    """Compare folders as models with folders as dictionaries."""
    with running(rows=ROWS) as address:
        sides = [partial(_fetched, side, address) for side in _SIDES]
        in_turns(sides, 1)  # compiles
        base, ours = in_turns(sides, 5 if quick else 25)
    seconds = [one.seconds for one in ours], [one.seconds for one in base]
    rows = [
        Row(
            f"rows: {ROWS:,} folders of 3 members to models, against http.client + json.loads",
            median_ratio(*seconds),
            TIME_BUDGET,
            "{:.0f} against {:.0f} ms".format(*(statistics.median(side) * 1e3 for side in seconds)),
        )
    ]
    if sys.platform != "win32":
        growth = [one.growth for one in ours], [one.growth for one in base]
        rows.append(
            Row(
                "rows: the same, growth of peak memory",
                median_ratio(*growth),
                MEMORY_BUDGET,
                "{:.0f} against {:.0f} MiB".format(*(statistics.median(side) / 2**20 for side in growth)),
            )
        )
    return rows


def _fetched(side: str, address: Address) -> _Fetched:
    """Let a fresh process fetch the rows."""
    return _Fetched(**json.loads(fresh_python("-m", "benchmarks.rows", side, given=address.to_json())))


def _by_hand(address: Address) -> Callable[[], Sized]:
    client = ByHand(address)
    client.call("GetServerInfo")
    return partial(client.call, "GetFolderStatistics")


def _package(address: Address) -> Callable[[], Sized]:
    server = package(address)
    server.get_server_info()
    return server.get_folder_statistics


_SIDES = {"by-hand": _by_hand, "package": _package}
"""How each side connects, makes one small call, and gets ready to fetch; what is measured first comes first."""


def main() -> None:
    """Fetch the rows once, all of them kept, and print what it took."""
    fetch = _SIDES[sys.argv[1]](Address.from_json(sys.stdin.read()))
    before = 0 if sys.platform == "win32" else peak_memory()
    started = time.perf_counter()
    rows = fetch()
    seconds = time.perf_counter() - started
    growth = 0 if sys.platform == "win32" else peak_memory() - before
    if len(rows) != ROWS:
        raise RuntimeError(f"{len(rows)} rows instead of {ROWS}")
    print(json.dumps(asdict(_Fetched(seconds, growth))))


if __name__ == "__main__":
    main()
