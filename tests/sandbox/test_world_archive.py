from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import pytest
from pydantic import JsonValue

from mailstore import MailStoreServer
from mailstore.models.folders import DeleteEmptyFolders
from mailstore.sandbox import Sandbox
from tests.sandbox.clients import connected, scripted
from tests.sandbox.expecting import fails

INBOX = "jane.roe/IMAP jane.roe@example.com/INBOX"
OLD_INBOX = "ann.lee/Microsoft Outlook/Inbox"


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def server(sandbox: Sandbox) -> Iterator[MailStoreServer]:
    with connected(sandbox) as server:
        yield server


def sizes(server: MailStoreServer) -> dict[str, tuple[int, int | None]]:
    return {row.folder: (row.size, row.count) for row in server.get_folder_statistics()}


def test_counts_and_sizes_belong_together(sandbox: Sandbox, server: MailStoreServer) -> None:
    before = sizes(server)
    assert list(before) == sorted(before)
    assert before["jane.roe"] == (0, 0)
    messages = server.get_messages(folder=INBOX)
    assert len(messages) == before[INBOX][1] == 545
    assert len(server.get_messages()) == sum(count or 0 for _, count in before.values())

    gone = messages[-1]
    server.delete_message(gone.id, "asked for by Jane Roe")
    size, count = sizes(server)[INBOX]
    assert (size, count) == (before[INBOX][0] - gone["size"], 544)
    assert gone not in server.get_messages(folder=INBOX)
    with sandbox.world.lock:
        assert "asked for by Jane Roe" in sandbox.world.audit_log[-1].text
    with fails(f"Message '{gone.id}' does not exist."):
        server.delete_message(gone.id, "again")
    with fails("A reason is required to delete a message."):
        server.delete_message(messages[0].id, " ")


def test_store_three_is_that_of_the_tutorial(server: MailStoreServer) -> None:
    ids = [message.id for message in server.get_messages()]
    assert sum(message.startswith("3:") for message in ids) == 1249
    assert len(set(ids)) == len(ids)


def test_a_write_protected_store_loses_nothing(server: MailStoreServer) -> None:
    protected = next(message for message in server.get_messages(folder=OLD_INBOX) if message.id.startswith("1:"))
    with fails("Store #1 is write-protected."):
        server.delete_message(protected.id, "too old")
    with fails("Store #1 is write-protected."):
        server.move_folder("ann.lee", "ann.li")
    server.set_store_requested_state(1, requested_state="normal")
    server.delete_message(protected.id, "too old")
    server.move_folder("ann.lee", "ann.li")
    assert OLD_INBOX.replace("lee", "li") in sizes(server)


def test_child_folders_down_to_a_level(sandbox: Sandbox, server: MailStoreServer) -> None:
    with scripted(sandbox) as client:
        first = client.GetChildFolders(maxLevels=1)["result"]
    assert first == [
        {"name": name, "path": name} for name in ("ann.lee", "jane.roe", "john.doe", "tom.left", "zoe.mueller")
    ]
    below = server.get_child_folders(folder="john.doe", max_levels=2)
    (mailbox,) = cast("list[dict[str, JsonValue]]", below)
    path = "john.doe/IMAP john.doe@example.com"
    assert mailbox == {
        "name": "IMAP john.doe@example.com",
        "path": path,
        "childFolders": [{"name": name, "path": f"{path}/{name}"} for name in ("Drafts", "INBOX", "Sent")],
    }
    assert _paths(server.get_child_folders()) == list(sizes(server))
    assert server.get_child_folders(folder=f"{path}/Drafts") == []
    with fails("Folder 'nobody' does not exist."):
        server.get_child_folders(folder="nobody")
    with fails("Folder 'nobody' does not exist."):
        server.get_messages(folder="nobody")


def _paths(children: JsonValue) -> list[str]:
    paths: list[str] = []
    for child in cast("list[dict[str, JsonValue]]", children):
        paths += [cast("str", child["path"]), *_paths(child["childFolders"])]
    return sorted(paths)


def test_an_archive_is_renamed_with_all_that_is_in_it_and_the_rights_on_it(server: MailStoreServer) -> None:
    before = sizes(server)
    server.set_user_privileges_on_folder("ann.lee", "jane.roe", "read")
    server.move_folder("jane.roe", "roe")
    after = sizes(server)
    assert {
        path.replace("jane.roe/", "roe/", 1): row for path, row in before.items() if path.startswith("jane.roe/")
    } == {path: row for path, row in after.items() if path.startswith("roe/")}
    assert not any(path.startswith("jane.roe") for path in after)
    assert [entry.folder for entry in server.get_user_info("ann.lee").privileges_on_folders or []] == ["ann.lee", "roe"]

    # Below another archive, the rights on that one count.
    server.move_folder("roe", "zoe.mueller/from/roe")
    assert sizes(server)["zoe.mueller/from"] == (0, 0)
    assert [entry.folder for entry in server.get_user_info("ann.lee").privileges_on_folders or []] == ["ann.lee"]


def test_folders_that_cannot_be_moved(server: MailStoreServer) -> None:
    with fails("Folder 'nobody' does not exist."):
        server.move_folder("nobody", "somebody")
    with fails("Folder 'john.doe' already exists."):
        server.move_folder("jane.roe", "john.doe")
    with fails("Folder 'jane.roe' cannot be moved below itself."):
        server.move_folder("jane.roe", "jane.roe/below/itself")
    for name in ("/jane", "jane/", "a//b", " "):
        with fails(f"'{name}' is not a valid folder name."):
            server.move_folder("jane.roe", name)


def test_empty_folders_are_deleted_from_the_deepest_up(server: MailStoreServer) -> None:
    server.move_folder("john.doe/IMAP john.doe@example.com/Drafts", "john.doe/a/b/c")
    before = set(sizes(server))
    task = server.start(DeleteEmptyFolders(folder="john.doe"))
    assert task.result() is None
    assert "  Folder john.doe/a/b/c has been deleted.\r\n" in task.log
    assert before - set(sizes(server)) == {"john.doe/a", "john.doe/a/b", "john.doe/a/b/c"}
    server.delete_empty_folders()
    assert "ann.lee/Microsoft Outlook/Deleted Items" not in sizes(server)
    assert "jane.roe" in sizes(server)
    with fails("Folder 'nobody' does not exist."):
        server.delete_empty_folders(folder="nobody")


def test_deleted_messages_come_back_when_the_store_is_recovered(server: MailStoreServer) -> None:
    message = next(message for message in server.get_messages(folder=INBOX) if message.id.startswith("2:"))
    server.delete_message(message.id, "by mistake")
    server.upgrade_store(2)
    server.set_store_requested_state(2, requested_state="disabled")
    server.recover_store(2, recover_deleted_messages=True)
    server.set_store_requested_state(2, requested_state="normal")
    assert message in server.get_messages(folder=INBOX)
