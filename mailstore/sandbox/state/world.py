"""Everything that the sandbox knows, in one object."""

from __future__ import annotations

import hmac
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Self

from pydantic import JsonValue

from mailstore.models.compliance import AuditActivity
from mailstore.models.users import LoginPrivilege, UserAuthentication, UserPrivilege
from mailstore.sandbox.state import accounts, archive, configuration
from mailstore.sandbox.state.accounts import Credential, Login, Session, User
from mailstore.sandbox.state.archive import Folder, Message
from mailstore.sandbox.state.configuration import AuditEntry, Directory, License, Mail, Service
from mailstore.sandbox.state.jobs import Job, JobRun, example_job_runs, example_jobs
from mailstore.sandbox.state.profiles import Profile, ProfileRun, example_profile_runs, example_profiles
from mailstore.sandbox.state.stores import (
    PlacedMessage,
    Store,
    count,
    default_auto_create,
    example_detached_stores,
    example_stores,
    first_stores,
)


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass
class World:
    """Everything that the sandbox knows. Whoever reads or changes it while the sandbox runs holds its `lock`.

    ``World()`` is a small server in the middle of its life: users with archives, three stores, jobs and
    profiles that ran in the last day. Where users, folders, stores, jobs or profiles are given, there is
    nothing but those. `World.empty` is a fresh installation.
    """

    server_version: str = "25.3.1.23021"
    """Version that the server claims to have."""

    machine_name: str = "MAILSTORE"
    """Computer name that the server claims to have."""

    time_zone: str = "UTC"
    """Windows name of the zone that ``$Local`` stands for."""

    now: Callable[[], datetime] = field(default=_utc_now, repr=False, compare=False)
    """The clock: returns the time, aware."""

    users: dict[str, User] = field(default_factory=dict[str, User])
    """Users by login name."""

    sessions: list[Session] = field(default_factory=list[Session])
    """Sessions of users who are logged on."""

    credentials: list[Credential] = field(default_factory=list[Credential])
    """Entries of the credential manager."""

    folders: dict[str, Folder] = field(default_factory=dict[str, Folder])
    """Archive folders by path; the folders above one are always there, too."""

    stores: dict[int, Store] = field(default_factory=dict[int, Store])
    """Archive stores by identifier. The messages in them are those of the folders."""

    detached_stores: list[Store] = field(default_factory=list[Store])
    """Stores that are not attached but could be."""

    jobs: dict[int, Job] = field(default_factory=dict[int, Job])
    """Jobs by identifier."""

    job_runs: list[JobRun] = field(default_factory=list[JobRun])
    """Runs of jobs, oldest first."""

    profiles: dict[int, Profile] = field(default_factory=dict[int, Profile])
    """Profiles by identifier."""

    profile_runs: list[ProfileRun] = field(default_factory=list[ProfileRun])
    """Runs of profiles, oldest first."""

    directory: Directory = field(default_factory=Directory)
    """Directory services."""

    compliance: dict[str, JsonValue] = field(default_factory=configuration.default_compliance)
    """The compliance settings, as JSON."""

    retention: JsonValue = field(default_factory=list[JsonValue])
    """The retention policies, as JSON."""

    smtp: dict[str, JsonValue] = field(default_factory=configuration.default_smtp, repr=False)
    """The settings for notifications as JSON, their password included."""

    store_auto_create: dict[str, JsonValue] = field(default_factory=default_auto_create)
    """The settings for automatic creation of stores, as JSON."""

    service: Service = field(default_factory=Service)
    """How the service is set up."""

    license: License = field(default_factory=License)
    """The licence."""

    outbox: list[Mail] = field(default_factory=list[Mail])
    """Messages that the server sent, oldest first."""

    audit_log: list[AuditEntry] = field(default_factory=list[AuditEntry])
    """What was done, oldest first."""

    lock: threading.RLock = field(default_factory=threading.RLock, repr=False, compare=False)
    """Held by the sandbox while a function runs, for a long one during each of its steps."""

    _last_ids: dict[str, int] = field(default_factory=dict[str, int], init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not any((self.users, self.folders, self.stores, self.jobs, self.profiles)):
            self._furnish(self.now())
        for table in ("jobs", "profiles", "stores"):
            self._last_ids[table] = max(getattr(self, table), default=0)

    def _furnish(self, now: datetime) -> None:
        self.users = accounts.example_users()
        self.sessions = self.sessions or accounts.example_sessions(now)
        self.credentials = self.credentials or accounts.example_credentials(now)
        self.folders = archive.example_folders(now)
        self.stores = example_stores()
        self.detached_stores = self.detached_stores or example_detached_stores(now)
        count(self.folders, self.stores.values())
        self.jobs = example_jobs(now)
        self.job_runs = self.job_runs or example_job_runs(now)
        self.profiles = example_profiles()
        self.profile_runs = self.profile_runs or example_profile_runs(now)
        self.directory = self.directory if self.directory.users else configuration.example_directory()
        self.retention = self.retention or configuration.example_retention()
        self.smtp = self.smtp if self.smtp != configuration.default_smtp() else configuration.example_smtp()

    @classmethod
    def empty(cls, now: Callable[[], datetime] = _utc_now) -> Self:
        """Return what a fresh installation has: the administrator and the first store.

        Args:
            now: The clock.
        """
        return cls(now=now, users={"admin": accounts.first_administrator()}, stores=first_stores())

    def next_id(self, table: str, taken: Iterable[int] = ()) -> int:
        """Return a number that nothing in a table has or ever had.

        Args:
            table: Name of the table, such as ``"jobs"``.
            taken: The numbers that it has.
        """
        self._last_ids[table] = max(self._last_ids.get(table, 0), *taken, 0) + 1
        return self._last_ids[table]

    def audit(self, activity: AuditActivity, text: str) -> None:
        """Write a line into the audit log."""
        self.audit_log.append(AuditEntry(self.now(), activity, text))

    # ------------------------------------------------------------------------------- messages

    def is_writable(self, message: Message) -> bool:
        """Return whether the store of a message lets it be deleted and moved."""
        store = self.stores.get(message.store_id)
        return store is not None and store.is_writable

    def delete(self, folder: Folder, message: Message) -> None:
        """Take a message out of the archive; its store keeps what a recovery needs."""
        folder.messages.remove(message)
        self.stores[message.store_id].deleted.append(PlacedMessage(folder.path, message))

    # --------------------------------------------------------------------------------- logins

    def set_administrator(self, user_name: str, password: str) -> None:
        """Make sure that a user exists who may use the API with this password."""
        user = self.users.setdefault(user_name, User(user_name))
        user.password = password
        user.authentication = UserAuthentication.INTEGRATED
        user.privileges = [UserPrivilege.ADMIN]
        user.login_privileges = [way for way in LoginPrivilege if way is not LoginPrivilege.NONE]

    def login(self, user_name: str, password: str) -> Login:
        """Return whether a user may use the API."""
        user = self.users.get(user_name)
        if user is None or not any(_is_same(password, each) for each in self._passwords_of(user)):
            return Login.WRONG
        if user.is_administrator and LoginPrivilege.API in user.login_privileges:
            return Login.ACCEPTED
        return Login.NOT_ALLOWED

    def _passwords_of(self, user: User) -> list[str]:
        """Return what a user may log on with, app passwords included."""
        if user.authentication == UserAuthentication.DIRECTORY_SERVICES:
            known = (each for each in self.directory.users if each.account_name == user.user_name)
            return [*(each.password for each in known if each.enabled), *user.app_passwords]
        return [user.password, *user.app_passwords]


def _is_same(given: str, password: str) -> bool:
    # Nobody logs on with an empty password, which only says that none was set.
    return password != "" and hmac.compare_digest(given.encode(), password.encode())
