"""A secret is planted wherever one can go, and then looked for wherever one could come out; it is found nowhere."""

from __future__ import annotations

import base64
import copy
import html
import json
import logging
import pickle
import re
import ssl
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from typing import Any, get_args
from urllib.parse import quote, quote_plus, unquote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr, TypeAdapter, ValidationError

import mailstore
from mailstore import MailStoreServer, Settings, models
from mailstore._engine import Exchange
from mailstore._protocol import HttpAnswer, form_fields
from mailstore._redact import Redactor
from mailstore.compatibility import request_types
from mailstore.errors import ArgumentError, ConfigurationError, MailStoreError, ProtocolError
from mailstore.models import CreateUser, GetProfiles, InitializeMFA, StatusEnvelope
from mailstore.models.base import MASK, Model, Request, python_names
from mailstore.models.envelope import failure_of
from mailstore.models.fields import JsonObject, SecretText
from mailstore.sandbox import Failed, Fault, FaultKind, Pace, Sandbox, Step, World
from tests.faulty import RawServer, chain, client_of, ended, error_of, http, settings_of
from tests.support import FakeClock, known_functions

CORE = "Zq7XvK2w"
"""Letters and digits in the middle of the secret, which no escaping changes."""

SECRET = f"\"ä\\n +%2B&='/<{CORE}😀>#{{}}\u20ac\n;?"
OTHER = f"{CORE}, of the login: 'ß\\"
"""The password of the login: another one, with the same core."""


def spellings(secret: str) -> set[str]:
    """Return how a secret may be spelt in a text, apart from all that leave its core alone."""
    packed: set[str] = set()
    for text in (secret, f"admin:{secret}", CORE):
        for shift in range(3):
            whole = base64.b64encode(b"\0" * shift + text.encode()).decode()
            packed.add(whole[4 if shift else 0 : len(whole) - 4])
    return {
        CORE,
        secret,
        quote(secret),
        quote(secret, safe=""),
        quote_plus(secret),
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        repr(secret)[1:-1],
        html.escape(secret),
        *packed,
    }


SPELLINGS = spellings(SECRET) | spellings(OTHER)


def assert_clean(text: str) -> None:
    for spelling in SPELLINGS:
        assert spelling not in text, f"found as {spelling!r}"


def texts_of(thing: object) -> Iterator[str]:
    """Yield everything that a program may print of a thing."""
    yield f"{thing} {thing!r}"
    if isinstance(thing, BaseException):
        for error in chain(thing):
            yield "".join(traceback.format_exception(error))
            yield repr((error.args, vars(error)))
            yield "\n".join(getattr(error, "__notes__", ()))
            yield pickle.dumps(error, 0).decode("latin-1")
            yield pickle.dumps(error).decode("utf-8", errors="replace")
            yield repr(pickle.loads(pickle.dumps(error)).__dict__)  # noqa: S301 - our own
            yield repr(copy.copy(error))
            yield from frames_of_the_package(error)
    if isinstance(thing, Settings):
        yield repr(asdict(thing))


def frames_of_the_package(error: BaseException) -> Iterator[str]:
    """Yield the variables of all frames below the client's method, whose arguments are the caller's business."""
    for frame in traceback.TracebackException.from_exception(error, capture_locals=True).stack:
        if frame.filename.endswith(("_engine.py", "_transport.py", "_protocol.py", "tasks.py")) or (
            "site-packages" in frame.filename
        ):
            yield repr(frame.locals)


class Watch(logging.Handler):
    """Collects what is logged, by whomever and at whatever level."""

    def __init__(self) -> None:
        super().__init__(1)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(f"{logging.Formatter().format(record)} {record.__dict__!r}")


