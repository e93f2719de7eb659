"""Stores, storage and indexes: what one function writes, the others read."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from pydantic import JsonValue

from mailstore import MailStoreServer, models
from mailstore.errors import ApiError, FunctionFailedError, InvalidArgumentError, MissingArgumentError
from mailstore.models import StoreInfo, StoreRequestedState, StoreType
from mailstore.sandbox import Pace, Sandbox, World
from tests.sandbox.clients import connected, scripted
from tests.sandbox.expecting import fails

NOW = datetime(2026, 5, 6, 7, 8, 9, tzinfo=UTC)
INBOX = "tom.left/Outlook/Inbox"
TUTORIAL = """\
Verifying file group #3...
Creating a list of messages to be verified...
1249 messages are about to be verified.
Verifying...
  100 messages verified...
  200 messages verified...
  300 messages verified...
  400 messages verified...
  500 messages verified...
  600 messages verified...
  700 messages verified...
  800 messages verified...
  900 messages verified...
  1000 messages verified...
  1100 messages verified...
  1200 messages verified...
  1249 messages verified.
Finished. No errors have been found.
"""


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(world=World(now=lambda: NOW)) as sandbox:
        yield sandbox


@pytest.fixture
def server(sandbox: Sandbox) -> Iterator[MailStoreServer]:
    with connected(sandbox) as server:
        yield server


def stores(server: MailStoreServer) -> dict[int, StoreInfo]:
    return {store.id: store for store in server.get_stores()}


def states(server: MailStoreServer) -> dict[int, str]:
    return {store.id: str(store.requested_state) for store in server.get_stores()}


def log_of(server: MailStoreServer, request: models.Request[Any]) -> str:
    task = server.start(request)
    task.result()
    return task.log.replace("\r\n", "\n")


def size_of_folders(server: MailStoreServer) -> tuple[int, int]:
    folders = server.get_folder_statistics()
    return sum(folder.count or 0 for folder in folders), sum(folder.size for folder in folders)


class TestListing:
    def test_the_numbers_of_stores_and_of_folders_are_the_same_messages(self, server: MailStoreServer) -> None:
        found = stores(server)
        assert found[3].statistics_count == 1249
        counts = sum(store.statistics_count or 0 for store in found.values())
        sizes = sum(store.statistics_size or 0 for store in found.values())
        assert (counts, sizes) == size_of_folders(server)

    def test_without_size_the_member_is_absent(self, server: MailStoreServer) -> None:
        for store in server.get_stores(include_size=False):
            assert "statisticsSize" not in store
            assert store.statistics_count is not None

    def test_statistics_are_those_of_the_last_count(self, server: MailStoreServer) -> None:
        before = stores(server)[3]
        message = server.get_messages(folder="zoe.mueller/IMAP zoe.mueller@example.com/INBOX")[0]
        server.delete_message(message.id, "test")
        assert stores(server)[3] == before
        server.refresh_all_store_statistics()
        after = stores(server)[3]
        assert after.statistics_count == 1248
        assert (after.statistics_size or 0) < (before.statistics_size or 0)


class TestStates:
    def test_there_is_always_exactly_one_current_store(self, server: MailStoreServer) -> None:
        assert states(server) == {1: "writeProtected", 2: "normal", 3: "current"}
        server.set_store_requested_state(2, requested_state="current")
        assert states(server) == {1: "writeProtected", 2: "current", 3: "normal"}
        for state in ("normal", "disabled"):
            with pytest.raises(FunctionFailedError, match="current archive store"):
                server.set_store_requested_state(2, requested_state=StoreRequestedState(state))
        with pytest.raises(FunctionFailedError, match="current archive store"):
            server.detach_store(2)
        new = cast("int", server.create_store("Messages 004", requested_state="current"))
        assert states(server) == {1: "writeProtected", 2: "normal", 3: "normal", new: "current"}

    def test_a_disabled_store_hides_its_messages(self, server: MailStoreServer) -> None:
        before = server.get_messages(folder=INBOX)
        server.set_store_requested_state(1, requested_state="disabled")
        assert server.get_messages(folder=INBOX) == []
        with pytest.raises(FunctionFailedError, match="Store #1 is not open"):
            server.compact_store(1)
        with pytest.raises(FunctionFailedError, match="Store #1 is not open"):
            server.verify_store(1)
        server.set_store_requested_state(1, requested_state="normal")
        assert server.get_messages(folder=INBOX) == before

    def test_a_state_that_is_missing(self, server: MailStoreServer) -> None:
        with pytest.raises(MissingArgumentError, match="Nullable object must have a value"):
            server.set_store_requested_state(1)


class TestCreatingAndAttaching:
    def test_a_new_store_is_listed_as_it_was_described(self, server: MailStoreServer) -> None:
        internal = server.create_store("2026", database_path="D:\\2026")
        external = server.create_store(
            "2027", type="PostgreSQL", server_name="db1", database_name="mail", user_name="ms", password="secret"
        )
        found = stores(server)
        assert (found[3].id, internal, external) == (3, 4, 5)
        assert found[4].to_wire() == {
            "id": 4,
            "name": "2026",
            "type": "FileSystemInternal",
            "requestedState": "normal",
            "error": None,
            "statisticsCount": 0,
            "statisticsSize": 0,
            "needsUpgrade": False,
            "searchIndexesNeedRebuild": False,
            "databasePath": "D:\\2026",
            "contentPath": "D:\\2026\\Content",
            "indexPath": "D:\\2026\\Index",
        }
        assert (found[5].type, found[5].server_name, found[5].database_path) == (StoreType.POSTGRESQL, "db1", None)
        assert "secret" not in str(found[5].to_wire())
        with pytest.raises(FunctionFailedError, match="already"):
            server.create_store("the same place", database_path="d:\\2026\\")
        with pytest.raises(MissingArgumentError, match="Missing API argument databaseName"):
            server.create_store("no database", type="SQLServer", server_name="db1")

    def test_properties_and_names_change_and_the_rest_stays(self, server: MailStoreServer) -> None:
        before = stores(server)[1]
        server.rename_store(1, "Old")
        server.set_store_properties(1, index_path="F:\\Index")
        assert stores(server)[1] == before.model_copy(update={"name": "Old", "index_path": "F:\\Index"})

    def test_a_detached_store_takes_its_messages_along_and_brings_them_back(self, server: MailStoreServer) -> None:
        store, before, folders = stores(server)[1], server.get_messages(folder=INBOX), size_of_folders(server)
        server.detach_store(1)
        assert set(states(server)) == {2, 3}
        assert server.get_messages(folder=INBOX) == []
        with pytest.raises(FunctionFailedError, match=r"Store #1 does not exist\."):
            server.verify_store(1)
        new = cast("int", server.attach_store("Back", "FileSystemInternal", database_path=store.database_path))
        assert new == 4
        attached = stores(server)[new]
        assert (attached.name, attached.statistics_count) == ("Back", store.statistics_count)
        assert attached.search_indexes_need_rebuild
        assert size_of_folders(server) == folders
        numbers = [message.id.partition(":")[2] for message in before]
        assert [message.id for message in server.get_messages(folder=INBOX)] == [
            f"{new}:{number}" for number in numbers
        ]

    def test_a_number_is_never_given_twice(self, server: MailStoreServer) -> None:
        server.set_store_requested_state(2, requested_state="current")
        server.detach_store(3)
        assert server.create_store("New") == 4

    def test_a_store_of_another_installation_must_be_unlocked(self, server: MailStoreServer) -> None:
        before = len(server.get_messages(folder=INBOX))
        place = "C:\\MailArchive\\Branch office"
        with pytest.raises(FunctionFailedError, match="no archive store of the type SQLServer"):
            server.attach_store("Branch", "SQLServer", server_name="db1", database_name="mail")
        new = cast("int", server.attach_store("Branch", "FileSystemInternal", database_path=place))
        assert "must be unlocked" in str(stores(server)[new].error)
        assert stores(server)[new].statistics_count is None
        assert len(server.get_messages(folder=INBOX)) == before
        server.retry_open_stores()
        assert stores(server)[new].error is not None
        with pytest.raises(FunctionFailedError, match="The passphrase is wrong"):
            server.unlock_store(new, "guess")
        server.unlock_store(new, "FOREIGN-RECOVERY-KEY")
        assert (stores(server)[new].error, stores(server)[new].statistics_count) == (None, 25)
        assert len(server.get_messages(folder=INBOX)) == before + 25
        with pytest.raises(FunctionFailedError, match="is not locked"):
            server.unlock_store(new, "FOREIGN-RECOVERY-KEY")

    def test_the_first_store_of_a_server_is_the_current_one(self, sandbox: Sandbox, server: MailStoreServer) -> None:
        with sandbox.world.lock:
            sandbox.world.stores.clear()
        new = cast("int", server.create_store("First"))
        assert states(server) == {new: "current"}

    def test_the_settings_for_automatic_creation_come_back(self, server: MailStoreServer) -> None:
        settings: dict[str, JsonValue] = {**server.get_store_auto_create_configuration().to_wire(), "else": [1]}
        server.set_store_auto_create_configuration(settings)
        assert server.get_store_auto_create_configuration().to_wire() == settings


class TestVerification:
    def test_the_log_is_the_tutorials(self, sandbox: Sandbox) -> None:
        sandbox.pace = Pace.by_hand()
        with connected(sandbox) as server:
            task = server.start(models.VerifyStore(id=3, include_indexes=False))
            status = task.status
            assert status is not None
            assert (status.is_running, status.percent_progress) == (True, None)
            sandbox.pace.step(5)
            assert task.poll().percent_progress == 100 * 300 // 1249
            assert task.log.endswith("  300 messages verified...\r\n")
            sandbox.pace.finish()
            assert task.result() is None
            assert task.log.replace("\r\n", "\n") == TUTORIAL

    def test_indexes_add_lines(self, server: MailStoreServer) -> None:
        log = log_of(server, models.VerifyStore(id=1))
        assert "Verifying search index 'ann.lee'...\nVerifying search index 'john.doe'...\nError: " in log
        assert log.endswith("Finished. 1 error has been found.\n")
        server.rebuild_store_index(1, "john.doe")
        assert log_of(server, models.VerifyStore(id=1)).endswith("Finished. No errors have been found.\n")

    def test_errors_are_in_the_log_and_the_call_succeeds(self, sandbox: Sandbox, server: MailStoreServer) -> None:
        with sandbox.world.lock:
            sandbox.world.stores[2].damaged_messages = {7, 8}
            sandbox.world.stores[2].database_indexes_are_damaged = True
            sandbox.world.stores[3].error = "The database file could not be opened."
        log = log_of(server, models.VerifyStores(include_indexes=False))
        assert "Error: Message 2:7 cannot be read.\nError: Message 2:8 cannot be read.\n" in log
        assert "3 errors have been found" in log
        assert "Verifying file group #3...\nError: The database file could not be opened.\n" in log
        server.repair_store_database(2)
        assert "2 errors have been found" in log_of(server, models.VerifyStore(id=2, include_indexes=False))

    def test_the_tutorials_scripts_run(self, sandbox: Sandbox) -> None:
        sandbox.pace = Pace.by_hand()
        log = ""
        with scripted(sandbox) as client:
            status = client.VerifyStore(3, includeIndexes=False, autoHandleToken=False)
            while status["statusCode"] == "running":
                log += status["logOutput"] or ""
                sandbox.pace.step()
                status = client.GetStatus(status)
            log += status["logOutput"] or ""
            assert (status["statusCode"], status["result"], status["percentProgress"]) == ("succeeded", None, 100)
            assert log.replace("\r\n", "\n") == TUTORIAL


class TestMaintenance:
    def test_a_store_that_cannot_be_opened_is_recovered(self, sandbox: Sandbox, server: MailStoreServer) -> None:
        with pytest.raises(FunctionFailedError, match="must be disabled or in an error state"):
            server.recover_store(3)
        with sandbox.world.lock:
            sandbox.world.stores[3].error = "The database is damaged."
            sandbox.world.stores[3].database_is_damaged = True
            sandbox.world.stores[3].recovery_records_are_damaged = True
        server.retry_open_stores()
        assert stores(server)[3].error == "The database is damaged."
        with pytest.raises(FunctionFailedError, match="recovery records"):
            server.recover_store(3)
        with sandbox.world.lock:
            sandbox.world.stores[3].recovery_records_are_damaged = False
        assert "  1249 messages recovered.\n" in log_of(server, models.RecoverStore(id=3))
        assert stores(server)[3].error is None
        assert stores(server)[3].search_indexes_need_rebuild
        activities = [entry.activity for entry in sandbox.world.audit_log]
        assert activities[-2:] == ["RecoverStoreStart", "RecoverStoreFinish"]

    def test_an_error_that_passed_is_gone_after_another_try(self, sandbox: Sandbox, server: MailStoreServer) -> None:
        with sandbox.world.lock:
            sandbox.world.stores[2].error = "The network path was not found."
        assert stores(server)[2].error == "The network path was not found."
        assert "  File group #2: opened.\n" in log_of(server, models.RetryOpenStores())
        assert stores(server)[2].error is None

    def test_deleted_messages_come_back_unless_the_store_was_compacted(self, server: MailStoreServer) -> None:
        folder = "jane.roe/IMAP jane.roe@example.com/Sent"
        before = server.get_messages(folder=folder)
        server.set_store_requested_state(2, requested_state="current")
        for compact, left in ((False, before), (True, before[1:])):
            server.delete_message(before[0].id, "test")
            assert server.get_messages(folder=folder) == before[1:]
            if compact:
                server.compact_store(3)
            server.set_store_requested_state(3, requested_state="disabled")
            server.recover_store(3, recover_deleted_messages=True)
            assert server.get_messages(folder=folder) == []
            server.set_store_requested_state(3, requested_state="normal")
            assert server.get_messages(folder=folder) == left

    def test_merging_copies_and_leaves_the_source(self, sandbox: Sandbox) -> None:
        sandbox.pace = Pace.by_hand()
        with connected(sandbox) as server:
            before = stores(server)
            cancelled = server.start(models.MergeStore(id=3, source_id=1))
            cancelled.cancel()
            assert cancelled.wait().status_code == "cancelled"
            assert stores(server) == before
            task = server.start(models.MergeStore(id=3, source_id=1))
            sandbox.pace.finish()
            task.result()
            after = stores(server)
            assert after[1] == before[1]
            assert after[3].statistics_count == 1249 + (before[1].statistics_count or 0)
            ids = [message.id for message in server.get_messages()]
            assert len(ids) == len(set(ids))
            with pytest.raises(FunctionFailedError, match="write-protected"):
                server.merge_store(1, 3)
            with pytest.raises(FunctionFailedError, match="with itself"):
                server.merge_store(3, 3)

    def test_an_upgrade_clears_the_flag(self, server: MailStoreServer) -> None:
        assert [store.id for store in server.get_stores() if store.needs_upgrade] == [2]
        assert "Upgrading file group #2..." in log_of(server, models.UpgradeStores())
        assert not any(store.needs_upgrade for store in server.get_stores())
        assert log_of(server, models.UpgradeStore(id=2)) == "File group #2 has the current format.\n"

    @pytest.mark.parametrize(
        "request_",
        [
            models.CompactStore(id=1),
            models.RecreateRecoveryRecords(id=1),
            models.RepairStoreDatabase(id=1),
            models.UpgradeStore(id=2),
            models.CreateBackup(path="E:\\Backup"),
            models.CompactMasterDatabase(),
            models.RenewMasterKey(),
            models.MaintainFileSystemDatabases(),
            models.RefreshAllStoreStatistics(),
            models.RebuildStoreIndex(id=1, folder="john.doe"),
            models.RebuildSelectedStoreIndexes(),
        ],
        ids=lambda request: type(request).__name__,
    )
    def test_maintenance_is_a_task_with_progress_and_log(self, sandbox: Sandbox, request_: models.Request[Any]) -> None:
        sandbox.pace = Pace.by_hand()
        with connected(sandbox) as server:
            task = server.start(request_)
            status = task.status
            assert status is not None
            assert (status.is_running, status.percent_progress) == (True, 0)
            sandbox.pace.finish()
            assert task.wait().percent_progress == 100
            assert len(task.log.splitlines()) >= 2

    def test_a_backup_needs_a_path(self, sandbox: Sandbox, server: MailStoreServer) -> None:
        with pytest.raises(ApiError, match="out of the range of valid values"):
            server.call("CreateBackup", {"path": ""})
        log = log_of(server, models.CreateBackup(path="E:\\Backup", exclude_search_indexes=True))
        assert "search index" not in log
        assert "search index" in log_of(server, models.CreateBackup(path="E:\\Backup"))


class TestIndexes:
    def test_selected_indexes_are_rebuilt_one_after_the_other(self, sandbox: Sandbox) -> None:
        def rows(server: MailStoreServer, id: int | None = None) -> list[dict[str, object]]:
            return cast("list[dict[str, object]]", server.get_store_indexes(id=id))

        sandbox.pace = Pace.by_hand()
        with connected(sandbox) as server:
            assert stores(server)[1].search_indexes_need_rebuild
            assert [row["folder"] for row in rows(server, 1)] == ["ann.lee", "john.doe", "tom.left"]
            assert not any(row["selectedForRebuild"] for row in rows(server))
            server.select_all_store_indexes_for_rebuild()
            assert all(row["selectedForRebuild"] for row in rows(server))
            task = server.start(models.RebuildSelectedStoreIndexes())
            while "'john.doe'" not in task.log:
                sandbox.pace.step()
                task.poll()
            assert [row["selectedForRebuild"] for row in rows(server, 1)] == [False, True, True]
            assert stores(server)[1].search_indexes_need_rebuild
            sandbox.pace.finish()
            task.result()
            assert not any(row["selectedForRebuild"] or row["needsRebuild"] for row in rows(server))
            assert not stores(server)[1].search_indexes_need_rebuild

    def test_an_index_that_does_not_exist(self, server: MailStoreServer) -> None:
        with pytest.raises(FunctionFailedError, match="no search index for 'nobody'"):
            server.rebuild_store_index(1, "nobody")


def test_what_a_store_is_not_fit_for(server: MailStoreServer) -> None:
    place = "C:\\MailArchive\\Branch office"
    external = cast("int", server.create_store("db", type="SQLServer", server_name="db1", database_name="mail"))
    refused: list[tuple[models.Request[Any], str]] = [
        (models.CreateStore(name="x", type="FileSystemFlat"), "Requested value 'FileSystemFlat' was not found."),
        (
            models.AttachStore(
                name="x", type="FileSystemInternal", database_path=place, requested_state=StoreRequestedState.CURRENT
            ),
            "The archive store is locked and cannot be the current one.",
        ),
        (models.RecoverStore(id=external), f"Store #{external} is no internal archive store."),
        (models.RepairStoreDatabase(id=external), f"Store #{external} has no Firebird database."),
        (
            models.RecreateRecoveryRecords(id=external),
            f"Store #{external} keeps its messages in the database and has no recovery records.",
        ),
        (models.CreateBackup(path=" "), "The path of the backup must not be empty."),
    ]
    for request, message in refused:
        with fails(message):
            server.run(request)


def test_what_a_locked_or_outdated_store_is_not_fit_for(server: MailStoreServer) -> None:
    place = "C:\\MailArchive\\Branch office"
    locked = cast("int", server.attach_store("Branch", "FileSystemInternal", database_path=place))
    server.set_store_requested_state(2, requested_state="disabled")
    refused: list[tuple[models.Request[Any], str]] = [
        (models.RecoverStore(id=locked), f"Store #{locked} is locked."),
        (
            models.SetStoreRequestedState(id=locked, requested_state="current"),
            f"Store #{locked} is locked and cannot be the current one.",
        ),
        (models.RecoverStore(id=2), "Store #2 must be upgraded first."),
    ]
    for request, message in refused:
        with fails(message):
            server.run(request)


@pytest.mark.parametrize(
    "request_",
    [
        models.RenameStore(id=9, name="x"),
        models.DetachStore(id=9),
        models.SetStoreProperties(id=9),
        models.SetStoreRequestedState(id=9, requested_state="normal"),
        models.CompactStore(id=9),
        models.VerifyStore(id=9),
        models.MergeStore(id=3, source_id=9),
        models.RecoverStore(id=9),
        models.UpgradeStore(id=9),
        models.UnlockStore(id=9, passphrase="x"),
        models.GetStoreIndexes(id=9),
        models.RebuildStoreIndex(id=9, folder="john.doe"),
    ],
    ids=lambda request: type(request).__name__,
)
def test_a_store_that_does_not_exist_fails_with_a_message(
    server: MailStoreServer, request_: models.Request[Any]
) -> None:
    with pytest.raises(FunctionFailedError, match=r"Store #9 does not exist\."):
        server.run(request_)


def test_what_is_missing_or_malformed(server: MailStoreServer) -> None:
    with pytest.raises(MissingArgumentError, match=r"Missing API argument includeIndexes\."):
        server.call("VerifyStore", {"id": 3})
    with pytest.raises(InvalidArgumentError, match="out of the range of valid values"):
        server.call("SetStoreRequestedState", {"id": 3, "requestedState": "open"})
