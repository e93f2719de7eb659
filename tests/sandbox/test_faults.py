"""Faults on request."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from mailstore.models.system import GetServerInfo, ServerInfo
from mailstore.sandbox import Fault, FaultKind, Pace, Registry, Sandbox, World
from tests.sandbox.raw import Raw

Connect = Callable[[Sandbox], Raw]


@pytest.fixture
def counting(functions: Registry) -> Callable[[], int]:
    """Returns a function that tells how often the function was carried out."""
    executed = 0

    @functions.answers(GetServerInfo)
    def get_server_info(world: World, request: GetServerInfo) -> ServerInfo:
        nonlocal executed
        executed += 1
        return ServerInfo(version="1", machine_name="x" * 100)

    return lambda: executed


@pytest.mark.parametrize(
    ("kind", "executed"),
    [(FaultKind.RESET_BEFORE, 0), (FaultKind.RESET_AFTER, 1), (FaultKind.RESET_INSIDE, 1)],
)
def test_connections_are_reset(
    sandbox: Sandbox, raw: Raw, counting: Callable[[], int], kind: FaultKind, executed: int
) -> None:
    fault = sandbox.faults.add(Fault(kind, "GetServerInfo"))
    # In the middle of a record of TLS, some versions of OpenSSL tell a reset as an end.
    with pytest.raises((ConnectionResetError, http.client.IncompleteRead)):
        raw.invoke("GetServerInfo")
    assert (fault.fired, counting()) == (1, executed)
    assert sandbox.calls.count_of("GetServerInfo") == 1
    assert sandbox.calls[0].http_status == (200 if kind is FaultKind.RESET_INSIDE else None)
    raw.close()
    assert raw.invoke("GetServerInfo")["statusCode"] == "succeeded"


def test_a_body_is_cut(sandbox: Sandbox, raw: Raw) -> None:
    sandbox.faults.add(Fault(FaultKind.CUT_BODY))
    with pytest.raises(http.client.IncompleteRead) as caught:
        raw.invoke("GetServerInfo")
    assert caught.value.partial.startswith(b"\xef\xbb\xbf{")


def test_a_length_is_wrong(sandbox: Sandbox, raw: Raw) -> None:
    sandbox.faults.add(Fault(FaultKind.WRONG_LENGTH))
    answer = raw.send("/api/invoke/GetServerInfo")
    assert len(answer.body) == int(answer.header("Content-Length") or 0)
    assert b"logOutput" not in answer.body


@pytest.mark.parametrize(
    ("kind", "body"),
    [(FaultKind.EMPTY_BODY, b""), (FaultKind.HALF_JSON, b"\xef\xbb\xbf{\r\n"), (FaultKind.HTML, b"<!D")],
)
def test_bodies_are_no_json(
    sandbox: Sandbox, raw: Raw, counting: Callable[[], int], kind: FaultKind, body: bytes
) -> None:
    sandbox.faults.add(Fault(kind))
    answer = raw.send("/api/invoke/GetServerInfo")
    assert answer.status == 200
    assert answer.body[: len(body)] == body
    assert b"logOutput" not in answer.body
    assert counting() == 1
    assert raw.invoke("GetServerInfo")["statusCode"] == "succeeded"


@pytest.mark.parametrize("executed", [False, True])
def test_any_answer_can_be_given(sandbox: Sandbox, raw: Raw, counting: Callable[[], int], executed: bool) -> None:
    headers = {"Retry-After": "3", "Content-Type": "text/plain"}
    sandbox.faults.add(Fault(FaultKind.ANSWER, status=503, headers=headers, body=b"\xff", executed=executed))
    answer = raw.send("/api/invoke/GetServerInfo")
    assert (answer.status, answer.body) == (503, b"\xff")
    assert (answer.header("Retry-After"), answer.header("Content-Length")) == ("3", "1")
    assert counting() == int(executed)
    assert sandbox.calls[0].http_status == 503


def test_a_status_may_be_one_that_nobody_knows(sandbox: Sandbox, raw: Raw) -> None:
    sandbox.faults.add(Fault(FaultKind.ANSWER, status=599))
    assert raw.send("/api/invoke/GetServerInfo").status == 599


def test_the_connection_stalls_before_the_handshake(sandbox: Sandbox, connect: Connect) -> None:
    fault = sandbox.faults.add(Fault(FaultKind.STALL_HANDSHAKE))
    with socket.create_connection((sandbox.host, sandbox.port)) as silent:
        sandbox.faults.wait_until_stalled()
        assert fault.fired == 1
        # Others are not kept waiting.
        assert connect(sandbox).invoke("GetServerInfo")["statusCode"] == "succeeded"
        sandbox.faults.release()
        context = ssl.create_default_context(cafile=sandbox.certificate)
        with context.wrap_socket(silent, server_hostname="localhost") as connection:
            assert connection.version()


@pytest.mark.parametrize("kind", [FaultKind.STALL_HEAD, FaultKind.STALL_BODY])
def test_an_answer_stalls_until_it_is_released(
    sandbox: Sandbox, raw: Raw, counting: Callable[[], int], kind: FaultKind
) -> None:
    sandbox.faults.add(Fault(kind))
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(raw.invoke, "GetServerInfo")
        sandbox.faults.wait_until_stalled()
        assert not call.done()
        assert counting() == 1
        sandbox.faults.release()
        assert call.result(10)["statusCode"] == "succeeded"


@pytest.mark.parametrize("kind", [FaultKind.STALL_HANDSHAKE, FaultKind.STALL_HEAD, FaultKind.STALL_BODY])
def test_what_stalls_ends_with_the_sandbox(connect: Connect, kind: FaultKind) -> None:
    with ThreadPoolExecutor(1) as pool:
        with Sandbox(faults=[Fault(kind)]) as sandbox:
            call = pool.submit(connect(sandbox).invoke, "GetServerInfo")
            sandbox.faults.wait_until_stalled()
        with pytest.raises((OSError, http.client.HTTPException)):
            call.result(10)


def test_clearing_releases(sandbox: Sandbox, raw: Raw) -> None:
    sandbox.faults.add(Fault(FaultKind.STALL_HEAD, times=None))
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(raw.invoke, "GetServerInfo")
        sandbox.faults.wait_until_stalled()
        sandbox.faults.clear()
        assert call.result(10)["statusCode"] == "succeeded"
    assert raw.invoke("GetServerInfo")["statusCode"] == "succeeded"


def test_a_token_expires(functions: Registry, connect: Connect) -> None:
    with Sandbox(functions=functions, pace=Pace.by_hand()) as sandbox:
        raw = connect(sandbox)
        sandbox.faults.add(Fault(FaultKind.EXPIRED_TOKEN, skip=1))
        token = raw.invoke("VerifyStore", id="1", includeIndexes="true")["token"]
        assert raw.get_status(token, 0, 0)["statusCode"] == "running"
        assert raw.get_status_answer(token).status == 404
        assert raw.get_status_answer(token).status == 404


def test_faults_choose_their_requests(sandbox: Sandbox, raw: Raw) -> None:
    gone = sandbox.faults.add(Fault(FaultKind.ANSWER, "GetUsers", times=2, skip=1, status=500))
    always = sandbox.faults.add(Fault(FaultKind.ANSWER, "get-metadata", times=None, status=502))
    users = [raw.send("/api/invoke/GetUsers").status for _ in range(5)]
    metadata = [raw.send("/api/get-metadata").status for _ in range(3)]
    assert users == [200, 500, 500, 200, 200]
    assert metadata == [502, 502, 502]
    assert raw.send("/api/invoke/GetServerInfo").status == 200
    assert (gone.fired, always.fired) == (2, 3)


def test_the_first_fault_comes_first(sandbox: Sandbox, raw: Raw) -> None:
    for status in (500, 502):
        sandbox.faults.add(Fault(FaultKind.ANSWER, status=status))
    assert [raw.send("/api/invoke/GetUsers").status for _ in range(3)] == [500, 502, 200]


@pytest.mark.parametrize("kind", [FaultKind.STALL_HANDSHAKE, FaultKind.EXPIRED_TOKEN])
def test_faults_that_make_no_sense_are_refused(kind: FaultKind) -> None:
    with pytest.raises(ValueError, match=r"handshake|token"):
        Fault(kind, "GetUsers")
