"""Profiles: what is archived or exported, from where, and what came of each run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self, TypeAlias
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, JsonValue, model_validator

from mailstore.models.base import OpenEnum, Request, Response, wire_name
from mailstore.models.fields import DateTimeLike, HiddenStr, JsonObject, LocalDateTime, TimeZoneLike
from mailstore.models.jobs import local_window, run_in_zone
from mailstore.models.zones import LOCAL

# ---------------------------------------------------------------------------------- enumerations


class ProfileType(OpenEnum):
    """The direction in which a profile moves messages."""

    IMPORT = "I"
    """Into the archive: an archiving profile."""

    EXPORT = "E"
    """Out of the archive: presumably an export profile; no live answer was seen."""


class WorkerResultState(OpenEnum):
    """How a run of a profile ended."""

    SUCCEEDED = "succeeded"
    """All went well."""

    COMPLETED_WITH_WARNINGS = "completedWithWarnings"
    """Went to the end, with warnings."""

    COMPLETED_WITH_ERRORS = "completedWithErrors"
    """Went to the end, but some messages or folders failed."""

    FAILED = "failed"
    """Failed."""

    CANCELLED = "cancelled"
    """Was cancelled."""

    DISCONNECTED = "disconnected"
    """The connection was lost; known from a single script."""

    THREAD_ABORT = "threadAbort"
    """The server broke the run off; known from a single script."""


# --------------------------------------------------------------------------------------- results


class ProfileDetails(Response):
    """The settings of a profile that depend on its connector.

    Those seen with IMAP mailboxes have fields, which says nothing about other connectors;
    all others are kept, too. Values are texts, flags ``"0"`` and ``"1"``.
    """

    host: str | None = None
    """Mail server."""

    protocol: str | None = None
    """Protocol to reach it by."""

    sub_type: str | None = None
    """Variant of the connector."""

    user_name: str | None = None
    """Account on the mail server."""

    password: HiddenStr | None = None
    """Password of that account; to be filled in before a profile is created from a template."""

    email_address: str | None = None
    """E-mail address of the mailbox."""

    target_user_folder: str | None = None
    """User archive that the messages go to."""

    timeout: str | None = None
    """Time to wait for the mail server; the unit is not publicly documented."""

    exclude_unread: Annotated[str | None, wire_name("excludeUnRead")] = None
    """Flag: leave out unread messages."""

    disable_auto_exclude_source_folders: str | None = None
    """Flag: do not leave out any source folders automatically."""

    disable_automatic_detection_of_sent_folders: str | None = None
    """Flag: do not look for the folders of sent messages automatically."""

    ignore_ssl_policy_errors: Annotated[str | None, wire_name("ignoreSSLPolicyErrors")] = None
    """Flag: accept any certificate of the mail server."""


class ProfileServerSideExecution(Response):
    """Whether the server runs a profile by itself."""

    automatic: bool
    """Whether it does."""

    automatic_pause_between_executions: int | None = None
    """Seconds between the end of a run and the start of the next."""

    automatic_maintenance_windows: JsonValue = None
    """When no run is started; the form is not publicly documented."""


class _Profile(Response):
    """What a profile has, whether it exists already or not."""

    name: str
    """Display name."""

    owner: str | None = None
    """Login name of the user whom the profile belongs to."""

    type: ProfileType
    """Archiving or export."""

    connector: str
    """Name of the connector, which depends on the mail system."""

    details: ProfileDetails
    """Settings that depend on the connector."""

    server_side_execution: ProfileServerSideExecution | None = None
    """Whether the server runs the profile by itself."""


class _ProfileIdentity(Response):
    """What a profile gets from the server when it is created."""

    id: int
    """Identifier of the profile."""

    version: int | None = None
    """Internal version."""


class ProfileProperties(_Profile):
    """A profile that does not exist yet, for `CreateProfile` and `RunTemporaryProfile`.

    The best way to one is `ProfileInfo.as_template` of a profile made with MailStore Client.
    """


class ProfileInfo(_Profile, _ProfileIdentity):  # in this order, the fields of the identity come first
    """An archiving or export profile."""

    def as_template(self) -> ProfileProperties:
        """Return the profile without its identity, ready to be changed and created.

        Everything but `id` and `version` is kept, members that this version does not know included.

        Example::

            template = profile.as_template()
            details = template.details.model_copy(update={"password": SecretStr("…")})
            request = CreateProfile(properties=template.model_copy(update={"details": details}))
        """
        members = self.to_wire()
        return ProfileProperties.model_validate({key: members[key] for key in members if key not in _IDENTITY})


_IDENTITY = ("id", "version")


class WorkerResult(Response):
    """One run of a profile."""

    id: int
    """Identifier of the run."""

    user_name: str
    """User on whose behalf the profile ran."""

    profile_id: int | None = None
    """Identifier of the profile; some runs have none."""

    profile_name: str | None = None
    """Name of the profile; some runs have none."""

    result: WorkerResultState
    """How the run ended."""

    items_archived: int | None = None
    """Number of messages archived."""

    start_time: LocalDateTime
    """When the run began, on the clock of the zone that was asked for."""

    complete_time: LocalDateTime | None = None
    """When the run ended, on the same clock."""

    machine_name: str
    """Computer that ran the profile."""

    def in_zone(self, zone: str | ZoneInfo) -> Self:
        """Return a copy with aware times.

        An hour that the clock shows twice, in autumn, is taken for the first of the two.

        Args:
            zone: The zone that the results were asked for in.

        Raises:
            ValueError: The zone cannot be known here, as is the case with ``$Local``.
        """
        return run_in_zone(self, zone)


# -------------------------------------------------------------------------------------- requests

ProfileId: TypeAlias = Annotated[int, Field(ge=0)]
"""Identifier of a profile."""


def _without_identity(properties: ProfileProperties) -> ProfileProperties:
    for key in _IDENTITY:
        if key in properties:
            raise ValueError(f"must have no {key!r}, which belongs to an existing profile: ProfileInfo.as_template()")
    return properties


ProfilePropertiesLike: TypeAlias = Annotated[
    ProfileProperties | Mapping[str, JsonValue],
    JsonObject(ProfileProperties),
    AfterValidator(_without_identity),
]
"""A profile without ``id`` and ``version``, as model or mapping."""


class GetProfiles(Request[list[ProfileInfo]]):
    """List all archiving and export profiles."""

    raw: Literal[True] = True
    """The form of the answer; the server knows no other than `True`."""


class CreateProfile(Request[JsonValue]):
    """Create an archiving or export profile.

    No function changes a profile: it is read, changed, created anew, and the old one deleted
    last. The new one has another identifier. The result is not publicly documented.
    """

    tutorial_defaults: ClassVar[dict[str, Any]] = {"properties": None}

    properties: ProfilePropertiesLike
    """The profile, without ``id`` and ``version`` and with its password; see `ProfileInfo.as_template`."""

    raw: Literal[True] = True
    """The form of `properties`; the server knows no other than `True`."""


class RunProfile(Request[JsonValue]):
    """Run a profile.

    The result is not publicly documented.
    """

    id: ProfileId
    """Identifier of the profile."""


class RunTemporaryProfile(Request[JsonValue]):
    """Run a profile once without storing it.

    The result is not publicly documented.
    """

    tutorial_defaults: ClassVar[dict[str, Any]] = {"properties": None}

    properties: ProfilePropertiesLike
    """The profile, without ``id`` and ``version`` and with its password; see `ProfileInfo.as_template`."""

    raw: Literal[True] = True
    """The form of `properties`; the server knows no other than `True`."""


class DeleteProfile(Request[None]):
    """Delete a profile."""

    id: ProfileId
    """Identifier of the profile."""


class SetProfileServerSideExecution(Request[None]):
    """Choose whether the server runs a profile by itself."""

    since: ClassVar[str | None] = "22.3"

    id: ProfileId
    """Identifier of the profile."""

    automatic: bool
    """`True` for automatic runs, `False` for runs by hand."""

    automatic_pause_between_executions: Annotated[int, Field(ge=0)] | None = None
    """Seconds between the end of a run and the start of the next; needed with automatic runs."""

    automatic_maintenance_windows: str | None = None
    """When no run is started; the form is not publicly documented.

    There is no such time if left out; with runs by hand, the one that was set before presumably stays.
    """

    @model_validator(mode="after")
    def _check_pause(self) -> Self:
        if self.automatic and self.automatic_pause_between_executions is None:
            raise ValueError("automatic_pause_between_executions, in seconds, is needed when automatic is true")
        return self


class GetWorkerResults(Request[list[WorkerResult]]):
    """List the runs of profiles that ended in a period of time.

    The rows come in no particular order. A long period makes a long call.
    """

    from_including: DateTimeLike
    """Start of the period. An aware datetime is converted to `time_zone_id`."""

    to_excluding: DateTimeLike
    """End of the period, itself not included. An aware datetime is converted to `time_zone_id`."""

    # The only function that spells its arguments with a capital ID.
    time_zone_id: Annotated[TimeZoneLike, wire_name("timeZoneID")] = LOCAL
    """Time zone of the period and of the times in the result."""

    profile_id: Annotated[int | None, Field(ge=1), wire_name("profileID")] = None
    """Identifier of the profile, at least 1; all profiles if left out."""

    user_name: Annotated[str, Field(min_length=1)] | None = None
    """User on whose behalf the profiles ran; all users if left out."""

    @model_validator(mode="after")
    def _settle(self) -> Self:
        start, end = local_window(self.from_including, self.to_excluding, self.time_zone_id)
        # Frozen for everybody else, but nobody has seen this request yet.
        object.__setattr__(self, "from_including", start)
        object.__setattr__(self, "to_excluding", end)
        return self


class GetWorkerResultReport(Request[JsonValue]):
    """Return the report of one run of a profile.

    The result is not publicly documented.
    """

    since: ClassVar[str | None] = "a version after 11, at the latest 24.x of August 2024"

    id: Annotated[int, Field(ge=0)]
    """Identifier of the run, the `id` of a `WorkerResult`."""
