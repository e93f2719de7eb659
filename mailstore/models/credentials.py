"""Credentials: what the credential manager knows about access to other systems."""

from __future__ import annotations

from typing import Annotated, ClassVar

from mailstore.models.base import OpenEnum, Request, Response, wire_name
from mailstore.models.fields import UtcDateTime

# ---------------------------------------------------------------------------------- enumerations


class CredentialType(OpenEnum):
    """Kind of credential."""

    OFFICE365_MODERN = "Office365_Modern"
    """App registration in Microsoft 365. No other value was seen so far."""


# --------------------------------------------------------------------------------------- results


class CredentialSettings(Response):
    """What belongs to a credential, depending on its type; members known from ``Office365_Modern``."""

    application_id: Annotated[str | None, wire_name("ApplicationId")] = None
    """ID of the app registration."""

    tenant_id: Annotated[str | None, wire_name("TenantId")] = None
    """ID of the Microsoft 365 tenant."""

    certificate_thumbprint: Annotated[str | None, wire_name("CertificateThumbprint")] = None
    """Thumbprint of the certificate with which MailStore logs on."""

    certificate_expiration_date: Annotated[UtcDateTime | None, wire_name("CertificateExpirationDate")] = None
    """When that certificate expires."""


class CredentialInfo(Response):
    """An entry of the credential manager.

    Unlike those of all other results, its members begin with a capital on the wire.
    """

    id: Annotated[int, wire_name("ID")]
    """Number of the entry."""

    type: Annotated[CredentialType, wire_name("Type")]
    """Kind of credential."""

    description: Annotated[str | None, wire_name("Description")] = None
    """Text to tell it from others."""

    settings: Annotated[CredentialSettings, wire_name("Settings")]
    """What belongs to it, depending on the type."""


# -------------------------------------------------------------------------------------- requests


class GetCredentials(Request[list[CredentialInfo]]):
    """List the entries of the credential manager."""

    since: ClassVar[str | None] = "a version after 11, at the latest 24.x of August 2024"
