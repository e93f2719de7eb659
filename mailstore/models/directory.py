"""Directory services: where users come from when they are kept in a directory, and bringing them over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, TypeAlias

from pydantic import JsonValue

from mailstore.models.base import OpenEnum, Request, Response, wire_name
from mailstore.models.fields import DeclaredAs, HiddenStr, JsonObject

# ---------------------------------------------------------------------------------- enumerations


class DirectoryServicesType(OpenEnum):
    """Kind of directory."""

    ACTIVE_DIRECTORY = "activeDirectory"
    """Microsoft Active Directory. No other value was seen so far."""


# --------------------------------------------------------------------------------------- results


class DirectoryServicesConfiguration(Response):
    """How users are synchronised with a directory, and how they log on.

    It is read by `GetDirectoryServicesConfiguration` and written, as a whole, by
    `SetDirectoryServicesConfiguration`. Which members there are depends on the type;
    those below were seen with Active Directory, others are kept as they come.
    """

    type: DirectoryServicesType
    """Kind of directory."""

    server_name: str | None = None
    """Name of the directory server."""

    protocol: str | None = None
    """Protocol to read the directory with; ``LDAP`` was seen."""

    authentication_type: str | None = None
    """How MailStore logs on to the directory; ``standardAuthentication`` was seen."""

    user_name: str | None = None
    """Account with which MailStore logs on to the directory."""

    password: HiddenStr | None = None
    """Password of that account. Always null when read; what a null does when written is not documented."""

    base_dn: Annotated[str | None, wire_name("baseDN")] = None
    """Distinguished name below which users are looked for."""

    microsoft_exchange_users_only: bool | None = None
    """Whether only users with a mailbox on Microsoft Exchange are taken over."""

    enabled_users_only: bool | None = None
    """Whether only users that are enabled in the directory are taken over."""

    users_visible_in_address_lists_only: bool | None = None
    """Whether only users that address lists show are taken over."""

    groups: list[str] | None = None
    """Groups whose members are taken over."""

    user_name_format: str | None = None
    """Which property becomes the login name; ``samAccountName`` was seen."""

    authentication_protocol: str | None = None
    """How users log on; ``networkAuthentication`` was seen."""

    open_id_discovery_url: str | None = None
    """OpenID Connect: URL of the provider's discovery document."""

    open_id_client_id: Annotated[str | None, wire_name("openIdClientID")] = None
    """OpenID Connect: client ID of MailStore."""

    open_id_redirect_url: str | None = None
    """OpenID Connect: URL to which the provider sends users back."""

    open_id_force_adfs_login: bool | None = None
    """OpenID Connect: whether a login at AD FS is forced."""

    delete_users: bool | None = None
    """Whether a synchronisation deletes MailStore users that the directory no longer has."""


DirectoryServicesConfigurationLike: TypeAlias = Annotated[
    DirectoryServicesConfiguration | Mapping[str, JsonValue], JsonObject(DirectoryServicesConfiguration)
]
"""The directory services configuration, as model or mapping."""

# -------------------------------------------------------------------------------------- requests


class GetDirectoryServicesConfiguration(Request[DirectoryServicesConfiguration]):
    """Return the directory services configuration; its password is always null."""


class SetDirectoryServicesConfiguration(Request[None]):
    """Replace the directory services configuration."""

    config: DirectoryServicesConfigurationLike
    """The complete configuration: what `GetDirectoryServicesConfiguration` returned, with the changes in it.

    ``{**config, "deleteUsers": False}`` is a copy with a change, by names of the wire.
    """


class SyncUsersWithDirectoryServices(Request[JsonValue]):
    """Synchronise the users with the directory.

    The result is not publicly documented. The call may become a task.
    """

    dry_run: Annotated[bool, DeclaredAs(nullable=True)] = False
    """Whether to report only what would change, and change nothing."""
