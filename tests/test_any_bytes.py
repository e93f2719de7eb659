"""Whatever comes back, the parser of answers lets nothing out but its own error."""

from __future__ import annotations

import codecs
import copy
import json
import pickle
import ssl
from collections.abc import Callable, Iterator
from typing import Any, TypeVar, cast
from urllib.parse import parse_qsl

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from mailstore._protocol import (
    HttpAnswer,
    beginning,
    envelope_type,
    form_body,
    loose_fields,
    parse,
    parse_envelope,
    refusal_of,
)
from mailstore._redact import Redactor
from mailstore.compatibility import request_types
from mailstore.errors import ApiError, ArgumentError, MailStoreError, ProtocolError, TaskError, TransportError
from mailstore.models import CancelAsync, GetMetadata, GetServerInfo, GetStatus, InitializeMFA, StatusEnvelope
from mailstore.models.base import Request, masked
from mailstore.models.envelope import StatusCode, failure_of
from tests.faulty import ENVELOPE, RawServer, client_of, ended, http
from tests.test_round_trips import values_of

T = TypeVar("T")
Kind = type[Request[Any]]

KINDS: list[Kind] = [*request_types(), GetMetadata, CancelAsync, GetStatus]
RESULTS: list[Kind] = list({repr(kind.returns): kind for kind in KINDS}.values())
"""One function for each type of result."""

SOME = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
FEW = settings(SOME, max_examples=15)

kinds = st.sampled_from(RESULTS)

texts = st.text(max_size=8)
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)

NUMBERS = ["NaN", "-Infinity", "1e999", "-0", "1" * 5000, "1." + "0" * 500, "1e-400", "0x10", "01", "+1", "1e"]
LITERALS = ["null", "true", "false", "nul", "'a'", '"\\ud800"', '"\\u0000"', '"\\x"', '"\x00"', '"', "", ",", "{", "]"]
json_like: st.SearchStrategy[str] = st.recursive(
    st.sampled_from(NUMBERS + LITERALS) | st.from_type(str).map(json.dumps),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]"),
        # Names may come twice.
        st.lists(st.tuples(st.sampled_from(["a", "statusCode", "result"]), inner), max_size=4).map(
            lambda members: "{" + ",".join(f'"{name}": {value}' for name, value in members) + "}"
        ),
    ),
    max_leaves=8,
)


def answer_of(body: bytes, status: int = 200) -> HttpAnswer:
    return HttpAnswer(status, {}, body, 0.0)


def read(kind: Kind, body: bytes) -> StatusEnvelope[Any] | None:
    """Read an answer in both ways; return the envelope if there is one, and look at the error otherwise."""
    envelope: StatusEnvelope[Any] | None = None
    for outcome in (
        outcome_of(lambda: parse(kind, answer_of(body))),
        outcome_of(lambda: parse_envelope(envelope_type(kind), answer_of(body))),
    ):
        if not isinstance(outcome, MailStoreError):
            envelope = outcome
            use(envelope)
            continue
        assert type(outcome) is ProtocolError
        assert outcome.message
        assert outcome.http_status == 200
        assert outcome.__cause__ is outcome.__context__ is None
        assert len(str(outcome)) < 2000
        assert str(pickle.loads(pickle.dumps(outcome))) == str(outcome)  # noqa: S301 - our own
    return envelope


def outcome_of(call: Callable[[], T]) -> T | MailStoreError:
    try:
        return call()
    except MailStoreError as error:
        return error


def use(envelope: StatusEnvelope[Any]) -> None:
    """Do with an envelope what everybody does; nothing of it may raise."""
    assert f"{envelope} {envelope!r}"
    assert isinstance(envelope["statusCode"], StatusCode)
    copied = copy.deepcopy(envelope)
    assert copied.status_code == envelope.status_code
    assert isinstance(masked(envelope.to_wire()), dict)
    if envelope.status_code != StatusCode.SUCCEEDED:
        error = failure_of(envelope)
        assert isinstance(error, ApiError | TaskError)
        Redactor(["secret", "null", "true"]).error(error)
        assert isinstance(str(error), str)


