"""Starting, stopping, counting: the sandbox leaves nothing behind."""

from __future__ import annotations

import gc
import hashlib
import re
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mailstore.models.system import GetServerInfo, ServerInfo
from mailstore.models.users import CreateUser, GetUsers, UserListEntry
from mailstore.sandbox import Behaviour, Failed, Pace, Registry, Sandbox, World
from mailstore.sandbox import registry as all_functions
from tests.sandbox.raw import Raw

Connect = Callable[[Sandbox], Raw]
VERIFY = {"id": "1", "includeIndexes": "true"}


def _threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.startswith("mailstore-sandbox")}


def test_a_stopped_sandbox_leaves_nothing_behind(functions: Registry, connect: Connect) -> None:
    sandbox = Sandbox(functions=functions, pace=Pace.by_hand()).start()
    directory = Path(sandbox.certificate).parent
    raw, idle, polling = connect(sandbox), connect(sandbox), connect(sandbox)
    idle.invoke("GetServerInfo")
    status = raw.invoke("VerifyStore", **VERIFY)
    with (
        ThreadPoolExecutor(1) as pool,
        socket.create_connection((sandbox.host, sandbox.port)) as silent,
    ):
        poll = pool.submit(polling.get_status, status["token"], status["statusVersion"], 600_000)
        sandbox.calls.wait_for("get-status")
        assert [path.name for path in directory.iterdir()] == ["certificate.pem"]
        sandbox.stop()
        assert poll.exception(10) is not None
        assert silent.recv(1) == b""
    assert _threads() == set()
    assert sandbox.connections.open == 0
    assert sandbox.connections.accepted == 4
    assert not directory.exists()
    with pytest.raises(OSError, match=r".*"):
        socket.create_connection((sandbox.host, sandbox.port))
    sandbox.stop()
    gc.collect()


def test_a_stopped_sandbox_can_be_started_again(functions: Registry, connect: Connect) -> None:
    sandbox = Sandbox(functions=functions, pace=Pace.by_hand())
    with sandbox:
        raw = connect(sandbox)
        token = raw.invoke("VerifyStore", **VERIFY)["token"]
        before = (sandbox.port, sandbox.fingerprint)
        assert sandbox.start() is sandbox
    with sandbox:
        assert (sandbox.port, sandbox.fingerprint) == before
        again = connect(sandbox)
        assert again.get_status_answer(token).status == 404
        assert again.invoke("VerifyStore", **VERIFY)["statusCode"] == "running"


def test_nothing_is_known_of_a_sandbox_that_does_not_run() -> None:
    sandbox = Sandbox()
    with pytest.raises(RuntimeError):
        _ = sandbox.url
    with pytest.raises(RuntimeError):
        _ = sandbox.certificate
    assert sandbox.fingerprint


def test_a_taken_port_is_an_error(sandbox: Sandbox) -> None:
    with pytest.raises(OSError, match=r".*"):
        Sandbox(port=sandbox.port).start()
    assert len(_threads()) == 1


def test_the_certificate_is_the_one_that_is_shown(sandbox: Sandbox) -> None:
    assert re.fullmatch(r"sha256:([0-9A-F]{2}:){31}[0-9A-F]{2}", sandbox.fingerprint)
    context = ssl.create_default_context(cafile=sandbox.certificate)
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    for name in ("localhost", "127.0.0.1", "::1", sandbox.host):
        with (
            socket.create_connection((sandbox.host, sandbox.port)) as plain,
            context.wrap_socket(plain, server_hostname=name) as connection,
        ):
            shown = connection.getpeercert(binary_form=True) or b""
            assert sandbox.fingerprint == "sha256:" + hashlib.sha256(shown).digest().hex(":").upper()


def test_each_sandbox_has_a_key_of_its_own(sandbox: Sandbox) -> None:
    assert Sandbox().fingerprint != sandbox.fingerprint


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6")
def test_the_address_may_be_ipv6() -> None:
    try:
        sandbox = Sandbox("::1").start()
    except OSError:
        pytest.skip("no IPv6 here")
    with sandbox:
        assert sandbox.url == f"https://[::1]:{sandbox.port}"
        raw = Raw(sandbox)
        assert raw.invoke("GetServerInfo")["statusCode"] == "succeeded"
        raw.close()


def test_urls_can_be_connected_to() -> None:
    with Sandbox("0.0.0.0") as sandbox:  # noqa: S104
        assert sandbox.url == f"https://localhost:{sandbox.port}"
    with Sandbox("localhost") as sandbox:
        assert sandbox.url == f"https://localhost:{sandbox.port}"


def test_connections_can_be_closed_under_a_client(sandbox: Sandbox, raw: Raw) -> None:
    raw.invoke("GetServerInfo")
    sandbox.connections.close()
    sandbox.connections.wait_until_closed()
    with pytest.raises(OSError, match=r".*"):
        raw.invoke("GetServerInfo")
    raw.close()
    assert raw.invoke("GetServerInfo")["statusCode"] == "succeeded"


