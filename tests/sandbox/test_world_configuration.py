from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import JsonValue

from mailstore import MailStoreServer
from mailstore.errors import FunctionFailedError
from mailstore.models.compliance import RetentionPeriodInterval, RetentionPolicy
from mailstore.models.directory import SyncUsersWithDirectoryServices
from mailstore.models.smtp import TestSmtpSettings
from mailstore.models.stores import StoreRequestedState
from mailstore.sandbox import Pace, Sandbox, World
from mailstore.sandbox.state import Message
from tests.sandbox.clients import connected, scripted
from tests.sandbox.expecting import fails

SYNCED = [{"userName": "kim.former", "change": "delete"}, {"userName": "nina.new", "change": "create"}]


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def server(sandbox: Sandbox) -> Iterator[MailStoreServer]:
    with connected(sandbox) as server:
        yield server


def configure(server: MailStoreServer, **changes: Any) -> None:
    """Change the directory services; the password, which nobody can read, is given anew."""
    config = server.get_directory_services_configuration().to_wire()
    server.set_directory_services_configuration({**config, "password": "pretended", **changes})


def names(server: MailStoreServer) -> set[str]:
    return {user.user_name for user in server.get_users()}


def test_a_dry_run_tells_what_a_synchronisation_would_do_and_does_not_do_it(server: MailStoreServer) -> None:
    configure(server, deleteUsers=True)
    before = names(server)
    assert server.sync_users_with_directory_services(dry_run=True) == SYNCED
    assert names(server) == before

    task = server.start(SyncUsersWithDirectoryServices())
    assert task.result() == SYNCED
    assert "  Creating user nina.new..." in task.log
    assert names(server) == before - {"kim.former"} | {"nina.new"}
    nina = server.get_user_info("nina.new")
    assert nina.email_addresses == ["nina.new@example.com"]
    assert nina.authentication == "directoryServices"
    assert server.sync_users_with_directory_services() == []


def test_a_synchronisation_mends_what_differs_and_leaves_integrated_users_alone(server: MailStoreServer) -> None:
    server.set_user_full_name("john.doe", full_name="Wrong")
    server.set_user_authentication("ann.lee", "integrated")
    server.set_user_full_name("ann.lee", full_name="Own name")
    assert server.sync_users_with_directory_services() == [
        {"userName": "john.doe", "change": "update"},
        {"userName": "nina.new", "change": "create"},
    ]
    assert server.get_user_info("john.doe").full_name == "John Doe"
    assert server.get_user_info("ann.lee").full_name == "Own name"


def test_the_configuration_decides_who_is_taken_over(server: MailStoreServer) -> None:
    configure(server, enabledUsersOnly=False, microsoftExchangeUsersOnly=False)
    everybody = [{"userName": name, "change": "create"} for name in ("build.agent", "nina.new", "tom.left")]
    assert server.sync_users_with_directory_services(dry_run=True) == everybody
    configure(server, groups=["CN=Nobody,DC=example,DC=com"])
    assert server.sync_users_with_directory_services(dry_run=True) == []


def test_configurations_are_kept_as_they_were_written_but_for_their_passwords(
    sandbox: Sandbox, server: MailStoreServer
) -> None:
    written: dict[str, JsonValue] = {
        "type": "generic",
        "serverName": "ldap",
        "password": "hidden",
        "newMember": {"a": [1, None]},
    }
    server.set_directory_services_configuration(written)
    assert server.get_directory_services_configuration().to_wire() == {**written, "password": None}
    settings: dict[str, JsonValue] = {"smtpHost": "mail", "password": "hidden", "port": 25}
    server.set_smtp_settings(settings)
    assert server.get_smtp_settings().to_wire() == {**settings, "password": None}
    compliance = {**server.get_compliance_configuration().to_wire(), "onlyFirstLevel": True}
    server.set_compliance_configuration(compliance)
    assert server.get_compliance_configuration().to_wire() == compliance
    with sandbox.world.lock:
        assert sandbox.world.directory.configuration["password"] == sandbox.world.smtp["password"] == "hidden"


def test_what_is_written_back_as_it_was_read_has_lost_its_password(server: MailStoreServer) -> None:
    server.set_directory_services_configuration(server.get_directory_services_configuration())
    with fails("The directory server refused the login: the user name or password is incorrect."):
        server.sync_users_with_directory_services()
    server.set_smtp_settings(server.get_smtp_settings())
    with fails("5.7.8 Authentication failed: the user name or password is incorrect."):
        server.test_smtp_settings()


def test_a_fresh_installation_has_neither_directory_nor_mail_server() -> None:
    with Sandbox(world=World.empty()) as sandbox, connected(sandbox) as server:
        with fails("Directory services are not configured."):
            server.sync_users_with_directory_services()
        with fails("No SMTP server is configured."):
            server.test_smtp_settings()
        with fails("No SMTP server is configured."):
            server.send_status_report("today", "$Local", "it@example.com")
        server.set_smtp_settings({"server": "mail"})
        server.send_status_report("today", "$Local", "it@example.com")
        with fails("No recipient is configured."):
            server.test_smtp_settings()
        assert server.get_credentials() == []


def test_a_mail_that_was_sent_can_be_looked_at(sandbox: Sandbox, server: MailStoreServer) -> None:
    task = server.start(TestSmtpSettings())
    assert task.result() is None
    assert task.log.startswith("Connecting to mail.example.com...\r\n")
    with sandbox.world.lock:
        assert sandbox.world.outbox[-1].recipients == ["it@example.com"]