# -------------------------------------------------------------------------------------- the parser


STRANGE = [
    b"",
    codecs.BOM_UTF8,
    codecs.BOM_UTF8 * 2 + b"{}",
    codecs.BOM_UTF16_LE + '{"statusCode": "succeeded"}'.encode("utf-16-le"),
    b"[" * 100_000,
    b'{"statusCode":' * 100_000,
    b'{"statusCode": "succeeded", "result": ' + b"[" * 190 + b"]" * 190 + b"}",
    b'{"statusCode": "\xff"}',
    b'{"statusCode": "succeeded", "statusVersion": ' + b"9" * 10_000 + b"}",
    b'{"statusCode": "succeeded", "statusVersion": 1e400}',
    b'{"statusCode": "succeeded", "statusVersion": NaN, "result": NaN}',
    b'{"statusCode": "succeeded", "statusCode": "failed"}',
    b'{"statusCode": "succeeded"}\x00',
    b'{"statusCode": "succeeded", "result": {"a": 1, "a": ' + b"9" * 5000 + b"}}",
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.function)
def test_strange_bytes(kind: Kind) -> None:
    for body in STRANGE:
        read(kind, body)


@SOME
@given(kind=kinds, body=st.binary(max_size=200))
def test_any_bytes(kind: Kind, body: bytes) -> None:
    read(kind, body)


@settings(SOME, max_examples=300)
@given(kind=kinds, text=json_like)
def test_anything_that_looks_like_json(kind: Kind, text: str) -> None:
    read(kind, text.encode("utf-8", "surrogatepass"))
    read(kind, f'{{"statusCode": "succeeded", "result": {text}}}'.encode("utf-8", "surrogatepass"))


@pytest.mark.parametrize("kind", RESULTS, ids=lambda kind: kind.function)
@FEW
@given(data=st.data())
def test_envelopes_that_are_nearly_right(kind: Kind, data: st.DataObject) -> None:
    body: dict[str, Any] = {
        "error": data.draw(st.none() | st.fixed_dictionaries({"message": texts, "details": st.none() | texts})),
        "token": data.draw(st.none() | texts),
        "statusVersion": data.draw(st.integers()),
        "statusCode": data.draw(st.sampled_from([*StatusCode]) | texts),
        "percentProgress": data.draw(st.none() | st.integers()),
        "statusText": data.draw(st.none() | texts),
        "result": data.draw(_results(kind)),
        "logOutput": data.draw(st.none() | texts),
    }
    assert read(kind, _dumped(body)) is not None
    for _ in range(3):
        read(kind, _dumped(data.draw(spoilt(body))))


def _results(kind: Kind) -> st.SearchStrategy[Any]:
    if kind.returns is None:
        return st.none()
    return json_values if kind is InitializeMFA else values_of(kind.returns)


def _dumped(value: object) -> bytes:
    return json.dumps(value).encode()


@st.composite
def spoilt(draw: st.DrawFn, value: Any) -> Any:
    """Return a JSON value in which something, somewhere, is something else, or missing."""
    deeper = draw(st.booleans())
    if deeper and isinstance(value, dict) and value:
        members = dict(cast("dict[str, Any]", value))
        name = draw(st.sampled_from(sorted(members)))
        member = members.pop(name)
        return members | {name: draw(spoilt(member))} if draw(st.booleans()) else members
    if deeper and isinstance(value, list) and value:
        items: list[Any] = [*value]
        index = draw(st.integers(0, len(items) - 1))
        items[index] = draw(spoilt(items[index]))
        return items
    return draw(json_values)


