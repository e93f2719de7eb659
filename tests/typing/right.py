"""The package as its users write it, with the type of everything; strict checkers find nothing here.

Nothing below is executed. `tests/test_typing.py` checks it without any settings of this project.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import datetime, time
from pathlib import Path
from typing import Any, assert_type
from zoneinfo import ZoneInfo

from pydantic import JsonValue, SecretStr, TypeAdapter

import mailstore
from mailstore import Exchange, MailStoreError, MailStoreServer, Outcome, RetryPolicy, Settings, Task, errors, models
from mailstore.models import (
    CreateUser,
    GetActiveSessions,
    GetServerInfo,
    GetUserInfo,
    GetUsers,
    InitializeMFA,
    LoginPrivilege,
    Request,
    Response,
    ServerInfo,
    SetUserPassword,
    StatusCode,
    StatusEnvelope,
    StoreRequestedState,
    UserAuthentication,
    UserInfo,
    UserListEntry,
    UserPrivilege,
    VerifyStore,
)
from mailstore.pipelines import (
    LinesError,
    load_requests,
    read_requests,
    request_adapter,
    request_line,
    rows,
    write_csv,
    write_json_lines,
)
from mailstore.sandbox import Sandbox
from mailstore.schema import api_schema


def ways_to_a_server() -> None:
    assert_type(MailStoreServer("archive.example.com", password="secret"), MailStoreServer)
    MailStoreServer("192.0.2.1", port=8463, username="admin", password=SecretStr("secret"), verify=Path("ca.pem"))
    MailStoreServer("192.0.2.1", password=lambda: "secret", verify="system", timeout=(5, 60), deadline=3600)
    MailStoreServer("192.0.2.1", password="secret", fingerprint="sha256:9F", retry=RetryPolicy(attempts=1))
    assert_type(MailStoreServer.from_env(), MailStoreServer)
    settings = Settings("archive.example.com", "secret")
    with MailStoreServer.from_settings(settings) as server:
        assert_type(server, MailStoreServer)
        assert_type(server.settings, Settings)
        assert_type(server.with_options(timeout=600), MailStoreServer)


def the_methods(server: MailStoreServer) -> None:
    assert_type(server.get_server_info(), ServerInfo)
    assert_type(server.get_server_info().version_info, tuple[int, ...])
    assert_type(server.get_users(), list[UserListEntry])
    for user in server.get_users():
        assert_type(user.user_name, str)
        assert_type(user.full_name, str | None)
        assert_type(server.get_user_info(user.user_name).email_addresses, list[str])
    info = server.get_user_info(user_name="john.doe")
    assert_type(info, UserInfo)
    assert_type(info.privileges, list[UserPrivilege])
    assert_type(info["emailAddresses"], Any)
    assert_type("emailAddresses" in info, bool)
    assert_type(server.get_active_sessions(), JsonValue)
    assert_type(server.initialize_mfa("john.doe").get_secret_value(), JsonValue)
    for run in server.get_worker_results(datetime(2026, 1, 1), "2026-02-01T00:00:00", time_zone_id="Europe/Berlin"):
        assert_type(run.in_zone(ZoneInfo("Europe/Berlin")).start_time, datetime)
        assert_type(run.profile_id, int | None)


def values_in_every_form(server: MailStoreServer, names: Iterator[str]) -> None:
    server.create_user("x", "login,archive", authentication="integrated")
    server.create_user("x", ["login", UserPrivilege.ARCHIVE], authentication=UserAuthentication.INTEGRATED)
    server.create_user("x", {UserPrivilege.LOGIN}, login_privileges=(LoginPrivilege.WEB, "imap"))
    server.create_user("x", [], password=SecretStr("secret"))
    server.set_user_email_addresses("x", email_addresses=names)
    server.set_store_requested_state(1, requested_state="writeProtected")
    server.set_store_requested_state(1, requested_state=StoreRequestedState("newest"))
    server.create_job("x", "VerifyStores", "admin", ZoneInfo("Europe/Berlin"), time=time(3, 30), day_of_week="Monday")
    server.create_job("x", "VerifyStores", "admin", "$Local", interval=60)
    server.set_smtp_settings({"password": "secret"})
    server.set_smtp_settings(server.get_smtp_settings().model_copy(update={"password": SecretStr("secret")}))


def requests() -> None:
    assert_type(GetUserInfo(user_name="x"), GetUserInfo)
    request: Request[UserInfo] = GetUserInfo(user_name="x")
    anything: list[Request[object]] = [request, GetUsers(), VerifyStore(id=3)]
    assert_type(CreateUser(user_name="x", privileges=["login"], full_name=None).function, str)
    assert_type(SetUserPassword.model_validate({"userName": "x", "password": "secret"}), SetUserPassword)
    assert_type(anything[0].repeatable, bool)
    assert_type(request.to_wire(), dict[str, Any])


def ways_of_a_call(server: MailStoreServer, request: Request[UserInfo]) -> None:
    assert_type(server.run(request), UserInfo)
    assert_type(server.run(GetUserInfo(user_name="x"), deadline=60, on_progress=print), UserInfo)
    assert_type(server.run(GetUsers()), list[UserListEntry])
    server.run(VerifyStore(id=3))
    assert_type(server.invoke(GetServerInfo()), StatusEnvelope[ServerInfo])
    assert_type(server.exchange(GetServerInfo()), Exchange[ServerInfo])
    assert_type(server.exchange(GetServerInfo()).http.elapsed, float)
    assert_type(server.call("Newest", {"id": 1}).result, JsonValue)


def tasks(server: MailStoreServer) -> None:
    task = server.start(VerifyStore(id=3))
    assert_type(task, Task[None])
    for status in task:
        assert_type(status, StatusEnvelope[None])
        assert_type(status.log_output, str | None)
        assert_type(status.percent_progress, int | None)
    assert_type(task.token, str | None)
    assert_type(task.status, StatusEnvelope[None] | None)
    assert_type(task.wait(60, print), StatusEnvelope[None])
    assert_type(server.start(GetUsers()).result(timeout=60), list[UserListEntry])
    assert_type(server.resume("0" * 32, GetUserInfo), Task[UserInfo])
    assert_type(server.resume("0" * 32, status_version=7), Task[JsonValue])


def many(server: MailStoreServer, names: list[str]) -> None:
    for outcome in server.run_many(GetUserInfo(user_name=name) for name in names):
        assert_type(outcome, Outcome[UserInfo])
        assert_type(outcome.request, Request[UserInfo])
        if outcome.ok:
            assert_type(outcome.result.email_addresses, list[str])
        assert_type(outcome.error, MailStoreError | None)
    with ProcessPoolExecutor() as processes:
        list(server.run_many([GetUsers()], executor=processes, max_workers=4))


def the_tutorials_client() -> None:
    client = mailstore.server.Client(username="admin", password="admin", host="127.0.0.1", port=8463)
    assert_type(client, mailstore.server.Client)
    status = client.GetUserInfo("john.doe")
    assert_type(status, StatusEnvelope[UserInfo])
    assert_type(status.result.email_addresses, list[str])
    assert_type(status["result"], UserInfo)
    assert_type(status["result"]["emailAddresses"], Any)
    assert_type(status["statusCode"], StatusCode)
    assert_type(status["statusVersion"], int)
    assert_type(status["token"], str | None)
    assert_type(status["error"], models.ErrorDetails | None)
    assert_type(status["anything"], Any)
    for user in client.GetUsers()["result"]:
        client.SetUserPrivilegesOnFolder(userName=user["userName"], folder=user.user_name, privileges="read")
    status_of_task = client.VerifyStore(3, autoHandleToken=False)
    while status_of_task.status_code == StatusCode.RUNNING:
        status_of_task = client.GetStatus(status_of_task)
    assert_type(status_of_task, StatusEnvelope[None])
    assert_type(client.GetStatus(status, waitTime=100), StatusEnvelope[UserInfo])
    for update in client.YieldStatus(status_of_task):
        assert_type(update, StatusEnvelope[None])
    mailstore.server.Client("admin", "secret", callbackStatus=client.CancelAsync, ignoreInvalidSSLCerts=True)


def what_can_go_wrong(server: MailStoreServer) -> str | None:
    try:
        server.delete_user("nobody")
    except errors.DeadlineExceededError as late:
        assert_type(late.task, Task[Any] | None)
        return late.token
    except errors.CertificateError as untrusted:
        return untrusted.fingerprint
    except errors.ApiError as error:
        assert_type(error.http_status, int | None)
        return error.details
    except mailstore.MailStoreError as error:
        assert_type(error.earlier, tuple[MailStoreError, ...])
        assert_type(error.envelope, StatusEnvelope[Any] | None)
        return error.hint
    return None


def enumerations(state: StoreRequestedState) -> int:
    assert_type(state.is_known, bool)
    text: str = state
    match state:
        case StoreRequestedState.CURRENT | StoreRequestedState.NORMAL:
            return len(text)
        case _:
            return 0


def pipelines(server: MailStoreServer, stream: io.StringIO) -> None:
    try:
        requests = load_requests(stream, source="requests.jsonl")
    except LinesError as error:
        assert_type(error.problems[0].line, int)
        return
    assert_type(requests, list[Request[object]])
    assert_type(read_requests(stream), Iterator[Request[object]])
    assert_type(server.run_many(requests), Iterator[Outcome[object]])
    assert_type(write_json_lines(server.run_many(requests), stream), int)
    assert_type(write_json_lines(server.run_many([GetUsers()]), stream, reveal=True), int)
    assert_type(write_csv(server.get_users(), stream, columns=["userName"]), int)
    assert_type(list(rows(server.get_stores())), list[dict[str, str]])
    assert_type(request_line(GetActiveSessions(), reveal=True), str)
    assert_type(request_adapter(), TypeAdapter[Request[object]])
    assert_type(api_schema(), dict[str, JsonValue])


def other_modules_are_names_of_the_package() -> None:
    assert_type(mailstore.models.InitializeMFA, type[InitializeMFA])
    assert_type(mailstore.errors.MailStoreError("x").message, str)
    assert_type(mailstore.pipelines.rows([Response()]), Iterator[dict[str, str]])
    assert_type(mailstore.__version__, str)


def a_test_of_my_own() -> None:
    with Sandbox() as sandbox:
        assert_type(sandbox, Sandbox)
        server = MailStoreServer(
            sandbox.host, port=sandbox.port, password=sandbox.password, fingerprint=sandbox.fingerprint
        )
        server.close()
