"""Against a server that misbehaves over real TLS, every call ends in the right error: typed, complete, and in time."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

import mailstore
from mailstore import MailStoreServer, _transport
from mailstore.errors import (
    ApiError,
    ArgumentError,
    AuthenticationError,
    ConnectionFailedError,
    DeadlineExceededError,
    FunctionFailedError,
    MailStoreError,
    ProtocolError,
    RedirectError,
    RequestTimeoutError,
    ServerUnavailableError,
    TaskError,
    TransportError,
    UnknownFunctionError,
    UnknownTokenError,
)
from mailstore.models import GetServerInfo, SetSmtpSettings, StatusCode, VerifyStore
from mailstore.sandbox import Behaviour, Fault, FaultKind, Pace, Registry, Sandbox, World
from mailstore.settings import CONNECT_TIMEOUT, READ_TIMEOUT, Settings
from tests.faulty import ENVELOPE, SHORT, RawServer, client_of, error_of, http
from tests.support import LONG, FakeClock

FUNCTION = "GetServerInfo"


@dataclass(frozen=True)
class Case:
    """Something that goes wrong, and what has to come of it."""

    name: str
    fault: Callable[[], Fault]
    error: type[MailStoreError]
    hint: str
    """Words that tell a person what to do."""
    says: str = ""
    """Words of the message."""
    quotes: str | None = None
    """The server's own words."""
    sent: bool | None = None
    attributes: dict[str, object] = field(default_factory=dict[str, object])


def kind(kind: FaultKind) -> Callable[[], Fault]:
    return lambda: Fault(kind)


def answer(body: bytes = b"", status: int = 200, headers: dict[str, str] | None = None) -> Callable[[], Fault]:
    return lambda: Fault(FaultKind.ANSWER, FUNCTION, status=status, body=body, headers=headers or {})


def envelope(**members: str) -> Callable[[], Fault]:
    """An envelope in which some members are other JSON than they should be."""
    proper = {
        "error": "null",
        "token": "null",
        "statusVersion": "2",
        "statusCode": '"succeeded"',
        "percentProgress": "null",
        "statusText": "null",
        "result": '{"version": "1.0", "machineName": "ARCHIVE"}',
        "logOutput": "null",
    }
    return answer(("{" + ", ".join(f'"{name}": {text}' for name, text in (proper | members).items()) + "}").encode())


def page(status: int, words: str, **headers: str) -> Callable[[], Fault]:
    return answer(f"<html><h2>{words}</h2></html>".encode(), status, headers)


PORT = "Administration API"
BROKEN = Case("", kind(FaultKind.RESET_AFTER), ConnectionFailedError, "was the service restarted", sent=True)
SILENT = Case("", kind(FaultKind.STALL_HEAD), RequestTimeoutError, "raise the timeout", sent=True)
NO_ENVELOPE = Case("", answer(), ProtocolError, PORT, says="no status envelope", attributes={"http_status": 200})
OTHER_VERSION = Case("", answer(), ProtocolError, "version", attributes={"http_status": 200})


def like(model: Case, name: str, fault: Callable[[], Fault], says: str = "", quotes: str | None = None) -> Case:
    return Case(name, fault, model.error, model.hint, says or model.says, quotes, model.sent, model.attributes)


