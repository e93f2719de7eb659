"""What importing the package costs a program that would load pydantic and requests anyway.

Such a program has a model of its own, and making the first one is what takes pydantic its time. The package
puts that off until a model is used, so the same imports without a model are shown for comparison.
"""

from __future__ import annotations

import statistics
from functools import partial

from benchmarks.measuring import Row, fresh_python, in_turns, tenth

BUDGET = 1.15

_BARE = """
import requests
from pydantic import BaseModel
"""
_BASE = f"""{_BARE}
class Model(BaseModel):
    name: str
"""
_OURS = "from mailstore import MailStoreServer"

_TIMED = """
import time
started = time.process_time()
{code}
print(time.process_time() - started)
"""


def measure(*, quick: bool) -> list[Row]:
    """Compare the import of the client with that of its two dependencies and one model."""
    sides = [partial(_cpu_time, _BASE), partial(_cpu_time, _OURS), partial(_cpu_time, _BARE)]
    in_turns(sides, 2)  # compiles
    base, ours, bare = in_turns(sides, 9 if quick else 41)
    median = statistics.median(ours), statistics.median(base)
    return [
        Row(
            "import: from mailstore import MailStoreServer, CPU, p10, against requests + BaseModel + one model",
            tenth(ours) / tenth(base),
            BUDGET,
            f"{median[0] * 1e3:.0f} against {median[1] * 1e3:.0f} ms, {median[0] / median[1]:.2f} x; "
            f"p10 {tenth(ours) * 1e3:.0f} against {tenth(base) * 1e3:.0f} ms, {tenth(bare) * 1e3:.0f} without a model",
        )
    ]


def _cpu_time(code: str) -> float:
    """Run imports in a fresh interpreter and return their seconds of CPU, the interpreter's own start left out."""
    return float(fresh_python("-c", _TIMED.format(code=code)))