def test_calls_are_written_down(sandbox: Sandbox, raw: Raw) -> None:
    raw.invoke("VerifyStore", **VERIFY)
    raw.send("/api/invoke/CreateUser", "userName=bob&password=hunter2%21")
    raw.send("/nowhere")
    assert [(call.function, call.http_status) for call in sandbox.calls] == [
        ("VerifyStore", 200),
        ("CreateUser", 404),
        ("", 404),
    ]
    assert sandbox.calls[0].arguments == VERIFY
    assert sandbox.calls[1].arguments == {"userName": "bob", "password": "**********"}
    assert sandbox.calls[-1].path == "/nowhere"
    assert [call.function for call in sandbox.calls[:2]] == ["VerifyStore", "CreateUser"]
    sandbox.calls.clear()
    assert len(sandbox.calls) == 0


def test_only_the_last_calls_are_remembered(sandbox: Sandbox, raw: Raw, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mailstore.sandbox.journal._KEPT", 2)
    for function in ("GetUsers", "GetServerInfo", "GetUsers"):
        raw.invoke(function)
    assert [call.function for call in sandbox.calls] == ["GetServerInfo", "GetUsers"]


def test_waiting_has_an_end(sandbox: Sandbox, raw: Raw) -> None:
    raw.invoke("GetUsers")
    assert sandbox.calls.wait_for("GetUsers", timeout=0).http_status == 200
    with pytest.raises(TimeoutError, match="1 times, not 2"):
        sandbox.calls.wait_for("GetUsers", 2, timeout=0)
    with pytest.raises(TimeoutError, match="0 connections"):
        sandbox.faults.wait_until_stalled(timeout=0)
    with pytest.raises(TimeoutError, match="1 connections"):
        sandbox.connections.wait_until_closed(timeout=0)


def test_unknown_functions_can_fail_in_an_envelope(sandbox: Sandbox, raw: Raw) -> None:
    sandbox.behaviour = Behaviour(unknown_function="failed")
    assert raw.invoke("NoSuchFunction")["error"]["message"] == "Unknown API function NoSuchFunction."
    sandbox.behaviour = Behaviour(ignore_case=True)
    assert raw.invoke("getserverinfo")["statusCode"] == "succeeded"


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography", None)
    with pytest.raises(ImportError, match=r"mailstore\[sandbox\]"):
        Sandbox()


def test_functions_can_be_replaced_for_one_sandbox(connect: Connect) -> None:
    functions = all_functions.copy()
    original = all_functions.get("GetServerInfo")

    @functions.answers(GetServerInfo)
    def get_server_info(world: World, request: GetServerInfo) -> ServerInfo:
        raise Failed("The server is tired.")

    @functions.answers(CreateUser)
    def create_user(world: World, request: CreateUser) -> None:
        world.set_administrator(request.user_name, "x")

    with Sandbox(functions=functions) as sandbox:
        raw = connect(sandbox)
        status = raw.invoke("GetServerInfo")
        assert (status["statusCode"], status["error"]["message"]) == ("failed", "The server is tired.")
        assert status["error"]["details"] == (
            "System.Exception: The server is tired.\r\n   at MailStore.Sandbox.Invoke.GetServerInfo()"
        )
        assert raw.invoke("CreateUser", userName="eve", privileges="admin")["result"] is None
        assert "eve" in sandbox.world.users
    assert all_functions.get("GetServerInfo") is original


def test_a_mistake_in_a_behaviour_is_told_to_the_caller(connect: Connect, caplog: pytest.LogCaptureFixture) -> None:
    functions = all_functions.copy()

    @functions.answers(GetServerInfo)
    def get_server_info(world: World, request: GetServerInfo) -> ServerInfo:
        raise KeyError("oops")

    @functions.answers(GetUsers)
    def get_users(world: World, request: GetUsers) -> list[UserListEntry]:
        return "not a list"  # type: ignore[return-value]  # pyright: ignore[reportReturnType]

    with Sandbox(functions=functions) as sandbox:
        raw = connect(sandbox)
        status = raw.invoke("GetServerInfo")
        assert (status["statusCode"], status["error"]["message"]) == ("failed", "KeyError: 'oops'")
        assert "Traceback" in status["error"]["details"]
        assert raw.invoke("GetUsers")["error"]["message"].startswith("PydanticSerializationError")
    assert "GetServerInfo" in caplog.text


def test_many_clients_are_served_at_the_same_time(sandbox: Sandbox, connect: Connect) -> None:
    def work(_: int) -> int:
        raw = connect(sandbox)
        return sum(raw.invoke("GetServerInfo")["statusVersion"] for _ in range(25))

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(work, range(16))) == [50] * 16
    assert sandbox.calls.count_of("GetServerInfo") == 400


def test_the_core_does_not_import_the_sandbox() -> None:
    code = "import sys, mailstore, mailstore.client, mailstore.server; print('mailstore.sandbox' in sys.modules)"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout  # noqa: S603
    assert output.strip() == "False"
