"""Users: accounts, addresses, privileges, passwords and multi-factor authentication."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from typing import TypeVar, cast

from pydantic import JsonValue, Secret, SecretStr

from mailstore.models.base import OpenEnum
from mailstore.models.compliance import AuditActivity
from mailstore.models.fields import HiddenJson
from mailstore.models.users import (
    ClearUserPrivilegesOnFolders,
    CreateUser,
    DeleteAppPasswords,
    DeleteUser,
    DisableMFA,
    FolderPrivilege,
    FolderPrivilegeEntry,
    GetUserInfo,
    GetUsers,
    InitializeMFA,
    LoginPrivilege,
    MfaStatus,
    RenameUser,
    SetUserAuthentication,
    SetUserDistinguishedName,
    SetUserEmailAddresses,
    SetUserFullName,
    SetUserLoginPrivileges,
    SetUserPassword,
    SetUserPop3UserNames,
    SetUserPrivileges,
    SetUserPrivilegesOnFolder,
    UserAuthentication,
    UserInfo,
    UserListEntry,
    UserPrivilege,
)
from mailstore.sandbox.functions.lookup import user_named
from mailstore.sandbox.registry import Failed, answers
from mailstore.sandbox.state import Job, Profile, User, World

EnumT = TypeVar("EnumT", bound=OpenEnum)

# --------------------------------------------------------------------------------------- reading


@answers(GetUsers)
def get_users(world: World, request: GetUsers) -> list[UserListEntry]:
    """List the users by name."""
    return [
        UserListEntry(
            user_name=user.user_name,
            full_name=user.full_name,
            distinguished_name=user.distinguished_name,
            mfa_status=_mfa_status(user),
        )
        for _, user in sorted(world.users.items())
    ]


@answers(GetUserInfo)
def get_user_info(world: World, request: GetUserInfo) -> UserInfo:
    """Tell everything about a user; administrators have no member ``privilegesOnFolders``."""
    user = user_named(world, request.user_name)
    info = UserInfo(
        user_name=user.user_name,
        full_name=user.full_name,
        distinguished_name=user.distinguished_name,
        authentication=user.authentication,
        mfa_status=_mfa_status(user),
        email_addresses=list(user.email_addresses),
        pop3_user_names=list(user.pop3_user_names),
        privileges=list(user.privileges),
        login_privileges=list(user.login_privileges),
    )
    if user.is_administrator:
        return info
    entries = [
        FolderPrivilegeEntry(folder=folder, privileges=list(privileges))
        for folder, privileges in sorted(user.privileges_on_folders.items())
    ]
    return info.model_copy(update={"privileges_on_folders": entries})


def _mfa_status(user: User) -> MfaStatus:
    # Only the value for users without a second factor is publicly known.
    return MfaStatus.DISABLED if user.mfa_secret is None else MfaStatus("Enabled")


# ------------------------------------------------------------------------------- coming and going


@answers(CreateUser)
def create_user(world: World, request: CreateUser) -> None:
    """Create a user without rights on folders; what was left out gets a default."""
    _check_is_free(world, request.user_name)
    user = User(
        request.user_name,
        full_name=request.full_name,
        distinguished_name=request.distinguished_name,
        privileges=_members(UserPrivilege, request.privileges),
    )
    if request.password is not None:
        user.password = _revealed(request.password)
    if request.authentication is not None:
        user.authentication = UserAuthentication(request.authentication)
    if request.login_privileges is not None:
        user.login_privileges = _members(LoginPrivilege, request.login_privileges)
    world.users[request.user_name] = user
    world.audit(AuditActivity.USER_ADD, f"User '{request.user_name}' was created.")


@answers(DeleteUser)
def delete_user(world: World, request: DeleteUser) -> None:
    """Delete a user and end the user's sessions; the archive stays. Somebody has to remain who may use the API."""
    user = user_named(world, request.user_name)
    if user.is_administrator and not any(other.is_administrator for other in world.users.values() if other is not user):
        raise Failed("The last administrator cannot be deleted.")
    remove_user(world, user)


def remove_user(world: World, user: User) -> None:
    """Take a user out of the world."""
    del world.users[user.user_name]
    world.sessions = [session for session in world.sessions if session.user_name != user.user_name]
    world.audit(AuditActivity.USER_DELETE, f"User '{user.user_name}' was deleted.")


@answers(RenameUser)
def rename_user(world: World, request: RenameUser) -> None:
    """Rename a user, also where the user is named as an owner; the archive keeps its name."""
    user = user_named(world, request.old_user_name)
    if request.new_user_name == request.old_user_name:
        return
    _check_is_free(world, request.new_user_name)
    del world.users[request.old_user_name]
    user.user_name = request.new_user_name
    world.users[request.new_user_name] = user
    for session in world.sessions:
        if session.user_name == request.old_user_name:
            session.user_name = request.new_user_name
    owned: list[Job | Profile] = [*world.jobs.values(), *world.profiles.values()]
    for each in owned:
        if each.owner == request.old_user_name:
            each.owner = request.new_user_name
    world.audit(AuditActivity.USER_RENAME, f"User '{request.old_user_name}' was renamed to '{request.new_user_name}'.")


def _check_is_free(world: World, user_name: str) -> None:
    if user_name in world.users:
        raise Failed(f"User '{user_name}' already exists.")


# ------------------------------------------------------------------------------------- properties


@answers(SetUserAuthentication)
def set_user_authentication(world: World, request: SetUserAuthentication) -> None:
    """Choose who checks the password, from the next login on."""
    user = user_named(world, request.user_name)
    user.authentication = UserAuthentication(request.authentication)
    _updated(world, user)