CASES = [
    like(BROKEN, "reset before the answer, call not carried out", kind(FaultKind.RESET_BEFORE)),
    like(BROKEN, "reset after the call was carried out", kind(FaultKind.RESET_AFTER)),
    like(BROKEN, "reset inside the answer", kind(FaultKind.RESET_INSIDE)),
    like(BROKEN, "body cut", kind(FaultKind.CUT_BODY), "in the middle of its answer"),
    Case(
        "stall before the handshake",
        kind(FaultKind.STALL_HANDSHAKE),
        RequestTimeoutError,
        "is this an HTTPS port?",
        says="no TLS handshake",
        sent=False,
    ),
    like(SILENT, "stall before the head", kind(FaultKind.STALL_HEAD), "no answer within"),
    like(SILENT, "stall inside the body", kind(FaultKind.STALL_BODY), "bytes of the answer"),
    like(NO_ENVELOPE, "length too small", kind(FaultKind.WRONG_LENGTH), "EOF while parsing", "statusVersion"),
    like(NO_ENVELOPE, "empty body", kind(FaultKind.EMPTY_BODY), "EOF while parsing"),
    like(NO_ENVELOPE, "HTML", kind(FaultKind.HTML), quotes="This is another server."),
    like(NO_ENVELOPE, "half of the JSON", kind(FaultKind.HALF_JSON), "EOF while parsing", "statusVersion"),
    like(NO_ENVELOPE, "bytes that are no UTF-8", answer(b'{"statusCode": "\xff\xfe"}'), "unicode", "statusCode"),
    like(NO_ENVELOPE, "UTF-16", answer(ENVELOPE.decode().encode("utf-16"))),
    like(NO_ENVELOPE, "100,000 nested lists", answer(b"[" * 100_000), "recursion limit", "[[["),
    like(NO_ENVELOPE, "100,000 nested objects", answer(b'{"a":' * 100_000), "recursion limit"),
    like(NO_ENVELOPE, "a result nested too deep", envelope(result="[" * 5000 + "]" * 5000), "recursion limit"),
    like(NO_ENVELOPE, "a list", answer(b"[]"), "should be an object", "[]"),
    like(NO_ENVELOPE, "a text", answer(b'"succeeded"'), "should be an object"),
    like(NO_ENVELOPE, "null", answer(b"null"), "should be an object"),
    like(NO_ENVELOPE, "two envelopes", answer(ENVELOPE * 2), "trailing characters"),
    like(OTHER_VERSION, "an empty object", answer(b"{}"), "statusCode: Field required"),
    like(OTHER_VERSION, "status code null", envelope(statusCode="null"), "statusCode: "),
    like(OTHER_VERSION, "status code a number", envelope(statusCode="2"), "statusCode: "),
    like(OTHER_VERSION, "version a text", envelope(statusVersion='"two"'), "statusVersion: "),
    like(OTHER_VERSION, "version null", envelope(statusVersion="null"), "statusVersion: "),
    like(OTHER_VERSION, "progress a text", envelope(percentProgress='"half"'), "percentProgress: "),
    like(OTHER_VERSION, "token a list", envelope(token="[]"), "token: "),
    like(OTHER_VERSION, "error a text", envelope(error='"no"', statusCode='"failed"'), "error: "),
    like(OTHER_VERSION, "log a list", envelope(logOutput="[]"), "logOutput: "),
    like(OTHER_VERSION, "result without a member", envelope(result='{"version": "1"}'), "result.machineName: "),
    like(OTHER_VERSION, "result a list", envelope(result="[]"), "the result is not what this function returns"),
    Case(
        "compressed all the same",
        answer(b"\x1f\x8b\x08\x00", headers={"Content-Encoding": "gzip"}),
        ProtocolError,
        "gzip",
        says="no status envelope",
    ),
    Case(
        "unauthorized",
        page(401, "Go away"),
        AuthenticationError,
        "app or API password",
        says="HTTP 401",
        quotes="Go away",
        attributes={"http_status": 401},
    ),
    Case("forbidden", page(403, "No"), AuthenticationError, "admin/admin works from the server itself only", "403"),
    Case("not found", page(404, "Nothing"), UnknownFunctionError, "get_metadata", FUNCTION, "Nothing"),
    Case("length required", page(411, "Length"), ProtocolError, "drops the length", "HTTP 411", "Length"),
    Case(
        "too many requests",
        page(429, "Slowly", **{"Retry-After": "7"}),
        ServerUnavailableError,
        "overloaded",
        says="HTTP 429",
        quotes="Slowly",
        attributes={"http_status": 429, "retry_after": 7.0},
    ),
    Case("server error", answer(b"Oops: object reference", 500), ProtocolError, "event log", "HTTP 500", "object ref"),
    Case("bad gateway", page(502, "Bad"), ServerUnavailableError, "starting, stopping", "HTTP 502", "Bad"),
    Case("unavailable", page(503, "Service"), ServerUnavailableError, "starting, stopping", "HTTP 503", "Service"),
    Case("no content", answer(b"", 204), ProtocolError, PORT, "HTTP 204"),
    Case("a status that does not exist", answer(b"?", 299), ProtocolError, PORT, "HTTP 299", "?"),
    Case(
        "failed",
        envelope(statusCode='"failed"', result="null", error='{"message": "It hurts.", "details": "System.Exception"}'),
        FunctionFailedError,
        "",
        says="It hurts.",
        quotes="System.Exception",
    ),
    Case("failed without a word", envelope(statusCode='"failed"', result="null"), FunctionFailedError, "", "'failed'"),
]  # fmt: skip


@pytest.fixture
def impatient(sandbox: Sandbox) -> Iterator[MailStoreServer]:
    """Yields a client that waits for a moment only, and calls once."""
    with client_of(sandbox, timeout=SHORT) as client:
        yield client


