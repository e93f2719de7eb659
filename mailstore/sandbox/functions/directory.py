"""Directory services: where users come from, and bringing them over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from pydantic import JsonValue

from mailstore.models.compliance import AuditActivity
from mailstore.models.directory import (
    DirectoryServicesConfiguration,
    GetDirectoryServicesConfiguration,
    SetDirectoryServicesConfiguration,
    SyncUsersWithDirectoryServices,
)
from mailstore.models.users import FolderPrivilege, UserAuthentication
from mailstore.sandbox.functions.users import remove_user
from mailstore.sandbox.registry import Failed, Step, Steps, answers
from mailstore.sandbox.state import Directory, DirectoryUser, User, World

Kind: TypeAlias = Literal["create", "update", "delete"]

_DOING: dict[Kind, str] = {"create": "Creating", "update": "Updating", "delete": "Deleting"}


@answers(GetDirectoryServicesConfiguration)
def get_directory_services_configuration(
    world: World, request: GetDirectoryServicesConfiguration
) -> DirectoryServicesConfiguration:
    """Return the configuration; its password is null."""
    return DirectoryServicesConfiguration.model_validate(world.directory.configuration | {"password": None})


@answers(SetDirectoryServicesConfiguration)
def set_directory_services_configuration(world: World, request: SetDirectoryServicesConfiguration) -> None:
    """Replace the configuration. A password of null takes away the old one, so that no synchronisation works."""
    world.directory.configuration = request.to_wire()["config"]


@dataclass(frozen=True)
class _Change:
    """What a synchronisation does with one user."""

    kind: Kind
    user_name: str
    entry: DirectoryUser | None = None


@answers(SyncUsersWithDirectoryServices)
def sync_users_with_directory_services(world: World, request: SyncUsersWithDirectoryServices) -> Steps[JsonValue]:
    """Create, update and delete users as the directory says, one at a time.

    Only users whose password the directory checks are changed or deleted. The result is a list of
    objects with ``userName`` and ``change``: ``create``, ``update`` or ``delete``. What the real
    server returns is not publicly known.
    """
    configuration = world.directory.configuration
    if configuration.get("type") == "none":
        raise Failed("Directory services are not configured.")
    yield Step(f"Connecting to {configuration.get('serverName') or 'the directory'}...", percent=0)
    if configuration.get("userName") and not configuration.get("password"):
        raise Failed("The directory server refused the login: the user name or password is incorrect.")
    entries = _entries(world.directory)
    changes = _changes(world, entries)
    yield Step(f"{len(entries)} users have been found in the directory.")
    for number, change in enumerate(changes, 1):
        if not request.dry_run:
            _carry_out(world, change)
        yield Step(f"  {_DOING[change.kind]} user {change.user_name}...", percent=100 * number // len(changes))
    yield Step(f"{len(changes)} changes would be made." if request.dry_run else f"{len(changes)} changes were made.")
    return [{"userName": change.user_name, "change": change.kind} for change in changes]


def _entries(directory: Directory) -> list[DirectoryUser]:
    """Return those users of the directory that the configuration lets through."""
    configuration = directory.configuration
    named = configuration.get("groups")
    groups = {str(group).lower() for group in named} if isinstance(named, list) else set[str]()
    return [
        entry
        for entry in directory.users
        if (entry.enabled or not configuration.get("enabledUsersOnly"))
        and (entry.has_mailbox or not configuration.get("microsoftExchangeUsersOnly"))
        and (entry.is_listed or not configuration.get("usersVisibleInAddressListsOnly"))
        and (not groups or any(group.lower() in groups for group in entry.groups))
    ]


def _changes(world: World, entries: list[DirectoryUser]) -> list[_Change]:
    changes: list[_Change] = []
    for entry in entries:
        user = world.users.get(entry.account_name)
        if user is None:
            changes.append(_Change("create", entry.account_name, entry))
        elif _is_from_directory(user) and not _is_same(user, entry):
            changes.append(_Change("update", entry.account_name, entry))
    if world.directory.configuration.get("deleteUsers"):
        known = {entry.account_name for entry in entries}
        gone = (user for user in world.users.values() if _is_from_directory(user) and user.user_name not in known)
        changes += [_Change("delete", user.user_name) for user in gone]
    return sorted(changes, key=lambda change: change.user_name)


def _is_from_directory(user: User) -> bool:
    return user.authentication == UserAuthentication.DIRECTORY_SERVICES


def _is_same(user: User, entry: DirectoryUser) -> bool:
    return (user.full_name, user.distinguished_name, user.email_addresses) == (
        entry.full_name,
        entry.distinguished_name,
        entry.email_addresses,
    )


def _carry_out(world: World, change: _Change) -> None:
    # Between two steps, others may have created or deleted the user.
    user = world.users.get(change.user_name)
    if change.entry is None:
        if user is not None:
            remove_user(world, user)
        return
    if user is None:
        user = User(
            change.user_name,
            authentication=UserAuthentication.DIRECTORY_SERVICES,
            privileges_on_folders={change.user_name: [FolderPrivilege.READ]},
        )
        world.users[change.user_name] = user
        world.audit(AuditActivity.USER_ADD, f"User '{change.user_name}' was created.")
    else:
        world.audit(AuditActivity.USER_UPDATE, f"User '{change.user_name}' was changed.")
    user.full_name = change.entry.full_name
    user.distinguished_name = change.entry.distinguished_name
    user.email_addresses = list(change.entry.email_addresses)
