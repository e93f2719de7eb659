"""Run the measurements and print one table: ``python -m benchmarks [--quick] [--strict] [NAME ...]``."""

from __future__ import annotations

import argparse
import os
import platform
import ssl
import sys
from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.measuring import Row

MEASUREMENTS = {"call": "call", "rows": "rows", "import": "imports", "fanout": "fanout", "wait": "wait"}
"""The names of the measurements, and the modules that they are in."""


def main() -> int:
    """Measure what was asked for, print the table, and return the exit code."""
    options = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure the budgets of the package.")
    options.add_argument(
        "names", nargs="*", metavar="NAME", help=f"what to measure: {', '.join(MEASUREMENTS)}; everything if left out"
    )
    options.add_argument("--quick", action="store_true", help="fewer rounds, for a first impression")
    options.add_argument("--strict", action="store_true", help="exit with 1 when a budget is missed")
    chosen = options.parse_args()
    unknown = [name for name in chosen.names if name not in MEASUREMENTS]
    if unknown:
        options.error(f"unknown: {', '.join(unknown)}; known: {', '.join(MEASUREMENTS)}")

    rows: list[Row] = []
    for name in chosen.names or MEASUREMENTS:
        print(f"measuring {name} ...", file=sys.stderr, flush=True)
        rows += import_module(f"benchmarks.{MEASUREMENTS[name]}").measure(quick=chosen.quick)
    _print_table(rows)
    return 1 if chosen.strict and not all(row.kept for row in rows) else 0


def _print_table(rows: list[Row]) -> None:
    cells = [("what", "measured", "budget", "verdict", "medians, for orientation")]
    for row in rows:
        bound = ">=" if row.at_least else "<="
        verdict = "kept" if row.kept else "MISSED"
        unit = row.unit.value
        cells.append((row.what, f"{row.value:.2f} {unit}", f"{bound} {row.budget:g} {unit}", verdict, row.seen))
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    print()
    for number, line in enumerate(cells):
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
        if number == 0:
            print("  ".join("-" * width for width in widths))
    print()
    print(
        f"Python {platform.python_version()}, {ssl.OPENSSL_VERSION}, "
        + ", ".join(f"{name} {version(name)}" for name in ("pydantic", "pydantic-core", "requests", "urllib3"))
    )
    print(f"{platform.platform()}, {os.cpu_count()} CPUs{_load()}")


def _load() -> str:
    """Return how busy the machine is, where it can be asked: on a busy one every number is too high."""
    return "" if sys.platform == "win32" else f", load {os.getloadavg()[0]:.1f}"


if __name__ == "__main__":
    sys.exit(main())