@pytest.fixture
def tutorial(sandbox: Sandbox) -> Iterator[mailstore.server.Client]:
    """Yields the tutorial's client, as impatient."""
    with mailstore.server.Client(
        password=sandbox.password,
        host=sandbox.host,
        port=sandbox.port,
        fingerprint=sandbox.fingerprint,
        timeout=SHORT,
        logLevel=0,
    ) as client:
        client._engine.clock = FakeClock()
        yield client


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_fault_ends_in_its_error_and_the_next_call_succeeds(
    sandbox: Sandbox, impatient: MailStoreServer, case: Case
) -> None:
    sandbox.faults.add(case.fault())
    error = error_of(impatient.get_server_info)
    assert type(error) is case.error
    assert (error.function, error.server, error.attempt) == (FUNCTION, f"127.0.0.1:{sandbox.port}", 1)
    assert error.elapsed is not None
    assert error.elapsed >= 0
    assert str(error).startswith(f"{FUNCTION} on {error.server}: ")
    assert "\n" not in str(error)
    assert case.says in error.message
    assert case.hint in (error.hint or "")
    assert bool(error.hint) == bool(case.hint)
    if case.quotes is not None:
        assert case.quotes in f"{error.details}{getattr(error, 'body', '')}"
    if case.sent is not None:
        assert isinstance(error, TransportError)
        assert error.sent is case.sent
    for name, value in case.attributes.items():
        assert getattr(error, name) == value
    sandbox.faults.clear()
    assert impatient.get_server_info().version == sandbox.world.server_version


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.error is not RequestTimeoutError], ids=lambda case: case.name
)
def test_the_tutorials_client_raises_the_same(sandbox: Sandbox, tutorial: mailstore.server.Client, case: Case) -> None:
    for _ in range(3):  # as many as it tries
        sandbox.faults.add(case.fault())
    error = error_of(tutorial.GetServerInfo)
    assert type(error) is case.error
    assert case.says in error.message


def test_default_timeouts_bound_every_exchange() -> None:
    assert Settings("archive.example.com", "secret").timeouts == (CONNECT_TIMEOUT, READ_TIMEOUT) == (10.0, 120.0)


# ------------------------------------------------------------------------------ before any answer


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with MailStoreServer("127.0.0.1", port=port, password="secret", verify="system") as server:
        error = error_of(lambda: server.with_options(retry=mailstore.RetryPolicy(attempts=1)).get_server_info())
    assert type(error) is ConnectionFailedError
    assert not error.sent
    assert isinstance(error.__cause__, ConnectionRefusedError)
    assert "API is off by default: switch it on" in (error.hint or "")


def test_there_is_no_such_host(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*args: object, **options: object) -> object:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with client_of_host("archive.invalid") as server:
        error = error_of(server.get_server_info)
    assert type(error) is ConnectionFailedError
    assert not error.sent
    assert "no host archive.invalid" in error.message
    assert "DNS" in (error.hint or "")


def test_a_firewall_swallows_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    def swallowed(*args: object, **options: object) -> object:
        raise TimeoutError("timed out")

    monkeypatch.setattr("urllib3.util.connection.create_connection", swallowed)
    with client_of_host("127.0.0.1") as server:
        error = error_of(server.get_server_info)
    assert type(error) is RequestTimeoutError
    assert not error.sent
    assert "no connection within" in error.message
    assert "firewall" in (error.hint or "")


def client_of_host(host: str) -> MailStoreServer:
    return MailStoreServer(host, password="secret", verify="system", retry=mailstore.RetryPolicy(attempts=1))


# --------------------------------------------------------------------------- answers that go wrong


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_refused_and_the_login_goes_nowhere(
    sandbox: Sandbox, impatient: MailStoreServer, status: int
) -> None:
    with Sandbox() as elsewhere:
        headers = {"Location": f"{elsewhere.url}/api/invoke/{FUNCTION}"}
        sandbox.faults.add(Fault(FaultKind.ANSWER, status=status, headers=headers))
        error = error_of(impatient.get_server_info)
        assert elsewhere.connections.accepted == 0
    assert type(error) is RedirectError
    assert error.http_status == status
    assert "proxy or another web server" in (error.hint or "")
    assert sandbox.calls.count_of(FUNCTION) == 1


