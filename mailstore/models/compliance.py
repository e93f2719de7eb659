"""Compliance: legal hold, the audit log, and retention policies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, cast

from pydantic import JsonValue

from mailstore.models.base import Model, OpenEnum, Request, Response
from mailstore.models.fields import JsonObject

if TYPE_CHECKING:
    from pydantic import GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import CoreSchema

# ---------------------------------------------------------------------------------- enumerations


class AuditActivity(OpenEnum):
    """What a user can do that the audit log can record.

    The names were seen in a configuration. They are not publicly documented: what is
    said about them here is read from the names.
    """

    COMPLIANCE_CHANGE_SETTINGS = "ComplianceChangeSettings"
    """Changed the compliance settings."""

    CREDENTIALS_ADD = "CredentialsAdd"
    """Added a credential."""

    CREDENTIALS_CHANGE = "CredentialsChange"
    """Changed a credential."""

    CREDENTIALS_DELETE = "CredentialsDelete"
    """Deleted a credential."""

    PROFILE_CHANGE_USER_NAME = "ProfileChangeUserName"
    """Changed the user name of a profile."""

    RECOVER_STORE_FINISH = "RecoverStoreFinish"
    """A recovery of an archive store came to its end."""

    RECOVER_STORE_START = "RecoverStoreStart"
    """Started to recover an archive store."""

    RETENTION_POLICIES_MESSAGE_DELETE = "RetentionPoliciesMessageDelete"
    """A retention policy deleted a message."""

    RETENTION_POLICIES_PROCESS_START = "RetentionPoliciesProcessStart"
    """Started to apply the retention policies."""

    RETENTION_POLICIES_UPDATE = "RetentionPoliciesUpdate"
    """Changed the retention policies."""

    SESSION_LOGIN = "SessionLogin"
    """Logged on."""

    SESSION_LOGOUT = "SessionLogout"
    """Logged off."""

    SESSION_UNLOCK_WITH_MFA_CODE = "SessionUnlockWithMfaCode"
    """Unlocked a session with a code of multi-factor authentication."""

    USER_ADD = "UserAdd"
    """Created a user."""

    USER_APP_PASSWORD_ADD = "UserAppPasswordAdd"
    """Added an app password to a user."""

    USER_APP_PASSWORD_DELETE = "UserAppPasswordDelete"
    """Deleted an app password of a user."""

    USER_DELETE = "UserDelete"
    """Deleted a user."""

    USER_DISABLE_MFA = "UserDisableMFA"
    """Switched multi-factor authentication off for a user."""

    USER_INITIALIZE_MFA = "UserInitializeMFA"
    """Started multi-factor authentication for a user."""

    USER_RENAME = "UserRename"
    """Renamed a user."""

    USER_SET_ARCHIVE_ADMIN_SET_ENABLED = "UserSetArchiveAdminSetEnabled"
    """Switched the access of the archive administrator on or off."""

    USER_SET_FOLDER_ACCESS = "UserSetFolderAccess"
    """Changed the rights of a user on an archive folder."""

    USER_SET_MAPPINGS = "UserSetMappings"
    """Changed the mappings of a user."""

    USER_SET_PASSWORD = "UserSetPassword"
    """Set the password of a user."""

    USER_UPDATE = "UserUpdate"
    """Changed the properties of a user."""


class RetentionPeriodInterval(OpenEnum):
    """Unit of a retention period."""

    YEAR = "year"
    """Years."""

    MONTH = "month"
    """Months."""

    DAY = "day"
    """Days."""


class RetentionReferenceDateType(OpenEnum):
    """The date that a retention period counts from.

    One value is known. There is at least one more, presumably for the date of the message.
    """

    ARCHIVE_DATE = "ArchiveDate"
    """When the message was archived."""


# --------------------------------------------------------------------------------------- results


class ComplianceConfiguration(Response):
    """The compliance settings.

    They are read by `GetComplianceConfiguration` and written, as a whole, by
    `SetComplianceConfiguration`. A server may have more of them; those are kept as they come.
    """

    legal_hold_enabled: bool
    """Whether legal hold is on."""

    log_successful_user_activities: list[AuditActivity]
    """Activities that the audit log records when they succeed."""


class RetentionSearchCriteria(Response):
    """Which messages a retention policy is about. Provisional, like `RetentionPolicy`."""

    from_: str | None = None
    """Sender; ``from`` on the wire."""

    to: str | None = None
    """Recipient."""

    query: str | None = None
    """Text to search for."""

    excluded_archives: list[str] | None = None
    """Archives of users that are left out."""


class RetentionPolicy(Response):
    """How long messages are kept. Provisional: the members are known from a single script, not from the vendor.

    Policies are read by `GetRetentionPolicies` and written, all together, by `SetRetentionPolicies`.
    """

    name: str
    """Display name."""

    enabled: bool | None = None
    """Whether the policy is applied."""

    period: int | None = None
    """Length of the retention period, in units of `period_interval`."""

    period_interval: RetentionPeriodInterval | None = None
    """Unit of the retention period."""

    reference_date_type: RetentionReferenceDateType | None = None
    """Date that the period counts from."""

    delete: bool | None = None
    """Whether messages are deleted when the period is over."""

    search_criteria: RetentionSearchCriteria | None = None
    """Which messages the policy is about."""


# -------------------------------------------------------------------------------------- requests


@dataclass(frozen=True)
class PolicyList(JsonObject):
    """A list of policies, or one mapping with whatever it holds.

    Public sources disagree about the form: a script reads a list, the vendor's wrapper
    speaks of a dict. So a mapping is sent as it is, and only a list is looked into.
    """

    def accept(self, value: object) -> Model | list[Model]:
        """Return the policies, or the mapping as a model without known members."""
        if isinstance(value, Mapping):
            return _AS_IT_IS.accept(cast("object", value))
        return super().accept(value)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Describe both forms."""
        return {"anyOf": [super().__get_pydantic_json_schema__(schema, handler), {"type": "object"}]}


ComplianceConfigurationLike: TypeAlias = Annotated[
    ComplianceConfiguration | Mapping[str, JsonValue], JsonObject(ComplianceConfiguration)
]
"""Compliance settings, as model or mapping."""

_AS_IT_IS = JsonObject(Response)

RetentionPoliciesLike: TypeAlias = Annotated[
    Iterable[RetentionPolicy | Mapping[str, JsonValue]] | Mapping[str, Any],
    PolicyList(RetentionPolicy, many=True),
]
"""Policies as a list of models or mappings, or as one mapping that is sent as it is."""


class GetComplianceConfiguration(Request[ComplianceConfiguration]):
    """Return the compliance settings."""


class SetComplianceConfiguration(Request[None]):
    """Replace the compliance settings."""

    config: ComplianceConfigurationLike
    """The complete settings: what `GetComplianceConfiguration` returned, with the changes in it."""


class GetRetentionPolicies(Request[list[RetentionPolicy]]):
    """List the retention policies."""


class SetRetentionPolicies(Request[None]):
    """Replace all retention policies."""

    config: RetentionPoliciesLike
    """All policies: what `GetRetentionPolicies` returned, with the changes in it.

    A policy that is not among them is presumably deleted. A single mapping is sent as it is.
    """


class ProcessRetentionPolicies(Request[JsonValue]):
    """Apply the retention policies now, which may delete messages.

    The result is not publicly documented. The call may become a task.
    """
