"""The sandbox beside a model of its users that fits on a page: whatever is done to both, they agree.

The sandbox is driven through the client, over TLS, on good days and on bad ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from mailstore import MailStoreServer
from mailstore.errors import AuthenticationError, ConnectionFailedError, FunctionFailedError, ServerUnavailableError
from mailstore.models import (
    ClearUserPrivilegesOnFolders,
    CreateUser,
    DeleteUser,
    FolderPrivilege,
    LoginPrivilege,
    RenameUser,
    SetUserDistinguishedName,
    SetUserEmailAddresses,
    SetUserFullName,
    SetUserLoginPrivileges,
    SetUserPassword,
    SetUserPop3UserNames,
    SetUserPrivileges,
    SetUserPrivilegesOnFolder,
    UserPrivilege,
)
from mailstore.models.base import Request
from mailstore.sandbox import Fault, FaultKind, Sandbox
from tests.faulty import ONCE
from tests.support import settings_for

NOT_CARRIED_OUT = (FaultKind.RESET_BEFORE, FaultKind.ANSWER)
CARRIED_OUT = (FaultKind.RESET_AFTER, FaultKind.RESET_INSIDE, FaultKind.CUT_BODY)

NAMES = ["zoë müller", "a+b&c=d%41", 'o\'neil "x"']

days = st.sampled_from([*[None] * 6, *NOT_CARRIED_OUT, *CARRIED_OUT])
names = st.sampled_from(NAMES)
texts = st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
lists = st.lists(st.sampled_from(["a@example.com", "ü@example.com", "x y", "'", '"', "&=%+"]), max_size=3)
privileges = st.sampled_from(
    [set[UserPrivilege](), {UserPrivilege.ADMIN}, {UserPrivilege.LOGIN, UserPrivilege.EXPORT, UserPrivilege.DELETE}]
)
ways = st.sampled_from([set[LoginPrivilege](), {LoginPrivilege.API}, {LoginPrivilege.WEB, LoginPrivilege.IMAP}])
rights = st.sampled_from(
    [set[FolderPrivilege](), {FolderPrivilege.READ}, {FolderPrivilege.READ, FolderPrivilege.WRITE}]
)
passwords = st.sampled_from(["", "pässwörd", "a:b 100%41+"])


@dataclass
class Person:
    """What the model knows about a user."""

    privileges: set[UserPrivilege]
    full_name: str | None = None
    distinguished_name: str | None = None
    email_addresses: list[str] = field(default_factory=list[str])
    pop3_user_names: list[str] = field(default_factory=list[str])
    login_privileges: set[LoginPrivilege] | None = None
    """`None` for what the server gives to those for whom nothing was said."""
    folders: dict[str, set[FolderPrivilege]] = field(default_factory=dict[str, "set[FolderPrivilege]"])
    password: str = ""


class Users(RuleBasedStateMachine):
    """Does the same to the sandbox and to the model."""

    @initialize()
    def begin(self) -> None:
        self.sandbox = Sandbox().start()
        self.settings = settings_for(self.sandbox).changed(retry=ONCE)
        self.server = MailStoreServer.from_settings(self.settings)
        self.others = {user.user_name for user in self.server.get_users()}
        self.people: dict[str, Person] = {}
        self.steps = 0
        for name in NAMES[:-1]:
            self.create(name, None, None, {UserPrivilege.LOGIN}, {LoginPrivilege.API}, "pässwörd")

    def teardown(self) -> None:
        self.server.close()
        self.sandbox.connections.wait_until_closed()
        self.sandbox.stop()

    def write(self, request: Request[None], day: FaultKind | None, allowed: bool, change: Callable[[], object]) -> None:
        """Send a request that has to be accepted or refused; on a bad day, something happens to it."""
        before = self.sandbox.calls.count_of(request.function)
        if day is not None:
            self.sandbox.faults.add(Fault(day, request.function, status=503))
            with pytest.raises((ConnectionFailedError, ServerUnavailableError)):
                self.server.run(request)
        elif allowed:
            self.server.run(request)
        else:
            with pytest.raises(FunctionFailedError):
                self.server.run(request)
        assert self.sandbox.calls.count_of(request.function) == before + 1
        if allowed and day not in NOT_CARRIED_OUT:
            change()

    def change(self, request: Request[None], name: str, day: FaultKind | None, member: str, value: object) -> None:
        """Change one member of a user."""
        person = self.people.get(name)
        self.write(request, day, person is not None, lambda: setattr(person, member, value))

    @rule(name=names, day=days, full_name=texts, privileges=privileges, ways=st.none() | ways, password=passwords)
    def create(
        self,
        name: str,
        day: FaultKind | None,
        full_name: str | None,
        privileges: set[UserPrivilege],
        ways: set[LoginPrivilege] | None,
        password: str,
    ) -> None:
        person = Person(privileges, full_name, login_privileges=ways, password=password)
        request = CreateUser(
            user_name=name, privileges=privileges, full_name=full_name, login_privileges=ways, password=password
        )
        self.write(request, day, name not in self.people, lambda: self.people.update({name: person}))

    @rule(name=names, day=days)
    def delete(self, name: str, day: FaultKind | None) -> None:
        self.write(DeleteUser(user_name=name), day, name in self.people, lambda: self.people.pop(name))

    @rule(name=names, new=names, day=days)
    def rename(self, name: str, new: str, day: FaultKind | None) -> None:
        def change() -> None:
            self.people[new] = self.people.pop(name)

        allowed = name in self.people and (new == name or new not in self.people)
        self.write(RenameUser(old_user_name=name, new_user_name=new), day, allowed, change)

    @rule(name=names, day=days, which=st.integers(0, 3), text=texts, items=lists)
    def set_a_property(self, name: str, day: FaultKind | None, which: int, text: str | None, items: list[str]) -> None:
        if which == 0:
            self.change(SetUserFullName(user_name=name, full_name=text), name, day, "full_name", text)
        elif which == 1:
            request = SetUserDistinguishedName(user_name=name, distinguished_name=text)
            self.change(request, name, day, "distinguished_name", text)
        elif which == 2:
            addresses = SetUserEmailAddresses(user_name=name, email_addresses=items)
            self.change(addresses, name, day, "email_addresses", items)
        else:
            self.change(
                SetUserPop3UserNames(user_name=name, pop3_user_names=items), name, day, "pop3_user_names", items
            )

    @rule(name=names, day=days, privileges=privileges)
    def set_privileges(self, name: str, day: FaultKind | None, privileges: set[UserPrivilege]) -> None:
        request = SetUserPrivileges(user_name=name, privileges=privileges)
        self.change(request, name, day, "privileges", privileges)

    @rule(name=names, day=days, ways=ways)
    def set_login_privileges(self, name: str, day: FaultKind | None, ways: set[LoginPrivilege]) -> None:
        request = SetUserLoginPrivileges(user_name=name, login_privileges=ways)
        self.change(request, name, day, "login_privileges", ways)

    @rule(name=names, day=days, password=passwords)
    def set_password(self, name: str, day: FaultKind | None, password: str) -> None:
        self.change(SetUserPassword(user_name=name, password=password), name, day, "password", password)

    @rule(name=names, day=days, own=st.booleans(), other=names, rights=rights)
    def set_rights_on_folder(
        self, name: str, day: FaultKind | None, own: bool, other: str, rights: set[FolderPrivilege]
    ) -> None:
        folder = name if own else other

        def change() -> None:
            self.people[name].folders.pop(folder, None)
            if rights:
                self.people[name].folders[folder] = rights

        request = SetUserPrivilegesOnFolder(user_name=name, folder=folder, privileges=rights)
        # There are no archives but those of users who exist.
        self.write(request, day, name in self.people and folder in self.people, change)

    @rule(name=names, day=days)
    def clear_rights_on_folders(self, name: str, day: FaultKind | None) -> None:
        self.change(ClearUserPrivilegesOnFolders(user_name=name), name, day, "folders", {})

    @rule(often=st.integers(0, 4))
    def restart(self, often: int) -> None:
        if often == 0:
            self.sandbox.stop()
            self.sandbox.start()

    def may_log_on(self, name: str, person: Person) -> None:
        """Only an administrator who may use the API, has a password and knows it gets in."""
        if person.login_privileges is None or LoginPrivilege.API not in person.login_privileges:
            return  # as good as all the others, whom `log_on_in_vain` is about
        welcome = person.password != "" and UserPrivilege.ADMIN in person.privileges
        assert self.gets_in(name, person.password) == welcome

    @rule(name=names, password=passwords)
    def log_on_in_vain(self, name: str, password: str) -> None:
        person = self.people.get(name)
        if person is None or person.password != password or LoginPrivilege.API not in (person.login_privileges or ()):
            assert not self.gets_in(name, password)

    def gets_in(self, name: str, password: str) -> bool:
        with MailStoreServer.from_settings(self.settings.changed(username=name, password=password)) as server:
            try:
                server.get_server_info()
            except AuthenticationError:
                return False
            return True

    @invariant()
    def they_agree(self) -> None:
        listed = self.server.get_users()
        assert {user.user_name for user in listed} == self.others | self.people.keys()
        assert len(listed) == len(self.others) + len(self.people)
        full_names = {user.user_name: user.full_name for user in listed}
        self.steps += 1
        if (name := NAMES[self.steps % len(NAMES)]) in self.people:
            self.may_log_on(name, self.people[name])
        for name, person in self.people.items():
            assert full_names[name] == person.full_name
            info = self.server.get_user_info(name)
            assert (info.full_name, info.distinguished_name) == (person.full_name, person.distinguished_name)
            assert (info.email_addresses, info.pop3_user_names) == (person.email_addresses, person.pop3_user_names)
            assert set(info.privileges) == (person.privileges or {UserPrivilege.NONE})
            if person.login_privileges is not None:
                assert set(info.login_privileges or ()) == (person.login_privileges or {LoginPrivilege.NONE})
            if UserPrivilege.ADMIN in person.privileges:
                assert info.privileges_on_folders is None
            else:
                entries = {entry.folder: set(entry.privileges) for entry in info.privileges_on_folders or ()}
                assert entries == person.folders


Users.TestCase.settings = settings(
    max_examples=25, stateful_step_count=50, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestUsers = Users.TestCase
