"""Folders of the archive: how large they are, what is below them, moving and tidying up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import JsonValue

from mailstore.models.folders import (
    DeleteEmptyFolders,
    FolderStatistics,
    GetChildFolders,
    GetFolderStatistics,
    MoveFolder,
)
from mailstore.sandbox.functions.lookup import folder_at
from mailstore.sandbox.registry import Failed, Step, Steps, answers
from mailstore.sandbox.state import World
from mailstore.sandbox.state.archive import add_folder, is_within, parents


@answers(GetFolderStatistics)
def get_folder_statistics(world: World, request: GetFolderStatistics) -> list[FolderStatistics]:
    """List all folders by path with what is directly in them, so that the sizes add up to that of the archive."""
    return [
        FolderStatistics(folder=path, size=folder.size, count=len(folder.messages))
        for path, folder in sorted(world.folders.items())
    ]


@answers(GetChildFolders)
def get_child_folders(world: World, request: GetChildFolders) -> JsonValue:
    """Return the folders below a folder, those of each level by name.

    Each is an object with ``name``, ``path`` and ``childFolders``, a list of the same kind; it is left
    out at the last level that was asked for. The real form is not publicly known.
    """
    if request.folder is not None:
        folder_at(world, request.folder)
    below: dict[str, list[str]] = {}
    for path in sorted(world.folders):
        below.setdefault(_parent(path), []).append(path)
    return _children(below, request.folder or "", request.max_levels)


def _parent(path: str) -> str:
    return path.rpartition("/")[0]


def _children(below: Mapping[str, Sequence[str]], parent: str, levels: int | None) -> list[JsonValue]:
    found: list[JsonValue] = []
    for path in below.get(parent, ()):
        child: dict[str, JsonValue] = {"name": path.rpartition("/")[2], "path": path}
        if levels != 1:
            child["childFolders"] = _children(below, path, None if levels is None else levels - 1)
        found.append(child)
    return found


@answers(MoveFolder)
def move_folder(world: World, request: MoveFolder) -> None:
    """Move a folder with all below it; folders above the new place are created where they are missing.

    The rights of users on a folder of the first level go with it to another name on the first
    level, and end when it moves below another folder.
    """
    source, target = request.from_folder, request.to_folder
    folder_at(world, source)
    if not all(level.strip() for level in target.split("/")):
        raise Failed(f"'{target}' is not a valid folder name.")
    if target in world.folders:
        raise Failed(f"Folder '{target}' already exists.")
    if is_within(target, source):
        raise Failed(f"Folder '{source}' cannot be moved below itself.")
    moving = [folder for path, folder in world.folders.items() if is_within(path, source)]
    for folder in moving:
        for message in folder.messages:
            if not world.is_writable(message):
                raise Failed(f"Store #{message.store_id} is write-protected.")
    for folder in moving:
        del world.folders[folder.path]
    for path in parents(target):
        add_folder(world.folders, path)
    for folder in moving:
        folder.path = target + folder.path[len(source) :]
        world.folders[folder.path] = folder
    _move_rights(world, source, target)


def _move_rights(world: World, source: str, target: str) -> None:
    for user in world.users.values():
        privileges = user.privileges_on_folders.pop(source, None)
        if privileges is not None and "/" not in target:
            user.privileges_on_folders[target] = privileges


@answers(DeleteEmptyFolders)
def delete_empty_folders(world: World, request: DeleteEmptyFolders) -> Steps[JsonValue]:
    """Delete folders that have no messages in them nor below, one at a time. The result is null.

    Legal hold does not matter, as no message is lost. Folders whose messages are all in closed stores
    look empty and are deleted, too.
    """
    if request.folder is not None:
        folder_at(world, request.folder)
    yield Step("Looking for empty folders...", percent=0)
    empty = _empty_folders(world, request.folder)
    deleted = 0
    for number, path in enumerate(empty, 1):
        # Between two steps, others may have put something into it.
        if _is_empty(world, path):
            del world.folders[path]
            deleted += 1
            yield Step(f"  Folder {path} has been deleted.", percent=100 * number // len(empty))
    yield Step(f"{deleted} empty folders have been deleted.", percent=100)
    return None


def _empty_folders(world: World, top: str | None) -> list[str]:
    """Return the folders without messages in them and below, the deepest first, so that each is empty in its turn."""
    filled: set[str] = set()
    for path, folder in world.folders.items():
        if folder.messages:
            filled |= {path, *parents(path)}
    empty = (path for path in world.folders if path not in filled and (top is None or is_within(path, top)))
    return sorted(empty, key=lambda path: (-path.count("/"), path))


def _is_empty(world: World, path: str) -> bool:
    folder = world.folders.get(path)
    if folder is None or folder.messages:
        return False
    return not any(is_within(other, path) for other in world.folders if other != path)
