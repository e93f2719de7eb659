"""What can be set up: directory services, compliance, retention, mail, service and licence.

Configurations are kept as JSON, just as they were written, so that members which nobody
has heard of come back.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from pydantic import JsonValue

from mailstore.models.compliance import AuditActivity


@dataclass
class DirectoryUser:
    """A user in the pretended directory."""

    account_name: str
    """Account name, which becomes the login name."""

    full_name: str
    """Display name."""

    distinguished_name: str
    """LDAP distinguished name."""

    email_addresses: list[str] = field(default_factory=list[str])
    """E-mail addresses, the primary one first."""

    groups: list[str] = field(default_factory=list[str])
    """Distinguished names of the groups that the user is a member of."""

    password: str = field(default="", repr=False)
    """Password, for users whose login the directory checks."""

    enabled: bool = True
    """Whether the account is enabled."""

    has_mailbox: bool = True
    """Whether the user has a mailbox on Microsoft Exchange."""

    is_listed: bool = True
    """Whether address lists show the user."""


@dataclass
class Directory:
    """Directory services: how they are set up, and the pretended directory behind them."""

    configuration: dict[str, JsonValue] = field(default_factory=lambda: {"type": "none", "password": None}, repr=False)
    """The configuration, its password included. There is no directory in a fresh installation."""

    users: list[DirectoryUser] = field(default_factory=list[DirectoryUser])
    """Who is in the directory."""


@dataclass
class Service:
    """How the service is set up."""

    base_directory: str = "C:\\MailArchive"
    """Directory of the master database."""

    debug_log: bool = False
    """Whether a debug log is written."""

    audit_log_location: str = "EventLog"
    """Where the audit log is written to."""

    certificate_thumbprint: str = "5D2C8E0B7F1A4396B8D1E07C63A95F24C0EB718D"
    """Thumbprint of the certificate for TLS."""


@dataclass
class License:
    """The licence."""

    max_named_users: int = 25
    """Number of users that it covers."""

    licensed_to: str = "Example Ltd."
    """Who it belongs to."""

    support_days: int = 200
    """Days until the end of support, counted from now."""


@dataclass
class Mail:
    """A message that the server sent."""

    recipients: list[str]
    """E-mail addresses."""

    subject: str
    """Subject."""

    text: str
    """Body."""


@dataclass
class AuditEntry:
    """A line of the audit log."""

    time: datetime
    """When it happened, aware."""

    activity: AuditActivity
    """What was done."""

    text: str
    """To what, and why."""


def default_compliance() -> dict[str, JsonValue]:
    """Return the compliance settings of a fresh installation."""
    return {
        "legalHoldEnabled": False,
        "logSuccessfulUserActivities": [activity.value for activity in AuditActivity],
    }


def default_smtp() -> dict[str, JsonValue]:
    """Return the settings for notifications of a fresh installation: there are none.

    Only the member ``password`` is publicly known; the others are made up.
    """
    return {
        "serverName": None,
        "port": 25,
        "protocol": "SMTP",
        "userName": None,
        "password": None,
        "fromAddress": None,
        "toAddress": None,
    }


# ----------------------------------------------------------------------------------- the example


def example_smtp() -> dict[str, JsonValue]:
    """Return settings that work."""
    return default_smtp() | {
        "serverName": "mail.example.com",
        "port": 587,
        "protocol": "SMTP-TLS",
        "userName": "archive@example.com",
        "password": "pretended",
        "fromAddress": "archive@example.com",
        "toAddress": "it@example.com",
    }


def example_retention() -> list[JsonValue]:
    """Return a policy that deletes newsletters, not in force yet."""
    return [
        {
            "name": "Newsletters",
            "enabled": False,
            "period": 2,
            "periodInterval": "year",
            "referenceDateType": "ArchiveDate",
            "delete": True,
            "searchCriteria": {
                "from": "newsletter@example.net",
                "to": None,
                "query": None,
                "excludedArchives": ["jane.roe"],
            },
        }
    ]


def example_directory() -> Directory:
    """Return an Active Directory with a user whom the archive does not know yet, and without one whom it knows."""
    people = "OU=People,DC=example,DC=com"
    staff = "CN=Staff,OU=Groups,DC=example,DC=com"
    return Directory(
        configuration={
            "type": "activeDirectory",
            "serverName": "dc1.example.com",
            "protocol": "LDAP",
            "authenticationType": "standardAuthentication",
            "userName": "EXAMPLE\\archive",
            "password": "pretended",
            "baseDN": "DC=example,DC=com",
            "microsoftExchangeUsersOnly": True,
            "enabledUsersOnly": True,
            "usersVisibleInAddressListsOnly": False,
            "groups": [],
            "userNameFormat": "samAccountName",
            "authenticationProtocol": "networkAuthentication",
            "openIdDiscoveryUrl": None,
            "openIdClientID": None,
            "openIdRedirectUrl": None,
            "openIdForceAdfsLogin": False,
            "deleteUsers": False,
        },
        users=[
            DirectoryUser(
                name,
                full_name,
                f"CN={full_name},{people}",
                [f"{name}@example.com", *others],
                [staff],
                enabled=name != "tom.left",
                has_mailbox=name != "build.agent",
            )
            for name, full_name, *others in (
                ("ann.lee", "Ann Lee"),
                ("jane.roe", "Jane Roe", "sales@example.com"),
                ("john.doe", "John Doe", "j.doe@example.com"),
                ("nina.new", "Nina New"),
                ("tom.left", "Tom Left"),
                ("build.agent", "Build Agent"),
            )
        ],
    )
