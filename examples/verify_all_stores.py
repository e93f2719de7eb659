"""Verify all archive stores, one after the other, and keep the log of each.

    python examples/verify_all_stores.py logs

What a verification finds is told in its log and nowhere else; here, it is written to
``logs/store-1.log`` and so on. With the package rich there is a progress bar, without it plain lines.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from mailstore import MailStoreError, MailStoreServer
from mailstore.models import StoreInfo, VerifyStore


@contextmanager
def progress_of(store: StoreInfo) -> Generator[Callable[[int], object]]:
    """Return what shows the progress of a store in percent."""
    try:
        from rich.progress import Progress
    except ImportError:
        yield lambda percent: print(f"{store.name}: {percent} %")
        return
    with Progress() as progress:
        bar = progress.add_task(store.name, total=100)
        yield lambda percent: progress.update(bar, completed=percent)


def verify(server: MailStoreServer, store: StoreInfo, log: Path) -> bool:
    """Verify a store, write its log, even when it is broken off, and return whether all is well."""
    task = server.start(VerifyStore(id=store.id))
    try:
        with progress_of(store) as show:
            for status in task:
                show(status.percent_progress or 0)
        task.result()
    finally:
        log.write_text(task.log.replace("\r\n", "\n"), encoding="utf-8")
    return "No errors have been found" in task.log


def main() -> int:
    """Verify all stores; return 1 unless all of them are well."""
    directory = Path(sys.argv[1] if len(sys.argv) > 1 else "logs")
    directory.mkdir(parents=True, exist_ok=True)
    bad = 0
    with MailStoreServer.from_env() as server:
        for store in server.get_stores(include_size=False):
            log = directory / f"store-{store.id}.log"
            try:
                well, words = verify(server, store, log), f"see {log}"
            except MailStoreError as error:
                well, words = False, str(error)
            print(f"{store.name}: {'no errors' if well else words}")
            bad += not well
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
