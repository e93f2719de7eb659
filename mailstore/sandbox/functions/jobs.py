"""Jobs.

Schedules are kept and told, but nothing starts by itself. A job that is started runs to its end
before the call returns, unless a test holds it: see `Job.is_held`. Unknown, and decided here:
`CreateJob` returns the identifier of the job, and results are those of the runs that ended
in the period. The messages of failures are made up.
"""

from __future__ import annotations

import inspect
import re
import shlex
from collections.abc import Generator
from datetime import datetime, time, tzinfo
from typing import Any, cast

from pydantic import JsonValue

from mailstore.models.base import Request
from mailstore.models.jobs import (
    CancelJobAsync,
    CreateJob,
    DayOfWeek,
    DeleteJob,
    GetJobResults,
    GetJobs,
    JobInfo,
    JobResult,
    JobResultState,
    RenameJob,
    RunJobAsync,
    SetJobEnabled,
    SetJobSchedule,
)
from mailstore.models.protocol import ArgumentType
from mailstore.sandbox import arguments
from mailstore.sandbox.functions.lookup import user_named, zone_named
from mailstore.sandbox.registry import Failed, Function, Step, answers, registry
from mailstore.sandbox.state import Job, JobRun, World
from mailstore.sandbox.state.jobs import Schedule

_ARGUMENT = re.compile(r"--(\w+)=(.*)", re.DOTALL)


def local_time(value: datetime, zone: tzinfo) -> datetime:
    """Return the clock time of a moment in a zone, whole seconds."""
    return value.astimezone(zone).replace(tzinfo=None, microsecond=0)


def _job_with(world: World, id: int) -> Job:  # noqa: A002 - the name in the API
    _continue(world)
    job = world.jobs.get(id)
    if job is None:
        raise Failed(f"Job #{id} does not exist.")
    return job


# ------------------------------------------------------------------------------------- listing


@answers(GetJobs)
def get_jobs(world: World, request: GetJobs) -> list[JobInfo]:
    """List the jobs. Times are UTC without saying so; what does not apply is left out."""
    _continue(world)
    return [_info(world, job) for job in world.jobs.values()]


def _info(world: World, job: Job) -> JobInfo:
    zone = zone_named(world, job.schedule.time_zone_id)
    times = {
        "creationDateTimeUtc": job.created,
        "lastStartDateTimeUtc": job.last_start,
        "lastCompleteDateTimeUtc": job.last_complete,
        "nextStartDateTimeUtc": job.next_start(world.now(), zone),
    }
    members = {name: time.replace(microsecond=0) for name, time in times.items() if time is not None}
    return JobInfo.model_validate(
        {
            "id": job.id,
            "name": job.name,
            "action": job.action,
            "owner": job.owner,
            **members,
            "enabled": job.enabled,
            "schedule": _schedule_members(job.schedule),
        }
    )


def _schedule_members(schedule: Schedule) -> dict[str, object]:
    members = {
        "timeZoneId": schedule.time_zone_id,
        "date": schedule.date,
        "interval": schedule.interval,
        "time": None if schedule.time is None else schedule.time.isoformat(),
        "dayOfWeek": schedule.day_of_week,
        "dayOfMonth": schedule.day_of_month,
    }
    return {name: value for name, value in members.items() if value is not None}


@answers(GetJobResults)
def get_job_results(world: World, request: GetJobResults) -> list[JobResult]:
    """List the runs that ended in the period, the newest first."""
    _continue(world)
    zone = zone_named(world, str(request.time_zone_id))
    start, end = cast("datetime", request.from_including), cast("datetime", request.to_excluding)
    found = [
        (complete, run)
        for run in world.job_runs
        if run.complete is not None and request.job_id in {None, run.job_id}
        if start <= (complete := local_time(run.complete, zone)) < end
    ]
    found.sort(key=lambda row: (row[0], row[1].id), reverse=True)
    return [
        JobResult(
            job_result_id=run.id,
            job_id=run.job_id,
            action=run.action,
            start_time=local_time(run.start, zone),
            complete_time=complete,
            result=run.result or JobResultState.SUCCEEDED,
        )
        for complete, run in found
    ]


# ------------------------------------------------------------------------------------ changing


@answers(CreateJob)
def create_job(world: World, request: CreateJob) -> JsonValue:
    """Create a job, whose schedule is in force at once. The arguments of the command are looked at when it runs."""
    if not user_named(world, request.owner).is_administrator:
        raise Failed(f"User '{request.owner}' is not an administrator.")
    _parsed(request.action)
    number = world.next_id("jobs", [*world.jobs, *(run.job_id for run in world.job_runs)])
    world.jobs[number] = Job(
        number, request.name, request.action, request.owner, world.now(), _schedule(world, request)
    )
    return number


