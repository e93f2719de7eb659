"""What every measurement shares: turns, medians, and the line of the table that comes of them."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from enum import Enum
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

M = TypeVar("M")

ROOT = Path(__file__).resolve().parent.parent
"""Where this package can be imported from."""


class Unit(Enum):
    """What a number in the table counts."""

    RATIO = "x"
    """One side of a comparison divided by the other."""

    MILLISECONDS = "ms"
    """Time, for what has nothing to be compared with."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: what was measured, and what it may be."""

    what: str
    """What was measured, against what."""

    value: float
    """The outcome."""

    budget: float
    """What the outcome may be at most, or must be at least."""

    seen: str
    """The absolute numbers behind it, for orientation."""

    unit: Unit = Unit.RATIO
    """What value and budget count."""

    at_least: bool = False
    """Whether the budget is a lower bound."""

    @property
    def kept(self) -> bool:
        """Whether the outcome is within the budget."""
        return self.value >= self.budget if self.at_least else self.value <= self.budget


def in_turns(sides: Sequence[Callable[[], M]], rounds: int) -> list[list[M]]:
    """Measure all sides once per round, every second round in the opposite order.

    Args:
        sides: Functions that do something and return what it took.
        rounds: How often each is called.

    Returns:
        For each side its measurements, one per round.
    """
    measured: list[list[M]] = [[] for _ in sides]
    order = list(enumerate(sides))
    for turn in range(rounds):
        for number, side in order if turn % 2 == 0 else reversed(order):
            measured[number].append(side())
    return measured


def median_ratio(ours: Sequence[float], base: Sequence[float]) -> float:
    """Return the median of the ratios of each round: what disturbs a round disturbs both sides of it."""
    return statistics.median(one / other for one, other in zip(ours, base, strict=True))


def tenth(values: Sequence[float]) -> float:
    """Return the 10th percentile, the time that something takes on a machine that is not disturbed."""
    return statistics.quantiles(values, n=10, method="inclusive")[0] if len(values) > 1 else values[0]


def peak_memory() -> int:
    """Return the largest resident size that this process has had, in bytes.

    Linux hands the peak of the process that started this one on to `ru_maxrss`, so that a small child
    of a large parent would seem never to grow; what it says in ``/proc`` is the process's own.
    """
    if sys.platform == "linux":
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
    elif sys.platform == "win32":  # noqa: RET505 - mypy follows the platform only in branches
        raise NotImplementedError("peak memory is measured on Unix only")
    else:
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


def fresh_python(*arguments: str, given: str = "") -> str:
    """Run a fresh interpreter and return what it has printed.

    Args:
        *arguments: Its command line.
        given: What it can read.
    """
    # Compiled files in a place of our own, whatever the environment says: a process that has none
    # spends much of its time in the compiler.
    variables = {**os.environ, "PYTHONPYCACHEPREFIX": _compiled().name}
    variables.pop("PYTHONDONTWRITEBYTECODE", None)
    return subprocess.run(  # noqa: S603 - our own interpreter and modules
        [sys.executable, *arguments],
        cwd=ROOT, env=variables, input=given, stdout=subprocess.PIPE, text=True, check=True,
    ).stdout  # fmt: skip


@cache
def _compiled() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="mailstore-benchmark-")