@answers(SetUserDistinguishedName)
def set_user_distinguished_name(world: World, request: SetUserDistinguishedName) -> None:
    """Set or remove the distinguished name."""
    user = user_named(world, request.user_name)
    user.distinguished_name = request.distinguished_name
    _updated(world, user)


@answers(SetUserEmailAddresses)
def set_user_email_addresses(world: World, request: SetUserEmailAddresses) -> None:
    """Replace the addresses; without any, the user has none."""
    user = user_named(world, request.user_name)
    user.email_addresses = list(request.email_addresses or ())
    _updated(world, user)


@answers(SetUserFullName)
def set_user_full_name(world: World, request: SetUserFullName) -> None:
    """Set or remove the display name."""
    user = user_named(world, request.user_name)
    user.full_name = request.full_name
    _updated(world, user)


@answers(SetUserPassword)
def set_user_password(world: World, request: SetUserPassword) -> None:
    """Set the password, with which the user has to log on from now on."""
    user = user_named(world, request.user_name)
    user.password = _revealed(request.password)
    world.audit(AuditActivity.USER_SET_PASSWORD, f"The password of user '{user.user_name}' was set.")


@answers(SetUserPop3UserNames)
def set_user_pop3_user_names(world: World, request: SetUserPop3UserNames) -> None:
    """Replace the POP3 user names; without any, the user has none."""
    user = user_named(world, request.user_name)
    user.pop3_user_names = list(request.pop3_user_names or ())
    _updated(world, user)


def _updated(world: World, user: User) -> None:
    world.audit(AuditActivity.USER_UPDATE, f"User '{user.user_name}' was changed.")


# ------------------------------------------------------------------------------------- privileges


@answers(SetUserPrivileges)
def set_user_privileges(world: World, request: SetUserPrivileges) -> None:
    """Replace the privileges; who is no longer an administrator can no longer use the API."""
    user = user_named(world, request.user_name)
    user.privileges = _members(UserPrivilege, request.privileges)
    _updated(world, user)


@answers(SetUserLoginPrivileges)
def set_user_login_privileges(world: World, request: SetUserLoginPrivileges) -> None:
    """Replace the ways to log on; an administrator without ``api`` can no longer use the API."""
    user = user_named(world, request.user_name)
    user.login_privileges = _members(LoginPrivilege, request.login_privileges)
    _updated(world, user)


@answers(SetUserPrivilegesOnFolder)
def set_user_privileges_on_folder(world: World, request: SetUserPrivilegesOnFolder) -> None:
    """Replace the rights on a folder of the first level; ``none`` removes the entry.

    The archive of a user may be named before there is a message in it.
    """
    user = user_named(world, request.user_name)
    if "/" in request.folder:
        raise Failed(f"Folder '{request.folder}' is not a folder of the first level.")
    if request.folder not in world.folders and request.folder not in world.users:
        raise Failed(f"Folder '{request.folder}' does not exist.")
    privileges = _members(FolderPrivilege, request.privileges)
    if privileges == [FolderPrivilege.NONE]:
        user.privileges_on_folders.pop(request.folder, None)
    else:
        user.privileges_on_folders[request.folder] = privileges
    _folder_access_changed(world, user)


@answers(ClearUserPrivilegesOnFolders)
def clear_user_privileges_on_folders(world: World, request: ClearUserPrivilegesOnFolders) -> None:
    """Take away all rights on folders."""
    user = user_named(world, request.user_name)
    user.privileges_on_folders.clear()
    _folder_access_changed(world, user)


def _folder_access_changed(world: World, user: User) -> None:
    world.audit(AuditActivity.USER_SET_FOLDER_ACCESS, f"The rights of user '{user.user_name}' on folders were changed.")


def _members(enum: type[EnumT], given: Iterable[str] | str) -> list[EnumT]:
    """Return members of a set in the order of the set, each once."""
    chosen = set(given)
    return [member for member in enum if member in chosen]


# -------------------------------------------------------------------- multi-factor authentication


@answers(InitializeMFA)
def initialize_mfa(world: World, request: InitializeMFA) -> HiddenJson:
    """Give a user a new secret for the second factor, and return it.

    What the real server returns is not publicly known. The second factor is not asked for in the API.
    """
    user = user_named(world, request.user_name)
    seed = f"{user.user_name} {world.next_id('mfa_secrets')}"
    user.mfa_secret = base64.b32encode(hashlib.sha256(seed.encode()).digest()[:20]).decode("ascii")
    world.audit(
        AuditActivity.USER_INITIALIZE_MFA, f"Multi-factor authentication was initialized for user '{user.user_name}'."
    )
    return Secret[JsonValue](user.mfa_secret)


@answers(DisableMFA)
def disable_mfa(world: World, request: DisableMFA) -> None:
    """Forget the second factor of a user."""
    user = user_named(world, request.user_name)
    user.mfa_secret = None
    world.audit(
        AuditActivity.USER_DISABLE_MFA, f"Multi-factor authentication was disabled for user '{user.user_name}'."
    )


@answers(DeleteAppPasswords)
def delete_app_passwords(world: World, request: DeleteAppPasswords) -> None:
    """Forget the app passwords of a user; nobody logs on with them any more."""
    user = user_named(world, request.user_name)
    user.app_passwords.clear()
    world.audit(AuditActivity.USER_APP_PASSWORD_DELETE, f"The app passwords of user '{user.user_name}' were deleted.")


def _revealed(secret: SecretStr | str) -> str:
    # The rule of the field has made a SecretStr of it, whatever was given.
    return cast("SecretStr", secret).get_secret_value()