@SOME
@given(status=st.integers(100, 599), body=st.binary(max_size=100), said=texts)
def test_every_http_status_is_an_answer_or_an_error_of_ours(status: int, body: bytes, said: str) -> None:
    for kind in (GetServerInfo, GetStatus, CancelAsync, GetMetadata):
        error = refusal_of(kind, HttpAnswer(status, {"Retry-After": said, "Location": said}, body, 0.0))
        assert (error is None) == (status == 200)
        if error is not None:
            assert isinstance(error, ApiError | ProtocolError | TaskError)
            assert error.hint
            assert str(status) in error.message
            assert str(error)


@SOME
@given(body=st.binary())
def test_the_beginning_of_anything_is_a_text(body: bytes) -> None:
    assert len(beginning(body)) <= len(body) + 20


# ---------------------------------------------------------------------------- HTTP itself, over TLS

lines = st.lists(
    st.sampled_from(
        [
            b"HTTP/1.1 200 OK",
            b"HTTP/1.0 200",
            b"HTTP/9.9 200 OK",
            b"HTTP/1.1 100 Continue",
            b"HTTP/1.1 204 No Content",
            b"HTTP/1.1 999 ?",
            b"HTTP/1.1 -1 ?",
            b"Content-Length: 2",
            b"Content-Length: -2",
            b"Content-Length: 1, 1",
            b"Content-Length: \xb2",
            b"Transfer-Encoding: chunked",
            b"Transfer-Encoding: gzip, chunked",
            b"Content-Encoding: gzip",
            b"Content-Type: multipart/mixed; boundary=x",
            b"Content-Type: application/json; charset=utf-7",
            b"Connection: close",
            b"Retry-After: -1",
            b"Set-Cookie: a=b",
            b" folded",
            b": nameless",
            b"no colon",
            b"",
            b"0",
            b"2",
            b"{}",
            b"--x",
            ENVELOPE,
        ]
    )
    | st.binary(max_size=10),
    max_size=12,
)


@pytest.fixture(scope="module")
def babbling() -> Iterator[Callable[[bytes], object]]:
    """Yields a function that calls a server which answers with what it is given, and hangs up."""
    said = b""

    def script(connection: ssl.SSLSocket) -> None:
        connection.sendall(said)
        connection.unwrap()
        raise ConnectionAbortedError

    with RawServer(script) as server, client_of(server) as client:

        def call(answer: bytes) -> object:
            nonlocal said
            said = answer
            return ended(client.get_server_info)

        yield call


@settings(max_examples=150, deadline=None)
@given(answer=lines.map(b"\r\n".join) | st.binary(max_size=60))
@example(answer=http(ENVELOPE))
@example(answer=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\n")
@example(answer=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"f" * 20 + b"\r\n")
@example(answer=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1" * 100_000)
@example(answer=b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n")
@example(answer=b"HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775808\r\n\r\n")
@example(answer=b"HTTP/1.1 100 Continue\r\n\r\n" * 10)
def test_any_bytes_instead_of_http(babbling: Callable[[bytes], object], answer: bytes) -> None:
    outcome = babbling(answer)
    if isinstance(outcome, BaseException):
        assert isinstance(outcome, TransportError | ApiError | ProtocolError)
        assert isinstance(outcome, MailStoreError)
        assert outcome.function == "GetServerInfo"
        assert outcome.hint or isinstance(outcome, ApiError)


# -------------------------------------------------------------------------------------- arguments


@SOME
@given(arguments=st.dictionaries(st.text(max_size=5), json_values | st.binary() | st.datetimes(), max_size=4))
def test_any_arguments_travel_or_are_refused(arguments: dict[str, object]) -> None:
    body = outcome_of(lambda: form_body(loose_fields(arguments, "AnyFunction")))
    if isinstance(body, bytes):
        sent = parse_qsl(body.decode("ascii"), keep_blank_values=True)
        assert len(sent) == sum(value is not None for value in arguments.values())
    else:
        assert isinstance(body, ArgumentError)
        assert body.__context__ is None
