"""Users: accounts, addresses, privileges, passwords and multi-factor authentication."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import Field

from mailstore.models.base import OpenEnum, Request, Response
from mailstore.models.fields import HiddenJson, ListOf, OneOf, SecretLike, TextsLike

# ---------------------------------------------------------------------------------- enumerations


class UserPrivilege(OpenEnum):
    """What a user may do in general."""

    NONE = "none"
    """No privileges; stands alone."""

    ADMIN = "admin"
    """Administrator; stands alone."""

    LOGIN = "login"
    """May log on."""

    CHANGE_PASSWORD = "changePassword"
    """May change the own password; with integrated authentication only."""

    ARCHIVE = "archive"
    """May run archiving profiles."""

    MODIFY_ARCHIVE_PROFILES = "modifyArchiveProfiles"
    """May create, change and delete archiving profiles."""

    EXPORT = "export"
    """May run export profiles."""

    MODIFY_EXPORT_PROFILES = "modifyExportProfiles"
    """May create, change and delete export profiles."""

    DELETE = "delete"
    """May delete messages, within the rights on the folder and the compliance settings."""


UserPrivilegeText: TypeAlias = Literal[
    "none",
    "admin",
    "login",
    "changePassword",
    "archive",
    "modifyArchiveProfiles",
    "export",
    "modifyExportProfiles",
    "delete",
]
UserPrivilegesLike: TypeAlias = Annotated[
    Iterable[UserPrivilege | UserPrivilegeText] | str,
    ListOf(UserPrivilege, alone=frozenset({"none", "admin"}), empty="none"),
]
"""Privileges as a list of members or texts, or as one comma-separated text; an empty list is ``none``."""


class LoginPrivilege(OpenEnum):
    """A way by which a user may log on."""

    NONE = "none"
    """No way at all; stands alone."""

    WINDOWS = "windows"
    """MailStore Client for Windows."""

    WEB = "web"
    """Web Access."""

    OUTLOOK = "outlook"
    """Add-in for Outlook."""

    WINDOWS_CMD = "windowsCmd"
    """Command line client, used by scheduled tasks."""

    IMAP = "imap"
    """Access to the archive by IMAP."""

    API = "api"
    """Administration API; for administrators only."""


LoginPrivilegeText: TypeAlias = Literal["none", "windows", "web", "outlook", "windowsCmd", "imap", "api"]
LoginPrivilegesLike: TypeAlias = Annotated[
    Iterable[LoginPrivilege | LoginPrivilegeText] | str,
    ListOf(LoginPrivilege, alone=frozenset({"none"}), empty="none"),
]
"""Ways to log on as a list of members or texts, or as one comma-separated text; an empty list is ``none``."""


class FolderPrivilege(OpenEnum):
    """What a user may do in an archive folder."""

    NONE = "none"
    """No access; stands alone."""

    READ = "read"
    """May read."""

    WRITE = "write"
    """May write."""

    DELETE = "delete"
    """May delete messages."""


FolderPrivilegeText: TypeAlias = Literal["none", "read", "write", "delete"]
FolderPrivilegesLike: TypeAlias = Annotated[
    Iterable[FolderPrivilege | FolderPrivilegeText] | str,
    ListOf(FolderPrivilege, alone=frozenset({"none"}), empty="none"),
]
"""Rights on a folder as a list of members or texts, or as one comma-separated text; an empty list is ``none``."""


class UserAuthentication(OpenEnum):
    """Who checks the password of a user."""

    INTEGRATED = "integrated"
    """MailStore itself."""

    DIRECTORY_SERVICES = "directoryServices"
    """The directory service; a password stored in MailStore is ignored."""


UserAuthenticationText: TypeAlias = Literal["integrated", "directoryServices"]
UserAuthenticationLike: TypeAlias = Annotated[UserAuthentication | UserAuthenticationText, OneOf(UserAuthentication)]
"""A way of authentication, as member or text."""


class MfaStatus(OpenEnum):
    """Whether a user logs on with a second factor."""

    DISABLED = "Disabled"
    """Password only. No other value was seen so far."""


# --------------------------------------------------------------------------------------- results


class UserListEntry(Response):
    """A user as it stands in the list of users."""

    user_name: str
    """Login name."""

    full_name: str | None = None
    """Display name."""

    distinguished_name: str | None = None
    """LDAP distinguished name."""

    mfa_status: MfaStatus | None = None
    """Whether a second factor is asked for; absent before 24.1."""


class FolderPrivilegeEntry(Response):
    """What a user may do in one archive folder."""

    folder: str
    """Archive folder."""

    privileges: list[FolderPrivilege]
    """Rights on it."""


class UserInfo(Response):
    """Everything about one user."""

    user_name: str
    """Login name."""

    full_name: str | None = None
    """Display name."""

    distinguished_name: str | None = None
    """LDAP distinguished name."""

    authentication: UserAuthentication
    """Who checks the password."""

    mfa_status: MfaStatus | None = None
    """Whether a second factor is asked for; absent before 24.1."""

    email_addresses: list[str]
    """E-mail addresses, the primary one first."""

    pop3_user_names: list[str]
    """POP3 user names, for MailStore Proxy."""

    privileges: list[UserPrivilege]
    """What the user may do in general."""

    login_privileges: list[LoginPrivilege] | None = None
    """Ways to log on; absent in 22.x."""

    privileges_on_folders: list[FolderPrivilegeEntry] | None = None
    """Rights on archive folders; absent for administrators."""


# -------------------------------------------------------------------------------------- requests

UserName: TypeAlias = Annotated[str, Field(min_length=1)]
"""Login name of a user."""


class GetUsers(Request[list[UserListEntry]]):
    """List all users with a few of their properties."""


class GetUserInfo(Request[UserInfo]):
    """Return everything about one user, addresses and privileges included."""

    user_name: UserName
    """Login name."""


class CreateUser(Request[None]):
    """Create a user.

    The new user has no rights on any archive folder, not even the own archive:
    see `SetUserPrivilegesOnFolder`.
    """

    tutorial_defaults: ClassVar[dict[str, Any]] = {"privileges": None}

    user_name: UserName
    """Login name of the new user."""

    privileges: UserPrivilegesLike
    """What the user may do in general; ``none`` and ``admin`` stand alone."""

    full_name: str | None = None
    """Display name."""

    distinguished_name: str | None = None
    """LDAP distinguished name; usually the synchronisation with the directory fills it in."""

    authentication: UserAuthenticationLike | None = None
    """Who checks the password; MailStore itself if left out."""

    password: SecretLike | None = None
    """Password; means something with integrated authentication only."""

    login_privileges: LoginPrivilegesLike | None = None
    """Ways to log on; the default ones if left out. Since a version after 22.3; ``none`` stands alone."""


class DeleteUser(Request[None]):
    """Delete a user; the archive folder of the user and the messages in it stay."""

    user_name: UserName
    """Login name."""


class RenameUser(Request[None]):
    """Change the login name of a user.

    The archive folder keeps its name: `MoveFolder` and `SetUserPrivilegesOnFolder` bring it along.
    """

    old_user_name: UserName
    """Login name so far."""

    new_user_name: UserName
    """Login name from now on."""


class SetUserAuthentication(Request[None]):
    """Choose who checks the password of a user."""

    user_name: UserName
    """Login name."""

    authentication: UserAuthenticationLike
    """Who checks the password."""


class SetUserDistinguishedName(Request[None]):
    """Set or remove the LDAP distinguished name of a user."""

    user_name: UserName
    """Login name."""

    distinguished_name: str | None = None
    """New distinguished name; leaving it out removes the old one."""


class SetUserEmailAddresses(Request[None]):
    """Replace the e-mail addresses of a user."""

    user_name: UserName
    """Login name."""

    email_addresses: TextsLike | None = None
    """New addresses, the primary one first. Leaving them out presumably removes all addresses."""


class SetUserFullName(Request[None]):
    """Set or remove the display name of a user."""

    user_name: UserName
    """Login name."""

    full_name: str | None = None
    """New display name; leaving it out removes the old one."""


class SetUserPassword(Request[None]):
    """Set the password of a user."""

    user_name: UserName
    """Login name."""

    password: SecretLike
    """The new password."""


class SetUserPop3UserNames(Request[None]):
    """Replace the POP3 user names of a user, which MailStore Proxy uses."""

    user_name: UserName
    """Login name."""

    pop3_user_names: TextsLike | None = None
    """New POP3 user names."""


class SetUserPrivileges(Request[None]):
    """Replace what a user may do in general."""

    user_name: UserName
    """Login name."""

    privileges: UserPrivilegesLike
    """New privileges; ``none`` and ``admin`` stand alone."""


class SetUserLoginPrivileges(Request[None]):
    """Replace the ways by which a user may log on."""

    since: ClassVar[str | None] = "a version after 22.3, at the latest 24.x of August 2024"

    user_name: UserName
    """Login name."""

    login_privileges: LoginPrivilegesLike
    """New ways to log on; ``none`` stands alone."""


class SetUserPrivilegesOnFolder(Request[None]):
    """Replace what a user may do in an archive folder."""

    user_name: UserName
    """Login name."""

    folder: Annotated[str, Field(min_length=1)]
    """Archive folder; the server accepts folders of the first level only, the archives of users."""

    privileges: FolderPrivilegesLike
    """New rights; ``none`` takes all of them away and stands alone."""


class ClearUserPrivilegesOnFolders(Request[None]):
    """Take away all rights of a user on archive folders."""

    user_name: UserName
    """Login name."""


class InitializeMFA(Request[HiddenJson]):
    """Start multi-factor authentication for a user.

    The result is not publicly documented. As it may be the user's secret, it is hidden:
    ``result.get_secret_value()`` shows it.
    """

    since: ClassVar[str | None] = "a version after 22.3, probably 24.1"

    user_name: UserName
    """Login name."""


class DisableMFA(Request[None]):
    """Switch multi-factor authentication off for a user."""

    since: ClassVar[str | None] = "a version after 22.3, probably 24.1"

    user_name: UserName
    """Login name."""


class DeleteAppPasswords(Request[None]):
    """Delete all app passwords of a user, so that other programs must be set up again."""

    since: ClassVar[str | None] = "a version after 22.3, probably 24.1"

    user_name: UserName
    """Login name."""
