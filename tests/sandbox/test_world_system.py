from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from mailstore import MailStoreServer
from mailstore.models.system import CertificateReference, StatusReportTimespanText
from mailstore.sandbox import Sandbox, World
from mailstore.sandbox.state import User
from mailstore.sandbox.state.time_zones import TimeZone, time_zones
from tests.sandbox.clients import connected
from tests.sandbox.expecting import fails

NOW = datetime(2026, 3, 31, 23, 30, tzinfo=UTC)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(world=World(now=lambda: NOW)) as sandbox:
        yield sandbox


@pytest.fixture
def server(sandbox: Sandbox) -> Iterator[MailStoreServer]:
    with connected(sandbox) as server:
        yield server


def test_a_world_that_is_given_something_has_nothing_else() -> None:
    world = World(users={"eva": User("eva")})
    assert (world.folders, world.stores, world.jobs, world.profiles) == ({}, {}, {}, {})
    assert World.empty().users.keys() == {"admin"}
    assert World(machine_name="ARCHIVE").folders.keys() == World().folders.keys()


def test_numbers_are_never_given_twice() -> None:
    world = World()
    first = world.next_id("jobs", world.jobs)
    assert first == max(world.jobs) + 1
    assert world.next_id("jobs", world.jobs) == first + 1
    assert world.next_id("anything") == 1


def test_the_licence_counts_the_users(server: MailStoreServer) -> None:
    before = server.get_license_information().named_users
    assert before == len(server.get_users())
    server.create_user("eva", "login")
    after = server.get_license_information()
    assert (after.named_users, after.max_named_users) == (before + 1, 25)
    assert after.product_version == server.get_server_info().version


def test_another_certificate_of_the_service(server: MailStoreServer) -> None:
    before = server.get_service_configuration()
    server.set_service_certificate("ab" * 20)
    after = server.get_service_configuration()
    assert after.server_certificate == CertificateReference(thumbprint="AB" * 20)
    assert after.base_directory == before.base_directory
    with fails("The certificate with the thumbprint 'abcd' was not found."):
        server.set_service_certificate("ab cd")
    assert server.get_service_configuration() == after


def test_sessions_end_with_the_user_and_are_renamed_with_the_user(server: MailStoreServer) -> None:
    assert "'userName': 'john.doe'" in str(server.get_active_sessions())
    server.rename_user("john.doe", "jon")
    assert "'userName': 'jon'" in str(server.get_active_sessions())
    server.delete_user("jon")
    assert "jon" not in str(server.get_active_sessions())


def test_time_zones_have_the_names_of_windows(server: MailStoreServer) -> None:
    names = {zone.id: zone.display_name for zone in server.get_time_zones()}
    assert names["W. Europe Standard Time"] == "(UTC+01:00) Amsterdam, Berlin, Bern, Rome, Stockholm, Vienna"
    assert len(names) > 130


def test_the_names_of_time_zones_tell_their_offsets() -> None:
    for zone in time_zones().values():
        moments = [datetime(2026, month, 15, 12, tzinfo=zone.rules) for month in range(1, 13)]
        # Without time zone data, the name has to do.
        by_name = TimeZone(zone.id, zone.display_name, "Not/There").rules
        assert by_name.utcoffset(moments[0]) in {moment.utcoffset() for moment in moments}, zone.id


def test_time_zones_are_those_of_unicode() -> None:
    tables = pytest.importorskip("tzlocal.windows_tz")
    for zone in time_zones().values():
        ours, theirs = ZoneInfo(zone.iana), ZoneInfo(tables.win_tz[zone.id])
        for month in range(1, 13):
            moment = datetime(2026, month, 15, 12)
            assert moment.replace(tzinfo=ours).utcoffset() == moment.replace(tzinfo=theirs).utcoffset(), zone.id


@pytest.mark.parametrize(
    ("timespan", "zone", "days"),
    [
        ("today", "UTC", "2026-03-31 to 2026-03-31"),
        ("today", "W. Europe Standard Time", "2026-04-01 to 2026-04-01"),
        ("yesterday", "$Local", "2026-03-30 to 2026-03-30"),
        ("thisweek", "UTC", "2026-03-30 to 2026-03-31"),
        ("lastweek", "UTC", "2026-03-23 to 2026-03-29"),
        ("thismonth", "UTC", "2026-03-01 to 2026-03-31"),
        ("lastmonth", "UTC", "2026-02-01 to 2026-02-28"),
        ("lastmonth", "Tokyo Standard Time", "2026-03-01 to 2026-03-31"),
    ],
)
def test_a_status_report_is_about_days_of_the_zone(
    sandbox: Sandbox, server: MailStoreServer, timespan: StatusReportTimespanText, zone: str, days: str
) -> None:
    server.send_status_report(timespan, zone, ["it@example.com", "boss@example.com"])
    with sandbox.world.lock:
        mail = sandbox.world.outbox[-1]
    assert mail.recipients == ["it@example.com", "boss@example.com"]
    assert mail.subject == f"MailStore Server status report: {days}"


def test_a_status_report_counts_the_runs_of_profiles(sandbox: Sandbox, server: MailStoreServer) -> None:
    server.send_status_report("thismonth", "UTC", "it@example.com")
    with sandbox.world.lock:
        runs = len(sandbox.world.profile_runs)
        assert f"Runs of profiles: {runs}, of which not successful: " in sandbox.world.outbox[-1].text
    with fails("The time zone ID 'Middle-earth Standard Time' was not found on the local computer."):
        server.send_status_report("today", "Middle-earth Standard Time", "it@example.com")
