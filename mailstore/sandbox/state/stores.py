"""Archive stores: what the sandbox knows about those that are attached and those that could be.

The messages of a store are in the folders of the archive as long as the store is open. While
it is closed or detached, it keeps them itself, so that folders show what users would see.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from pydantic import JsonValue

from mailstore.models.stores import StoreRequestedState, StoreType
from mailstore.sandbox.state.archive import Folder, Message, add_folder, messages_in

EXTERNAL_TYPES = frozenset({StoreType.SQL_SERVER, StoreType.POSTGRESQL})
"""Kinds of stores with a database on a server."""

_LOCKED = "The archive store was created by another installation and must be unlocked."


@dataclass
class StoreIndex:
    """The search index for the archive of one user in one store."""

    folder: str
    """First level of the folders that it covers, the archive of a user."""

    needs_rebuild: bool = False
    """Whether it is broken."""

    selected: bool = False
    """Whether it is marked for `RebuildSelectedStoreIndexes`."""


@dataclass
class PlacedMessage:
    """A message together with its folder."""

    folder: str
    """Path of the folder."""

    message: Message
    """The message."""


@dataclass
class Store:
    """An archive store, attached or not."""

    id: int
    """Identifier; each time that a store is attached, it gets a new one."""

    name: str
    """Display name."""

    type: StoreType = StoreType.FILE_SYSTEM_INTERNAL
    """Kind of store."""

    requested_state: StoreRequestedState = StoreRequestedState.NORMAL
    """The state that it is meant to be in. Exactly one attached store is the current one."""

    error: str | None = None
    """Why it could not be opened; a test may set it. `RetryOpenStores` clears it unless the database is damaged."""

    database_path: str | None = None
    """Directory of the database; internal stores only."""

    content_path: str | None = None
    """Directory of message headers and contents."""

    index_path: str | None = None
    """Directory of the search indexes."""

    server_name: str | None = None
    """Database server; external stores only."""

    database_name: str | None = None
    """Database on that server."""

    user_name: str | None = None
    """Account on that server."""

    password: str | None = field(default=None, repr=False)
    """Password of that account."""

    statistics_count: int | None = None
    """Number of messages when they were counted last; `None` before the first time."""

    statistics_size: int | None = None
    """Size of these messages in bytes."""

    needs_upgrade: bool = False
    """Whether the database has an outdated format."""

    indexes: dict[str, StoreIndex] = field(default_factory=dict[str, StoreIndex])
    """Search indexes by the archive that they cover; those of new archives are added when they are asked for."""

    passphrase: str | None = field(default=None, repr=False)
    """What unlocks a store of another installation; `None` for a store that is not locked."""

    database_is_damaged: bool = False
    """Whether the database cannot be opened at all: `RecoverStore`."""

    database_indexes_are_damaged: bool = False
    """Whether the database's own indexes are broken, which `VerifyStore` tells: `RepairStoreDatabase`."""

    recovery_records_are_damaged: bool = False
    """Whether `RecoverStore` cannot work, which `VerifyStore` tells: `RecreateRecoveryRecords`."""

    damaged_messages: set[int] = field(default_factory=set[int])
    """Numbers of messages that cannot be read, which `VerifyStore` tells."""

    deleted: list[PlacedMessage] = field(default_factory=list[PlacedMessage])
    """Deleted messages that `RecoverStore` can bring back, until `CompactStore` forgets them."""

    content: list[PlacedMessage] = field(default_factory=list[PlacedMessage])
    """The messages of a store that is not open; while it is open, they are in the folders."""

    @property
    def is_locked(self) -> bool:
        """Whether it must be unlocked first."""
        return self.passphrase is not None

    @property
    def problem(self) -> str | None:
        """Why it is not open although it is not disabled; `None` when all is well."""
        return _LOCKED if self.is_locked else self.error

    @property
    def is_open(self) -> bool:
        """Whether its messages can be read."""
        return self.problem is None and self.requested_state != StoreRequestedState.DISABLED

    @property
    def is_writable(self) -> bool:
        """Whether its messages can be deleted and moved."""
        return self.is_open and self.requested_state != StoreRequestedState.WRITE_PROTECTED

    @property
    def is_external(self) -> bool:
        """Whether its database is on a server."""
        return self.type in EXTERNAL_TYPES

    @property
    def location(self) -> tuple[str, str]:
        """Where its database is; no two stores are in the same place."""
        if self.is_external:
            return (self.server_name or "").lower(), (self.database_name or "").lower()
        return "", (self.database_path or "").rstrip("\\/").lower()


