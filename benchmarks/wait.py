"""How soon a caller learns that a task is finished."""

from __future__ import annotations

import random
import statistics
import time
from typing import TYPE_CHECKING

from benchmarks.clients import package
from benchmarks.measuring import Row, Unit, tenth
from benchmarks.server import FINISHED, running
from mailstore.models import VerifyStore

if TYPE_CHECKING:
    from mailstore import MailStoreServer

BUDGET = 5.0


def measure(*, quick: bool) -> list[Row]:
    """Measure from the end of a task on the server to the return of the caller who waits for it."""
    chance = random.Random(7)
    with running() as address, package(address) as server:
        late = [_lateness(server, chance.randint(40, 160)) for _ in range(12 if quick else 60)][2:]
    return [
        Row(
            "wait: from the end of a task on the server to the waiter's return, median",
            statistics.median(late),
            BUDGET,
            f"p10 {tenth(late):.2f}, longest {max(late):.2f} ms, {len(late)} tasks of 40 to 160 ms",
            Unit.MILLISECONDS,
        )
    ]


def _lateness(server: MailStoreServer, milliseconds: int) -> float:
    """Return the milliseconds between the end that a task has logged and the return of `Task.result`."""
    task = server.start(VerifyStore(id=milliseconds))
    task.result()
    returned = time.monotonic()
    return (returned - float(task.log.rpartition(FINISHED)[2])) * 1e3
