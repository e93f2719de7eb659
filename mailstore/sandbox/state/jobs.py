"""Jobs: what the sandbox knows about them, their schedules and their runs.

Schedules are kept and told, but nothing starts by itself: `RunJobAsync` starts a job.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import TYPE_CHECKING

from mailstore.models.jobs import DayOfWeek, JobResultState
from mailstore.models.zones import LOCAL

if TYPE_CHECKING:
    from mailstore.sandbox.registry import Step

_WEEKDAYS = (
    DayOfWeek.MONDAY,
    DayOfWeek.TUESDAY,
    DayOfWeek.WEDNESDAY,
    DayOfWeek.THURSDAY,
    DayOfWeek.FRIDAY,
    DayOfWeek.SATURDAY,
    DayOfWeek.SUNDAY,
)
LAST = "Last"
"""The last day of a month, whichever it is."""

_DAYS = 40 * 366
"""Days that are searched for the next start; every day of a month is every day of the week sooner."""


@dataclass
class Schedule:
    """When a job runs: once at a date, at an interval, or at a time of day."""

    time_zone_id: str = LOCAL
    """Windows name of the zone, or ``$Local``."""

    date: datetime | None = None
    """Date and time on the clock of the zone, for a job that runs once."""

    interval: int | None = None
    """Minutes between two runs, counted from midnight."""

    time: time | None = None
    """Time of day."""

    day_of_week: DayOfWeek | None = None
    """The only day of the week with a run."""

    day_of_month: str | None = None
    """The only day of the month with a run, 1 to 31 or ``Last``."""

    def next_start(self, after: datetime, zone: tzinfo) -> datetime | None:
        """Return the first start after a moment, in UTC.

        Args:
            after: An aware datetime.
            zone: The zone that `time_zone_id` stands for.
        """
        local = after.astimezone(zone).replace(tzinfo=None)
        starts = (
            start.replace(tzinfo=zone).astimezone(UTC)
            for start in self._starts(local.replace(hour=0, minute=0, second=0, microsecond=0))
        )
        return next((start for start in starts if start > after), None)

    def _starts(self, midnight: datetime) -> Iterator[datetime]:
        """Yield the starts from the beginning of a day on, on the clock of the zone."""
        if self.date is not None:
            yield self.date
        elif self.interval is not None:
            step = timedelta(minutes=self.interval)
            # Two days: in the hour that the clock shows twice, the rest of the first day may be over already.
            yield from (midnight + number * step for number in range(2 * 24 * 60 // self.interval))
        elif self.time is not None:
            for number in range(_DAYS):
                day = midnight + timedelta(days=number)
                if self._includes(day):
                    yield datetime.combine(day, self.time)

    def _includes(self, day: datetime) -> bool:
        if self.day_of_week is not None and _WEEKDAYS[day.weekday()] != self.day_of_week:
            return False
        if self.day_of_month == LAST:
            return (day + timedelta(days=1)).day == 1
        return self.day_of_month is None or day.day == int(self.day_of_month)


@dataclass
class JobRun:
    """One run of a job."""

    id: int
    """Identifier."""

    job_id: int
    """Identifier of the job."""

    action: str
    """The command that runs."""

    start: datetime
    """When it began, aware."""

    complete: datetime | None = None
    """When it ended; `None` while it goes on."""

    result: JobResultState | None = None
    """How it ended; `None` while it goes on."""

    log: list[str] = field(default_factory=list[str])
    """What the command told, and why it failed. The API has no function to read it."""


@dataclass
class Job:
    """An API command that runs on a schedule."""

    id: int
    """Identifier."""

    name: str
    """Display name."""

    action: str
    """The command, such as ``RunProfile --id=13``."""

    owner: str
    """The administrator on whose behalf it runs."""

    created: datetime
    """When it was created, aware."""

    schedule: Schedule
    """When it runs."""

    enabled: bool = True
    """Whether the schedule is in force."""

    last_start: datetime | None = None
    """When the last run began."""

    last_complete: datetime | None = None
    """When the last run that has ended did so."""

    is_held: bool = False
    """Whether runs stop after their first step, for tests that want to see or cancel a running job.

    A run goes on as soon as this is unset and somebody calls a function for jobs.
    """

    steps: Generator[Step] | None = field(default=None, repr=False)
    """What is left of the run that goes on; `None` while the job does not run."""

    def next_start(self, after: datetime, zone: tzinfo) -> datetime | None:
        """Return the next start of an enabled job after a moment, in UTC."""
        return self.schedule.next_start(after, zone) if self.enabled else None


def example_jobs(now: datetime) -> dict[int, Job]:
    """Return the jobs of the example world: one for each kind of schedule."""
    created = (now - timedelta(days=90)).replace(microsecond=0)
    week = Schedule("W. Europe Standard Time", time=time(3, 30), day_of_week=DayOfWeek.SUNDAY)
    month = Schedule(time=time(22), day_of_month=LAST)
    once = Schedule(date=(now + timedelta(days=30)).replace(microsecond=0, tzinfo=None))
    backup = "CreateBackup --path=E:\\Backup --excludeSearchIndexes=true"
    jobs = [
        Job(1, "Archive the mailbox of John Doe", "RunProfile --id=1", "admin", created, Schedule(interval=60)),
        Job(2, "Verify all archive stores", "VerifyStores --includeIndexes=true", "admin", created, week),
        Job(3, "Backup", backup, "admin", created, month),
        Job(4, "Renew the master key", "RenewMasterKey", "admin", created, once, enabled=False),
    ]
    runs = example_job_runs(now)
    for job in jobs:
        own = [run for run in runs if run.job_id == job.id]
        job.last_start = max((run.start for run in own), default=None)
        job.last_complete = max((run.complete for run in own if run.complete is not None), default=None)
    return {job.id: job for job in jobs}


def example_job_runs(now: datetime) -> list[JobRun]:
    """Return the runs of the last day in the example world; the last job has none."""
    succeeded, failed, cancelled = JobResultState.SUCCEEDED, JobResultState.FAILED, JobResultState.CANCELLED
    backup = "CreateBackup --path=E:\\Backup --excludeSearchIndexes=true"
    runs = [
        (1, "RunProfile --id=1", 20.0, 2, succeeded),
        (2, "VerifyStores --includeIndexes=true", 15.0, 45, cancelled),
        (3, backup, 12.0, 4, failed),
        (3, backup, 11.0, 38, succeeded),
        (1, "RunProfile --id=1", 2.0, 3, failed),
        (1, "RunProfile --id=1", 1.0, 2, succeeded),
    ]
    return [
        _example_run(number, job_id, action, now - timedelta(hours=hours), timedelta(minutes=minutes), result)
        for number, (job_id, action, hours, minutes, result) in enumerate(runs, 1)
    ]


def _example_run(
    number: int, job_id: int, action: str, start: datetime, duration: timedelta, result: JobResultState
) -> JobRun:
    start = start.replace(microsecond=0)
    return JobRun(number, job_id, action, start, start + duration, result)
