"""Archive stores.

Unknown, and decided here: `CreateStore` and `AttachStore` return the identifier of the store,
all the long functions return null. The messages of failures are made up.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from pydantic import JsonValue, SecretStr

from mailstore.models.compliance import AuditActivity
from mailstore.models.stores import (
    AttachStore,
    CompactStore,
    CreateStore,
    DetachStore,
    GetStoreAutoCreateConfiguration,
    GetStores,
    MergeStore,
    RecoverStore,
    RecreateRecoveryRecords,
    RenameStore,
    RepairStoreDatabase,
    SetStoreAutoCreateConfiguration,
    SetStoreProperties,
    SetStoreRequestedState,
    StoreAutoCreateConfiguration,
    StoreInfo,
    StoreRequestedState,
    StoreType,
    UnlockStore,
    UpgradeStore,
    UpgradeStores,
    VerifyStore,
    VerifyStores,
)
from mailstore.sandbox.registry import Failed, Step, Steps, answers
from mailstore.sandbox.state import Store, World
from mailstore.sandbox.state.stores import (
    EXTERNAL_TYPES,
    PlacedMessage,
    count,
    default_directory,
    indexes_of,
    placed_messages,
    put_in,
    renumber,
    settle,
    take_out,
)

_BLOCK = 100
"""Messages that a long function handles in one step."""

# ------------------------------------------------------------------------------ for other areas


def store_with(world: World, id: int) -> Store:  # noqa: A002 - the name in the API
    """Return an attached store by its identifier."""
    store = world.stores.get(id)
    if store is None:
        raise Failed(f"Store #{id} does not exist.")
    return store


def open_store_with(world: World, id: int) -> Store:  # noqa: A002 - the name in the API
    """Return a store by its identifier whose messages can be read."""
    store = store_with(world, id)
    if not store.is_open:
        raise Failed(f"Store #{id} is not open: {store.problem or 'it is disabled.'}")
    return store


def add_messages(world: World, store: Store, placed: Iterable[PlacedMessage]) -> None:
    """Put messages into a store and into their folders; they get new numbers."""
    taken = [each.message.number for each in (*placed_messages(world.folders, store), *store.deleted)]
    table = f"messages of store {store.id}"
    numbered: list[PlacedMessage] = []
    for each in placed:
        number = world.next_id(table, taken)
        taken = []
        numbered.append(PlacedMessage(each.folder, replace(each.message, store_id=store.id, number=number)))
    put_in(world.folders, numbered)


def progress(total: int, done: str) -> Iterator[Step]:
    """Yield a step for every hundred messages, in the words of the tutorial's log."""
    for number in range(_BLOCK, total, _BLOCK):
        yield Step(f"  {number} messages {done}...", percent=100 * number // total)
    yield Step(f"  {total} messages {done}.", percent=100)


def in_turn(parts: list[Steps[None]]) -> Steps[None]:
    """Run several long calls one after the other, with one progress for all of them."""
    for index, part in enumerate(parts):
        for step in part:
            percent = None if step.percent is None else (100 * index + step.percent) // len(parts)
            yield replace(step, percent=percent)


# ------------------------------------------------------------------------------------- listing


@answers(GetStores)
def get_stores(world: World, request: GetStores) -> list[StoreInfo]:
    """List the stores; the size is left out when it is not asked for.

    Numbers of messages and sizes are those that were counted last; an open store that never was is counted now.
    """
    uncounted = [store for store in world.stores.values() if store.statistics_count is None and store.is_open]
    count(world.folders, uncounted)
    return [_info(world, store, with_size=request.include_size) for store in world.stores.values()]


def _info(world: World, store: Store, *, with_size: bool) -> StoreInfo:
    members: dict[str, object] = {
        "id": store.id,
        "name": store.name,
        "type": store.type,
        "requestedState": store.requested_state,
        "error": store.problem,
        "statisticsCount": store.statistics_count,
        "statisticsSize": store.statistics_size,
        "needsUpgrade": store.needs_upgrade,
        "searchIndexesNeedRebuild": any(index.needs_rebuild for index in indexes_of(world.folders, store)),
        "contentPath": store.content_path,
        "indexPath": store.index_path,
    }
    if not with_size:
        del members["statisticsSize"]
    if store.is_external:
        members |= {
            "serverName": store.server_name,
            "databaseName": store.database_name,
            "userName": store.user_name,
        }
    else:
        members["databasePath"] = store.database_path
    return StoreInfo.model_validate(members)


# -------------------------------------------------------------------------- creating, attaching


@answers(CreateStore)
def create_store(world: World, request: CreateStore) -> JsonValue:
    """Create an empty store; its state is ``normal`` unless it is the first one."""
    store = _described(request)
    if any(store.location == other.location for other in (*world.stores.values(), *world.detached_stores)):
        raise Failed(f"There is an archive store at '{_place(store)}' already.")
    store.id = _next_id(world)
    return _add(world, store, request)


@answers(AttachStore)
def attach_store(world: World, request: AttachStore) -> JsonValue:
    """Attach a store that was detached, or that waits in `World.detached_stores`.

    It gets a new identifier, and so do its messages, which are back in their folders.
    """
    wanted = _described(request)
    found = [store for store in world.detached_stores if store.location == wanted.location]
    if not found or found[0].type != wanted.type:
        raise Failed(f"There is no archive store of the type {wanted.type} at '{_place(wanted)}'.")
    store = found[0]
    if store.is_locked and request.requested_state == StoreRequestedState.CURRENT:
        raise Failed("The archive store is locked and cannot be the current one.")
    store.name = request.name
    _set_properties(store, request)
    renumber(store, _next_id(world))
    world.detached_stores.remove(store)
    return _add(world, store, request)


def _next_id(world: World) -> int:
    return world.next_id("stores", [*world.stores, *(store.id for store in world.detached_stores)])


def _described(request: CreateStore | AttachStore) -> Store:
    """Return a store as a request describes it, with directories where it names none."""
    store = Store(0, request.name, type=StoreType(request.type or StoreType.FILE_SYSTEM_INTERNAL))
    if store.type not in {StoreType.FILE_SYSTEM_INTERNAL, *EXTERNAL_TYPES}:
        raise Failed(f"Requested value '{store.type}' was not found.", kind="System.ArgumentException")
    _set_properties(store, request)
    if store.is_external:
        for name, value in (("serverName", store.server_name), ("databaseName", store.database_name)):
            if not value:
                raise Failed(f"Missing API argument {name}.")
    else:
        directory = store.database_path or default_directory(store.name)
        store.database_path = directory
        store.content_path = store.content_path or f"{directory}\\Content"
        store.index_path = store.index_path or f"{directory}\\Index"
    return store


def _place(store: Store) -> str:
    return f"{store.server_name}/{store.database_name}" if store.is_external else str(store.database_path)


def _set_properties(store: Store, request: CreateStore | AttachStore | SetStoreProperties) -> None:
    store.database_path = request.database_path or store.database_path
    store.content_path = request.content_path or store.content_path
    store.index_path = request.index_path or store.index_path
    store.server_name = request.server_name or store.server_name
    store.database_name = request.database_name or store.database_name
    store.user_name = request.user_name or store.user_name
    if request.password is not None:
        store.password = _text(request.password)


def _text(secret: SecretStr | str) -> str:
    return secret if isinstance(secret, str) else secret.get_secret_value()


def _add(world: World, store: Store, request: CreateStore | AttachStore) -> int:
    state = StoreRequestedState(request.requested_state or StoreRequestedState.NORMAL)
    if not any(each.requested_state == StoreRequestedState.CURRENT for each in world.stores.values()):
        state = StoreRequestedState.CURRENT
    store.requested_state = StoreRequestedState.NORMAL
    world.stores[store.id] = store
    _set_state(world, store, state)
    return store.id


@answers(DetachStore)
def detach_store(world: World, request: DetachStore) -> None:
    """Detach a store: its messages disappear from the folders until it is attached again."""
    store = store_with(world, request.id)
    if store.requested_state == StoreRequestedState.CURRENT:
        raise Failed(f"Store #{store.id} is the current archive store and cannot be detached.")
    take_out(world.folders, store)
    world.detached_stores.append(world.stores.pop(store.id))


# ---------------------------------------------------------------------------------- properties


@answers(RenameStore)
def rename_store(world: World, request: RenameStore) -> None:
    """Change the name of a store."""
    store_with(world, request.id).name = request.name


@answers(SetStoreProperties)
def set_store_properties(world: World, request: SetStoreProperties) -> None:
    """Change what is given, and leave the rest."""
    store = store_with(world, request.id)
    store.type = StoreType(request.type or store.type)
    _set_properties(store, request)


@answers(SetStoreRequestedState)
def set_store_requested_state(world: World, request: SetStoreRequestedState) -> None:
    """Change the state of a store.

    The current store stays the current one until another is made so. Leaving out the state
    is answered as the server answers another value that it misses.
    """
    store = store_with(world, request.id)
    if request.requested_state is None:
        raise Failed("Nullable object must have a value.", kind="System.InvalidOperationException")
    _set_state(world, store, StoreRequestedState(request.requested_state))


def _set_state(world: World, store: Store, state: StoreRequestedState) -> None:
    current = StoreRequestedState.CURRENT
    if state == current:
        if store.is_locked:
            raise Failed(f"Store #{store.id} is locked and cannot be the current one.")
        for other in world.stores.values():
            if other.requested_state == current:
                other.requested_state = StoreRequestedState.NORMAL
    elif store.requested_state == current:
        raise Failed(f"Store #{store.id} is the current archive store. Make another one current first.")
    store.requested_state = state
    settle(world.folders, store)


@answers(UnlockStore)
def unlock_store(world: World, request: UnlockStore) -> None:
    """Unlock a store of another installation; its messages appear in the folders."""
    store = store_with(world, request.id)
    if not store.is_locked:
        raise Failed(f"Store #{store.id} is not locked.")
    if _text(request.passphrase) != store.passphrase:
        raise Failed("The passphrase is wrong.")
    store.passphrase = None
    settle(world.folders, store)


@answers(GetStoreAutoCreateConfiguration)
def get_store_auto_create_configuration(
    world: World, request: GetStoreAutoCreateConfiguration
) -> StoreAutoCreateConfiguration:
    """Return the configuration as it was written."""
    return StoreAutoCreateConfiguration.model_validate(world.store_auto_create)


@answers(SetStoreAutoCreateConfiguration)
def set_store_auto_create_configuration(world: World, request: SetStoreAutoCreateConfiguration) -> None:
    """Replace the configuration."""
    world.store_auto_create = StoreAutoCreateConfiguration.model_validate(request.config).to_wire()


# -------------------------------------------------------------------------------- verification


@answers(VerifyStore)
def verify_store(world: World, request: VerifyStore) -> Steps[None]:
    """Read all messages of a store, a hundred at a time. Errors are found in the log, the call succeeds."""
    store = store_with(world, request.id)
    if store.is_locked or store.requested_state == StoreRequestedState.DISABLED:
        open_store_with(world, store.id)
    yield from _verify(world, store, include_indexes=request.include_indexes)


@answers(VerifyStores)
def verify_stores(world: World, request: VerifyStores) -> Steps[None]:
    """Verify all stores that are not disabled."""
    stores = [each for each in world.stores.values() if each.requested_state != StoreRequestedState.DISABLED]
    yield from in_turn([_verify(world, store, include_indexes=request.include_indexes) for store in stores])


def _verify(world: World, store: Store, *, include_indexes: bool) -> Steps[None]:
    yield Step(f"Verifying file group #{store.id}...")
    errors = list(_errors_of_database(store))
    if errors:
        yield Step("\n".join(errors))
    if store.problem is None:
        yield Step("Creating a list of messages to be verified...")
        messages = [placed.message for placed in placed_messages(world.folders, store)]
        yield Step(f"{len(messages)} messages are about to be verified.\nVerifying...", percent=0)
        yield from progress(len(messages), "verified")
        damaged = [message.id for message in messages if message.number in store.damaged_messages]
        errors += damaged
        if damaged:
            yield Step("\n".join(f"Error: Message {message_id} cannot be read." for message_id in damaged))
    if include_indexes:
        for index in indexes_of(world.folders, store):
            yield Step(f"Verifying search index '{index.folder}'...")
            if index.needs_rebuild:
                errors.append(index.folder)
                yield Step(f"Error: Search index '{index.folder}' must be rebuilt.")
    yield Step(f"Finished. {_found(len(errors))}", percent=100)


def _errors_of_database(store: Store) -> Iterator[str]:
    if store.problem is not None:
        yield f"Error: {store.problem}"
    if store.database_indexes_are_damaged:
        yield "Error: The indexes of the database are damaged."
    if store.recovery_records_are_damaged:
        yield "Error: The recovery records are damaged."


def _found(errors: int) -> str:
    if errors == 0:
        return "No errors have been found."
    return "1 error has been found." if errors == 1 else f"{errors} errors have been found."


# --------------------------------------------------------------------------------- maintenance


@answers(CompactStore)
def compact_store(world: World, request: CompactStore) -> Steps[JsonValue]:
    """Compact a store, after which deleted messages cannot be recovered."""
    store = open_store_with(world, request.id)
    yield Step(f"Compacting file group #{store.id}...", percent=0)
    yield Step("Compacting the database...", percent=30)
    yield Step("Compacting the recovery records...", percent=60)
    forgotten = len(store.deleted)
    store.deleted.clear()
    yield Step(f"{forgotten} deleted messages have been removed for good.\nFinished.", percent=100)
    return None


@answers(MergeStore)
def merge_store(world: World, request: MergeStore) -> Steps[JsonValue]:
    """Copy all messages of one store into another. Nothing is copied if the call is cancelled."""
    if request.id == request.source_id:
        raise Failed("An archive store cannot be merged with itself.")
    target, source = open_store_with(world, request.id), open_store_with(world, request.source_id)
    if not target.is_writable:
        raise Failed(f"Store #{target.id} is write-protected.")
    yield Step(f"Merging file group #{source.id} into file group #{target.id}...", percent=0)
    yield from progress(len(placed_messages(world.folders, source)), "copied")
    target, source = open_store_with(world, request.id), open_store_with(world, request.source_id)
    add_messages(world, target, placed_messages(world.folders, source))
    count(world.folders, [target])
    yield Step(f"Finished. File group #{source.id} has not been changed and should be detached.")
    return None


@answers(RecoverStore)
def recover_store(world: World, request: RecoverStore) -> Steps[JsonValue]:
    """Rebuild the database of a store. Its search indexes must be rebuilt afterwards."""
    store = store_with(world, request.id)
    _check_recoverable(store)
    world.audit(AuditActivity.RECOVER_STORE_START, f"Store #{store.id}")
    yield Step(f"Recovering file group #{store.id}...\nReading the recovery records...", percent=0)
    yield from progress(len(placed_messages(world.folders, store)), "recovered")
    if request.recover_deleted_messages:
        yield Step(f"  {len(store.deleted)} deleted messages recovered.")
        store.content += store.deleted
        store.deleted = []
    store.error = None
    store.database_is_damaged = store.database_indexes_are_damaged = False
    take_out(world.folders, store)
    settle(world.folders, store)
    for index in indexes_of(world.folders, store):
        index.needs_rebuild = True
    count(world.folders, [store])
    world.audit(AuditActivity.RECOVER_STORE_FINISH, f"Store #{store.id}")
    yield Step("Finished. The search indexes must be rebuilt.", percent=100)
    return None


def _check_recoverable(store: Store) -> None:
    name = f"Store #{store.id}"
    if store.is_external:
        raise Failed(f"{name} is no internal archive store.")
    if store.is_locked:
        raise Failed(f"{name} is locked.")
    if store.is_open:
        raise Failed(f"{name} must be disabled or in an error state.")
    if store.needs_upgrade:
        raise Failed(f"{name} must be upgraded first.")
    if store.recovery_records_are_damaged:
        raise Failed(f"The recovery records of store #{store.id} are damaged.")


@answers(RecreateRecoveryRecords)
def recreate_recovery_records(world: World, request: RecreateRecoveryRecords) -> Steps[JsonValue]:
    """Write the recovery records anew. Stores on a database server without a content path have none."""
    store = open_store_with(world, request.id)
    if store.is_external and store.content_path is None:
        raise Failed(f"Store #{store.id} keeps its messages in the database and has no recovery records.")
    yield Step(f"Recreating the recovery records of file group #{store.id}...", percent=0)
    yield from progress(len(placed_messages(world.folders, store)), "processed")
    store.recovery_records_are_damaged = False
    yield Step("Finished.")
    return None


@answers(RepairStoreDatabase)
def repair_store_database(world: World, request: RepairStoreDatabase) -> Steps[JsonValue]:
    """Rebuild the database's own indexes; with a Firebird database only."""
    store = open_store_with(world, request.id)
    if store.is_external:
        raise Failed(f"Store #{store.id} has no Firebird database.")
    yield Step(f"Repairing the database of file group #{store.id}...", percent=0)
    yield Step("Rebuilding the indexes of the database...", percent=50)
    store.database_indexes_are_damaged = False
    yield Step("Finished.", percent=100)
    return None


@answers(UpgradeStore)
def upgrade_store(world: World, request: UpgradeStore) -> Steps[JsonValue]:
    """Upgrade a store; nothing is done to one with the current format."""
    yield from _upgrade(store_with(world, request.id))
    return None


@answers(UpgradeStores)
def upgrade_stores(world: World, request: UpgradeStores) -> Steps[JsonValue]:
    """Upgrade all stores with an outdated format."""
    outdated = [store for store in world.stores.values() if store.needs_upgrade]
    yield Step(f"{len(outdated)} archive stores are about to be upgraded.")
    yield from in_turn([_upgrade(store) for store in outdated])
    return None


def _upgrade(store: Store) -> Steps[None]:
    if not store.needs_upgrade:
        yield Step(f"File group #{store.id} has the current format.", percent=100)
        return
    yield Step(f"Upgrading file group #{store.id}...", percent=0)
    yield Step("Converting the database...", percent=50)
    store.needs_upgrade = False
    yield Step("Finished.", percent=100)
