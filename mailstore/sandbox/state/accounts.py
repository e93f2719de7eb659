"""Users, their sessions, and the entries of the credential manager."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pydantic import JsonValue

from mailstore.models.users import FolderPrivilege, LoginPrivilege, UserAuthentication, UserPrivilege


class Login(enum.Enum):
    """What came of a login."""

    ACCEPTED = "accepted"
    """The user may use the API."""

    WRONG = "wrong"
    """There is no such user, or the password is another."""

    NOT_ALLOWED = "not allowed"
    """Name and password are right, but the user is no administrator or may not use the API."""


DEFAULT_LOGIN_PRIVILEGES = (
    LoginPrivilege.WINDOWS,
    LoginPrivilege.WEB,
    LoginPrivilege.OUTLOOK,
    LoginPrivilege.IMAP,
)
"""Ways to log on of a user for whom nothing else was said. The defaults of the real server are not publicly known."""


@dataclass
class User:
    """A user of the archive."""

    user_name: str
    """Login name."""

    password: str = field(default="", repr=False)
    """Password."""

    full_name: str | None = None
    """Display name."""

    distinguished_name: str | None = None
    """LDAP distinguished name."""

    authentication: UserAuthentication = UserAuthentication.INTEGRATED
    """Who checks the password."""

    email_addresses: list[str] = field(default_factory=list[str])
    """E-mail addresses, the primary one first."""

    pop3_user_names: list[str] = field(default_factory=list[str])
    """POP3 user names."""

    privileges: list[UserPrivilege] = field(default_factory=lambda: [UserPrivilege.LOGIN])
    """What the user may do in general."""

    login_privileges: list[LoginPrivilege] = field(default_factory=lambda: list(DEFAULT_LOGIN_PRIVILEGES))
    """Ways to log on."""

    privileges_on_folders: dict[str, list[FolderPrivilege]] = field(default_factory=dict[str, "list[FolderPrivilege]"])
    """Rights on archive folders of the first level."""

    mfa_secret: str | None = field(default=None, repr=False)
    """Secret of the second factor; `None` where there is none."""

    app_passwords: list[str] = field(default_factory=list[str], repr=False)
    """App passwords."""

    @property
    def is_administrator(self) -> bool:
        """Whether the user is an administrator."""
        return UserPrivilege.ADMIN in self.privileges


@dataclass
class Session:
    """A session of a user who is logged on."""

    id: int
    """Number of the session."""

    user_name: str
    """Login name."""

    client: LoginPrivilege
    """The way by which the user logged on."""

    machine_name: str
    """Computer of the user."""

    started: datetime
    """When the user logged on, aware."""


@dataclass
class Credential:
    """An entry of the credential manager."""

    id: int
    """Number of the entry."""

    type: str
    """Kind of credential."""

    description: str
    """Text to tell it from others."""

    settings: dict[str, JsonValue] = field(default_factory=dict[str, JsonValue])
    """What belongs to it, depending on the type."""


def first_administrator() -> User:
    """Return the user whom every installation has."""
    return User(
        "admin",
        password="admin",  # noqa: S106 - the password of a fresh installation
        full_name="MailStore Administrator",
        privileges=[UserPrivilege.ADMIN],
        login_privileges=[way for way in LoginPrivilege if way is not LoginPrivilege.NONE],
    )


# ----------------------------------------------------------------------------------- the example

_READ_WRITE = [FolderPrivilege.READ, FolderPrivilege.WRITE]
_PEOPLE = "OU=People,DC=example,DC=com"


def example_users() -> dict[str, User]:
    """Return the administrator and a few people with archives of their own."""
    users = [
        first_administrator(),
        _person("ann.lee", "Ann Lee"),
        User(
            "archive.service",
            full_name="Archiving",
            privileges=[UserPrivilege.LOGIN, UserPrivilege.ARCHIVE, UserPrivilege.MODIFY_ARCHIVE_PROFILES],
            login_privileges=[LoginPrivilege.WINDOWS_CMD],
        ),
        _person("jane.roe", "Jane Roe", "sales@example.com"),
        _person("john.doe", "John Doe", "j.doe@example.com"),
        _person("kim.former", "Kim Former"),
        User(
            "zoe.mueller",
            full_name="Zoë Müller",
            email_addresses=["zoe.mueller@example.com"],
            pop3_user_names=["zoe.mueller"],
            privileges=[UserPrivilege.LOGIN, UserPrivilege.CHANGE_PASSWORD, UserPrivilege.DELETE],
            privileges_on_folders={"zoe.mueller": [*_READ_WRITE, FolderPrivilege.DELETE]},
            mfa_secret="JBSWY3DPEHPK3PXP",  # noqa: S106 - an example
            app_passwords=["pretended-app-password"],
        ),
    ]
    by_name = {user.user_name: user for user in users}
    by_name["jane.roe"].privileges_on_folders["tom.left"] = [FolderPrivilege.READ]
    return by_name


def _person(user_name: str, full_name: str, *more_addresses: str) -> User:
    return User(
        user_name,
        full_name=full_name,
        distinguished_name=f"CN={full_name},{_PEOPLE}",
        authentication=UserAuthentication.DIRECTORY_SERVICES,
        email_addresses=[f"{user_name}@example.com", *more_addresses],
        privileges_on_folders={user_name: list(_READ_WRITE)},
    )


def example_sessions(now: datetime) -> list[Session]:
    """Return who is logged on."""
    return [
        Session(1, "jane.roe", LoginPrivilege.OUTLOOK, "PC-017", now - timedelta(hours=3, minutes=12)),
        Session(2, "john.doe", LoginPrivilege.WEB, "PC-023", now - timedelta(minutes=41)),
    ]


def example_credentials(now: datetime) -> list[Credential]:
    """Return an app registration in Microsoft 365 whose certificate expires in a few months."""
    expires = (now + timedelta(days=90)).replace(microsecond=0, tzinfo=None)
    return [
        Credential(
            1,
            "Office365_Modern",
            "Microsoft 365",
            {
                "ApplicationId": "0f5c7d1e-3b1a-4c5d-9e55-6b7a8c9d0e1f",
                "TenantId": "7a1d4e88-52c6-4f0b-8a3c-d2e9b1f06c47",
                "CertificateThumbprint": "A1F0C3D25E6B7788990AABBCCDDEEFF001122334",
                "CertificateExpirationDate": f"{expires.isoformat()}Z",
            },
        )
    ]
