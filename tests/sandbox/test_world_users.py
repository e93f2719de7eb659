from __future__ import annotations

from collections.abc import Iterator

import pytest

from mailstore import MailStoreServer
from mailstore.errors import AuthenticationError
from mailstore.models.users import FolderPrivilege, LoginPrivilege, UserAuthentication, UserPrivilege
from mailstore.sandbox import Sandbox, World
from tests.sandbox.clients import connected, scripted
from tests.sandbox.expecting import fails, logged_on
from tests.sandbox.raw import Raw


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def server(sandbox: Sandbox) -> Iterator[MailStoreServer]:
    with connected(sandbox) as server:
        yield server


def test_the_tutorial_lists_the_addresses_of_all_users(sandbox: Sandbox) -> None:
    with scripted(sandbox) as client:
        addresses: list[str] = []
        for user in client.GetUsers()["result"]:
            addresses += client.GetUserInfo(user["userName"])["result"]["emailAddresses"]
    assert {"john.doe@example.com", "j.doe@example.com"} <= set(addresses)


def test_a_fresh_installation_has_the_administrator_alone() -> None:
    with Sandbox(world=World.empty()) as sandbox, connected(sandbox) as server:
        assert [user.user_name for user in server.get_users()] == ["admin"]
        assert server.get_folder_statistics() == []
        assert server.get_license_information().named_users == 1


def test_a_new_user_is_read_as_it_was_written(server: MailStoreServer) -> None:
    server.create_user(
        "eva",
        ["export", "login"],
        full_name="Eva Größe",
        distinguished_name="CN=Eva",
        authentication="directoryServices",
        password="secret",
        login_privileges=["web"],
    )
    server.set_user_email_addresses("eva", email_addresses=["eva@example.com", "e@example.com"])
    server.set_user_pop3_user_names("eva", pop3_user_names="eva,e")
    eva = server.get_user_info("eva")
    assert eva.to_wire() == {
        "userName": "eva",
        "fullName": "Eva Größe",
        "distinguishedName": "CN=Eva",
        "authentication": "directoryServices",
        "mfaStatus": "Disabled",
        "emailAddresses": ["eva@example.com", "e@example.com"],
        "pop3UserNames": ["eva", "e"],
        "privileges": ["login", "export"],
        "loginPrivileges": ["web"],
        "privilegesOnFolders": [],
    }
    with fails("User 'eva' already exists."):
        server.create_user("eva", "login")

    server.set_user_full_name("eva")
    server.set_user_distinguished_name("eva", distinguished_name="CN=E")
    server.set_user_authentication("eva", "integrated")
    server.set_user_email_addresses("eva")
    server.set_user_privileges("eva", "none")
    server.set_user_login_privileges("eva", [LoginPrivilege.IMAP, LoginPrivilege.WINDOWS])
    eva = server.get_user_info("eva")
    assert (eva.full_name, eva.distinguished_name, eva.email_addresses) == (None, "CN=E", [])
    assert eva.authentication == UserAuthentication.INTEGRATED
    assert eva.privileges == [UserPrivilege.NONE]
    assert eva.login_privileges == [LoginPrivilege.WINDOWS, LoginPrivilege.IMAP]
    listed = {user.user_name: user for user in server.get_users()}
    assert listed["eva"].distinguished_name == "CN=E"


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        ("GetUserInfo", {}),
        ("DeleteUser", {}),
        ("SetUserAuthentication", {"authentication": "integrated"}),
        ("SetUserDistinguishedName", {}),
        ("SetUserEmailAddresses", {"emailAddresses": "a@example.com"}),
        ("SetUserFullName", {"fullName": "X"}),
        ("SetUserPassword", {"password": "x"}),
        ("SetUserPop3UserNames", {}),
        ("SetUserPrivileges", {"privileges": "login"}),
        ("SetUserLoginPrivileges", {"loginPrivileges": "web"}),
        ("SetUserPrivilegesOnFolder", {"folder": "john.doe", "privileges": "read"}),
        ("ClearUserPrivilegesOnFolders", {}),
        ("InitializeMFA", {}),
        ("DisableMFA", {}),
        ("DeleteAppPasswords", {}),
    ],
)
def test_nothing_can_be_done_with_a_user_who_does_not_exist(raw: Raw, function: str, arguments: dict[str, str]) -> None:
    status = raw.invoke(function, userName="nobody", **arguments)
    assert (status["statusCode"], status["result"]) == ("failed", None)
    assert status["error"]["message"] == "User 'nobody' does not exist."
    assert raw.invoke(function, **arguments)["error"]["message"] == "Missing API argument userName."


