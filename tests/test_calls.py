"""The ways that a call can go through `MailStoreServer`, and the life of a client."""

from __future__ import annotations

import codecs
import json
import logging
import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import pytest

from mailstore import Exchange, MailStoreServer, RetryPolicy
from mailstore.errors import (
    ArgumentError,
    ClientClosedError,
    ConfigurationError,
    FunctionFailedError,
    MissingArgumentError,
    ProtocolError,
    RequestTimeoutError,
    TaskRunningError,
    UnknownFunctionError,
)
from mailstore.models import CreateUser, GetServerInfo, GetUserInfo, ServerInfo, StatusEnvelope, VerifyStore
from mailstore.sandbox import Fault, FaultKind, Pace, Sandbox
from tests.support import BROKEN, LOG, LONG, QUICK, FakeClock, another_client, collected, settings_for

# ------------------------------------------------------------------------------ the ways to call


def test_a_method_returns_the_parsed_result(server: MailStoreServer, sandbox: Sandbox) -> None:
    info = server.get_server_info()
    assert isinstance(info, ServerInfo)
    assert info.version == sandbox.world.server_version
    assert [user.user_name for user in server.get_users()] == list(sandbox.world.users)
    assert server.get_user_info("admin").user_name == "admin"


def test_invoke_returns_the_envelope_of_one_exchange(server: MailStoreServer, sandbox: Sandbox, pace: Pace) -> None:
    quick = server.invoke(QUICK)
    assert quick.status_code == "succeeded"
    assert quick.result == server.run(QUICK)
    running = server.invoke(LONG)
    assert running.is_running
    assert running["result"] is None
    with pytest.raises(TaskRunningError) as caught:
        _ = running.result
    assert caught.value.token == running.token
    assert not sandbox.calls.of("get-status")


def test_run_waits_and_start_does_not(server: MailStoreServer, sandbox: Sandbox, pace: Pace) -> None:
    task = server.start(LONG)
    assert not task.done
    assert not sandbox.calls.of("get-status")
    seen: list[StatusEnvelope[Any]] = []
    assert server.run(LONG, on_progress=collected(seen, pace.step)) is None
    assert seen[-1].status_code == "succeeded"


def test_a_function_that_fails_raises_whichever_way_it_is_called(server: MailStoreServer) -> None:
    nobody = GetUserInfo(user_name="nobody")
    ways: list[Callable[[], object]] = [
        lambda: server.run(nobody),
        lambda: server.start(nobody),
        lambda: server.invoke(nobody),
        lambda: server.exchange(nobody),
        lambda: server.get_user_info("nobody"),
        lambda: server.call("GetUserInfo", {"userName": "nobody"}),
        lambda: server.run(VerifyStore(id=BROKEN)),
        lambda: server.start(VerifyStore(id=BROKEN)),
    ]
    for way in ways:
        with pytest.raises(FunctionFailedError) as caught:
            way()
        assert caught.value.function in {"GetUserInfo", "VerifyStore"}
        assert caught.value.server == server.settings.server
        assert caught.value.envelope is not None
        assert caught.value.details


def test_exchange_gives_the_raw_answer_beside_the_parsed_one(server: MailStoreServer) -> None:
    answer: Exchange[ServerInfo] = server.exchange(GetServerInfo())
    assert answer.http.status == 200
    assert answer.http.headers["content-type"] == answer.http.headers["Content-Type"] == "application/json"
    # All of it but the byte order mark, so that json.loads takes it as it is.
    assert int(answer.http.headers["Content-Length"]) == len(codecs.BOM_UTF8) + len(answer.http.body)
    assert answer.http.elapsed > 0
    decoded = json.loads(answer.http.body)
    assert decoded == answer.envelope.model_dump(mode="json")
    assert answer.envelope.result.version == decoded["result"]["version"]
    assert decoded["result"]["version"] not in repr(answer.http), "a body may hold secrets"


# ------------------------------------------------------------- functions that nobody knows here


def test_call_reaches_any_function_by_its_name(server: MailStoreServer, sandbox: Sandbox, pace: Pace) -> None:
    status = server.call("GetUserInfo", {"userName": "admin", "ignored": None})
    assert isinstance(status.result, dict)
    assert status.result["userName"] == "admin"
    assert dict(sandbox.calls[-1].arguments) == {"userName": "admin"}
    running = server.call("VerifyStore", {"id": 3, "includeIndexes": False})
    assert running.token is not None
    pace.finish()
    task = server.resume(running.token)
    assert task.wait().status_code == "succeeded"
    assert task.log == LOG


