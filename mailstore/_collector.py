"""A rest for Python's garbage collector while a very large answer is read.

Building a hundred thousand models triggers the collector hundreds of times, and each time
it walks what was built so far: two thirds of the time go there. The switch is the process's,
so pauses are counted: the last of several threads to finish puts back what was found.

A collector that comes back walks everything new at once, as its first deed. So it is told
before that what was built is old, which takes no time; the next full collection looks at it.
"""

from __future__ import annotations

import gc
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator

LARGE = 1 << 20
"""Bytes of an answer from which on a pause is worth its while."""

_FROZEN = 10_000
"""Objects that the collector must not touch, from which on the program itself has said so: an
interpreter begins with some hundreds at most, a program that freezes its own has many more."""

_lock = threading.Lock()
_pauses = 0
_was_enabled = False


@contextmanager
def paused_collector() -> Generator[None]:
    """Keep the collector off within the block, whatever happens in it and on other threads."""
    global _pauses, _was_enabled
    with _lock:
        if _pauses == 0:
            _was_enabled = gc.isenabled()
            gc.disable()
        _pauses += 1
    try:
        yield
    finally:
        with _lock:
            _pauses -= 1
            if _pauses == 0 and _was_enabled:
                _make_old()
                gc.enable()


def _make_old() -> None:
    """Move everything that the collector has not walked yet to its oldest generation."""
    if gc.get_freeze_count() < _FROZEN:
        gc.freeze()
        gc.unfreeze()
