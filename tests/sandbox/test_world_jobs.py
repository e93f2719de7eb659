"""Jobs: what is created is listed, what is run has done its work and left a result."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, cast

import pytest

from mailstore import MailStoreServer, models
from mailstore.errors import FunctionFailedError, InvalidArgumentError, MissingArgumentError
from mailstore.models import JobInfo, JobResult
from mailstore.sandbox import Sandbox, World
from mailstore.sandbox.state.jobs import Schedule
from mailstore.sandbox.state.time_zones import time_zones
from tests.sandbox.clients import connected, scripted

NOW = datetime(2026, 5, 6, 7, 8, 9, 123456, tzinfo=UTC)
BERLIN = "W. Europe Standard Time"


@dataclass
class Clock:
    """A clock that goes on by a minute each time that it is read."""

    time: datetime = NOW

    def __call__(self) -> datetime:
        self.time += timedelta(minutes=1)
        return self.time


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(world=World(now=Clock(), time_zone="Tokyo Standard Time")) as sandbox:
        yield sandbox


@pytest.fixture
def server(sandbox: Sandbox) -> Iterator[MailStoreServer]:
    with connected(sandbox) as server:
        yield server


def jobs(server: MailStoreServer) -> dict[int, JobInfo]:
    return {job.id: job for job in server.get_jobs()}


def results(server: MailStoreServer, zone: str = "UTC", job_id: int | None = None) -> list[JobResult]:
    return server.get_job_results(datetime(2026, 5, 4), datetime(2026, 5, 8), time_zone_id=zone, job_id=job_id)


def create(server: MailStoreServer, action: str, **schedule: Any) -> int:
    arguments: dict[str, Any] = {"time_zone_id": "UTC", "interval": 60, **schedule}
    return cast("int", server.create_job("test", action, "admin", **arguments))


class TestListing:
    def test_the_example_has_every_kind_of_schedule_and_result(self, server: MailStoreServer) -> None:
        found = jobs(server)
        assert found[1].schedule.to_wire() == {"timeZoneId": "$Local", "interval": 60}
        assert found[2].schedule.to_wire() == {"timeZoneId": BERLIN, "time": "03:30:00", "dayOfWeek": "Sunday"}
        assert found[3].schedule.to_wire() == {"timeZoneId": "$Local", "time": "22:00:00", "dayOfMonth": "Last"}
        assert set(found[4].to_wire()) == {
            "id",
            "name",
            "action",
            "owner",
            "creationDateTimeUtc",
            "enabled",
            "schedule",
        }
        assert {str(row.result) for row in results(server)} == {"succeeded", "failed", "cancelled"}

    def test_next_starts_are_in_utc(self, server: MailStoreServer) -> None:
        # Sunday 03:30 in Berlin, in summer; the last of May 22:00 in Tokyo.
        assert jobs(server)[2]["nextStartDateTimeUtc"] == datetime(2026, 5, 10, 1, 30, tzinfo=UTC)
        assert jobs(server)[3].to_wire()["nextStartDateTimeUtc"] == "2026-05-31T13:00:00"

    def test_results_are_newest_first_on_the_clock_of_the_zone(self, server: MailStoreServer) -> None:
        rows = results(server, "UTC")
        ends = [row.complete_time for row in rows if row.complete_time is not None]
        assert ends == sorted(ends, reverse=True)
        for zone, hours in ((BERLIN, 2), ("$Local", 9), ("Tokyo Standard Time", 9)):
            local = results(server, zone)
            assert [row.start_time for row in local] == [row.start_time + timedelta(hours=hours) for row in rows]
            assert [row.complete_time for row in local] == [end + timedelta(hours=hours) for end in ends]
        assert "Z" not in str(rows[0].to_wire())

    def test_the_window_has_its_start_and_not_its_end(self, server: MailStoreServer) -> None:
        ends = [row.complete_time for row in results(server) if row.complete_time]
        newest, oldest = ends[0], ends[-1]
        found = server.get_job_results(oldest, newest, time_zone_id="UTC")
        assert [row.complete_time for row in found] == ends[1:]
        assert [row.job_id for row in results(server, job_id=3)] == [3, 3]
        assert results(server, job_id=99) == []

    def test_a_zone_that_windows_does_not_know(self, server: MailStoreServer) -> None:
        with pytest.raises(FunctionFailedError, match="'Mars Standard Time' was not found on the local computer"):
            results(server, "Mars Standard Time")
        with pytest.raises(FunctionFailedError, match="'Mars Standard Time' was not found on the local computer"):
            create(server, "VerifyStores", time_zone_id="Mars Standard Time")


class TestChanging:
    def test_a_job_is_created_renamed_suspended_planned_anew_and_deleted(self, server: MailStoreServer) -> None:
        number = create(
            server, "GetUsers", time_zone_id=BERLIN, interval=None, time="3:05", day_of_week="Monday", day_of_month=1
        )
        job = jobs(server)[number]
        assert (number, job.name, job.action, job.owner, job.enabled) == (5, "test", "GetUsers", "admin", True)
        assert job.creation_date_time_utc.date() == NOW.date()
        assert job.last_start_date_time_utc is None
        assert job.schedule.to_wire() == {
            "timeZoneId": BERLIN,
            "time": "03:05:00",
            "dayOfWeek": "Monday",
            "dayOfMonth": "1",
        }
        assert job.next_start_date_time_utc == datetime(2026, 6, 1, 1, 5, tzinfo=UTC)
        server.rename_job(number, "other")
        server.set_job_schedule(number, BERLIN, date=datetime(2026, 12, 24, 18))
        job = jobs(server)[number]
        assert (job.name, job["nextStartDateTimeUtc"]) == ("other", datetime(2026, 12, 24, 17, tzinfo=UTC))
        assert job.schedule.to_wire() == {"timeZoneId": BERLIN, "date": "2026-12-24T18:00:00"}
        server.set_job_enabled(number, enabled=False)
        assert not jobs(server)[number].enabled
        assert "nextStartDateTimeUtc" not in jobs(server)[number]
        server.delete_job(number)
        assert number not in jobs(server)
        assert create(server, "GetUsers") == number + 1

    def test_what_a_job_must_be(self, server: MailStoreServer) -> None:
        with pytest.raises(FunctionFailedError, match="User 'nobody' does not exist"):
            server.create_job("test", "GetUsers", "nobody", "UTC", interval=60)
        with pytest.raises(FunctionFailedError, match=r"'john\.doe' is not an administrator"):
            server.create_job("test", "GetUsers", "john.doe", "UTC", interval=60)
        with pytest.raises(FunctionFailedError, match="The command 'MakeCoffee' does not exist"):
            create(server, "MakeCoffee --cups=2")
        for action, words in {'RunProfile --id="1': "cannot be read", "RunProfile 1": "is no argument"}.items():
            with pytest.raises(FunctionFailedError, match=words):
                create(server, action)
        with pytest.raises(MissingArgumentError, match="Missing API argument timeZoneId"):
            server.call("CreateJob", {"name": "test", "action": "GetUsers", "owner": "admin"})
        arguments = {"name": "test", "action": "GetUsers", "owner": "admin", "timeZoneId": "UTC"}
        with pytest.raises(FunctionFailedError, match="exactly one of date, interval and time"):
            server.call("CreateJob", arguments)
        with pytest.raises(InvalidArgumentError, match="out of the range of valid values"):
            server.call("CreateJob", {**arguments, "interval": 7})
        assert set(jobs(server)) == {1, 2, 3, 4}

    @pytest.mark.parametrize(
        "request_",
        [
            models.RenameJob(id=9, name="x"),
            models.SetJobEnabled(id=9, enabled=True),
            models.SetJobSchedule(id=9, time_zone_id="UTC", interval=5),
            models.DeleteJob(id=9),
            models.RunJobAsync(id=9),
            models.CancelJobAsync(id=9),
        ],
        ids=lambda request: type(request).__name__,
    )
    def test_a_job_that_does_not_exist(self, server: MailStoreServer, request_: models.Request[Any]) -> None:
        with pytest.raises(FunctionFailedError, match=r"Job #9 does not exist\."):
            server.run(request_)


class TestRunning:
    def test_a_run_does_what_the_command_says(self, sandbox: Sandbox, server: MailStoreServer) -> None:
        number = create(server, r'CreateUser --userName="new user" --privileges=login --fullName="C:\New User"')
        server.set_job_enabled(number, enabled=False)
        server.run_job_async(number)
        assert server.get_user_info("new user").full_name == r"C:\New User"
        (row,) = results(server, job_id=number)
        assert (row.result, row.action) == ("succeeded", jobs(server)[number].action)
        assert row.complete_time is not None
        assert row.complete_time > row.start_time
        job = jobs(server)[number]
        assert job.last_start_date_time_utc == row.start_time.replace(tzinfo=UTC)
        assert job.last_complete_date_time_utc == row.complete_time.replace(tzinfo=UTC)

    def test_a_run_of_a_profile_leaves_both_results_and_messages(self, server: MailStoreServer) -> None:
        before = sum(folder.count or 0 for folder in server.get_folder_statistics())
        server.run_job_async(1)
        assert sum(folder.count or 0 for folder in server.get_folder_statistics()) == before + 12
        assert (results(server)[0].job_id, results(server)[0].result) == (1, "succeeded")
        runs = server.get_worker_results(NOW, NOW + timedelta(days=1), time_zone_id="UTC", profile_id=1)
        assert [(run.result, run.items_archived) for run in runs] == [("succeeded", 12)]

    def test_the_reason_of_a_failure_is_known_to_tests(self, sandbox: Sandbox, server: MailStoreServer) -> None:
        cases = {
            "RunProfile --id=99": "Profile #99 does not exist.",
            "RunProfile": "Missing API argument id.",
            "RunProfile --id=one": "Input string was not in a correct format.",
            "MergeStore --id=3 --sourceId=3": "An archive store cannot be merged with itself.",
        }
        for action, reason in cases.items():
            number = create(server, action)
            server.run_job_async(number)
            assert [row.result for row in results(server, job_id=number)] == ["failed"]
            assert sandbox.world.job_runs[-1].log[-1] == reason

    def test_arguments_with_a_default_may_be_left_out(self, sandbox: Sandbox, server: MailStoreServer) -> None:
        number = create(server, "VerifyStores")
        server.run_job_async(number)
        assert results(server, job_id=number)[0].result == "succeeded"
        assert "Verifying search index 'ann.lee'..." in sandbox.world.job_runs[-1].log

    def test_a_running_job_can_be_cancelled(self, sandbox: Sandbox, server: MailStoreServer) -> None:
        with sandbox.world.lock:
            sandbox.world.jobs[2].is_held = True
        before = len(results(server))
        server.run_job_async(2)
        assert len(results(server)) == before
        job = jobs(server)[2]
        assert job.last_start_date_time_utc is not None
        assert job.last_complete_date_time_utc is not None
        assert job.last_start_date_time_utc > job.last_complete_date_time_utc
        with pytest.raises(FunctionFailedError, match="Job #2 is running already"):
            server.run_job_async(2)
        server.cancel_job_async(2)
        server.cancel_job_async(2)
        assert [row.result for row in results(server)[: len(results(server)) - before]] == ["cancelled"]
        server.run_job_async(2)
        with sandbox.world.lock:
            sandbox.world.jobs[2].is_held = False
        assert results(server)[0].result == "succeeded"

    def test_a_job_cannot_run_itself_for_ever(self, server: MailStoreServer) -> None:
        number = create(server, "RunJobAsync --id=5")
        assert number == 5
        server.run_job_async(number)
        assert [row.result for row in results(server, job_id=number)] == ["failed"]
        watcher = create(server, "GetJobs")
        server.run_job_async(watcher)
        assert [row.result for row in results(server, job_id=watcher)] == ["succeeded"]

    def test_the_tutorials_client_reads_the_same(self, sandbox: Sandbox, server: MailStoreServer) -> None:
        with scripted(sandbox, raiseOnError=False) as client:
            assert client.RunJobAsync(9)["error"]["message"] == "Job #9 does not exist."  # type: ignore[index]
            status = client.RunJobAsync(1)
            assert (status["token"], status["result"]) == (None, None)
            rows = client.GetJobResults("2026-05-05T00:00:00", "2026-05-08T00:00:00", "UTC", 1)["result"]
            assert [row["jobResultId"] for row in rows] == [row.job_result_id for row in results(server, job_id=1)]


class TestSchedules:
    """What `Schedule.next_start` says about moments around the change to summer time and back."""

    @pytest.mark.parametrize(
        ("schedule", "after", "expected"),
        [
            (Schedule(interval=240), "2026-05-06T07:08", "2026-05-06T10:00"),
            (Schedule(interval=720), "2026-05-06T22:00", "2026-05-07T10:00"),
            (Schedule(time=time(9, 8)), "2026-05-06T07:08", "2026-05-07T07:08"),
            (Schedule(date=datetime(2026, 5, 6, 9, 8)), "2026-05-06T07:07", "2026-05-06T07:08"),
            (Schedule(date=datetime(2026, 5, 6, 9, 8)), "2026-05-06T07:08", None),
            # The clock goes from 02:00 to 03:00 at 01:00 UTC, and from 03:00 to 02:00 at 01:00 UTC.
            (Schedule(interval=30), "2026-03-29T00:30", "2026-03-29T01:00"),
            (Schedule(interval=30), "2026-10-25T00:30", "2026-10-25T02:00"),
            (Schedule(time=time(22), day_of_month="Last"), "2026-02-28T21:00", "2026-03-31T20:00"),
            (Schedule(time=time(22), day_of_month="31"), "2026-03-31T20:00", "2026-05-31T20:00"),
        ],
    )
    def test_next_start(self, schedule: Schedule, after: str, expected: str | None) -> None:
        start = schedule.next_start(datetime.fromisoformat(f"{after}+00:00"), time_zones()[BERLIN].rules)
        assert start == (None if expected is None else datetime.fromisoformat(f"{expected}+00:00"))

    def test_the_rarest_day_is_found(self) -> None:
        schedule = Schedule(time=time(), day_of_week=models.DayOfWeek.SUNDAY, day_of_month="31")
        start = schedule.next_start(NOW, UTC)
        assert start is not None
        assert start.date() == date(2026, 5, 31)
