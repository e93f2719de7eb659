"""Profiles: what is created is listed, what is run has archived messages and left a result with a report."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from pydantic import JsonValue, SecretStr

from mailstore import MailStoreServer, models
from mailstore.errors import FunctionFailedError, InvalidArgumentError
from mailstore.models import ProfileInfo, WorkerResult, WorkerResultState
from mailstore.sandbox import Pace, Sandbox, World
from tests.sandbox.clients import connected, scripted

NOW = datetime(2026, 5, 6, 7, 8, 9, 123456, tzinfo=UTC)
START, END = datetime(2026, 5, 5), datetime(2026, 5, 7)
INBOX = "john.doe/IMAP john.doe@example.com/INBOX"


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(world=World(now=lambda: NOW)) as sandbox:
        yield sandbox


@pytest.fixture
def server(sandbox: Sandbox) -> Iterator[MailStoreServer]:
    with connected(sandbox) as server:
        yield server


def profiles(server: MailStoreServer) -> dict[int, ProfileInfo]:
    return {profile.id: profile for profile in server.get_profiles()}


def results(server: MailStoreServer, **filters: Any) -> list[WorkerResult]:
    arguments: dict[str, Any] = {"time_zone_id": "UTC", **filters}
    rows = server.get_worker_results(START, END, **arguments)
    return sorted(rows, key=lambda row: row.id)


def newest(server: MailStoreServer) -> WorkerResult:
    return results(server)[-1]


def count_of(server: MailStoreServer, store: int = 3) -> int:
    return next(each.statistics_count or 0 for each in server.get_stores() if each.id == store)


class TestChanging:
    def test_a_profile_is_made_from_a_template(self, sandbox: Sandbox, server: MailStoreServer) -> None:
        original = profiles(server)[1]
        assert original.details["password"] is None
        template = original.as_template()
        details = template.details.model_copy(update={"password": SecretStr("new secret"), "host": "imap.example.net"})
        new = template.model_copy(update={"name": "Copy", "owner": "jane.roe", "details": details})
        number = server.create_profile(new)
        created = profiles(server)[cast("int", number)]
        assert (created.id, created.name, created.owner) == (6, "Copy", "jane.roe")
        assert created.details.to_wire() == original.details.to_wire() | {"host": "imap.example.net"}
        assert created.server_side_execution == original.server_side_execution
        assert sandbox.world.profiles[6].details["password"] == "new secret"
        server.delete_profile(6)
        assert 6 not in profiles(server)
        assert server.create_profile(new) == 7

    def test_members_that_nobody_knows_come_back(self, server: MailStoreServer) -> None:
        properties: dict[str, JsonValue] = {
            "name": "New",
            "owner": "john.doe",
            "type": "I",
            "connector": "gmail",
            "details": {"key": "value"},
            "flavour": ["sweet"],
        }
        number = cast("int", server.create_profile(properties))
        wire = profiles(server)[number].to_wire()
        assert wire == {"id": 6, "version": 1, "serverSideExecution": {"automatic": False}, **properties}

    def test_what_a_profile_must_be(self, server: MailStoreServer) -> None:
        wire = profiles(server)[1].to_wire()
        with pytest.raises(InvalidArgumentError, match="out of the range of valid values"):
            server.call("CreateProfile", {"properties": wire, "raw": True})
        with pytest.raises(FunctionFailedError, match="User 'nobody' does not exist"):
            server.create_profile(profiles(server)[1].as_template().model_copy(update={"owner": "nobody"}))
        with pytest.raises(InvalidArgumentError, match="out of the range of valid values"):
            server.call("GetProfiles", {"raw": False})
        assert set(profiles(server)) == {1, 2, 3, 4, 5}

    def test_automatic_runs(self, server: MailStoreServer) -> None:
        def execution() -> dict[str, Any]:
            found = profiles(server)[2].server_side_execution
            return found.to_wire() if found is not None else {}

        assert execution() == {"automatic": False}
        automatic = {
            "automatic": True,
            "automaticPauseBetweenExecutions": 600,
            "automaticMaintenanceWindows": "22:00-23:00",
        }
        server.set_profile_server_side_execution(
            2, automatic=True, automatic_pause_between_executions=600, automatic_maintenance_windows="22:00-23:00"
        )
        assert execution() == automatic
        server.set_profile_server_side_execution(2, automatic=False)
        assert execution() == {**automatic, "automatic": False}
        server.set_profile_server_side_execution(2, automatic=True, automatic_pause_between_executions=60)
        assert execution() == {"automatic": True, "automaticPauseBetweenExecutions": 60}
        with pytest.raises(FunctionFailedError, match="is needed when automatic is true"):
            server.call("SetProfileServerSideExecution", {"id": 2, "automatic": True})


class TestRunning:
    def test_a_run_archives_messages_step_by_step(self, sandbox: Sandbox) -> None:
        sandbox.pace = Pace.by_hand()
        with connected(sandbox) as server:
            before, ids = count_of(server), {message.id for message in server.get_messages(folder=INBOX)}
            task = server.start(models.RunProfile(id=1))
            assert task.log == "Connecting to imap.example.com...\r\n"
            sandbox.pace.step(2)
            assert task.poll().percent_progress == 100 * 10 // 12
            assert len(server.get_messages(folder=INBOX)) == len(ids) + 10
            assert count_of(server) == before
            sandbox.pace.finish()
            assert task.result() is None
            assert count_of(server) == before + 12
            new = {message.id for message in server.get_messages(folder=INBOX)} - ids
            assert new == {f"3:{number}" for number in range(1250, 1262)}
            run = newest(server)
            assert run.to_wire() == {
                "id": 9,
                "userName": "john.doe",
                "profileId": 1,
                "profileName": "Mailbox of John Doe",
                "result": "succeeded",
                "itemsArchived": 12,
                "startTime": "2026-05-06T07:08:09",
                "completeTime": "2026-05-06T07:08:09",
                "machineName": "MAILSTORE",
            }
            report = str(server.get_worker_result_report(run.id))
            assert "Profile: Mailbox of John Doe\r\nResult: succeeded\r\nMessages archived: 12\r\n" in report
            assert report.endswith("Finished. 12 messages have been archived.\r\n")

    def test_new_messages_go_where_the_current_store_is(self, server: MailStoreServer) -> None:
        server.set_store_requested_state(2, requested_state="current")
        counts = count_of(server, 2), count_of(server, 3)
        server.run_profile(5)
        assert (count_of(server, 2), count_of(server, 3)) == (counts[0] + 12, counts[1])

    def test_a_cancelled_run_keeps_what_was_archived(self, sandbox: Sandbox) -> None:
        sandbox.pace = Pace.by_hand()
        with connected(sandbox) as server:
            before = count_of(server)
            task = server.start(models.RunProfile(id=1))
            sandbox.pace.step(2)
            task.cancel()
            assert task.wait().status_code == "cancelled"
            assert (newest(server).result, newest(server).items_archived) == ("cancelled", 10)
            assert count_of(server) == before + 10

    def test_runs_with_errors_and_runs_that_fail(self, sandbox: Sandbox, server: MailStoreServer) -> None:
        server.run_profile(3)
        assert (newest(server).result, newest(server).items_archived) == ("completedWithErrors", 9)
        assert "Message 8 could not be read." in str(server.get_worker_result_report(newest(server).id))
        with sandbox.world.lock:
            sandbox.world.profiles[1].outcome = WorkerResultState.DISCONNECTED
        with pytest.raises(FunctionFailedError, match="The profile 'Mailbox of John Doe' could not be run"):
            server.run_profile(1)
        assert newest(server).result == "disconnected"
        with sandbox.world.lock:
            sandbox.world.stores[3].error = "The disk is full."
        with pytest.raises(FunctionFailedError, match="no open archive store"):
            server.run_profile(2)
        assert newest(server).result == "failed"
        report = str(server.get_worker_result_report(newest(server).id))
        assert report.endswith("There is no open archive store that new messages can be archived in.\r\n")

    def test_an_export_archives_nothing(self, server: MailStoreServer) -> None:
        before = server.get_folder_statistics()
        server.run_profile(4)
        assert (newest(server).profile_id, newest(server).items_archived) == (4, 0)
        assert server.get_folder_statistics() == before

    def test_a_temporary_profile_has_neither_identifier_nor_name(self, server: MailStoreServer) -> None:
        before = count_of(server)
        server.run_temporary_profile(profiles(server)[1].as_template())
        assert set(profiles(server)) == {1, 2, 3, 4, 5}
        assert count_of(server) == before + 12
        run = newest(server)
        assert (run.user_name, run.items_archived) == ("john.doe", 12)
        assert "profileId" not in run
        assert "profileName" not in run

    @pytest.mark.parametrize(
        "request_",
        [
            models.RunProfile(id=9),
            models.DeleteProfile(id=9),
            models.SetProfileServerSideExecution(id=9, automatic=False),
        ],
        ids=lambda request: type(request).__name__,
    )
    def test_a_profile_that_does_not_exist(self, server: MailStoreServer, request_: models.Request[Any]) -> None:
        with pytest.raises(FunctionFailedError, match=r"Profile #9 does not exist\."):
            server.run(request_)


class TestResults:
    def test_the_example_has_runs_in_many_states(self, server: MailStoreServer) -> None:
        rows = results(server)
        assert {str(row.result) for row in rows} == {"succeeded", "completedWithErrors", "failed", "cancelled"}
        assert {row.profile_id for row in rows} == {1, 2, 3, 4, None}
        unsorted = server.get_worker_results(START, END, time_zone_id="UTC")
        assert [row.id for row in unsorted] != [row.id for row in rows]
        times = [row.complete_time for row in unsorted if row.complete_time is not None]
        assert times != sorted(times)
        assert times != sorted(times, reverse=True)

    def test_filters(self, server: MailStoreServer) -> None:
        assert {row.profile_id for row in results(server, profile_id=1)} == {1}
        assert {row.user_name for row in results(server, user_name="jane.roe")} == {"jane.roe"}
        assert [row.id for row in results(server, profile_id=2, user_name="john.doe")] == []
        end = results(server)[0].complete_time
        assert end is not None
        assert [row.id for row in server.get_worker_results(end, END, time_zone_id="UTC") if row.id == 1] == [1]
        assert [row.id for row in server.get_worker_results(START, end, time_zone_id="UTC")] == []

    def test_times_are_on_the_clock_of_the_zone(self, sandbox: Sandbox, server: MailStoreServer) -> None:
        sandbox.world.time_zone = "Tokyo Standard Time"
        for zone, hours in (("W. Europe Standard Time", 2), ("$Local", 9)):
            pairs = zip(results(server), results(server, time_zone_id=zone), strict=True)
            assert all(local.start_time - row.start_time == timedelta(hours=hours) for row, local in pairs)

    @pytest.mark.parametrize("filter_", [{"profileID": "0"}, {"userName": ""}])
    def test_filters_that_are_no_filters(self, server: MailStoreServer, filter_: dict[str, str]) -> None:
        window = {"fromIncluding": "2026-05-05T00:00:00", "toExcluding": "2026-05-07T00:00:00", "timeZoneID": "UTC"}
        with pytest.raises(InvalidArgumentError, match="Specified argument was out of the range of valid values"):
            server.call("GetWorkerResults", {**window, **filter_})

    def test_a_report_that_does_not_exist(self, server: MailStoreServer) -> None:
        with pytest.raises(FunctionFailedError, match=r"Worker result #99 does not exist\."):
            server.get_worker_result_report(99)

    def test_the_tutorials_client_reads_the_same(self, sandbox: Sandbox, server: MailStoreServer) -> None:
        with scripted(sandbox) as client:
            assert client.RunProfile(2)["statusCode"] == "succeeded"
            assert [profile["name"] for profile in client.GetProfiles()["result"]] == [
                profile.name for profile in server.get_profiles()
            ]
            rows = client.GetWorkerResults("2026-05-05T00:00:00", "2026-05-07T00:00:00", "UTC", 2)["result"]
            assert sorted(row["id"] for row in rows) == [row.id for row in results(server, profile_id=2)]
            assert rows[0]["machineName"] == "MAILSTORE"
