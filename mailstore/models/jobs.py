"""Jobs: API commands that the server runs on a schedule, and what came of them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self, TypeAlias, TypeVar, cast, get_args
from zoneinfo import ZoneInfo

from pydantic import Field, JsonValue, model_validator

from mailstore.models.base import OpenEnum, Request, Response
from mailstore.models.fields import (
    Argument,
    DateTimeLike,
    DeclaredAs,
    LocalDateTime,
    OneOf,
    TimeLike,
    TimeZoneLike,
    UtcDateTime,
)
from mailstore.models.zones import LOCAL, attach, to_local, to_local_window

if TYPE_CHECKING:
    from pydantic.json_schema import JsonSchemaValue

RunT = TypeVar("RunT", bound=Response)

# ---------------------------------------------------------------------------------- enumerations


class JobResultState(OpenEnum):
    """How a run of a job ended."""

    SUCCEEDED = "succeeded"
    """The job did its work."""

    FAILED = "failed"
    """The job failed."""

    CANCELLED = "cancelled"
    """The job was cancelled."""


class DayOfWeek(OpenEnum):
    """A day of the week."""

    SUNDAY = "Sunday"
    """Sunday."""

    MONDAY = "Monday"
    """Monday."""

    TUESDAY = "Tuesday"
    """Tuesday."""

    WEDNESDAY = "Wednesday"
    """Wednesday."""

    THURSDAY = "Thursday"
    """Thursday."""

    FRIDAY = "Friday"
    """Friday."""

    SATURDAY = "Saturday"
    """Saturday."""


DayOfWeekText: TypeAlias = Literal["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"]
DayOfWeekLike: TypeAlias = Annotated[DayOfWeek | DayOfWeekText, OneOf(DayOfWeek)]
"""A day of the week, as member or text."""


DayOfMonthText: TypeAlias = Literal[
    "1",
    "2",
    "3",
    "4",
    "5",
    "6",
    "7",
    "8",
    "9",
    "10",
    "11",
    "12",
    "13",
    "14",
    "15",
    "16",
    "17",
    "18",
    "19",
    "20",
    "21",
    "22",
    "23",
    "24",
    "25",
    "26",
    "27",
    "28",
    "29",
    "30",
    "31",
    "Last",
    "last",
]


class WireDayOfMonth(Argument):
    """A day of the month: 1 to 31 as a number or as text, or ``Last``."""

    def accept(self, value: object) -> str:
        """Return the text that travels."""
        if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 31:
            return str(value)
        if isinstance(value, str) and value in get_args(DayOfMonthText):
            return "Last" if value == "last" else value
        raise ValueError("must be a day from 1 to 31, or 'Last' for the last day of the month")

    def describe(self) -> JsonSchemaValue:
        """Return both forms."""
        texts = [text for text in get_args(DayOfMonthText) if text != "last"]
        return {"anyOf": [{"type": "integer", "minimum": 1, "maximum": 31}, {"type": "string", "enum": texts}]}


DayOfMonthLike: TypeAlias = Annotated[int | DayOfMonthText, WireDayOfMonth()]
"""A day of the month: 1 to 31 as a number or as text, or ``Last``; kept and sent as text."""

# The reference of August 2024 prints 260 instead of 240 for SetJobSchedule: a slip, as CreateJob
# has 240 and all the others divide a day.
JobInterval: TypeAlias = Literal[5, 10, 15, 20, 30, 60, 120, 180, 240, 360, 720]
"""Minutes between two runs of a job."""


# --------------------------------------------------------------------------------------- results


def run_in_zone(run: RunT, zone: str | ZoneInfo) -> RunT:
    """Return a copy of the record of a run with aware times, for results that have a start and an end."""
    times: dict[str, datetime] = {}
    for name in ("start_time", "complete_time"):
        value: object = getattr(run, name)
        if isinstance(value, datetime):
            times[name] = attach(value, zone)
    start, end = times.get("start_time"), times.get("complete_time")
    if start is not None and end is not None and end < start:
        # Nothing ends before it begins: the clock was set back, and shows the hour for the second time.
        times["complete_time"] = end.replace(fold=1)
    return run.model_copy(update=times)


class JobSchedule(Response):
    """When a job runs; members that do not apply are absent."""

    time_zone_id: str
    """Time zone of the schedule: a Windows name or ``$Local``."""

    date: LocalDateTime | None = None
    """Date and time of a job that runs once."""

    interval: int | None = None
    """Minutes between two runs."""

    time: str | None = None
    """Time of day, ``HH:mm:ss``."""

    day_of_week: DayOfWeek | None = None
    """Day of the week to which `time` is restricted."""

    day_of_month: int | str | None = None
    """Day of the month to which `time` is restricted: 1 to 31, or ``Last``."""


class JobInfo(Response):
    """A job."""

    id: int
    """Identifier of the job."""

    name: str
    """Display name."""

    action: str
    """The API command that the job runs, such as ``RunProfile --id=13``."""

    owner: str
    """The administrator on whose behalf it runs."""

    creation_date_time_utc: UtcDateTime
    """When the job was created."""

    last_start_date_time_utc: UtcDateTime | None = None
    """When the last run began; absent before the first one."""

    last_complete_date_time_utc: UtcDateTime | None = None
    """When the last run ended; absent before the first one has ended."""

    next_start_date_time_utc: UtcDateTime | None = None
    """When the next run begins; absent when none is planned."""

    enabled: bool
    """Whether the schedule is in force."""

    schedule: JobSchedule
    """When the job runs."""


class JobResult(Response):
    """One run of a job."""

    job_result_id: int
    """Identifier of the run."""

    job_id: int
    """Identifier of the job."""

    action: str
    """The API command that ran."""

    start_time: LocalDateTime
    """When the run began, on the clock of the zone that was asked for."""

    complete_time: LocalDateTime | None = None
    """When the run ended, on the same clock."""

    result: JobResultState
    """How the run ended."""

    def in_zone(self, zone: str | ZoneInfo) -> Self:
        """Return a copy with aware times.

        An hour that the clock shows twice, in autumn, is taken for the first of the two, unless
        the run would end before it began.

        Args:
            zone: The zone that the results were asked for in.

        Raises:
            ValueError: The zone cannot be known here, as is the case with ``$Local``.
        """
        return run_in_zone(self, zone)


# -------------------------------------------------------------------------------------- requests

JobId: TypeAlias = Annotated[int, Field(ge=0)]
"""Identifier of a job."""

JobName: TypeAlias = Annotated[str, Field(min_length=1)]
"""Display name of a job."""


def local_window(start: datetime | str, end: datetime | str, zone: str | ZoneInfo) -> tuple[datetime, datetime]:
    """Return both ends of a period, already checked one by one, on the clock of the request's zone.

    Raises:
        ValueError: The period is empty, or an end is aware and the zone cannot be known here.
    """
    # The rules of the fields have left nothing but datetimes and a name of a zone.
    return to_local_window(cast("datetime", start), cast("datetime", end), cast("str", zone))


class GetJobs(Request[list[JobInfo]]):
    """List all jobs."""

    since: ClassVar[str | None] = "a version of 2015"


class GetJobResults(Request[list[JobResult]]):
    """List the runs of jobs in a period of time.

    The order is not documented; the newest run came first where it was seen.
    """

    since: ClassVar[str | None] = "11 at the latest"

    from_including: DateTimeLike
    """Start of the period. An aware datetime is converted to `time_zone_id`."""

    to_excluding: DateTimeLike
    """End of the period, itself not included. An aware datetime is converted to `time_zone_id`."""

    time_zone_id: TimeZoneLike = LOCAL
    """Time zone of the period and of the times in the result."""

    job_id: JobId | None = None
    """Identifier of the job; all jobs if left out."""

    @model_validator(mode="after")
    def _settle(self) -> Self:
        start, end = local_window(self.from_including, self.to_excluding, self.time_zone_id)
        # Frozen for everybody else, but nobody has seen this request yet.
        object.__setattr__(self, "from_including", start)
        object.__setattr__(self, "to_excluding", end)
        return self


class CreateJob(Request[JsonValue]):
    """Create a job that runs an API command on a schedule.

    The schedule is exactly one of `date`, `interval` and `time`. The result is not publicly
    documented.
    """

    since: ClassVar[str | None] = "11 at the latest"

    # The reference marks all arguments as optional, a known slip: a job without these four means nothing.
    name: Annotated[JobName, DeclaredAs(nullable=True)]
    """Display name."""

    action: Annotated[str, Field(min_length=1), DeclaredAs(nullable=True)]
    """The API command, written as in the Management Shell: ``RunProfile --id=13``."""

    owner: Annotated[str, Field(min_length=1), DeclaredAs(nullable=True)]
    """Login name of the administrator on whose behalf it runs."""

    time_zone_id: Annotated[TimeZoneLike, DeclaredAs(nullable=True)]
    """Time zone of the schedule."""

    date: DateTimeLike | None = None
    """Run once, at this date and time. An aware datetime is converted to `time_zone_id`."""

    interval: JobInterval | None = None
    """Run every so many minutes: 5, 10, 15, 20, 30, 60, 120, 180, 240, 360 or 720."""

    time: TimeLike | None = None
    """Run at this time of day; every day, unless the next two say otherwise."""

    day_of_week: DayOfWeekLike | None = None
    """Run on this day of the week only; needs `time`."""

    day_of_month: DayOfMonthLike | None = None
    """Run on this day of the month only, 1 to 31 or ``Last``; needs `time`. Goes together with `day_of_week`."""

    @model_validator(mode="after")
    def _settle(self) -> Self:
        _settle_schedule(self)
        return self


class RenameJob(Request[None]):
    """Change the display name of a job."""

    since: ClassVar[str | None] = "11 at the latest"

    # The reference marks both arguments as optional, a known slip: there is nothing to do without them.
    id: Annotated[JobId, DeclaredAs(nullable=True)]
    """Identifier of the job."""

    name: Annotated[JobName, DeclaredAs(nullable=True)]
    """The new display name."""


class SetJobEnabled(Request[None]):
    """Put the schedule of a job in force, or suspend it."""

    since: ClassVar[str | None] = "11 at the latest"

    # The reference marks both arguments as optional, a known slip: there is nothing to do without them.
    id: Annotated[JobId, DeclaredAs(nullable=True)]
    """Identifier of the job."""

    enabled: Annotated[bool, DeclaredAs(nullable=True)]
    """Whether the job runs on its schedule."""


class SetJobSchedule(Request[None]):
    """Replace the schedule of a job.

    The schedule is exactly one of `date`, `interval` and `time`.
    """

    since: ClassVar[str | None] = "11 at the latest"

    id: JobId
    """Identifier of the job."""

    time_zone_id: TimeZoneLike
    """Time zone of the schedule."""

    date: DateTimeLike | None = None
    """Run once, at this date and time. An aware datetime is converted to `time_zone_id`."""

    interval: JobInterval | None = None
    """Run every so many minutes: 5, 10, 15, 20, 30, 60, 120, 180, 240, 360 or 720."""

    time: TimeLike | None = None
    """Run at this time of day; every day, unless the next two say otherwise."""

    day_of_week: DayOfWeekLike | None = None
    """Run on this day of the week only; needs `time`."""

    day_of_month: DayOfMonthLike | None = None
    """Run on this day of the month only, 1 to 31 or ``Last``; needs `time`. Goes together with `day_of_week`."""

    @model_validator(mode="after")
    def _settle(self) -> Self:
        _settle_schedule(self)
        return self


def _settle_schedule(request: CreateJob | SetJobSchedule) -> None:
    choices = {"date": request.date, "interval": request.interval, "time": request.time}
    given = [name for name, value in choices.items() if value is not None]
    if len(given) != 1:
        raise ValueError(f"exactly one of date, interval and time is needed, given: {', '.join(given) or 'none'}")
    if request.time is None and not (request.day_of_week is None and request.day_of_month is None):
        raise ValueError("day_of_week and day_of_month need time; they are not allowed with date or interval")
    if request.date is not None:
        # Frozen for everybody else, but nobody has seen this request yet.
        local = to_local(cast("datetime", request.date), cast("str", request.time_zone_id))
        object.__setattr__(request, "date", local)


class DeleteJob(Request[None]):
    """Delete a job."""

    since: ClassVar[str | None] = "11 at the latest"

    # Declared as a string by the server, for this function alone; what travels is the same digits.
    id: Annotated[JobId, DeclaredAs("string")]
    """Identifier of the job."""


class RunJobAsync(Request[None]):
    """Start a job now, without waiting for it.

    The call returns at once and has no token: `GetJobResults` tells what came of it.
    """

    since: ClassVar[str | None] = "11 at the latest"

    id: JobId
    """Identifier of the job."""


class CancelJobAsync(Request[None]):
    """Ask a running job to stop, without waiting for it."""

    since: ClassVar[str | None] = "11 at the latest"

    id: JobId
    """Identifier of the job."""
