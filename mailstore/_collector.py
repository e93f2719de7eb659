"""A rest for Python's garbage collector while a very large answer is read.

Building a hundred thousand models triggers the collector hundreds of times, and each time
it walks what was built so far: two thirds of the time go there. The switch is the process's,
so pauses are counted: the last of several threads to finish puts back what was found.
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
                gc.enable()