def test_call_writes_arguments_as_the_api_does(server: MailStoreServer, sandbox: Sandbox) -> None:
    with pytest.raises(UnknownFunctionError):
        server.call(
            "Newest",
            {
                "text": "ä&=+",
                "empty": "",
                "yes": True,
                "number": 0,
                "names": ["a", "b"],
                "rows": [{"a": 1}],
                "object": {"a": [None, True]},
                "date": datetime(2026, 1, 31, 23, 59, 59, 5),
            },
        )
    arrived = dict(sandbox.calls[-1].arguments)
    assert json.loads(arrived.pop("rows")) == [{"a": 1}]
    assert json.loads(arrived.pop("object")) == {"a": [None, True]}
    assert arrived == {
        "text": "ä&=+",
        "empty": "",
        "yes": "true",
        "number": "0",
        "names": "a,b",
        "date": "2026-01-31T23:59:59",
    }


@pytest.mark.parametrize("name", ["", "get-status", "../GetUsers", "Get Users", "GetUsers?x", "GetUsers\r\nX: y", "Ä"])
def test_call_takes_only_names_for_a_name(server: MailStoreServer, sandbox: Sandbox, name: str) -> None:
    with pytest.raises(ArgumentError, match="no name of a function") as caught:
        server.call(name)
    assert caught.value.argument == "function"
    assert len(sandbox.calls) == 0


def test_call_is_repeated_only_where_that_is_safe(server: MailStoreServer, sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault(FaultKind.RESET_AFTER, times=2))
    assert server.call("GetUsers").status_code == "succeeded"
    assert sandbox.calls.count_of("GetUsers") == 3
    sandbox.faults.add(Fault(FaultKind.RESET_AFTER))
    with pytest.raises(Exception, match="broke") as caught:
        server.call("DeleteUser", {"userName": "admin"})
    assert sandbox.calls.count_of("DeleteUser") == 1
    assert getattr(caught.value, "sent", None) is True


def test_a_missing_argument_is_told_by_the_server_for_functions_without_a_model(server: MailStoreServer) -> None:
    with pytest.raises(MissingArgumentError, match="userName"):
        server.call("GetUserInfo")


# --------------------------------------------------------------------------- options of one call


@pytest.mark.parametrize("way", ["run", "start", "invoke", "exchange", "call"])
def test_each_call_takes_a_timeout_of_its_own(server: MailStoreServer, sandbox: Sandbox, way: str) -> None:
    sandbox.faults.add(Fault(FaultKind.STALL_HEAD))
    calls: dict[str, Callable[[], object]] = {
        "run": lambda: server.run(QUICK, timeout=0.05),
        "start": lambda: server.start(QUICK, timeout=(10, 0.05)),
        "invoke": lambda: server.invoke(QUICK, timeout=0.05),
        "exchange": lambda: server.exchange(QUICK, timeout=0.05),
        "call": lambda: server.call("GetServerInfo", timeout=0.05),
    }
    with pytest.raises(RequestTimeoutError, match="no answer") as caught:
        calls[way]()
    assert isinstance(caught.value, TimeoutError)
    assert caught.value.function == "GetServerInfo"
    assert server.run(QUICK).version == sandbox.world.server_version, "the client is as good as before"


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), "5", True, (1,), (1, 2, 3), (1, 0), [1, 2]])
def test_a_timeout_that_is_none_is_refused_before_anything_is_sent(
    server: MailStoreServer, sandbox: Sandbox, timeout: Any
) -> None:
    with pytest.raises(ConfigurationError, match="timeout must be a number of seconds"):
        server.run(QUICK, timeout=timeout)
    with pytest.raises(ConfigurationError, match="timeout must be a number of seconds"):
        server.with_options(timeout=timeout)
    assert len(sandbox.calls) == 0


def test_a_deadline_bounds_the_first_exchange_too(sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault(FaultKind.STALL_HEAD, times=None))
    with another_client(sandbox) as server:
        for call in (
            lambda: server.run(QUICK, deadline=0.05),
            lambda: server.start(QUICK, deadline=0.05),
            lambda: server.with_options(deadline=0.05).run(QUICK),
        ):
            with pytest.raises(RequestTimeoutError):
                call()


