"""The examples of MailStore's Python tutorial, in our own words: scripts that exist go on working."""

from __future__ import annotations

import ast
import inspect
import io
import re
from collections.abc import Callable
from typing import Any

import pytest

import mailstore
from mailstore.errors import (
    ArgumentError,
    AuthenticationError,
    CertificateError,
    ClientClosedError,
    ConfigurationError,
    FunctionFailedError,
    NoTokenError,
    SecurityWarning,
    TaskCancelledError,
    UnknownTokenError,
)
from mailstore.models import StatusEnvelope
from mailstore.sandbox import Behaviour, Fault, FaultKind, Pace, Sandbox
from mailstore.server import Client
from tests.support import BROKEN, LINES, LOG, FakeClock, collected, log_of

Status = StatusEnvelope[Any]
Connect = Callable[..., Client]


@pytest.fixture
def connect(sandbox: Sandbox) -> Connect:
    """Returns a function that makes a client of the sandbox with the arguments given."""

    def make(**arguments: Any) -> Client:
        address = dict[str, Any](password=sandbox.password, host=sandbox.host, port=sandbox.port)
        address["fingerprint"] = sandbox.fingerprint
        client = Client(**(address | arguments))
        client._engine.clock = FakeClock()
        return client

    return make


def task_of(client: Client, store: int = 3) -> Status:
    """Return the first status of a long call that is not waited for."""
    return client.VerifyStore(store, autoHandleToken=False)


# ------------------------------------------------------------------------------------- making one


def test_the_arguments_of_the_constructor_are_those_of_the_tutorial_in_its_order() -> None:
    parameters = inspect.signature(mailstore.server.Client).parameters.values()
    assert {each.name: each.default for each in parameters if each.kind is each.POSITIONAL_OR_KEYWORD} == {
        "username": "admin",
        "password": "admin",
        "host": "127.0.0.1",
        "port": 8463,
        "autoHandleToken": True,
        "waitTime": 1000,
        "callbackStatus": None,
        "logLevel": 2,
        "ignoreInvalidSSLCerts": False,
    }
    assert [each.name for each in parameters][:3] == ["username", "password", "host"]
    assert {each.name for each in parameters if each.kind is each.KEYWORD_ONLY} == {
        "verify",
        "fingerprint",
        "timeout",
        "raiseOnError",
    }


def test_a_client_is_made_with_defaults_by_name_and_by_position(sandbox: Sandbox) -> None:
    assert repr(Client()) == "Client(username='admin', host='127.0.0.1', port=8463)"
    by_name = Client(username="admin", password="admin", host="127.0.0.1", port=8463)
    assert repr(by_name) == repr(Client("admin", "admin", "127.0.0.1", 8463)) == repr(Client())
    with pytest.warns(SecurityWarning):
        by_position = Client("admin", sandbox.password, sandbox.host, sandbox.port, True, 1000, None, 2, True)
    assert by_position.GetServerInfo()["result"]["machineName"] == sandbox.world.machine_name
    by_position.close()


