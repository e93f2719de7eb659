"""The server itself: version, licence, service, sessions, status reports and time zones."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, TypeAlias

from pydantic import JsonValue

from mailstore.models.base import OpenEnum, Request, Response
from mailstore.models.fields import Argument, ListOf, OneOf, TimeZoneLike

if TYPE_CHECKING:
    from pydantic.json_schema import JsonSchemaValue

_LEADING_NUMBERS = re.compile(r"[0-9]+(\.[0-9]+)*")
_THUMBPRINT = re.compile(r"([0-9A-Fa-f]{2})+")
# Certificate dialogs of Windows put an invisible left-to-right mark before the digits.
_BETWEEN_DIGITS = re.compile(r"[\s:\u200e]")

# ---------------------------------------------------------------------------------- enumerations


class StatusReportTimespan(OpenEnum):
    """The days that a status report is about."""

    TODAY = "today"
    """This day."""

    YESTERDAY = "yesterday"
    """The day before."""

    THIS_WEEK = "thisweek"
    """This week."""

    LAST_WEEK = "lastweek"
    """The week before."""

    THIS_MONTH = "thismonth"
    """This month."""

    LAST_MONTH = "lastmonth"
    """The month before."""


StatusReportTimespanText: TypeAlias = Literal["today", "yesterday", "thisweek", "lastweek", "thismonth", "lastmonth"]
StatusReportTimespanLike: TypeAlias = Annotated[
    StatusReportTimespan | StatusReportTimespanText, OneOf(StatusReportTimespan)
]
"""A period for a status report, as member or text."""


# --------------------------------------------------------------------------------------- results


class ServerInfo(Response):
    """Which server this is."""

    version: str
    """Version of the product, such as ``22.3.0.21002``."""

    machine_name: str
    """Computer name of the server."""

    @property
    def version_info(self) -> tuple[int, ...]:
        """The numbers of the version, for comparisons; as texts, 9 would come after 10.

        Numbers are taken from the beginning up to the first character that is neither
        digit nor dot; a version without any gives an empty tuple.
        """
        numbers = _LEADING_NUMBERS.match(self.version)
        return tuple(int(number) for number in numbers[0].split(".")) if numbers else ()


class LicenseInformation(Response):
    """How many users the licence covers, and how many there are."""

    named_users: int
    """Number of named users in use."""

    max_named_users: int
    """Number of named users that the licence covers."""

    licensed_to: str | None = None
    """Who the licence belongs to. Provisional, known from a single script."""

    product_version: str | None = None
    """Version that the licence covers. Provisional, known from a single script."""

    support_expiration_date: str | None = None
    """When support ends. Provisional, known from a single script; the form of the date is unknown."""


class CertificateReference(Response):
    """A certificate in the certificate store of Windows."""

    thumbprint: str
    """Thumbprint of the certificate."""


class ServiceConfiguration(Response):
    """How the service is set up. Provisional: the members are known from scripts, not from the vendor."""

    base_directory: str | None = None
    """Directory of the master database."""

    debug_log: bool | None = None
    """Whether a debug log is written."""

    audit_log_location: str | None = None
    """Where the audit log is written to."""

    server_certificate: CertificateReference | str | None = None
    """Certificate for TLS; a script is prepared for a text instead of an object."""


class TimeZoneInfo(Response):
    """A time zone that the server knows."""

    id: str
    """Windows name of the zone, as arguments for time zones want it."""

    display_name: str | None = None
    """Name for people."""


# -------------------------------------------------------------------------------------- requests


class WireThumbprint(Argument):
    """The thumbprint of a certificate; what people paste along with the digits is taken out."""

    def accept(self, value: object) -> str:
        """Return the hex digits alone."""
        digits = _BETWEEN_DIGITS.sub("", value) if isinstance(value, str) else ""
        if _THUMBPRINT.fullmatch(digits):
            return digits
        raise ValueError(
            "must be the hex digits of a thumbprint, two for each byte; blanks and colons may separate them"
        )

    def describe(self) -> JsonSchemaValue:
        """Return the form on the wire."""
        return {"type": "string", "pattern": f"^{_THUMBPRINT.pattern}$"}


Thumbprint: TypeAlias = Annotated[str, WireThumbprint()]
"""Thumbprint of a certificate as hex digits; blanks and colons between them are taken out."""


@dataclass(frozen=True)
class ListOfRecipients(ListOf):
    """E-mail addresses, one at least."""

    def accept(self, value: object) -> tuple[str, ...]:
        """Return the addresses."""
        addresses = super().accept(value)
        if not addresses:
            raise ValueError("must name at least one e-mail address")
        return addresses


RecipientsLike: TypeAlias = Annotated[Iterable[str] | str, ListOfRecipients()]
"""E-mail addresses as a list, or as one text with commas between them; one at least."""


class GetServerInfo(Request[ServerInfo]):
    """Return the version and the computer name of the server."""


class GetServiceConfiguration(Request[ServiceConfiguration]):
    """Return how the service is set up, its certificate included."""


class SetServiceCertificate(Request[None]):
    """Choose the certificate that the server shows on incoming TLS connections."""

    since: ClassVar[str | None] = "a version after 11, at the latest 24.x of August 2024"

    thumbprint: Thumbprint
    """Thumbprint of the certificate as hex digits; blanks and colons between them are taken out."""


class GetActiveSessions(Request[JsonValue]):
    """Return the sessions of users that are logged on.

    The result is not publicly documented.
    """


class GetLicenseInformation(Request[LicenseInformation]):
    """Return how many users the licence covers, and how many there are."""

    since: ClassVar[str | None] = "a version after 11, at the latest 24.x of August 2024"


class SendStatusReport(Request[JsonValue]):
    """Send a status report by e-mail.

    The result is not publicly documented. The call may become a task.
    """

    timespan: StatusReportTimespanLike
    """The days that the report is about."""

    time_zone_id: TimeZoneLike
    """Zone of the dates in the report; ``$Local`` is the zone of the server."""

    recipients: RecipientsLike
    """E-mail addresses to send it to, one at least."""


class GetTimeZones(Request[list[TimeZoneInfo]]):
    """List the time zones that the server knows."""