@answers(SetJobSchedule)
def set_job_schedule(world: World, request: SetJobSchedule) -> None:
    """Replace all of the schedule."""
    _job_with(world, request.id).schedule = _schedule(world, request)


def _schedule(world: World, request: CreateJob | SetJobSchedule) -> Schedule:
    zone_named(world, str(request.time_zone_id))
    return Schedule(
        time_zone_id=str(request.time_zone_id),
        date=cast("datetime | None", request.date),
        interval=request.interval,
        time=cast("time | None", request.time),
        day_of_week=None if request.day_of_week is None else DayOfWeek(request.day_of_week),
        day_of_month=None if request.day_of_month is None else str(request.day_of_month),
    )


@answers(RenameJob)
def rename_job(world: World, request: RenameJob) -> None:
    """Change the name of a job."""
    _job_with(world, request.id).name = request.name


@answers(SetJobEnabled)
def set_job_enabled(world: World, request: SetJobEnabled) -> None:
    """Put the schedule in force or suspend it; `RunJobAsync` works either way."""
    _job_with(world, request.id).enabled = request.enabled


@answers(DeleteJob)
def delete_job(world: World, request: DeleteJob) -> None:
    """Delete a job, which is cancelled if it runs. The results of its runs stay."""
    job = _job_with(world, request.id)
    _cancel(job)
    del world.jobs[job.id]


# ------------------------------------------------------------------------------------- running


@answers(RunJobAsync)
def run_job_async(world: World, request: RunJobAsync) -> None:
    """Run a job, enabled or not."""
    job = _job_with(world, request.id)
    if job.steps is not None:
        raise Failed(f"Job #{job.id} is running already.")
    number = world.next_id("job runs", (run.id for run in world.job_runs))
    run = JobRun(number, job.id, job.action, world.now())
    world.job_runs.append(run)
    job.last_start = run.start
    job.steps = _run(world, job, run)
    next(job.steps, None)
    _continue(world)


@answers(CancelJobAsync)
def cancel_job_async(world: World, request: CancelJobAsync) -> None:
    """Cancel a job; nothing happens to one that does not run."""
    _cancel(_job_with(world, request.id))


def _cancel(job: Job) -> None:
    if job.steps is not None:
        job.steps.close()


def _continue(world: World) -> None:
    """Let the running jobs come to their ends, except those that are held and the one that called this function."""
    for job in list(world.jobs.values()):
        if job.steps is not None and not job.is_held and inspect.getgeneratorstate(job.steps) != inspect.GEN_RUNNING:
            for _ in job.steps:
                pass


def _run(world: World, job: Job, run: JobRun) -> Generator[Step]:
    """Carry out the command of a job; what comes of it goes into the record of the run."""
    try:
        function, request = _command(job.action)
        for step in function.steps(world, request):
            run.log += (step.log or "").splitlines()
            yield step
        run.result = JobResultState.SUCCEEDED
    except Failed as failed:
        run.log.append(failed.message)
        run.result = JobResultState.FAILED
    except GeneratorExit:
        run.result = JobResultState.CANCELLED
        raise
    finally:
        run.complete = job.last_complete = world.now()
        job.steps = None


# ------------------------------------------------------------------------------- command lines


def _command(action: str) -> tuple[Function, Request[Any]]:
    """Return the function that a command line names, and its request."""
    function, fields = _parsed(action)
    request_type = function.request_type
    for argument in arguments.arguments_of(request_type):
        field = request_type.model_fields[argument.field]
        if argument.required and argument.name not in fields and not field.is_required():
            # `VerifyStores` alone is a command that works, although the API wants includeIndexes.
            text = str(field.default)
            fields[argument.name] = text.lower() if argument.kind == ArgumentType.BOOL else text
    return function, arguments.read(request_type, fields)


def _parsed(action: str) -> tuple[Function, dict[str, str]]:
    r"""Take a command line apart, such as ``CreateBackup --path="E:\My backup"``."""
    lexer = shlex.shlex(action, posix=True, punctuation_chars=False)
    lexer.whitespace_split, lexer.escape, lexer.commenters = True, "", ""
    try:
        name, *words = list(lexer)
    except ValueError as error:
        raise Failed(f"The command '{action}' cannot be read.", kind="System.ArgumentException") from error
    function = registry.get(name)
    if function is None:
        raise Failed(f"The command '{name}' does not exist.")
    fields: dict[str, str] = {}
    for word in words:
        found = _ARGUMENT.fullmatch(word)
        if found is None:
            raise Failed(f"'{word}' is no argument of a command: --name=value", kind="System.ArgumentException")
        fields[found[1]] = found[2]
    return function, fields