def test_making_a_client_sends_nothing(connect: Connect, sandbox: Sandbox) -> None:
    connect(username="nobody", password="wrong")
    assert sandbox.connections.accepted == 0


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"logLevel": 5}, "logLevel must be a number from 0 to 4"),
        ({"logLevel": -1}, "logLevel must be a number from 0 to 4"),
        ({"logLevel": 2.0}, "logLevel must be a number from 0 to 4"),
        ({"logLevel": True}, "logLevel must be a number from 0 to 4"),
        ({"waitTime": -1}, "waitTime must be a number of milliseconds"),
        ({"waitTime": "1000"}, "waitTime must be a number of milliseconds"),
        ({"port": "8463"}, "port must be a number"),
        ({"host": "https://archive"}, "host must be a host name"),
        ({"ignoreInvalidSSLCerts": True, "verify": "system"}, "contradict each other"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused(arguments: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        Client(**arguments)


def test_an_untrusted_certificate_is_an_error_unless_it_is_ignored_or_pinned(sandbox: Sandbox) -> None:
    with (
        Client(password=sandbox.password, host=sandbox.host, port=sandbox.port) as careful,
        pytest.raises(CertificateError) as caught,
    ):
        careful.GetServerInfo()
    assert caught.value.fingerprint == sandbox.fingerprint
    with pytest.warns(SecurityWarning, match="is not checked"):
        careless = Client(host=sandbox.host, port=sandbox.port, ignoreInvalidSSLCerts=True)
    with pytest.warns(SecurityWarning):
        Client(ignoreInvalidSSLCerts=True, verify=False)
    with careless:
        assert careless.GetServerInfo()["statusCode"] == "succeeded"
    with (
        Client(host=sandbox.host, port=sandbox.port, ignoreInvalidSSLCerts=True, fingerprint="ab" * 32) as pinned,
        pytest.raises(CertificateError, match="not the pinned one"),
    ):
        pinned.GetServerInfo()
    with Client(host=sandbox.host, port=sandbox.port, verify=sandbox.certificate) as trusting:
        assert trusting.GetServerInfo()["statusCode"] == "succeeded"


def test_a_closed_client_says_so(client: Client) -> None:
    client.GetServerInfo()
    client.close()
    with pytest.raises(ClientClosedError):
        client.GetServerInfo()


# ---------------------------------------------------------------------------------------- reading


def test_the_result_of_a_call_is_read_by_subscript_or_by_attribute(client: Client, sandbox: Sandbox) -> None:
    status = client.GetServerInfo()
    assert status["statusCode"] == "succeeded"
    assert status["result"]["version"] == status.result.version == sandbox.world.server_version
    assert status["error"] is None
    assert "token" in status
    assert "unknown" not in status
    assert status.get("unknown", 5) == 5


def test_an_envelope_prints_as_the_dictionary_that_it_was(
    client: Client, sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    print(client.GetServerInfo())
    printed = capsys.readouterr().out
    assert ast.literal_eval(printed) == {
        "error": None,
        "token": None,
        "statusVersion": 2,
        "statusCode": "succeeded",
        "percentProgress": None,
        "statusText": None,
        "result": {"version": sandbox.world.server_version, "machineName": sandbox.world.machine_name},
        "logOutput": None,
    }


def test_all_email_addresses_are_collected_as_in_the_tutorial(client: Client, sandbox: Sandbox) -> None:
    email_addresses: list[str] = []
    for user in client.GetUsers()["result"]:
        email_addresses += client.GetUserInfo(user["userName"])["result"]["emailAddresses"]
    assert email_addresses
    assert email_addresses == [address for user in sandbox.world.users.values() for address in user.email_addresses]


def test_with_raise_on_error_off_a_script_looks_at_the_status_itself(connect: Connect) -> None:
    with connect(raiseOnError=False) as client:
        there, missing = client.GetUserInfo("admin"), client.GetUserInfo("john.d'oh")
    assert there["statusCode"] == "succeeded"
    assert missing["statusCode"] == "failed"
    result: Any = missing["result"]
    error: Any = missing["error"]
    assert result is None
    assert "john.d'oh" in error["message"]
    assert error["details"].startswith("System.")


def test_by_default_a_call_that_fails_raises(client: Client) -> None:
    with pytest.raises(FunctionFailedError, match=r"john\.d'oh") as caught:
        client.GetUserInfo("john.d'oh")
    assert caught.value.function == "GetUserInfo"


def test_what_has_no_envelope_raises_even_with_raise_on_error_off(connect: Connect) -> None:
    with connect(raiseOnError=False, password="wrong") as client, pytest.raises(AuthenticationError):
        client.GetUsers()


def test_an_argument_that_the_api_does_not_allow_is_told_by_its_name_in_the_api(
    client: Client, sandbox: Sandbox
) -> None:
    with pytest.raises(ArgumentError, match="userName") as caught:
        client.GetUserInfo("")
    assert caught.value.argument == "userName"
    assert len(sandbox.calls) == 0


def test_the_functions_of_the_server_can_be_listed(client: Client) -> None:
    functions = {function["name"] for function in client.GetMetadata()["result"]}
    assert functions >= {"GetServerInfo", "GetUsers", "VerifyStore"}
    assert not functions & {"get-status", "cancel-async", "get-metadata"}


# --------------------------------------------------------------------- long calls: first way, auto


def test_long_calls_are_waited_for_by_themselves(client: Client, sandbox: Sandbox, pace: Pace) -> None:
    client.callbackStatus = collected([], pace.step)
    status = client.VerifyStore(3)
    assert status["statusCode"] == "succeeded"
    assert status["percentProgress"] == 100
    assert re.fullmatch("[0-9a-f]{32}", status["token"] or "")
    assert {call.arguments["millisecondsTimeout"] for call in sandbox.calls.of("get-status")} == {"1000"}


def test_the_wait_time_is_that_of_each_poll(connect: Connect, sandbox: Sandbox, pace: Pace) -> None:
    with connect(waitTime=250, callbackStatus=collected([], pace.step)) as client:
        client.VerifyStore(3)
        assert {call.arguments["millisecondsTimeout"] for call in sandbox.calls.of("get-status")} == {"250"}
        status = task_of(client)
        client.GetStatus(status, waitTime=0)
        assert sandbox.calls[-1].arguments["millisecondsTimeout"] == "0"
        with pytest.raises(ConfigurationError, match="waitTime"):
            client.GetStatus(status, waitTime=-1)
        pace.finish()


# --------------------------------------------------------------------------- second way: callback


def test_a_callback_sees_the_first_every_later_and_the_final_status(connect: Connect, pace: Pace) -> None:
    seen: list[Status] = []
    with connect(callbackStatus=collected(seen, pace.step)) as client:
        status = client.VerifyStore(3)
    assert seen[0]["logOutput"] == f"{LINES[0]}\r\n"
    assert seen[-1] == status
    assert [each["statusCode"] for each in seen] == ["running"] * len(LINES) + ["succeeded"]
    assert log_of(seen) == LOG


def test_a_callback_sees_a_failure_as_well(connect: Connect, pace: Pace) -> None:
    for raises in (True, False):
        seen: list[Status] = []
        with connect(callbackStatus=collected(seen, pace.finish), raiseOnError=raises) as client:
            if raises:
                with pytest.raises(FunctionFailedError, match="damaged"):
                    client.VerifyStore(BROKEN)
            else:
                assert client.VerifyStore(BROKEN)["statusCode"] == "failed"
        assert [each["statusCode"] for each in seen] == ["running", "failed"]


def test_a_callback_may_cancel_what_it_is_given(connect: Connect, sandbox: Sandbox, pace: Pace) -> None:
    for raises in (True, False):
        client = connect(raiseOnError=raises)
        client.callbackStatus = client.CancelAsync
        if raises:
            with pytest.raises(TaskCancelledError) as caught:
                client.VerifyStore(3)
            assert caught.value.function == "VerifyStore"
        else:
            assert client.VerifyStore(3)["statusCode"] == "cancelled"
        client.close()
    assert sandbox.calls.count_of("cancel-async") == 2


@pytest.mark.parametrize("status", ["aborted", "Cancelled"])
def test_a_status_that_nobody_knows_counts_as_an_error(
    connect: Connect, sandbox: Sandbox, pace: Pace, status: str
) -> None:
    sandbox.behaviour = Behaviour(cancelled_status=status)
    with connect() as client:
        client.callbackStatus = client.CancelAsync
        with pytest.raises(FunctionFailedError, match=status):
            client.VerifyStore(3)
        client.raiseOnError = False
        assert client.VerifyStore(3)["statusCode"] == status


def test_quick_calls_are_none_of_the_callbacks_business(connect: Connect) -> None:
    seen: list[Status] = []
    with connect(callbackStatus=collected(seen)) as client:
        client.GetServerInfo()
    assert seen == []


# ------------------------------------------------------------------------------ third way: by hand


def test_a_task_is_followed_by_hand(connect: Connect, pace: Pace, capsys: pytest.CaptureFixture[str]) -> None:
    with connect(autoHandleToken=False) as client:
        status: StatusEnvelope[None] = client.VerifyStore(3)
        while True:
            if status["statusCode"] != "running":
                break
            print(status["logOutput"], end="", flush=True)
            pace.step()
            status = client.GetStatus(status)
    assert capsys.readouterr().out == LOG
    assert status["statusCode"] == "succeeded"


def test_each_call_may_be_waited_for_or_not(connect: Connect, pace: Pace) -> None:
    with connect(callbackStatus=collected([], pace.finish)) as client:
        assert client.VerifyStore(3, autoHandleToken=False)["statusCode"] == "running"
        client.autoHandleToken = False
        assert client.VerifyStore(3)["statusCode"] == "running"
        assert client.VerifyStore(3, autoHandleToken=True)["statusCode"] == "succeeded"
        assert client.GetUsers(autoHandleToken=False)["statusCode"] == "succeeded"


def test_get_status_takes_any_mapping_with_a_token(client: Client, pace: Pace) -> None:
    status = task_of(client)
    pace.step()
    kept = {"token": status["token"], "statusVersion": status["statusVersion"]}
    assert client.GetStatus(kept)["logOutput"] == f"{LINES[1]}\r\n"
    assert client.GetStatus({"token": status["token"]})["logOutput"] == f"{LINES[0]}\r\n{LINES[1]}\r\n"
    assert client.GetStatus(status).status_version > status.status_version


@pytest.mark.parametrize("nothing", [{}, {"token": None}, {"token": ""}, {"token": 5}, None, "d242d822", 5])
@pytest.mark.parametrize("method", ["GetStatus", "CancelAsync", "HandleToken", "YieldStatus"])
def test_a_status_without_a_token_is_an_error(client: Client, sandbox: Sandbox, method: str, nothing: Any) -> None:
    with pytest.raises(NoTokenError) as caught:
        list(getattr(client, method)(nothing))
    assert isinstance(caught.value, ValueError)
    assert len(sandbox.calls) == 0


def test_a_call_that_was_finished_at_once_has_no_token_to_ask_with(client: Client) -> None:
    finished = client.GetServerInfo()
    for method in (client.GetStatus, client.CancelAsync):
        with pytest.raises(NoTokenError, match="finished at once"):
            method(finished)
    assert client.HandleToken(finished) is finished
    assert list(client.YieldStatus(finished)) == [finished]


def test_get_status_raises_a_failure_and_returns_a_cancellation(connect: Connect, pace: Pace) -> None:
    with connect() as client:
        status = task_of(client, BROKEN)
        pace.finish()
        with pytest.raises(FunctionFailedError, match="damaged"):
            client.GetStatus(status)
        with connect(raiseOnError=False) as tolerant:
            assert tolerant.GetStatus(status)["statusCode"] == "failed"
        cancelled = task_of(client)
        client.CancelAsync(cancelled)
        assert client.GetStatus(cancelled)["statusCode"] == "cancelled"


def test_a_token_that_the_server_does_not_know_is_an_error(client: Client) -> None:
    status = {"token": "0" * 32, "statusVersion": 2}
    for method in (client.GetStatus, client.CancelAsync, client.HandleToken):
        with pytest.raises(UnknownTokenError):
            method(status)


# ---------------------------------------------------------------------------- fourth way: cancelling


def test_cancelling_in_a_loop_ends_it(connect: Connect, sandbox: Sandbox, pace: Pace) -> None:
    """As in the tutorial, the request is made again for every status, the last one included."""
    sandbox.behaviour = Behaviour(final_status_repeats=False)
    with connect(autoHandleToken=False) as client:
        status = client.VerifyStore(3)
        answers: list[Status] = []
        while True:
            if status["statusCode"] != "running":
                break
            status = client.GetStatus(status, waitTime=0)
            answers.append(client.CancelAsync(status))
    assert status["statusCode"] == "cancelled"
    assert answers.pop()["statusCode"] == "cancelled"
    assert sandbox.calls.count_of("cancel-async") == len(answers), "what is over is not cancelled again"


@pytest.mark.parametrize("answer", ["status", "succeeded"])
def test_the_answer_to_a_cancellation_means_nothing(client: Client, sandbox: Sandbox, pace: Pace, answer: Any) -> None:
    sandbox.behaviour = Behaviour(cancel_answer=answer, cancel_works=False)
    status = task_of(client)
    client.CancelAsync(status)
    pace.finish()
    assert client.HandleToken(status)["statusCode"] == "succeeded"


# -------------------------------------------------------------------- the client's own two helpers


def test_handle_token_waits_with_the_callback(connect: Connect, pace: Pace) -> None:
    seen: list[Status] = []
    with connect(autoHandleToken=False, callbackStatus=collected(seen, pace.step)) as client:
        status = client.VerifyStore(3)
        assert seen == []
        assert client.HandleToken(status)["statusCode"] == "succeeded"
        assert seen[0] is status
        assert log_of(seen) == LOG
        pace.finish()
        again = client.HandleToken({"token": status["token"]})
    assert again["logOutput"] == LOG


def test_yield_status_yields_every_status(connect: Connect, pace: Pace) -> None:
    with connect(autoHandleToken=False) as client:
        first = client.VerifyStore(3)
        seen: list[Status] = []
        for status in client.YieldStatus(first):
            seen.append(status)
            pace.step()
    assert seen[0] is first
    assert log_of(seen) == LOG
    assert seen[-1]["statusCode"] == "succeeded"


def test_yield_status_yields_the_failure_before_it_raises(connect: Connect, pace: Pace) -> None:
    for raises in (True, False):
        with connect(raiseOnError=raises) as client:
            first = task_of(client, BROKEN)
            pace.finish()
            seen: list[Status] = []
            if raises:
                with pytest.raises(FunctionFailedError):
                    seen.extend(client.YieldStatus(first))
            else:
                seen.extend(client.YieldStatus(first))
        assert [each["statusCode"] for each in seen] == ["running", "failed"]


# ------------------------------------------------------------------------------------------ output


def _printed(connect: Connect, sandbox: Sandbox, level: int, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Return the first words of the lines that a client prints for a call, a failure and a retry."""
    sandbox.faults.add(Fault(FaultKind.RESET_AFTER, "GetUsers"))
    with connect(logLevel=level) as client:
        client.GetServerInfo()
        client.GetUsers()
        client.CreateUser("new.user", "login", password="hunter2!")
        with pytest.raises(FunctionFailedError):
            client.CreateUser("new.user", "login", password="hunter2!")
        client.DeleteUser("new.user")
    output = capsys.readouterr()
    assert "hunter2!" not in output.out
    assert output.err == ""
    return [line.split()[0] for line in output.out.splitlines()]


def test_each_level_prints_what_the_lower_ones_do_and_more(
    connect: Connect, sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    nothing, errors, warnings, calls, details = (_printed(connect, sandbox, level, capsys) for level in range(5))
    assert nothing == []
    assert errors == ["ERROR"]
    assert warnings == ["WARNING", "ERROR"]
    assert calls == ["INFO", "WARNING", "INFO", "INFO", "ERROR", "INFO"]
    assert [level for level in details if level != "DEBUG"] == calls
    assert details.count("DEBUG") >= 5


def test_a_level_is_that_of_one_client_and_stdout_that_of_the_moment(
    connect: Connect, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with connect(logLevel=3) as loud, connect(logLevel=0) as quiet:
        quiet.GetServerInfo()
        assert capsys.readouterr().out == ""
        loud.GetServerInfo()
        assert capsys.readouterr().out == "INFO GetServerInfo: succeeded\n"
        elsewhere = io.StringIO()
        monkeypatch.setattr("sys.stdout", elsewhere)
        loud.GetServerInfo()
    assert elsewhere.getvalue() == "INFO GetServerInfo: succeeded\n"


def test_a_server_that_quotes_the_password_makes_nobody_print_it(
    connect: Connect, sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    quote = b'{"error":{"message":"no: p&s s\\u00df","details":"p%26s+s%C3%9F"},"statusCode":"failed","token":null}'
    sandbox.faults.add(Fault(FaultKind.ANSWER, "SetUserPassword", body=quote, times=None))
    with connect(logLevel=4, raiseOnError=False) as client:
        status = client.SetUserPassword("ann.lee", "p&s sß")
        print(status, repr(status), status["error"])
    with connect(logLevel=4) as client, pytest.raises(FunctionFailedError) as caught:
        client.SetUserPassword("ann.lee", "p&s sß")
    printed = f"{capsys.readouterr().out} {caught.value} {caught.value.details}"
    assert "sß" not in printed
    assert "%C3%9F" not in printed