@pytest.fixture(autouse=True)
def nothing_else_leaks(capsys: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Looks through all logs, warnings and output of a test at its end."""
    watch, root = Watch(), logging.getLogger()
    loggers = [root, *(logging.getLogger(name) for name in ("mailstore", "urllib3", "requests"))]
    before = [logger.level for logger in loggers]
    root.addHandler(watch)
    for logger in loggers:
        logger.setLevel(1)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        yield
    root.removeHandler(watch)
    for logger, level in zip(loggers, before, strict=True):
        logger.setLevel(level)
    printed = capsys.readouterr()
    for text in [*watch.texts, *(f"{warning.message!r} {warning}" for warning in warned), printed.out, printed.err]:
        assert_clean(text)


def assert_nothing_in(*things: object) -> None:
    for thing in things:
        for text in texts_of(thing):
            assert_clean(text)


# ------------------------------------------------------------------- servers that quote what they get


def _words(request: bytes) -> str:
    """What a server may say that quotes a request in clear and as it came."""
    head, _, body = request.partition(b"\r\n\r\n")
    plain = unquote_plus(body.decode())
    login = next(line for line in head.decode().split("\r\n") if line.startswith("Authorization"))
    return f"{plain} | {body.decode()} | {login} | {base64.b64decode(login.split()[2]).decode()}"


def _failed(request: bytes) -> bytes:
    said = _words(request)
    body = {
        "error": {"message": said, "details": json.dumps(said), "more": [{"said": said}]},
        "statusCode": "failed",
        "statusText": said,
        "result": {"said": [said]},
        "logOutput": said,
        "future": {"said": said},
    }
    return http(b"\xef\xbb\xbf" + json.dumps(body).encode())


def _page(status: str, *, headers: str = "", escaped: bool = False) -> Callable[[bytes], bytes]:
    def answer(request: bytes) -> bytes:
        said = _words(request)
        return http((html.escape(said) if escaped else said).encode(), status=status, headers=headers)

    return answer


def _ascii(request: bytes) -> bytes:
    return quote(_words(request)).encode()


ECHOES: dict[str, Callable[[bytes], bytes]] = {
    "failed envelope": _failed,
    "page": _page("200 OK"),
    "page, escaped": _page("200 OK", escaped=True),
    "401": _page("401 Unauthorized"),
    "404": _page("404 Not Found"),
    "500": _page("500 Internal Server Error"),
    "503": _page("503 Service Unavailable"),
    "redirect": _page("302 Found", headers="Location: /elsewhere\r\n"),
    "JSON of another shape": lambda request: http(json.dumps({"statusCode": [_words(request)]}).encode()),
    "JSON of another shape, escaped twice": lambda request: http(json.dumps([json.dumps(_words(request))]).encode()),
    "half of it": lambda request: http(_words(request).encode(), length=1_000_000),
    "padded, cut in the middle of the secret": lambda request: http(b" " * 290 + _words(request).encode()),
    "status line": lambda request: b"HTTP/1.1 " + _ascii(request) + b"\r\n\r\n",
    "no HTTP": lambda request: _ascii(request) + b"\r\n\r\n",
    "head": lambda request: b"HTTP/1.1 200 OK\r\n" + _ascii(request) + b"\r\nContent-Length: 0\r\n\r\n",
    "length": lambda request: b"HTTP/1.1 200 OK\r\nContent-Length: 1, " + _ascii(request) + b"\r\n\r\n",
    "encoding": lambda request: http(b"?", headers=f"Content-Encoding: {_ascii(request).decode()}\r\n"),
    "retry": lambda request: http(b"", status="503 No", headers=f"Retry-After: {_ascii(request).decode()}\r\n"),
}


class EchoServer(RawServer):
    """Answers with what it was asked, in the most careless ways."""

    def __init__(self, echo: str) -> None:
        super().__init__(self._answer)
        self._echo = ECHOES[echo]

    def _answer(self, connection: ssl.SSLSocket) -> None:
        connection.sendall(self._echo(self.requests[-1]).replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
        connection.unwrap()


# --------------------------------------------------------------------------- where a secret can go

PROFILE = {
    "name": "p",
    "type": "import",
    "connector": "x",
    "details": {"host": "h", "password": SECRET, "clientSecret": SECRET},
}
PLACES: dict[type[Request[Any]], dict[str, Any]] = {
    models.AttachStore: {"name": "n", "type": "SQLServer", "password": SECRET},
    models.CreateProfile: {"properties": PROFILE},
    models.CreateStore: {"name": "n", "type": "SQLServer", "password": SECRET},
    models.CreateUser: {"userName": "mary", "privileges": "login", "password": SECRET},
    models.RecoverStore: {"id": 1, "encryptionKey": SECRET},
    models.RunTemporaryProfile: {"properties": PROFILE},
    models.SetComplianceConfiguration: {
        "config": {"legalHoldEnabled": True, "logSuccessfulUserActivities": [], "apiKey": SECRET}
    },
    models.SetDirectoryServicesConfiguration: {"config": {"type": "activeDirectory", "password": SECRET}},
    models.SetRetentionPolicies: {"config": [{"name": "n", "enabled": True, "deletePassword": SECRET}]},
    models.SetSmtpSettings: {"settings": {"password": SECRET, "accessToken": SECRET, "inner": [{"password": SECRET}]}},
    models.SetStoreAutoCreateConfiguration: {"config": {"password": SECRET}},
    models.SetStoreProperties: {"id": 1, "password": SECRET},
    models.SetUserPassword: {"userName": "mary", "password": SECRET},
    models.UnlockStore: {"id": 1, "passphrase": SECRET},
}
"""Arguments, by their names on the wire, with a secret in each place that is made for one."""


def has_a_place_for_a_secret(request_type: type[Request[Any]]) -> bool:
    def found_in(hint: object) -> bool:
        return isinstance(hint, SecretText | JsonObject) or any(map(found_in, (*get_args(hint), *_rules(hint))))

    return any(found_in(field.annotation) or any(map(found_in, field.metadata)) for field in _fields(request_type))


def _rules(hint: object) -> tuple[object, ...]:
    return getattr(hint, "__metadata__", ())


def _fields(request_type: type[Request[Any]]) -> list[Any]:
    return list(request_type.model_fields.values())


def test_every_place_for_a_secret_is_known() -> None:
    assert {kind for kind in request_types() if has_a_place_for_a_secret(kind)} == set(PLACES)


requests_with_secrets = pytest.mark.parametrize(
    "request_", [kind.from_wire(arguments) for kind, arguments in PLACES.items()], ids=lambda value: value.function
)
echoes = pytest.mark.parametrize("echo", ECHOES)


# ------------------------------------------------------------------------------ what comes of them


@requests_with_secrets
def test_a_request_carries_its_secret_and_shows_it_to_nobody(request_: Request[Any]) -> None:
    assert any(CORE in text for text in form_fields(request_).values())
    assert_nothing_in(request_, form_fields(request_), [request_], {"x": request_})
    assert request_ == pickle.loads(pickle.dumps(request_))  # noqa: S301 - our own


@echoes
@requests_with_secrets
def test_a_server_that_quotes_the_request_tells_nobody(request_: Request[Any], echo: str) -> None:
    with EchoServer(echo) as server, client_of(server, password=OTHER) as client:
        error = error_of(lambda: client.run(request_))
        assert CORE in unquote_plus(server.requests[0].decode())
    assert_nothing_in(error, error.envelope, client, client.settings)
    assert_nothing_in(*client.run_many([request_]))


@echoes
@pytest.mark.parametrize("raises", [True, False])
def test_the_tutorials_client_tells_nobody(echo: str, raises: bool) -> None:
    seen: list[object] = []
    with (
        EchoServer(echo) as server,
        mailstore.server.Client(
            password=OTHER,
            port=server.port,
            fingerprint=server.fingerprint,
            logLevel=4,
            raiseOnError=raises,
            callbackStatus=seen.append,
        ) as client,
    ):
        client._engine.clock = FakeClock()
        for kind, arguments in PLACES.items():
            try:
                seen.append(getattr(client, kind.function)(**arguments))
            except MailStoreError as error:
                seen.append(error)
    assert len(seen) >= len(PLACES)
    assert_nothing_in(client, *seen)


@echoes
@pytest.mark.parametrize(
    "arguments",
    [
        {"password": SECRET},
        {"config": {"credentials": [{"passphrase": SECRET}], "x": 1}},
        {"anything": SecretStr(SECRET)},
    ],
    ids=["by name", "deep inside", "by type"],
)
def test_a_call_by_name_tells_nobody(echo: str, arguments: dict[str, object]) -> None:
    with EchoServer(echo) as server, client_of(server, password=OTHER) as client:
        assert_nothing_in(error_of(lambda: client.call("AnyFunction", arguments)))
        assert CORE in unquote_plus(server.requests[0].decode())


def test_a_failure_that_is_retried_tells_nobody_in_between() -> None:
    class Reads(CreateUser):
        function = "GetSomething"
        repeatable = True

    request = Reads(user_name="mary", privileges=["login"], password=SECRET)
    retry = mailstore.RetryPolicy()
    with (
        EchoServer("503") as server,
        client_of(server, password=OTHER, retry=retry, clock=FakeClock()) as client,
    ):
        error = error_of(lambda: client.run(request))
    assert len(error.earlier) == 2
    assert_nothing_in(error)


@pytest.mark.parametrize("fails_at", ["start", "end", "poll"])
def test_a_task_that_quotes_its_arguments_tells_nobody(fails_at: str) -> None:
    functions = known_functions()

    @functions.answers(CreateUser)
    def create_user(world: World, request: CreateUser) -> Any:
        quoted = json.dumps(request.to_wire(), ensure_ascii=False)
        if fails_at == "start":
            raise Failed(quoted, note=quoted)
        yield Step("one")
        yield Step("two")
        raise Failed(quoted, note=quoted)

    request = CreateUser(user_name="mary", privileges=["login"], password=SECRET)
    seen: list[object] = []
    with (
        Sandbox(functions=functions, password=OTHER, pace=Pace.by_hand()) as sandbox,
        client_of(sandbox, password=OTHER) as client,
    ):
        if fails_at == "start":
            seen.append(error_of(lambda: client.start(request)))
        else:
            task = client.start(request)
            if fails_at == "poll":
                said = json.dumps({"statusCode": [SECRET, OTHER]}).encode()
                sandbox.faults.add(Fault(FaultKind.ANSWER, "get-status", body=said))
            sandbox.pace.finish()
            seen += [error_of(task.result), task, task.status]
        assert_nothing_in(*seen)


@pytest.mark.parametrize("kind", PLACES, ids=lambda kind: kind.function)
def test_arguments_that_are_refused_are_not_repeated(kind: type[Request[Any]]) -> None:
    arguments, names = PLACES[kind], python_names(kind)
    spoilt = [arguments | {name: wrong} for name in arguments for wrong in ([SECRET], SECRET.encode(), 7.5, None)]
    spoilt += [{name: arguments[name] for name in arguments if name != missing} for missing in arguments]
    spoilt.append(arguments | {"unknown": SECRET})
    refused = 0
    for wire in spoilt:
        python = {names.get(name, name): value for name, value in wire.items()}
        calls: list[Callable[[], object]] = [
            partial(kind.from_wire, wire),
            partial(kind.model_validate, wire),
            partial(kind, **python),
            partial(kind.model_validate_json, json.dumps(wire, default=repr)),
            partial(kind.model_validate_json, json.dumps(wire, default=repr)[:-1]),
        ]
        for call in calls:
            try:
                call()
            except ArgumentError as error:
                refused += 1
                assert_nothing_in(error)
    assert refused > len(spoilt)


@pytest.mark.parametrize(
    ("model", "broken"),
    [
        (models.ProfileDetails, {"password": [SECRET]}),
        (models.ProfileProperties, {"name": "n", "details": {"password": SECRET}}),
        (models.DirectoryServicesConfiguration, {"password": SECRET}),
        (models.SmtpSettings, {"password": {"x": SECRET}}),
    ],
)
def test_pydantics_own_error_about_a_configuration_hides_it(model: type[Model], broken: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(broken)
    assert_clean("".join(traceback.format_exception(caught.value)))
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(model).validate_json(json.dumps(broken))
    assert_clean(f"{caught.value} {caught.value!r}")


# ------------------------------------------------------------------------------------ the login


def test_settings_and_clients_show_no_password(sandbox: Sandbox) -> None:
    for password in (OTHER, SecretStr(OTHER), lambda: OTHER):
        settings = Settings("127.0.0.1", password, port=sandbox.port, fingerprint=sandbox.fingerprint)
        client = MailStoreServer.from_settings(settings)
        assert_nothing_in(settings, client, client._engine, client.with_options(timeout=1), settings.changed(port=1))
        assert_nothing_in(error_of(client.get_server_info))
    with mailstore.server.Client(password=OTHER, host="127.0.0.1") as tutorial:
        assert_nothing_in(tutorial)


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"MAILSTORE_HOST": f"https://admin:{SECRET}@example.com"},
        {"MAILSTORE_HOST": "example.com", "MAILSTORE_PORT": "many"},
        {"MAILSTORE_HOST": "example.com", "MAILSTORE_FINGERPRINT": "12"},
        {"MAILSTORE_HOST": "example.com", "MAILSTORE_CA_FILE": "/nowhere"},
        {"MAILSTORE_HOST": "example.com", "MAILSTORE_USERNAME": "a:b"},
        {"MAILSTORE_HOST": "example.com", "MAILSTORE_PASSWORD": OTHER + "\udcff"},
    ],
)
def test_the_environment_is_not_repeated(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    variables = {"MAILSTORE_PASSWORD": OTHER} | environment
    with pytest.raises(ConfigurationError) as caught:
        MailStoreServer.from_env(variables)
    assert_nothing_in(caught.value)


def test_from_the_environment_it_goes_where_it_belongs(sandbox: Sandbox) -> None:
    with sandbox.world.lock:
        sandbox.world.set_administrator("admin", OTHER)
    variables = {
        "MAILSTORE_HOST": "127.0.0.1",
        "MAILSTORE_PORT": str(sandbox.port),
        "MAILSTORE_FINGERPRINT": sandbox.fingerprint,
        "MAILSTORE_PASSWORD": OTHER,
    }
    with MailStoreServer.from_env(variables) as client:
        assert client.get_server_info().version
        assert_nothing_in(client, client.settings)


def test_a_password_that_cannot_be_fetched_is_its_function_s_own_trouble(sandbox: Sandbox) -> None:
    settings = settings_of(sandbox).changed(password=lambda: 7)  # type: ignore[arg-type, return-value]
    error = error_of(MailStoreServer.from_settings(settings).get_server_info)
    assert type(error) is ConfigurationError
    assert error.function == "GetServerInfo"


# ------------------------------------------------------------------------ what the server returns

RETURNED: list[tuple[type[Request[Any]], Any]] = [
    (InitializeMFA, SECRET),
    (InitializeMFA, {"sharedKey": SECRET, "qr": [SECRET]}),
    (InitializeMFA, [SECRET]),
    (GetProfiles, [{**PROFILE, "id": 1}]),
    (models.GetDirectoryServicesConfiguration, {"type": "activeDirectory", "password": SECRET}),
    (models.GetSmtpSettings, {"password": SECRET, "refreshToken": None, "recoveryKey": SECRET}),
    (models.GetStoreAutoCreateConfiguration, {"databasePassword": SECRET}),
]


def _envelope(result: object, **members: object) -> bytes:
    return json.dumps({"statusCode": "succeeded", "statusVersion": 2, "result": result} | members).encode()


@pytest.mark.parametrize(("kind", "result"), RETURNED, ids=lambda value: getattr(value, "function", None))
def test_a_secret_that_the_server_returns_is_hidden(kind: type[Request[Any]], result: object) -> None:
    arguments = {"userName": "mary"} if kind is InitializeMFA else {}
    request = kind.from_wire(arguments)
    with (
        RawServer(lambda connection: connection.sendall(http(_envelope(result)))) as server,
        client_of(server) as client,
    ):
        exchange: Exchange[Any] = client.exchange(request)
        task = client.start(request)
        outcomes = list(client.run_many([request]))
        assert_nothing_in(exchange, exchange.envelope, exchange.http, task, task.status, *outcomes)
        assert_nothing_in(exchange.envelope.result, {"x": [exchange.envelope]}, exchange.envelope["result"])
        assert CORE in json.dumps(exchange.envelope.to_wire(), ensure_ascii=False)  # it is there for who asks


@pytest.mark.parametrize(("kind", "result"), RETURNED, ids=lambda value: getattr(value, "function", None))
@pytest.mark.parametrize("spoilt", ["version", "half", "twice", "other"])
def test_an_answer_that_cannot_be_read_does_not_quote_its_secret(
    kind: type[Request[Any]], result: object, spoilt: str
) -> None:
    body = {
        "version": _envelope(result, statusVersion="two"),
        "half": _envelope(result)[:-4],
        "twice": _envelope(result) * 2,
        "other": _envelope(result).replace(b'"statusCode": "succeeded"', b'"statusCode": 7'),
    }[spoilt]
    request = kind.from_wire({"userName": "mary"} if kind is InitializeMFA else {})
    with RawServer(lambda connection: connection.sendall(http(body))) as server, client_of(server) as client:
        error = error_of(lambda: client.run(request))
    assert type(error) is ProtocolError
    assert_nothing_in(error)


def test_a_page_is_quoted_up_to_its_secret_only() -> None:
    body = b"<p>Sorry. The configuration is: user=mary; password=" + CORE.encode() + b"</p>"
    with RawServer(lambda connection: connection.sendall(http(body))) as server, client_of(server) as client:
        error = error_of(client.get_server_info)
    assert isinstance(error, ProtocolError)
    assert error.body == f"<p>Sorry. The configuration is: user=mary; password= {MASK}"
    assert_nothing_in(error)


# --------------------------------------------------------------------------------- the redactor

any_secret = st.text(min_size=4).filter(lambda text: len(text.strip()) >= 4 and text.strip() != "admin")


@settings(deadline=None)
@given(any_secret, st.text(max_size=5), st.text(max_size=5))
def test_a_secret_is_masked_in_every_spelling(secret: str, before: str, after: str) -> None:
    redactor = Redactor([secret], "admin")
    secret = secret.strip()
    assert redactor.text(f"<{secret}>") == f"<{MASK}>"
    for spelt in (
        secret,
        json.dumps(secret),
        json.dumps(secret, ensure_ascii=False),
        json.dumps(json.dumps(secret)),
        quote(json.dumps(secret)),
        html.escape(secret),
        html.escape(secret, quote=False),
        "".join(letter if letter.isalnum() else f"&#{ord(letter)};" for letter in secret),
    ):
        assert MASK in redactor.text(f"{before}{spelt}{after}")
    if not any("\ud800" <= character <= "\udfff" for character in secret):
        for url in (quote(secret), quote_plus(secret), quote(quote_plus(secret), safe="")):
            assert MASK in redactor.text(url)
            assert MASK in redactor.text(re.sub("%..", lambda escaped: escaped[0].lower(), url))


@pytest.mark.parametrize(
    ("secret", "spelt"),
    [
        ("ab/cd", r"ab\/cd"),
        ('ab"cd', r"ab\"cd"),
        ('ab"cd', r"ab\\\"cd"),
        ('ab"cd', "ab&quot;cd"),
        ('ab"cd', "ab&amp;quot;cd"),
        ('ab"cd', "ab%26quot%3Bcd"),
        ("ab'cd", "ab&#39;cd"),
        ("ab'cd", "ab&#x27;cd"),
        ("ab'cd", r"ab\u0027cd"),
        ("ab\\cd", r"ab\\cd"),
        ("ab\\cd", r"ab\\\\cd"),
        ("ab\\cd", "ab%5Ccd"),
        ("ab\\cd", "ab%255ccd"),
        ("ab\\cd", r"ab\u005Ccd"),
        ("ab\\cd", "ab&#92;cd"),
        ("ab\\\\cd", r"ab\\\\cd"),
        ("ab cd", "ab+cd"),
        ("ab cd", "ab%2Bcd"),
        ("ab\tcd", r"ab\tcd"),
        ("abücd", r"ab\u00FCcd"),
        ("ab😀cd", r"ab\uD83D\ude00cd"),
        ("ab😀cd", "ab%F0%9f%98%80cd"),
        ("ab\ud800cd", "ab\ud800cd"),
        ("ab\ud800cd", r"ab\ud800cd"),
        ("ab\ud800cd", "ab%ED%A0%80cd"),
        (" abcd ", "abcd"),
        ("äbcd", "w6RiY2Q="),
        ("äbcd", "YWRtaW46w6RiY2Q="),
        ("äbcd", "YWRtaW46w6RiY2Q%3D"),
    ],
)
def test_known_spellings_are_masked_whole(secret: str, spelt: str) -> None:
    assert Redactor([secret], "admin").text(f"<{spelt}>") == f"<{MASK}>"


def test_of_several_secrets_each_is_masked_whole() -> None:
    redactor = Redactor(["secret", "secretary", "another"], "admin")
    assert redactor.text("secretary, another, secret") == f"{MASK}, {MASK}, {MASK}"


def test_everything_that_an_error_says_is_masked() -> None:
    error = ProtocolError("It is s3cret.", body=f"s3cret {'x' * 1000}", hint="Was it s3cret?")
    error.details = f"At s3cret: {'x' * 1000}"
    Redactor(["s3cret"], "admin").error(error)
    assert (error.message, error.args) == (f"It is {MASK}.", (f"It is {MASK}.",))
    assert error.hint == f"Was it {MASK}?"
    assert error.body == f"{MASK} {'x' * 1000}"[:300]
    assert error.details == f"At {MASK}: {'x' * 1000}"[:300]
    silent = ProtocolError("Nothing.")
    Redactor(["s3cret"], "admin").error(silent)
    assert (silent.message, silent.hint, silent.body, silent.details) == ("Nothing.", None, None, None)


def test_the_stack_trace_of_a_failed_call_is_kept_whole() -> None:
    trace = f"System.Exception: s3cret {'x' * 1000}"
    status = StatusEnvelope[Any].model_validate({"statusCode": "failed", "error": {"message": "m", "details": trace}})
    error = failure_of(status)
    Redactor(["s3cret"], "admin").error(error)
    assert error.details == trace.replace("s3cret", MASK)
    assert error.envelope is not None
    assert error.envelope.error is not None
    assert error.envelope.error.details == error.details


@given(st.text(), st.text())
def test_without_the_secret_a_text_stays_as_it_is(secret: str, text: str) -> None:
    redacted = Redactor([secret], "admin").text(text)
    assert redacted == text or MASK in redacted


@pytest.mark.parametrize("secret", ["", "abc", " a ", "admin", " admin "])
def test_what_is_no_secret_is_not_looked_for(secret: str) -> None:
    text = f"admin: Access for {secret} is denied, abc."
    assert Redactor([secret], "admin").text(text) == text


@pytest.mark.parametrize(
    "secret", ["statusCode", "failed", "null", '"error":', "message", "2026-01-01T00:00:00", "true"]
)
def test_a_secret_that_looks_like_part_of_an_envelope_breaks_nothing(secret: str) -> None:
    status = StatusEnvelope[models.ServerInfo].model_validate(
        {
            "error": {"message": f"No {secret}.", "details": None},
            "statusCode": "failed",
            "token": "failed",
            "statusVersion": 2,
            "result": {"version": "1", "machineName": secret},
            "future": {"true": True, "said": secret, "n": 2},
        }
    )
    masked = Redactor([secret]).envelope(status)
    assert masked.error is not None
    assert masked.error.message == f"No {MASK}."
    assert masked.status_code == "failed"
    assert masked.token == "failed"
    assert masked.raw_result is None
    assert masked["future"] == {"true": True, "said": MASK, "n": 2}
    assert "logOutput" not in masked


def test_an_envelope_without_a_secret_is_left_alone() -> None:
    status = StatusEnvelope[models.ServerInfo].model_validate({"statusCode": "failed", "result": None})
    assert Redactor(["secret"]).envelope(status) is status
    answered = StatusEnvelope[models.ServerInfo].model_validate(
        {"statusCode": "failed", "statusText": "secret", "result": {"version": "1", "machineName": "m"}}
    )
    assert Redactor(["secret"]).envelope(answered).raw_result == answered.raw_result


def test_masking_takes_no_time_to_speak_of() -> None:
    """A server that knows how patterns are matched cannot keep the client busy with them."""

    def mask() -> None:
        for secret in ("\\" * 20, '\\"' * 10, "+ " * 20, "\\u" * 10, "%" * 30, "&" * 20, "a" * 30):
            for unit in (*set(secret), "\\\\", "%5C", "\\u005c", "&amp;"):
                Redactor([secret]).text(unit * (16_384 // len(unit)))

    assert ended(mask) is None


def test_an_answer_s_repr_has_no_body() -> None:
    answer = HttpAnswer(200, {}, SECRET.encode(), 0.1)
    assert_nothing_in(answer)
    assert "200" in repr(answer)
    assert_nothing_in(Exchange(StatusEnvelope[Any].model_validate({"statusCode": "succeeded"}), answer))
