"""The bytes of the answers."""

from __future__ import annotations

import socket
import ssl
from email.utils import parsedate_to_datetime

import pytest
from pydantic import JsonValue

from mailstore.sandbox import Sandbox, World
from mailstore.sandbox.wire import envelope, json_bytes
from tests.sandbox.raw import Raw, basic


def test_the_published_answer_has_its_published_length() -> None:
    # The documentation shows this body under a Content-Length of 251.
    result = {"version": "9.0.0.9702", "machineName": "MAILSTORE"}
    body = json_bytes(envelope(result=dict[str, JsonValue](result)))
    assert len(body) == 251
    assert body.startswith(b'\xef\xbb\xbf{\r\n  "error": null,\r\n  "token": null,\r\n  "statusVersion": 2,\r\n')
    assert body.endswith(b'    "machineName": "MAILSTORE"\r\n  },\r\n  "logOutput": null\r\n}')


def test_the_fields_of_the_envelope_have_their_order(raw: Raw) -> None:
    assert list(raw.invoke("GetServerInfo")) == [
        "error",
        "token",
        "statusVersion",
        "statusCode",
        "percentProgress",
        "statusText",
        "result",
        "logOutput",
    ]


def test_a_quick_call_has_neither_token_nor_progress(sandbox: Sandbox, raw: Raw) -> None:
    assert raw.invoke("GetServerInfo") == {
        "error": None,
        "token": None,
        "statusVersion": 2,
        "statusCode": "succeeded",
        "percentProgress": None,
        "statusText": None,
        "result": {"version": sandbox.world.server_version, "machineName": sandbox.world.machine_name},
        "logOutput": None,
    }


def test_the_head_is_that_of_the_documentation(raw: Raw) -> None:
    answer = raw.send("/api/invoke/GetServerInfo")
    assert [name for name, _ in answer.headers] == [
        "Cache-Control",
        "Pragma",
        "Content-Length",
        "Content-Type",
        "Expires",
        "Server",
        "Date",
    ]
    assert answer.header("Content-Type") == "application/json"
    assert answer.header("Server") == "Microsoft-HTTPAPI/2.0"
    date, expires = (parsedate_to_datetime(answer.header(name) or "") for name in ("Date", "Expires"))
    assert (date - expires).total_seconds() == 86_400


def test_texts_beyond_ascii_travel_as_they_are() -> None:
    assert json_bytes({"a": "Müller\n"}) == '\ufeff{\r\n  "a": "Müller\\n"\r\n}'.encode()
    assert json_bytes("ü", escape_non_ascii=True) == b'\xef\xbb\xbf"\\u00fc"'


def test_metadata_is_a_bare_array_and_needs_no_login(raw: Raw) -> None:
    del raw.headers["Authorization"]
    functions = {function["name"]: function["args"] for function in raw.send("/api/get-metadata").json}
    assert functions["GetServerInfo"] == []
    assert functions["VerifyStore"] == [
        {"name": "id", "type": "number", "nullable": False},
        {"name": "includeIndexes", "type": "bool", "nullable": False},
    ]
    assert not {"get-metadata", "get-status", "cancel-async"} & functions.keys()
    assert raw.send("/api/get-metadata", method="GET").status == 200


@pytest.mark.parametrize("path", ["/api//invoke/GetServerInfo", "/api/invoke/GetServerInfo?x=1"])
def test_paths_are_read_leniently_where_real_clients_need_it(raw: Raw, path: str) -> None:
    assert raw.send(path).json["statusCode"] == "succeeded"


@pytest.mark.parametrize(
    "path", ["/", "/api", "/api/invoke", "/api/invoke/", "/api/invoke/a/b", "/api/invoke/NoSuchFunction", "/x", "/["]
)
def test_what_is_not_there_is_a_page_with_404(raw: Raw, path: str) -> None:
    answer = raw.send(path)
    assert answer.status == 404
    assert answer.header("Content-Type") == "text/html; charset=us-ascii"
    assert b"HTTP Error 404" in answer.body


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS"])
def test_functions_answer_post_only(raw: Raw, method: str) -> None:
    answer = raw.send("/api/invoke/GetServerInfo", method=method)
    assert (answer.status, answer.header("Allow")) == (405, "POST")
    assert raw.invoke("GetServerInfo")["statusCode"] == "succeeded"


