"""Let the server verify all stores every night, and tell when it will and how it went.

    python examples/nightly_job.py

Makes the job when it is not there yet, so that it may run as often as you like.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime, time, timedelta

from mailstore import MailStoreServer
from mailstore.models import JobInfo, JobResult, JobResultState

NAME = "Verify all stores"


def find_job(server: MailStoreServer) -> JobInfo | None:
    """Return the job, if there is one of this name."""
    return next((job for job in server.get_jobs() if job.name == NAME), None)


def create_job(server: MailStoreServer) -> JobInfo:
    """Create the job; on the clock of the server, for it is its night."""
    server.create_job(NAME, "VerifyStores", server.settings.username, "$Local", time=time(3, 30))
    job = find_job(server)
    assert job is not None
    return job


def last_result(server: MailStoreServer, job: JobInfo) -> JobResult | None:
    """Return the last run of the job in the past two days."""
    now = datetime.now(UTC)
    soon = now + timedelta(minutes=10)  # the server's clock may be ahead
    results = server.get_job_results(now - timedelta(days=2), soon, time_zone_id="UTC", job_id=job.id)
    return max(results, key=lambda result: result.start_time, default=None)


def main() -> int:
    """Tell about the job; return 1 if its last run did not succeed."""
    with MailStoreServer.from_env() as server:
        job = find_job(server) or create_job(server)
        result = last_result(server, job)
    start = job.next_start_date_time_utc
    print("next start: ", f"{start.astimezone():%a %d %b %H:%M}" if start else "none")
    print("last result:", f"{result.result}, {result.start_time:%a %d %b %H:%M} UTC" if result else "none yet")
    return 0 if result is None or result.result == JobResultState.SUCCEEDED else 1


if __name__ == "__main__":
    sys.exit(main())
