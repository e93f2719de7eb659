"""Long runs, bounded in count and time, on this computer only: ``poe soak``."""

from __future__ import annotations

import gc
import sys
from pathlib import Path

import pytest

from mailstore.sandbox import Sandbox
from tests.faulty import client_of
from tests.support import known_functions
from tests.test_threads import hammer

pytestmark = pytest.mark.soak

CALLS = 50_000
ROUNDS = 10

STATUS = Path("/proc/self/status")


def resident() -> int:
    """Return the memory of this process in KiB."""
    gc.collect()
    line = next(line for line in STATUS.read_text(encoding="ascii").splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1])


def test_twenty_thousand_calls_of_thirty_two_threads() -> None:
    hammer(20_000)


@pytest.mark.skipif(not STATUS.exists(), reason="memory is read from /proc")
def test_fifty_thousand_calls_hold_memory_flat() -> None:
    with Sandbox(functions=known_functions()) as sandbox, client_of(sandbox) as server:
        after_round: list[int] = []
        for _ in range(ROUNDS):
            for _ in range(CALLS // ROUNDS):
                server.get_server_info()
            # The journal of the sandbox, which is in this process, too, keeps a bounded number of calls.
            sandbox.calls.clear()
            after_round.append(resident())
        assert sandbox.connections.accepted == 1
    # The first rounds fill caches; what comes after must not grow with the calls: 50 bytes a call would be 1.7 MiB.
    grown = after_round[-1] - after_round[2]
    print(f"resident after each round, KiB: {after_round}", file=sys.stderr)
    assert grown < 1536, after_round
