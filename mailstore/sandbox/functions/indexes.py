"""Search indexes: one for each archive of a user in each store."""

from __future__ import annotations

from pydantic import JsonValue

from mailstore.models.indexes import (
    GetStoreIndexes,
    RebuildSelectedStoreIndexes,
    RebuildStoreIndex,
    SelectAllStoreIndexesForRebuild,
)
from mailstore.sandbox.functions.stores import in_turn, open_store_with, progress, store_with
from mailstore.sandbox.registry import Failed, Step, Steps, answers
from mailstore.sandbox.state import Store, World
from mailstore.sandbox.state.archive import is_within
from mailstore.sandbox.state.stores import StoreIndex, indexes_of, placed_messages


@answers(GetStoreIndexes)
def get_store_indexes(world: World, request: GetStoreIndexes) -> JsonValue:
    """List the indexes of one store or of all. The members of the real answer are unknown; these are made up."""
    stores = list(world.stores.values()) if request.id is None else [store_with(world, request.id)]
    return [
        {
            "storeId": store.id,
            "folder": index.folder,
            "needsRebuild": index.needs_rebuild,
            "selectedForRebuild": index.selected,
        }
        for store in stores
        for index in indexes_of(world.folders, store)
    ]


@answers(SelectAllStoreIndexesForRebuild)
def select_all_store_indexes_for_rebuild(world: World, request: SelectAllStoreIndexesForRebuild) -> None:
    """Mark the indexes of all stores."""
    for store in world.stores.values():
        for index in indexes_of(world.folders, store):
            index.selected = True


@answers(RebuildSelectedStoreIndexes)
def rebuild_selected_store_indexes(world: World, request: RebuildSelectedStoreIndexes) -> Steps[JsonValue]:
    """Rebuild the marked indexes of the stores that are open; one that is finished is no longer marked."""
    selected = [
        (store, index)
        for store in world.stores.values()
        if store.is_open
        for index in indexes_of(world.folders, store)
        if index.selected
    ]
    yield Step(f"{len(selected)} search indexes are about to be rebuilt.", percent=0)
    yield from in_turn([_rebuild(world, store, index) for store, index in selected])
    yield Step("Finished.", percent=100)
    return None


@answers(RebuildStoreIndex)
def rebuild_store_index(world: World, request: RebuildStoreIndex) -> Steps[JsonValue]:
    """Rebuild one index."""
    store = open_store_with(world, request.id)
    index = next((each for each in indexes_of(world.folders, store) if each.folder == request.folder), None)
    if index is None:
        raise Failed(f"Store #{store.id} has no search index for '{request.folder}'.")
    yield from _rebuild(world, store, index)
    yield Step("Finished.")
    return None


def _rebuild(world: World, store: Store, index: StoreIndex) -> Steps[None]:
    yield Step(f"Rebuilding search index '{index.folder}' of file group #{store.id}...", percent=0)
    messages = [each for each in placed_messages(world.folders, store) if is_within(each.folder, index.folder)]
    yield from progress(len(messages), "indexed")
    index.needs_rebuild = index.selected = False
