"""Finding what a request names; where it does not exist, the call fails.

The messages of the real server are not publicly known, except where said so.
"""

from __future__ import annotations

from datetime import tzinfo

from mailstore.models.zones import LOCAL
from mailstore.sandbox.registry import Failed
from mailstore.sandbox.state import Folder, User, World
from mailstore.sandbox.state.time_zones import time_zones


def user_named(world: World, user_name: str) -> User:
    """Return a user by login name."""
    user = world.users.get(user_name)
    if user is None:
        raise Failed(f"User '{user_name}' does not exist.")
    return user


def folder_at(world: World, path: str) -> Folder:
    """Return an archive folder by its path."""
    folder = world.folders.get(path)
    if folder is None:
        raise Failed(f"Folder '{path}' does not exist.")
    return folder


def zone_named(world: World, time_zone_id: str) -> tzinfo:
    """Return the rules of a time zone by its Windows name or ``$Local``; the message is that of .NET."""
    zone = time_zones().get(world.time_zone if time_zone_id == LOCAL else time_zone_id)
    if zone is None:
        raise Failed(
            f"The time zone ID '{time_zone_id}' was not found on the local computer.",
            kind="System.TimeZoneNotFoundException",
        )
    return zone.rules