def test_one_connection_carries_many_calls(sandbox: Sandbox, raw: Raw) -> None:
    for _ in range(5):
        raw.invoke("GetServerInfo")
        raw.send("/nowhere")
        raw.send("/api/invoke/GetServerInfo", headers={"Authorization": "Basic ?"})
    assert sandbox.connections.accepted == 1
    assert sandbox.connections.open == 1


def test_a_client_may_close_after_the_answer(sandbox: Sandbox, raw: Raw) -> None:
    answer = raw.send("/api/invoke/GetServerInfo", headers={"Connection": "close"})
    assert answer.header("Connection") == "close"
    sandbox.connections.wait_until_closed()


def _say(sandbox: Sandbox, text: str) -> bytes:
    """Send a text as it is and return all that comes back until the connection is closed."""
    context = ssl.create_default_context(cafile=sandbox.certificate)
    with (
        socket.create_connection((sandbox.host, sandbox.port), timeout=20) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as connection,
    ):
        connection.sendall(text.replace("\n", "\r\n").encode())
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
        return received


def _head(sandbox: Sandbox, *lines: str) -> str:
    head = ["POST /api/invoke/GetServerInfo HTTP/1.1", "Host: localhost", f"Authorization: {basic('admin', 'admin')}"]
    return "\n".join([*head, *lines, "", ""])


def test_without_a_length_nothing_is_read(sandbox: Sandbox) -> None:
    received = _say(sandbox, _head(sandbox))
    assert received.startswith(b"HTTP/1.1 411 Length Required\r\n")
    assert b"HTTP Error 411. The request must be chunked or have a content length." in received
    assert b"Connection: close\r\n" in received
    assert [call.http_status for call in sandbox.calls] == [411]


def test_chunks_are_no_length(sandbox: Sandbox) -> None:
    received = _say(sandbox, _head(sandbox, "Transfer-Encoding: chunked") + "3\na=b\n0\n\n")
    assert received.startswith(b"HTTP/1.1 411 ")


@pytest.mark.parametrize(("length", "status"), [("abc", 400), ("-1", 400), ("9" * 30, 400), ("9" * 12, 413)])
def test_a_length_that_cannot_be_is_refused(sandbox: Sandbox, length: str, status: int) -> None:
    assert _say(sandbox, _head(sandbox, f"Content-Length: {length}")).startswith(b"HTTP/1.1 %d " % status)


@pytest.mark.parametrize("text", ["nonsense\n\n", "POST / HTTP/9.9\n\n", "BREW / HTTP/1.1\n\n"])
def test_what_is_no_http_is_refused(sandbox: Sandbox, text: str) -> None:
    received = _say(sandbox, text)
    assert b"Server: Microsoft-HTTPAPI/2.0" in received
    assert received.split()[1] in {b"400", b"501", b"505"}


def test_a_form_may_be_sent_without_escapes(sandbox: Sandbox) -> None:
    body = 'id=1&includeIndexes=true&x={ "a" : "b c!" }'
    head = _head(sandbox, f"Content-Length: {len(body)}", "Connection: close").replace("GetServerInfo", "VerifyStore")
    assert b'"statusCode": "succeeded"' in _say(sandbox, head + body)
    assert dict(sandbox.calls[0].arguments)["id"] == "1"


def test_a_request_that_breaks_off_harms_nobody(sandbox: Sandbox, raw: Raw) -> None:
    context = ssl.create_default_context(cafile=sandbox.certificate)
    with (
        socket.create_connection((sandbox.host, sandbox.port), timeout=20) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as connection,
    ):
        connection.sendall(b"POST /api/invoke/GetUsers HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc")
    sandbox.connections.wait_until_closed()
    assert raw.invoke("GetServerInfo")["statusCode"] == "succeeded"


def test_plain_http_harms_nobody(sandbox: Sandbox, raw: Raw) -> None:
    with socket.create_connection((sandbox.host, sandbox.port), timeout=20) as plain:
        plain.sendall(b"POST /api/get-metadata HTTP/1.1\r\n\r\n")
        while plain.recv(1000):
            pass
    assert raw.invoke("GetServerInfo")["statusCode"] == "succeeded"


def test_a_large_result_arrives_whole(raw: Raw) -> None:
    world: World = raw.sandbox.world
    with world.lock:
        for number in range(5000):
            world.set_administrator(f"user{number}", "x")
        names = list(world.users)
    assert [user["userName"] for user in raw.invoke("GetUsers")["result"]] == names
