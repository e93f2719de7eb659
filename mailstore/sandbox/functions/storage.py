"""Storage as a whole. Every function is long and, for want of knowledge, returns null."""

from __future__ import annotations

from pydantic import JsonValue

from mailstore.models.storage import (
    CompactMasterDatabase,
    CreateBackup,
    MaintainFileSystemDatabases,
    RefreshAllStoreStatistics,
    RenewMasterKey,
    RetryOpenStores,
)
from mailstore.sandbox.registry import Failed, Step, Steps, answers
from mailstore.sandbox.state import World
from mailstore.sandbox.state.stores import count, indexes_of, settle


@answers(RefreshAllStoreStatistics)
def refresh_all_store_statistics(world: World, request: RefreshAllStoreStatistics) -> Steps[JsonValue]:
    """Count the messages of each store that is open; for the others, the old numbers stay."""
    stores = [store for store in world.stores.values() if store.is_open]
    for index, store in enumerate(stores):
        yield Step(f"Counting messages in file group #{store.id}...", percent=100 * index // len(stores))
        count(world.folders, [store])
        yield Step(f"  {store.statistics_count} messages, {store.statistics_size} bytes.")
    yield Step("Finished.", percent=100)
    return None


@answers(RetryOpenStores)
def retry_open_stores(world: World, request: RetryOpenStores) -> Steps[JsonValue]:
    """Open each store that has an error, unless its database is damaged or it is locked."""
    yield Step("Opening archive stores...")
    for store in [each for each in world.stores.values() if each.problem is not None]:
        if not (store.is_locked or store.database_is_damaged):
            store.error = None
            settle(world.folders, store)
        yield Step(f"  File group #{store.id}: {store.problem or 'opened.'}")
    yield Step("Finished.")
    return None


@answers(CreateBackup)
def create_backup(world: World, request: CreateBackup) -> Steps[JsonValue]:
    """Pretend to write a backup."""
    if not request.path.strip():
        raise Failed("The path of the backup must not be empty.", kind="System.ArgumentException")
    yield Step(f"Creating a backup in '{request.path}'...\nBacking up the master database...", percent=0)
    stores = list(world.stores.values())
    for number, store in enumerate(stores, 1):
        yield Step(f"Backing up file group #{store.id}...", percent=100 * number // (len(stores) + 1))
        if not request.exclude_search_indexes:
            for index in indexes_of(world.folders, store):
                yield Step(f"  Backing up search index '{index.folder}'...")
    yield Step("Finished. The backup has been created.", percent=100)
    return None


@answers(CompactMasterDatabase)
def compact_master_database(world: World, request: CompactMasterDatabase) -> Steps[JsonValue]:
    """Pretend to compact the master database."""
    yield Step("Compacting the master database...", percent=0)
    yield Step("Writing the compacted database...", percent=50)
    yield Step("Finished.", percent=100)
    return None


@answers(RenewMasterKey)
def renew_master_key(world: World, request: RenewMasterKey) -> Steps[JsonValue]:
    """Pretend to encrypt the keys of all stores anew."""
    yield Step("Creating a new master key...", percent=0)
    stores = list(world.stores.values())
    for number, store in enumerate(stores, 1):
        yield Step(f"Encrypting the key of file group #{store.id}...", percent=100 * number // (len(stores) + 1))
    yield Step("Finished. The master key has been renewed.", percent=100)
    return None


@answers(MaintainFileSystemDatabases)
def maintain_file_system_databases(world: World, request: MaintainFileSystemDatabases) -> Steps[JsonValue]:
    """Pretend to rebuild the database of each internal store; its own indexes are repaired by that."""
    stores = [store for store in world.stores.values() if store.is_open and not store.is_external]
    yield Step(f"{len(stores)} databases are about to be rebuilt.", percent=0)
    for number, store in enumerate(stores, 1):
        yield Step(f"Writing a backup of the database of file group #{store.id}...")
        store.database_indexes_are_damaged = False
        yield Step(f"  Restored the database of file group #{store.id}.", percent=100 * number // len(stores))
    yield Step("Finished.", percent=100)
    return None