@pytest.mark.parametrize(
    ("head", "error"),
    [
        (b"220 mail.example.com ESMTP\r\n", ProtocolError),
        (b"HTTP/1.1 ok fine\r\n\r\n", ProtocolError),
        (b"HTTP/1.1 200 OK\r\n" + b"X-Padding: 1\r\n" * 200 + b"\r\n", ProtocolError),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000, ProtocolError),
        (b"HTTP/1.1 200 OK\r\nno colon here\r\nContent-Length: 2\r\n\r\n{}", ProtocolError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2, 3\r\n\r\n{}", ProtocolError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n{}", ProtocolError),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n", ConnectionFailedError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{}", ConnectionFailedError),
        (b"", ConnectionFailedError),
        (b"HTTP/1.1 200 OK\r\nContent-", ProtocolError),
    ],
)
def test_what_is_no_http_is_no_answer(head: bytes, error: type[MailStoreError]) -> None:
    def script(connection: ssl.SSLSocket) -> None:
        connection.sendall(head)
        connection.unwrap()
        raise ConnectionAbortedError

    with RawServer(script) as server, client_of(server) as client:
        caught = error_of(client.get_server_info)
    assert type(caught) is error
    assert caught.hint
    assert len(server.requests) == 1


@pytest.mark.parametrize("part", ["head", "body", "chunks", "continue"])
def test_an_answer_that_drips_for_ever_ends(part: str) -> None:
    beginning = {
        "head": b"HTTP/1.1 200 OK\r\nX: ",
        "body": http(b"{", length=100_000),
        "chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "continue": b"",
    }[part]
    drop = {"chunks": b"1\r\n \r\n", "continue": b"HTTP/1.1 100 Continue\r\n\r\n"}.get(part, b" ")

    def script(connection: ssl.SSLSocket) -> None:
        connection.sendall(beginning)
        while not server.wait(0.01):
            connection.sendall(drop)

    with RawServer(script) as server, client_of(server, timeout=SHORT) as client:
        error = error_of(client.get_server_info)
    assert type(error) is RequestTimeoutError
    assert error.sent
    assert "bytes of the answer" in error.message


def test_a_caller_s_deadline_bounds_connecting_and_answering_together() -> None:
    with RawServer(lambda connection: server.wait(20)) as server, client_of(server) as client:
        error = error_of(lambda: client.run(GetServerInfo(), deadline=SHORT))
    assert type(error) is RequestTimeoutError
    assert error.sent


@pytest.mark.parametrize("announced", [True, False])
def test_an_answer_beyond_every_measure_is_refused(monkeypatch: pytest.MonkeyPatch, announced: bool) -> None:
    monkeypatch.setattr(_transport, "LARGEST", 100_000)
    sent = 0

    def script(connection: ssl.SSLSocket) -> None:
        nonlocal sent
        connection.sendall(http(b"", length=100_001) if announced else b"HTTP/1.1 200 OK\r\n\r\n")
        while not server.wait(0):
            connection.sendall(b" " * 10_000)
            sent += 10_000

    with RawServer(script) as server, client_of(server) as client:
        error = error_of(client.get_server_info)
    assert type(error) is ProtocolError
    assert "no answer of this API has more than 100000" in error.message


def test_bytes_left_over_from_one_answer_are_not_taken_for_the_next() -> None:
    """An answer that is longer than it says must not answer the next call, which is another one."""
    smuggled = http(ENVELOPE.replace(b"ARCHIVE", b"EVIL"))
    answers = iter([http(b"", length=0) + b" " * 20_000 + smuggled, http(ENVELOPE)])
    with RawServer(lambda connection: connection.sendall(next(answers))) as server, client_of(server) as client:
        assert type(error_of(client.get_server_info)) is ProtocolError
        assert client.get_server_info().machine_name == "ARCHIVE"
    assert server.connections == 2


# ------------------------------------------------------------------------------------------ tasks


def test_a_token_that_has_expired(sandbox: Sandbox, server: MailStoreServer, pace: Pace) -> None:
    task = server.start(LONG)
    sandbox.faults.add(Fault(FaultKind.EXPIRED_TOKEN))
    error = error_of(task.result)
    assert type(error) is UnknownTokenError
    assert isinstance(error, TaskError)
    assert (error.function, error.token, error.task) == ("VerifyStore", task.token, task)
    assert "the server was restarted" in (error.hint or "")
    assert "wrong token" in (error.details or "")


def test_a_token_that_never_was(server: MailStoreServer) -> None:
    error = error_of(server.resume("0" * 32, VerifyStore).result)
    assert type(error) is UnknownTokenError
    assert (error.function, error.attempt) == ("VerifyStore", 1)


