"""The last run of each profile in the past hours, as a check for a monitoring system.

    python examples/last_run_per_profile.py --hours 24

Exit codes: 0 all is well, 1 a run was not complete, 2 a run failed or there was none, 3 nobody knows.
"""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime, timedelta

from mailstore import MailStoreError, MailStoreServer
from mailstore.models import ProfileInfo, WorkerResult, WorkerResultState

OK, WARNING, CRITICAL, UNKNOWN = range(4)
SEVERITY = {
    WorkerResultState.SUCCEEDED: OK,
    WorkerResultState.COMPLETED_WITH_WARNINGS: WARNING,
    WorkerResultState.COMPLETED_WITH_ERRORS: WARNING,
    WorkerResultState.CANCELLED: WARNING,
}  # all others, also those that only a newer server knows, are critical


def last_runs(server: MailStoreServer, hours: float) -> dict[int, WorkerResult]:
    """Return the last run of each profile that had one."""
    now = datetime.now(UTC)
    soon = now + timedelta(minutes=10)  # the server's clock may be ahead
    runs = server.get_worker_results(now - timedelta(hours=hours), soon, time_zone_id="UTC")
    # The rows come in no particular order. A run without an end is still going on, so it is the newest.
    runs.sort(key=lambda run: (run.complete_time is None, run.complete_time or run.start_time))
    return {run.profile_id: run for run in runs if run.profile_id is not None}


def report(profile: ProfileInfo, run: WorkerResult | None) -> tuple[int, str]:
    """Return how bad it is, and a line about it."""
    if run is None:
        return CRITICAL, f"{profile.name}: overdue, no run at all"
    ended = f"{run.complete_time:%d %b %H:%M} UTC" if run.complete_time else "still running"
    return SEVERITY.get(run.result, CRITICAL), f"{profile.name}: {run.result}, {run.items_archived} messages, {ended}"


def main() -> int:
    """Print a line for each profile, the worst first, and return the exit code."""
    parser = argparse.ArgumentParser(description="Check the last run of each profile.")
    parser.add_argument("--hours", type=float, default=24, help="how far to look back")
    hours: float = parser.parse_args().hours
    try:
        with MailStoreServer.from_env() as server:
            runs = last_runs(server, hours)
            reports = [report(profile, runs.get(profile.id)) for profile in server.get_profiles()]
    except MailStoreError as error:
        print(f"UNKNOWN {error}")
        return UNKNOWN
    for severity, line in sorted(reports, reverse=True):
        print(("OK", "WARNING", "CRITICAL")[severity], line)
    return max((severity for severity, _ in reports), default=OK)


if __name__ == "__main__":
    sys.exit(main())