def test_credentials_have_names_that_begin_with_a_capital(sandbox: Sandbox) -> None:
    with scripted(sandbox) as client:
        credential = client.GetCredentials()["result"][0]
    assert list(credential.keys()) == ["ID", "Type", "Description", "Settings"]
    assert credential.settings["CertificateExpirationDate"] > sandbox.world.now()


def test_retention_policies_delete_what_is_due(sandbox: Sandbox, server: MailStoreServer) -> None:
    (policy,) = server.get_retention_policies()
    assert policy.enabled is False
    before = _from_newsletter(sandbox.world)
    assert server.process_retention_policies() is None
    assert _from_newsletter(sandbox.world) == before

    shorter = policy.model_copy(update={"enabled": True, "period": 400, "period_interval": RetentionPeriodInterval.DAY})
    server.set_retention_policies([shorter, {"name": "Nothing", "unknown": 1}])
    assert server.get_retention_policies() == [
        shorter,
        RetentionPolicy.model_validate({"name": "Nothing", "unknown": 1}),
    ]
    sizes = sum(row.size for row in server.get_folder_statistics())
    server.process_retention_policies()
    after = _from_newsletter(sandbox.world)
    # Not in the archive of Jane Roe, which is excluded, and not in store 1, which is write-protected.
    assert {key: before[key] - after[key] for key in before if after[key] < before[key]}.keys() == {("john.doe", 2)}
    assert sum(row.size for row in server.get_folder_statistics()) < sizes


def _from_newsletter(world: World) -> dict[tuple[str, int], int]:
    """Count the messages of the policy's sender by archive and store."""
    counts: dict[tuple[str, int], int] = {}
    with world.lock:
        for folder in world.folders.values():
            for message in folder.messages:
                key = (folder.path.partition("/")[0], message.store_id)
                counts[key] = counts.get(key, 0) + (message.sender == "newsletter@example.net")
    return counts


@pytest.mark.parametrize(
    ("period", "interval", "end"),
    [
        (1, "day", datetime(2026, 3, 30, 12, tzinfo=UTC)),
        (1, "month", datetime(2026, 2, 28, 12, tzinfo=UTC)),
        (15, "month", datetime(2024, 12, 31, 12, tzinfo=UTC)),
        (2, "year", datetime(2024, 3, 31, 12, tzinfo=UTC)),
        (0, "day", datetime.min.replace(tzinfo=UTC)),
        (-1, "month", datetime.min.replace(tzinfo=UTC)),
        (9999, "year", datetime.min.replace(tzinfo=UTC)),
        (10**9, "day", datetime.min.replace(tzinfo=UTC)),
    ],
)
def test_the_length_of_a_retention_period(period: int, interval: str, end: datetime) -> None:
    policy: dict[str, JsonValue] = {
        "name": "All",
        "enabled": True,
        "delete": True,
        "period": period,
        "periodInterval": interval,
    }
    world = World(now=lambda: datetime(2026, 3, 31, 12, tzinfo=UTC))
    world.stores[1].requested_state = StoreRequestedState.NORMAL
    young = {message.id for message in _messages(world) if message.received >= end}
    with Sandbox(world=world) as sandbox, connected(sandbox) as server:
        server.set_retention_policies([policy])
        server.process_retention_policies()
        assert {message.id for message in server.get_messages()} == young


def _messages(world: World) -> list[Message]:
    return [message for folder in world.folders.values() for message in folder.messages]


@pytest.mark.parametrize("config", [{"name": "One"}, {"policies": [{"name": "One"}]}])
def test_both_forms_of_policies_that_public_sources_tell_of_are_read(
    server: MailStoreServer, config: dict[str, Any]
) -> None:
    server.set_retention_policies(config)
    assert [policy.name for policy in server.get_retention_policies()] == ["One"]
    with fails("The configuration holds no retention policies."):
        server.set_retention_policies({"unknown": 1})
    with fails("The retention policies are not valid."):
        server.set_retention_policies({"policies": [{}]})


def test_legal_hold_keeps_every_message(sandbox: Sandbox, server: MailStoreServer) -> None:
    config = server.get_compliance_configuration()
    server.set_compliance_configuration({**config.to_wire(), "legalHoldEnabled": True})
    message = server.get_messages(folder="zoe.mueller/IMAP zoe.mueller@example.com/INBOX")[0]
    for call in (server.process_retention_policies, lambda: server.delete_message(message.id, "by mistake")):
        with fails("Messages cannot be deleted because legal hold is enabled."):
            call()
    server.set_compliance_configuration(config)
    server.delete_message(message.id, "on request")


def test_a_synchronisation_copes_with_what_others_do_meanwhile() -> None:
    pace = Pace.by_hand()
    with Sandbox(pace=pace) as sandbox, connected(sandbox) as server:
        configure(server, deleteUsers=True)
        task = server.start(SyncUsersWithDirectoryServices())
        pace.step()
        server.delete_user("kim.former")
        server.create_user("nina.new", "login", full_name="Somebody else")
        pace.finish()
        assert task.result() == SYNCED
        assert server.get_user_info("nina.new").full_name == "Nina New"
        with pytest.raises(FunctionFailedError):
            server.get_user_info("kim.former")