def test_with_options_makes_a_client_with_other_defaults_over_the_same_connections(
    server: MailStoreServer, sandbox: Sandbox
) -> None:
    other = server.with_options(timeout=(1, 2), deadline=3, poll_wait=4, retry=RetryPolicy(attempts=1))
    assert (other.settings.timeouts, other.settings.deadline, other.settings.poll_wait) == ((1, 2), 3, 4)
    assert server.settings == settings_for(sandbox), "the first one is as before"
    assert other.with_options(deadline=None).settings.deadline is None
    assert other.with_options(deadline=None).settings.timeouts == (1, 2)
    server.run(QUICK)
    other.run(QUICK)
    assert sandbox.connections.accepted == 1
    sandbox.faults.add(Fault(FaultKind.RESET_AFTER, times=2))
    with pytest.raises(Exception, match="broke"):
        other.run(QUICK)
    assert sandbox.calls.count_of("GetServerInfo") == 3


def test_with_options_cannot_change_the_connections(server: MailStoreServer) -> None:
    wrong: dict[str, Any] = {"password": "other", "nonsense": 1}
    with pytest.raises(ConfigurationError, match="cannot change nonsense, password, only deadline, on_progress"):
        server.with_options(**wrong)


def test_retries_are_told_by_the_log_and_kept_in_the_error(
    server: MailStoreServer, sandbox: Sandbox, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    sandbox.faults.add(Fault(FaultKind.RESET_AFTER, times=None))
    with caplog.at_level(logging.WARNING, "mailstore"), pytest.raises(Exception, match="attempt 3") as caught:
        server.run(QUICK)
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 2
    assert clock.pauses == [0.25, 0.5]
    assert len(getattr(caught.value, "earlier", ())) == 2


# ----------------------------------------------------------------------------- life and death


def test_making_a_client_sends_nothing_and_a_client_shows_no_password(sandbox: Sandbox) -> None:
    client = MailStoreServer(sandbox.host, port=sandbox.port, password="hunter2!", fingerprint=sandbox.fingerprint)
    assert repr(client) == f"MailStoreServer('{sandbox.host}:{sandbox.port}', username='admin')"
    assert "hunter2!" not in repr(client.settings)
    assert sandbox.connections.accepted == 0


def test_closing_releases_the_connections_and_use_after_that_is_a_clear_error(
    server: MailStoreServer, sandbox: Sandbox, pace: Pace
) -> None:
    with server as same:
        assert same is server
        task = server.start(LONG)
        other = server.with_options(timeout=1)
    sandbox.connections.wait_until_closed()
    arrived = len(sandbox.calls)
    ways: list[Callable[[], object]] = [
        server.get_server_info,
        lambda: server.run(QUICK),
        lambda: server.call("GetUsers"),
        lambda: other.run(QUICK),
        task.poll,
        task.cancel,
        lambda: next(server.run_many([QUICK])).result,
    ]
    for way in ways:
        with pytest.raises(ClientClosedError, match="was closed") as caught:
            way()
        assert isinstance(caught.value, RuntimeError)
    server.close()
    assert len(sandbox.calls) == arrived
    assert sandbox.connections.open == 0


def test_a_task_outlives_its_client(server: MailStoreServer, sandbox: Sandbox, pace: Pace) -> None:
    token = server.start(LONG).token
    server.close()
    pace.finish()
    with another_client(sandbox) as other:
        assert other.resume(token or "", VerifyStore).wait().status_code == "succeeded"


def test_connections_are_kept_and_shared_by_threads(server: MailStoreServer, sandbox: Sandbox) -> None:
    with ThreadPoolExecutor(8) as threads:
        calls = [threads.submit(server.get_server_info) for _ in range(200)]
        answers = {call.result().version for call in calls}
    assert answers == {sandbox.world.server_version}
    assert 1 <= sandbox.connections.accepted <= 8


def test_a_client_pickles_as_its_settings_and_makes_connections_of_its_own(
    server: MailStoreServer, sandbox: Sandbox
) -> None:
    with pickle.loads(pickle.dumps(server)) as copy:  # noqa: S301 - our own
        assert isinstance(copy, MailStoreServer)
        assert copy.settings == server.settings
        assert copy.run(QUICK) == server.run(QUICK)
    assert sandbox.connections.accepted == 2


def test_an_argument_that_the_api_does_not_allow_is_refused_before_anything_is_sent(
    server: MailStoreServer, sandbox: Sandbox
) -> None:
    wrong: Any = "everything"
    with pytest.raises(ArgumentError, match="privileges") as caught:
        server.create_user("ann", wrong, password="hunter2!")
    assert caught.value.function == CreateUser.function
    assert "hunter2!" not in str(caught.value)
    assert len(sandbox.calls) == 0


def test_an_answer_that_is_no_envelope_is_told_by_its_beginning(server: MailStoreServer, sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault(FaultKind.HTML))
    with pytest.raises(ProtocolError) as caught:
        server.run(QUICK)
    assert caught.value.http_status == 200
    assert "another server" in (caught.value.body or "")