def test_a_task_that_never_ends_ends_with_the_deadline(sandbox: Sandbox, pace: Pace) -> None:
    running = b'{"statusCode": "running", "statusVersion": 2, "token": "x"}'
    polls = sandbox.faults.add(Fault(FaultKind.ANSWER, "get-status", times=None, body=running))

    class Ticking(FakeClock):
        def monotonic(self) -> float:
            self.now += 0.5
            return self.now

    with client_of(sandbox, clock=Ticking()) as server:
        error = error_of(lambda: server.run(LONG, deadline=10))
    assert type(error) is DeadlineExceededError
    assert isinstance(error, TimeoutError)
    assert polls.fired > 1
    assert error.task is not None
    assert error.token == error.task.token


@pytest.mark.parametrize("ends_at_once", [True, False])
def test_a_status_code_nobody_knows_ends_the_waiting(
    sandbox: Sandbox, server: MailStoreServer, pace: Pace, ends_at_once: bool
) -> None:
    if ends_at_once:
        sandbox.faults.add(envelope(statusCode='"evaporated"', result="null")())
        error = error_of(server.get_server_info)
    else:
        sandbox.behaviour = Behaviour(cancelled_status="evaporated")
        task = server.start(LONG)
        task.cancel()
        error = error_of(task.result)
    assert type(error) is FunctionFailedError
    assert (error.function, error.attempt) == (FUNCTION if ends_at_once else "VerifyStore", 1)
    assert error.envelope is not None
    assert error.envelope.status_code == StatusCode("evaporated")
    assert "'evaporated'" in error.message


@pytest.mark.parametrize(
    "body", [ENVELOPE[:-20], ENVELOPE.replace(b'{"version": "1.0", "machineName": "ARCHIVE"}', b"7")]
)
def test_a_last_status_that_cannot_be_read(sandbox: Sandbox, server: MailStoreServer, pace: Pace, body: bytes) -> None:
    functions = Registry()

    @functions.answers(GetServerInfo)
    def get_server_info(world: World, request: GetServerInfo) -> Any:
        yield from ()

    task = server.resume(server.start(LONG).token or "", GetServerInfo)
    sandbox.faults.add(Fault(FaultKind.ANSWER, "get-status", body=body))
    error = error_of(task.result)
    assert type(error) is ProtocolError
    assert error.function == FUNCTION
    assert any(task.token is not None and task.token in note for note in getattr(error, "__notes__", ()))


@pytest.mark.parametrize("status", [401, 500])
def test_a_poll_that_is_refused_ends_the_waiting_and_tells_the_token(
    sandbox: Sandbox, server: MailStoreServer, pace: Pace, status: int
) -> None:
    task = server.start(LONG)
    sandbox.faults.add(Fault(FaultKind.ANSWER, "get-status", status=status))
    error = error_of(task.result)
    assert type(error) is (AuthenticationError if status == 401 else ProtocolError)
    assert any(task.token is not None and task.token in note for note in getattr(error, "__notes__", ()))


# ------------------------------------------------------------------------------ around the engine


def test_an_error_does_not_blame_what_the_caller_is_busy_with(sandbox: Sandbox, impatient: MailStoreServer) -> None:
    """A call made while another error is handled must not tell that error's story."""
    sandbox.faults.add(Fault(FaultKind.RESET_AFTER))

    def busy() -> None:
        try:
            raise ValueError("the caller's own trouble")
        except ValueError:
            impatient.get_server_info()

    with pytest.raises(ConnectionFailedError) as caught:
        busy()
    assert "own trouble" not in str(caught.value)
    assert isinstance(caught.value.__context__, ValueError)


def test_an_argument_that_cannot_travel_is_refused_by_its_name(impatient: MailStoreServer) -> None:
    endless: dict[str, object] = {}
    endless["self"] = endless
    for value in ({"deep": float("nan")}, object(), {"x": {1, 2}}, "secret\ud800", endless):
        with pytest.raises(ArgumentError) as caught:
            impatient.call("AnyFunction", {"password": value})
        assert caught.value.function == "AnyFunction"
    with pytest.raises(ArgumentError):
        impatient.run(SetSmtpSettings(settings={"server": "\ud800"}))


def test_errors_are_caught_by_what_can_be_done_about_them() -> None:
    assert issubclass(RequestTimeoutError, TransportError)
    assert issubclass(RequestTimeoutError, TimeoutError)
    assert issubclass(AuthenticationError, ApiError)
    assert issubclass(UnknownTokenError, TaskError)
