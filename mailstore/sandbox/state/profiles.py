"""Profiles: what the sandbox knows about them and their runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pydantic import JsonValue

from mailstore.models.profiles import ProfileType, WorkerResultState


@dataclass
class ServerSideExecution:
    """Whether the server runs a profile by itself. The sandbox keeps and tells it; no run starts by itself."""

    automatic: bool = False
    """Whether it does."""

    pause: int | None = None
    """Seconds between the end of a run and the start of the next."""

    maintenance_windows: JsonValue = None
    """When no run is started."""


@dataclass
class Profile:
    """An archiving or export profile."""

    id: int
    """Identifier; 0 for one that is run once without being stored."""

    name: str
    """Display name."""

    owner: str
    """Login name of the user whom it belongs to."""

    type: ProfileType = ProfileType.IMPORT
    """Archiving or export."""

    connector: str = "IMAP"
    """Name of the connector."""

    details: dict[str, JsonValue] = field(default_factory=dict[str, JsonValue], repr=False)
    """Settings that depend on the connector, the password in the clear."""

    execution: ServerSideExecution = field(default_factory=ServerSideExecution)
    """Whether the server runs it by itself."""

    more: dict[str, JsonValue] = field(default_factory=dict[str, JsonValue], repr=False)
    """Other members that it was created with."""

    version: int = 1
    """Internal version."""

    new_messages: int = 12
    """Number of messages that each run finds in the mailbox."""

    outcome: WorkerResultState = WorkerResultState.SUCCEEDED
    """How runs end; with errors, every fourth message is left out."""

    @property
    def folder(self) -> str:
        """The folder that messages go to, in the archive of the owner unless the details say otherwise."""
        archive = self.details.get("targetUserFolder") or self.owner
        mailbox = self.details.get("emailAddress") or self.details.get("userName") or self.name
        return f"{archive}/{self.connector} {str(mailbox).replace('/', '_')}/INBOX"


@dataclass
class ProfileRun:
    """One run of a profile."""

    id: int
    """Identifier."""

    user_name: str
    """User on whose behalf it ran."""

    profile_id: int | None
    """Identifier of the profile; `None` for a profile that was run without being stored."""

    profile_name: str | None
    """Name of the profile at that time; `None` for a profile that was run without being stored."""

    start: datetime
    """When it began, aware."""

    complete: datetime
    """When it ended, aware."""

    result: WorkerResultState
    """How it ended."""

    items: int
    """Number of messages that were archived."""

    report: str
    """The report."""


def report_of(name: str, result: WorkerResultState, items: int, lines: list[str]) -> str:
    """Return the report of a run, what its log said included. The form of the real one is not publicly known."""
    head = [f"Profile: {name}", f"Result: {result}", f"Messages archived: {items}"]
    return "".join(f"{line}\r\n" for line in [*head, "", *lines])


def example_profiles() -> dict[int, Profile]:
    """Return the profiles of the example world; the last one never ran."""
    profiles = [
        _example_profile(1, "Mailbox of John Doe", "john.doe", "john.doe@example.com"),
        _example_profile(2, "Mailbox of Jane Roe", "jane.roe", "jane.roe@example.com"),
        _example_profile(3, "Mailbox of the sales department", "john.doe", "sales@example.com"),
        Profile(4, "Export of the year", "jane.roe", ProfileType.EXPORT, "file", {"directory": "E:\\Export"}),
        _example_profile(5, "Mailbox of Zoë Müller", "zoe.mueller", "zoe.mueller@example.com"),
    ]
    profiles[0].execution = ServerSideExecution(automatic=True, pause=300)
    profiles[2].outcome = WorkerResultState.COMPLETED_WITH_ERRORS
    return {profile.id: profile for profile in profiles}


def _example_profile(id: int, name: str, owner: str, address: str) -> Profile:  # noqa: A002 - the name in the API
    details: dict[str, JsonValue] = {
        "host": "imap.example.com",
        "protocol": "IMAP-SSL",
        "userName": address,
        "password": "imap-password",
        "emailAddress": address,
        "targetUserFolder": owner,
        "timeout": "60",
        "excludeUnRead": "0",
        "ignoreSSLPolicyErrors": "0",
    }
    return Profile(id, name, owner, details=details)


def example_profile_runs(now: datetime) -> list[ProfileRun]:
    """Return the runs of the last day in the example world, in several states; the last profile has none."""
    profiles = example_profiles()
    succeeded, with_errors = WorkerResultState.SUCCEEDED, WorkerResultState.COMPLETED_WITH_ERRORS
    failed, cancelled = WorkerResultState.FAILED, WorkerResultState.CANCELLED
    runs: list[tuple[int | None, float, int, WorkerResultState, int]] = [
        (1, 20.0, 2, succeeded, 31),
        (1, 2.0, 3, failed, 0),
        (1, 1.0, 2, succeeded, 14),
        (2, 18.0, 5, cancelled, 40),
        (2, 6.0, 1, failed, 0),
        (3, 5.0, 4, with_errors, 27),
        (4, 4.0, 9, succeeded, 0),
        (None, 3.0, 1, succeeded, 3),
    ]
    return [
        _example_run(
            number,
            None if profile_id is None else profiles[profile_id],
            now - timedelta(hours=hours),
            timedelta(minutes=minutes),
            result,
            items,
        )
        for number, (profile_id, hours, minutes, result, items) in enumerate(runs, 1)
    ]


def _example_run(
    number: int, profile: Profile | None, start: datetime, duration: timedelta, result: WorkerResultState, items: int
) -> ProfileRun:
    start = start.replace(microsecond=0)
    return ProfileRun(
        number,
        user_name="john.doe" if profile is None else profile.owner,
        profile_id=None if profile is None else profile.id,
        profile_name=None if profile is None else profile.name,
        start=start,
        complete=start + duration,
        result=result,
        items=items,
        report=report_of("temporary" if profile is None else profile.name, result, items, []),
    )
