"""Requests to forms, answers to envelopes or errors: what the wire looks like, without a wire."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, time
from enum import Enum
from typing import Any

import pytest
from pydantic import SecretStr

from mailstore._protocol import (
    QUOTED,
    HttpAnswer,
    beginning,
    form_body,
    form_fields,
    loose_fields,
    parse,
    refusal_of,
)
from mailstore._redact import Redactor
from mailstore.errors import (
    ArgumentError,
    AuthenticationError,
    MailStoreError,
    ProtocolError,
    RedirectError,
    ServerUnavailableError,
    UnknownFunctionError,
    UnknownTokenError,
)
from mailstore.models import (
    CancelAsync,
    CreateUser,
    GetMetadata,
    GetServerInfo,
    GetStatus,
    GetUserInfo,
    ServerInfo,
    SetUserFullName,
    StatusCode,
)
from mailstore.models.base import MASK, Request


def answer(body: bytes | str = b"", status: int = 200, headers: Mapping[str, str] | None = None) -> HttpAnswer:
    return HttpAnswer(status, headers or {}, body.encode() if isinstance(body, str) else body, 0.0)


def misfit(
    request_type: type[Request[Any]], body: bytes | str, headers: Mapping[str, str] | None = None
) -> ProtocolError:
    with pytest.raises(ProtocolError) as caught:
        parse(request_type, answer(body, headers=headers))
    assert caught.value.http_status == 200
    return caught.value


# ------------------------------------------------------------------------------------------ forms


class Colour(Enum):
    RED = "red"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (False, "false"),
        (0, "0"),
        (-7, "-7"),
        (2.5, "2.5"),
        (1e22, "1e+22"),
        ("", ""),
        ("ä+b c", "ä+b c"),
        (SecretStr("s3cret"), "s3cret"),
        (datetime(2026, 1, 31, 23, 59, 59, 999), "2026-01-31T23:59:59"),
        (time(3, 30), "03:30"),
        (time(3, 30, 5), "03:30:05"),
        (["a", "b c"], "a,b c"),
        (("a",), "a"),
        ([], ""),
        ([1, "a"], '[1,"a"]'),
        ((1, 2), "[1,2]"),
        ({"ü": [True, None, {"x": 1.5}]}, '{"ü":[true,null,{"x":1.5}]}'),
        ({"m": ServerInfo(version="1", machine_name="ü")}, '{"m":{"version":"1","machineName":"ü"}}'),
        ({"t": (1, "a")}, '{"t":[1,"a"]}'),
    ],
)
def test_a_value_has_one_form_on_the_wire(value: object, text: str) -> None:
    assert loose_fields({"x": value}, "F") == {"x": text}


@pytest.mark.parametrize(
    "value",
    [float("nan"), float("inf"), object(), b"bytes", {1, 2}, {"x": object()}, [1, float("nan")], 1j, Colour.RED],
)
def test_what_has_no_form_is_refused_by_name_and_without_its_value(value: object) -> None:
    with pytest.raises(ArgumentError) as caught:
        loose_fields({"fine": 1, "config": value}, "AnyFunction")
    assert caught.value.argument == "config"
    assert caught.value.function == "AnyFunction"
    assert caught.value.message == (
        f"config: there is something in this {type(value).__name__} that cannot travel as JSON"
    )
    assert caught.value.__context__ is None


def test_an_aware_date_has_no_form() -> None:
    with pytest.raises(ArgumentError, match="naive") as caught:
        loose_fields({"since": datetime(2026, 1, 1, tzinfo=UTC)}, "AnyFunction")
    assert (caught.value.argument, caught.value.function) == ("since", "AnyFunction")


def test_left_out_is_not_empty() -> None:
    assert form_fields(SetUserFullName(user_name="a")) == {"userName": "a"}
    assert form_fields(SetUserFullName(user_name="a", full_name="")) == {"userName": "a", "fullName": ""}
    assert loose_fields({"a": None, "b": ""}, "F") == {"b": ""}
    assert form_body({}) == b""


def test_a_form_is_encoded_as_utf_8() -> None:
    assert form_body({"a b": "ü&=+%\n", "n": "😀"}) == b"a+b=%C3%BC%26%3D%2B%25%0A&n=%F0%9F%98%80"


def test_half_a_character_is_refused() -> None:
    with pytest.raises(ArgumentError, match="surrogate") as caught:
        form_body({"a": "secret\ud800"})
    assert caught.value.__context__ is None


def test_a_form_shows_its_names_only() -> None:
    form = form_fields(CreateUser(user_name="a", privileges="login", password="s3cret"))
    assert form["password"] == "s3cret"
    assert repr(form) == "Form(userName, privileges, password)"


# -------------------------------------------------------------------------------- bare answers

FUNCTIONS = (
    '[{"name": "GetUsers", "args": []}, {"name": "X", "args": [{"name": "a", "type": "bool", "nullable": true}]}]'
)


@pytest.mark.parametrize(
    "body", [FUNCTIONS, f" \r\n{FUNCTIONS} ", f'{{"statusCode": "succeeded", "result": {FUNCTIONS}}}']
)
def test_metadata_comes_bare_or_in_an_envelope(body: str) -> None:
    envelope = parse(GetMetadata, answer(body))
    assert envelope.status_code == StatusCode.SUCCEEDED
    assert [function.name for function in envelope.result] == ["GetUsers", "X"]


def test_metadata_that_was_refused_says_why() -> None:
    envelope = parse(GetMetadata, answer(' {"statusCode": "failed", "error": {"message": "No."}}'))
    assert envelope.status_code == StatusCode.FAILED
    assert envelope.error is not None
    assert envelope.error.message == "No."


def test_a_function_by_the_name_of_a_member_does_not_make_an_envelope() -> None:
    assert parse(GetMetadata, answer('[{"name": "\\"statusCode\\"", "args": []}]')).result[0].name == '"statusCode"'


@pytest.mark.parametrize(
    ("body", "result"),
    [("", None), (" \r\n", None), ("null", None), ("true", True), ('{"any": [1]}', {"any": [1]}), ("[]", [])],
)
def test_a_cancellation_may_be_answered_by_anything(body: str, result: object) -> None:
    envelope = parse(CancelAsync, answer(body))
    assert (envelope.status_code, envelope.raw_result) == (StatusCode.SUCCEEDED, result)


def test_a_cancellation_answered_by_a_status_is_that_status() -> None:
    envelope = parse(CancelAsync, answer('{"statusCode": "running", "token": "t", "statusVersion": 7}'))
    assert (envelope.status_code, envelope.token, envelope.status_version) == (StatusCode.RUNNING, "t", 7)


@pytest.mark.parametrize("request_type", [GetMetadata, GetServerInfo])
def test_an_empty_answer_is_none(request_type: type[Request[Any]]) -> None:
    assert "EOF" in misfit(request_type, "").message


@pytest.mark.parametrize("body", ["<html>", "{", "[", "nope"])
def test_a_cancellation_answered_by_a_page_is_none(body: str) -> None:
    assert "no status envelope: Invalid JSON" in misfit(CancelAsync, body).message


def test_bare_metadata_of_another_shape_is_told_apart() -> None:
    error = misfit(GetMetadata, '[{"name": "GetUsers"}]')
    assert error.message == "the result is not what this function returns: result.0.args: Field required"
    assert misfit(GetMetadata, '{"x": 1}').message.startswith("the result is not what this function returns: result: ")


# ------------------------------------------------------------------------- answers that do not fit


def test_the_three_ways_not_to_fit_have_their_own_words() -> None:
    no_json = misfit(GetServerInfo, "<html><body>Welcome</body></html>")
    assert no_json.message == "the answer is no status envelope: Invalid JSON: expected value at line 1 column 1"
    assert no_json.hint == ("is this the port of the Administration API (8463; the Service Provider Edition has 8474)?")
    assert no_json.body == "<html><body>Welcome</body></html>"
    assert str(no_json).startswith(
        f"{no_json.message}; the answer begins with '<html><body>Welcome</body></html>'. Hint: "
    )

    other_result = misfit(GetServerInfo, '{"statusCode": "succeeded", "result": {"version": "1"}}')
    assert other_result.message == "the result is not what this function returns: result.machineName: Field required"
    assert "`call` returns its answer without a model" in (other_result.hint or "")

    other_envelope = misfit(GetServerInfo, '{"statusCode": "succeeded", "percentProgress": "half"}')
    assert other_envelope.message.startswith("the answer is no status envelope: percentProgress: ")
    assert "a version that this package does not know" in (other_envelope.hint or "")


def test_an_encoded_answer_is_told_apart() -> None:
    error = misfit(GetServerInfo, b"\x1f\x8b", {"Content-Encoding": "gzip"})
    assert error.hint == "something between here and the server encodes answers (gzip), which was not asked for"


def test_the_beginning_of_a_page_ends_where_a_secret_begins() -> None:
    assert beginning(b"<p>Your password is wrong.</p>") == "<p>Your password is wrong.</p>"
    assert beginning(b'{"user": "a", "password": "s3cret", "x": 1}') == f'{{"user": "a", "password": {MASK}'
    assert beginning(b"a=1&smtpPassword=s3cret") == f"a=1&smtpPassword= {MASK}"
    assert beginning(b"\xef\xbb\xbf\xff") == "�"


def test_what_an_error_quotes_is_cut_once_secrets_were_looked_for() -> None:
    secret = "s3cret" * 10
    error = misfit(GetServerInfo, "x" * (QUOTED - 3) + secret + "y" * 1000)
    Redactor([secret]).error(error)
    assert error.body == "x" * (QUOTED - 3) + MASK[:3]


# ----------------------------------------------------------------------------- refusals over HTTP


@pytest.mark.parametrize(
    ("status", "request_type", "kind", "words", "hint"),
    [
        (401, GetUserInfo, AuthenticationError, "the server refused the login", "admin/admin works from the server"),
        (403, GetStatus, AuthenticationError, "the server refused the login", "an app or API password is needed"),
        (404, GetUserInfo, UnknownFunctionError, "does not know the function GetUserInfo", "`get_metadata` lists"),
        (404, GetStatus, UnknownTokenError, "does not know this token", "the server was restarted since"),
        (404, CancelAsync, UnknownTokenError, "does not know this token", "it was misspelt"),
        (404, GetMetadata, UnknownFunctionError, "does not know the function get-metadata", "8474"),
        (429, GetUserInfo, ServerUnavailableError, "the server cannot answer now", "overloaded"),
        (502, GetUserInfo, ServerUnavailableError, "the server cannot answer now", "starting"),
        (503, GetStatus, ServerUnavailableError, "the server cannot answer now", "stopping"),
        (300, GetUserInfo, RedirectError, "answered with a redirect", "is there a proxy"),
        (399, GetUserInfo, RedirectError, "which is not followed", "another web server"),
        (400, GetUserInfo, ProtocolError, "instead of a status envelope", "is this the port"),
        (411, GetUserInfo, ProtocolError, "instead of a status envelope", "drops the length"),
        (412, GetUserInfo, ProtocolError, "instead of a status envelope", "is this the port"),
        (499, GetUserInfo, ProtocolError, "instead of a status envelope", "is this the port"),
        (500, GetUserInfo, ProtocolError, "instead of a status envelope", "event log"),
        (504, GetUserInfo, ProtocolError, "instead of a status envelope", "event log"),
        (201, GetUserInfo, ProtocolError, "instead of a status envelope", "is this the port"),
    ],
)
def test_a_status_that_is_not_200_is_an_error(
    status: int, request_type: type[Request[Any]], kind: type[MailStoreError], words: str, hint: str
) -> None:
    error = refusal_of(request_type, answer("Sorry.", status))
    assert error is not None
    assert type(error) is kind
    assert words in error.message
    assert f"HTTP {status}" in error.message
    assert hint in (error.hint or "")
    assert getattr(error, "http_status", status) == status
    assert (error.body if isinstance(error, ProtocolError) else error.details) == "Sorry."
    silent = refusal_of(request_type, answer("", status))
    assert silent is not None
    assert silent.details is None


def test_200_is_no_error() -> None:
    assert refusal_of(GetUserInfo, answer("anything")) is None


@pytest.mark.parametrize(
    ("said", "seconds"),
    [("0", 0.0), ("7", 7.0), ("999999", 999_999.0), ("1000000", None), ("-1", None), ("1.5", None), ("²", None),
     ("٣", None), ("", None), ("Fri, 31 Jan 2026 23:59:59 GMT", None), (None, None)],
)  # fmt: skip
def test_only_whole_seconds_are_understood_as_a_wish_to_be_asked_later(said: str | None, seconds: float | None) -> None:
    error = refusal_of(GetUserInfo, answer("", 503, {} if said is None else {"Retry-After": said}))
    assert isinstance(error, ServerUnavailableError)
    assert error.retry_after == seconds