def test_rights_on_folders(server: MailStoreServer) -> None:
    server.create_user("eva", "login")
    server.set_user_privileges_on_folder("eva", "john.doe", ["write", "read"])
    # The own archive may be named before there is a message in it.
    server.set_user_privileges_on_folder("eva", "eva", "read, write, delete")
    everything = [FolderPrivilege.READ, FolderPrivilege.WRITE, FolderPrivilege.DELETE]
    assert [(entry.folder, entry.privileges) for entry in server.get_user_info("eva").privileges_on_folders or []] == [
        ("eva", everything),
        ("john.doe", everything[:2]),
    ]
    server.set_user_privileges_on_folder("eva", "john.doe", "none")
    assert [entry.folder for entry in server.get_user_info("eva").privileges_on_folders or []] == ["eva"]
    with fails("Folder 'john.doe/Inbox' is not a folder of the first level."):
        server.set_user_privileges_on_folder("eva", "john.doe/Inbox", "read")
    with fails("Folder 'nowhere' does not exist."):
        server.set_user_privileges_on_folder("eva", "nowhere", "read")
    server.clear_user_privileges_on_folders("eva")
    assert server.get_user_info("eva").privileges_on_folders == []


def test_administrators_have_no_member_for_rights_on_folders(raw: Raw) -> None:
    assert "privilegesOnFolders" not in raw.invoke("GetUserInfo", userName="admin")["result"]
    raw.invoke("SetUserPrivileges", userName="john.doe", privileges="admin")
    assert "privilegesOnFolders" not in raw.invoke("GetUserInfo", userName="john.doe")["result"]
    raw.invoke("SetUserPrivileges", userName="john.doe", privileges="login")
    assert raw.invoke("GetUserInfo", userName="john.doe")["result"]["privilegesOnFolders"] == [
        {"folder": "john.doe", "privileges": ["read", "write"]}
    ]


def test_a_deleted_user_leaves_the_archive_behind(server: MailStoreServer) -> None:
    before = server.get_folder_statistics()
    server.delete_user("john.doe")
    assert server.get_folder_statistics() == before
    with fails("User 'john.doe' does not exist."):
        server.get_user_info("john.doe")
    assert "john.doe" not in str(server.get_active_sessions())
    with fails("The last administrator cannot be deleted."):
        server.delete_user("admin")


def test_a_renamed_user_keeps_everything_but_the_name_of_the_archive(server: MailStoreServer) -> None:
    before = server.get_user_info("john.doe")
    server.rename_user("john.doe", "jon")
    assert server.get_user_info("jon") == before.model_copy(update={"user_name": "jon"})
    assert "john.doe" in [row.folder for row in server.get_folder_statistics()]
    assert {profile.owner for profile in server.get_profiles()} >= {"jon"}
    assert "john.doe" not in [profile.owner for profile in server.get_profiles()]
    with fails("User 'john.doe' does not exist."):
        server.rename_user("john.doe", "other")
    with fails("User 'jane.roe' already exists."):
        server.rename_user("jon", "jane.roe")


def test_a_password_counts_from_the_next_call_on(sandbox: Sandbox, server: MailStoreServer) -> None:
    server.set_user_password("admin", "new")
    with pytest.raises(AuthenticationError):
        server.get_users()
    with logged_on(sandbox, "admin", "new") as again:
        assert again.get_user_info("admin").user_name == "admin"


def test_only_administrators_with_the_api_among_their_ways_to_log_on_may_use_it(
    sandbox: Sandbox, server: MailStoreServer
) -> None:
    server.create_user("eva", "admin", password="secret", login_privileges="web,api")
    with logged_on(sandbox, "eva", "secret") as eva:
        eva.get_users()
        server.set_user_login_privileges("eva", "web")
        with pytest.raises(AuthenticationError):
            eva.get_users()
        server.set_user_login_privileges("eva", "api")
        eva.get_users()
        server.set_user_privileges("eva", "login")
        with pytest.raises(AuthenticationError):
            eva.get_users()
        server.set_user_privileges("eva", "admin")
        # Nobody by that name is in the directory, whatever password the archive knows.
        server.set_user_authentication("eva", "directoryServices")
        with pytest.raises(AuthenticationError):
            eva.get_users()


def test_users_without_a_password_cannot_log_on(sandbox: Sandbox, raw: Raw) -> None:
    raw.invoke("CreateUser", userName="eva", privileges="admin", loginPrivileges="api")
    raw.headers["Authorization"] = "Basic ZXZhOg=="
    assert raw.send("/api/invoke/GetUsers").status == 401


def test_multi_factor_authentication_and_app_passwords(sandbox: Sandbox, server: MailStoreServer) -> None:
    def status() -> tuple[str | None, str | None]:
        listed = next(user for user in server.get_users() if user.user_name == "eva")
        return listed.mfa_status, server.get_user_info("eva").mfa_status

    server.create_user("eva", "admin", login_privileges="api")
    secret = server.initialize_mfa("eva")
    assert "Secret" in repr(secret)
    assert status() == ("Enabled", "Enabled")
    assert server.initialize_mfa("eva").get_secret_value() != secret.get_secret_value()
    server.disable_mfa("eva")
    assert status() == ("Disabled", "Disabled")

    with sandbox.world.lock:
        sandbox.world.users["eva"].app_passwords.append("for this program")
    with logged_on(sandbox, "eva", "for this program") as eva:
        eva.get_users()
        server.delete_app_passwords("eva")
        with pytest.raises(AuthenticationError):
            eva.get_users()