def placed_messages(folders: dict[str, Folder], store: Store) -> list[PlacedMessage]:
    """Return the messages of a store, whether it is open or keeps them itself."""
    visible = [PlacedMessage(folder.path, message) for folder, message in messages_in(folders.values(), store.id)]
    return visible + store.content


def count(folders: dict[str, Folder], stores: Iterable[Store]) -> None:
    """Count the messages of stores and their sizes anew."""
    for store in stores:
        messages = [placed.message for placed in placed_messages(folders, store)]
        store.statistics_count = len(messages)
        store.statistics_size = sum(message.size for message in messages)


def settle(folders: dict[str, Folder], store: Store) -> None:
    """Show the messages of a store in the folders if it is open, and take them out otherwise."""
    if not store.is_open:
        take_out(folders, store)
        return
    content, store.content = store.content, []
    put_in(folders, content)


def put_in(folders: dict[str, Folder], placed: Iterable[PlacedMessage]) -> None:
    """Put messages into their folders, which are created where they are missing."""
    touched: dict[str, Folder] = {}
    for each in placed:
        folder = touched.setdefault(each.folder, add_folder(folders, each.folder))
        folder.messages.append(each.message)
    for folder in touched.values():
        folder.messages.sort(key=lambda message: message.received)


def take_out(folders: dict[str, Folder], store: Store) -> None:
    """Take the messages of a store out of the folders, which stay."""
    store.content = placed_messages(folders, store)
    for folder in folders.values():
        folder.messages = [message for message in folder.messages if message.store_id != store.id]


def renumber(store: Store, id: int) -> None:  # noqa: A002 - the name in the API
    """Give a store that is not open another identifier; its messages follow."""
    store.id = id
    for placed in (*store.content, *store.deleted):
        placed.message = replace(placed.message, store_id=id)


def indexes_of(folders: dict[str, Folder], store: Store) -> list[StoreIndex]:
    """Return the search indexes of a store: one for each archive that has messages in it."""
    archives = sorted({placed.folder.partition("/")[0] for placed in placed_messages(folders, store)})
    store.indexes = {archive: store.indexes.get(archive) or StoreIndex(archive) for archive in archives}
    return list(store.indexes.values())


def default_directory(name: str) -> str:
    """Return the directory of a store for which none was named."""
    return "C:\\MailArchive\\" + re.sub(r'[<>:"/\\|?*]', "_", name)


def default_auto_create() -> dict[str, JsonValue]:
    """Return the settings for automatic creation of a fresh installation: no store is created.

    None of the members is publicly known; these are made up.
    """
    return {"enabled": False, "interval": "year", "maximumMessageCount": None, "maximumSize": None}


def first_stores() -> dict[int, Store]:
    """Return the store that every installation begins with."""
    return {1: _store_in_default_directory(1, "Messages 001", StoreRequestedState.CURRENT)}


# ----------------------------------------------------------------------------------- the example


def example_stores() -> dict[int, Store]:
    """Return three stores: one with a broken index, one with an outdated database, and the current one."""
    old = _store_in_default_directory(1, "Messages 001", StoreRequestedState.WRITE_PROTECTED)
    old.indexes["john.doe"] = StoreIndex("john.doe", needs_rebuild=True)
    outdated = _store_in_default_directory(2, "Messages 002", StoreRequestedState.NORMAL)
    outdated.needs_upgrade = True
    current = _store_in_default_directory(3, "Messages 003", StoreRequestedState.CURRENT)
    return {store.id: store for store in (old, outdated, current)}


def example_detached_stores(now: datetime) -> list[Store]:
    """Return a store of another installation, ready to be attached and unlocked."""
    foreign = _store_in_default_directory(0, "Branch office", StoreRequestedState.NORMAL)
    foreign.passphrase = "FOREIGN-RECOVERY-KEY"  # noqa: S105 - an example
    for number in range(1, 26):
        received = now - timedelta(days=400 - number)
        message = Message(foreign.id, number, 4_000 + number, f"From the branch office {number}", received, received)
        foreign.content.append(PlacedMessage("tom.left/Outlook/Inbox", message))
    return [foreign]


def _store_in_default_directory(number: int, name: str, state: StoreRequestedState) -> Store:
    directory = default_directory(name)
    return Store(
        number,
        name,
        requested_state=state,
        database_path=directory,
        content_path=f"{directory}\\Content",
        index_path=f"{directory}\\Index",
    )
