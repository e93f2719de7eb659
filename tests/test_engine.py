"""What the engine asks of its transport, and what it makes of the answers; the transport is a list of answers."""

from __future__ import annotations

import json
import logging
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, cast
from urllib.parse import parse_qs

import pytest

from mailstore import _engine
from mailstore._engine import GRACE, POLL_MARGIN, Engine
from mailstore._protocol import HttpAnswer, envelope_type
from mailstore._transport import Transport
from mailstore.errors import (
    ConnectionFailedError,
    DeadlineExceededError,
    FunctionFailedError,
    MailStoreError,
    NoTokenError,
    ProtocolError,
    ServerUnavailableError,
    TaskRunningError,
    UnknownTokenError,
)
from mailstore.models import CancelAsync, CreateUser, GetServerInfo, StatusCode, StatusEnvelope, VerifyStore
from mailstore.models.base import MASK, Request
from mailstore.settings import RetryPolicy, Settings
from mailstore.tasks import Task
from tests.support import FakeClock

READ = GetServerInfo()
KIND = envelope_type(VerifyStore)
INFO = {"statusCode": "succeeded", "result": {"version": "1", "machineName": "m"}}
DONE = {"statusCode": "succeeded", "statusVersion": 3, "token": "t"}

Answer = dict[str, Any] | int | MailStoreError


class Listed:
    """A transport with a list of answers: envelopes, HTTP statuses, errors; it keeps what it was asked."""

    def __init__(self, clock: FakeClock, *answers: Answer, takes: float = 0.0) -> None:
        self.answers = list(answers)
        self.clock = clock
        self.takes = takes
        self.paths: list[str] = []
        self.forms: list[dict[str, list[str]]] = []
        self.limits: list[tuple[tuple[float, float], float | None]] = []
        self.secrets: tuple[str, ...] = ("of the login",)

    def post(self, path: str, body: bytes, timeouts: tuple[float, float], within: float | None = None) -> HttpAnswer:
        self.paths.append(path)
        self.forms.append(parse_qs(body.decode()))
        self.limits.append((timeouts, within))
        self.clock.now += self.takes
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, MailStoreError):
            raise answer
        if isinstance(answer, int):
            return HttpAnswer(answer, {"Retry-After": "7"}, b"s3cret of the login", 0.25)
        return HttpAnswer(200, {}, json.dumps(answer).encode(), 0.25)


class GetSomething(Request[Any]):
    first: str
    second: str


def broken() -> ConnectionFailedError:
    return ConnectionFailedError("It broke.", sent=True, hint="Hm.")


def engine_of(listed: Listed, **settings: Any) -> Engine:
    options: dict[str, Any] = {
        "password": "of the login",
        "timeout": (3.0, 50.0),
        "poll_wait": 5.0,
        "retry": RetryPolicy(attempts=3, first_pause=1.0, longest_pause=10.0, poll_patience=100.0),
    }
    return Engine(
        Settings("archive.example.com", **(options | settings)),
        transport=cast("Transport", listed),
        clock=listed.clock,
        random=lambda: 1.0,
    )


# ------------------------------------------------------------------------------------------ calls


def test_a_call_goes_to_its_path_with_the_limits_of_the_client(clock: FakeClock) -> None:
    listed = Listed(clock, INFO)
    exchange = engine_of(listed).exchange(READ)
    assert listed.paths == ["invoke/GetServerInfo"]
    assert listed.limits == [((3.0, 50.0), None)]
    assert exchange.envelope.result.version == "1"
    assert (exchange.http.status, exchange.http.body) == (200, json.dumps(INFO).encode())


@pytest.mark.parametrize("status", [201, 204, 299])
def test_success_is_200_and_nothing_else(clock: FakeClock, status: int) -> None:
    with pytest.raises(ProtocolError, match=f"HTTP {status}"):
        engine_of(Listed(clock, status)).exchange(READ)


def test_the_well_known_password_of_the_well_known_user_is_no_secret(clock: FakeClock) -> None:
    listed = Listed(clock, {"statusCode": "failed", "error": {"message": "admin may not."}})
    listed.secrets = ("admin",)
    with pytest.raises(FunctionFailedError) as caught:
        engine_of(listed, password="admin").exchange(READ)
    assert caught.value.message == "admin may not."


def test_the_callers_limits_come_first(clock: FakeClock) -> None:
    listed = Listed(clock, INFO)
    engine_of(listed).exchange(READ, timeouts=(1.0, 2.0), until=clock.now + 30)
    assert listed.limits == [((1.0, 2.0), 30.0)]


def test_what_is_left_of_the_deadline_shrinks_and_is_never_nothing(clock: FakeClock) -> None:
    listed = Listed(clock, broken(), INFO, takes=4.0)
    engine_of(listed).exchange(READ, until=clock.now + 10)
    assert [within for _, within in listed.limits] == [10.0, 5.0]
    late = Listed(clock, INFO)
    engine_of(late).exchange(READ, until=clock.now - 1)
    assert late.limits[0][1] == 0.001


def test_an_attempt_that_could_only_begin_at_the_deadline_does_not_begin(clock: FakeClock) -> None:
    listed = Listed(clock, broken())
    with pytest.raises(ConnectionFailedError) as caught:
        engine_of(listed).exchange(READ, until=clock.now + 1)
    assert caught.value.attempt == 1
    assert clock.pauses == []


def test_an_error_says_what_was_called_where_how_often_and_for_how_long(clock: FakeClock) -> None:
    listed = Listed(clock, broken(), takes=2.0)
    with pytest.raises(ConnectionFailedError) as caught:
        engine_of(listed).exchange(READ)
    error = caught.value
    assert (error.function, error.server, error.attempt, error.elapsed) == (
        "GetServerInfo", "archive.example.com:8463", 3, 2.0 + 1.0 + 2.0 + 2.0 + 2.0,
    )  # fmt: skip
    assert error.hint == "Hm."


def test_a_failed_envelope_is_an_error_without_the_secrets_of_call_and_login(clock: FakeClock) -> None:
    said = {"message": "Not s3cret of the login.", "details": "s3cret!"}
    listed = Listed(clock, {"statusCode": "failed", "error": said, "logOutput": "s3cret"})
    with pytest.raises(FunctionFailedError) as caught:
        engine_of(listed).exchange(CreateUser(user_name="a", privileges="login", password="s3cret"))
    assert caught.value.message == f"Not {MASK} {MASK}."
    assert caught.value.details == f"{MASK}!"
    assert caught.value.envelope is not None
    assert caught.value.envelope.log_output == MASK
    assert (caught.value.attempt, caught.value.elapsed) == (1, 0.0)


def test_a_page_in_place_of_an_answer_is_quoted_without_secrets(clock: FakeClock) -> None:
    with pytest.raises(ServerUnavailableError) as caught:
        engine_of(Listed(clock, 503)).exchange(CreateUser(user_name="a", privileges="login", password="s3cret"))
    assert caught.value.details == f"{MASK} {MASK}"


def test_each_repetition_is_logged_with_its_reason(clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "mailstore"):
        engine_of(Listed(clock, 503, INFO)).exchange(GetSomething(first="a", second="b"))
    assert [(record.levelname, record.getMessage().split(". Hint")[0]) for record in caplog.records] == [
        ("DEBUG", "GetSomething (first, second), attempt 1: HTTP 503, 19 bytes, 250 ms"),
        (
            "WARNING",
            "GetSomething on archive.example.com:8463: the server cannot answer now (HTTP 503)",
        ),
        ("DEBUG", f"GetSomething (first, second), attempt 2: HTTP 200, {len(json.dumps(INFO))} bytes, 250 ms"),
    ]
    assert caplog.records[1].getMessage().endswith("; trying again in 7.0 s")


def test_with_other_settings_everything_else_stays(clock: FakeClock) -> None:
    listed = Listed(clock, INFO)
    engine = Engine(
        engine_of(listed).settings, transport=cast("Transport", listed), clock=clock, logger=logging.Logger("other")
    )
    other = engine.with_settings(engine.settings.changed(timeout=1.0))
    assert other.settings.timeouts == (1.0, 1.0)
    assert (other.transport, other.clock, other.random, other.logger) == (
        engine.transport, engine.clock, engine.random, engine.logger,
    )  # fmt: skip


# ------------------------------------------------------------------------------------------ polls


def polled(engine: Engine, version: int = 2, **options: Any) -> StatusEnvelope[None]:
    return engine.poll(KIND, "VerifyStore", "t", version, **options)


def test_a_poll_sends_all_three_arguments_and_waits_longer_than_the_server(clock: FakeClock) -> None:
    listed = Listed(clock, DONE)
    assert polled(engine_of(listed)).status_version == 3
    assert listed.paths == ["get-status"]
    assert listed.forms == [{"token": ["t"], "lastKnownStatusVersion": ["2"], "millisecondsTimeout": ["5000"]}]
    assert listed.limits == [((3.0, 5.0 + POLL_MARGIN), None)]


def test_the_caller_may_say_how_long_a_poll_is_held(clock: FakeClock) -> None:
    listed = Listed(clock, DONE)
    polled(engine_of(listed), wait=0.25)
    polled(engine_of(listed), wait=0.0)
    assert [form["millisecondsTimeout"] for form in listed.forms] == [["250"], ["0"]]
    assert [timeouts for timeouts, _ in listed.limits] == [(3.0, 0.25 + POLL_MARGIN), (3.0, POLL_MARGIN)]


def test_a_poll_is_over_a_little_after_the_deadline(clock: FakeClock) -> None:
    listed = Listed(clock, DONE)
    polled(engine_of(listed), until=clock.now + 2)
    polled(engine_of(listed), until=clock.now + 60)
    polled(engine_of(listed), until=clock.now - 60)
    assert [form["millisecondsTimeout"] for form in listed.forms] == [["2000"], ["5000"], ["0"]]
    assert [within for _, within in listed.limits] == [2 + GRACE, 60 + GRACE, GRACE]


def test_polls_wait_as_the_server_asks(clock: FakeClock) -> None:
    polled(engine_of(Listed(clock, 503, broken(), 429, DONE)))
    assert clock.pauses == [7.0, 2.0, 7.0]


def test_the_last_poll_is_at_the_deadline(clock: FakeClock) -> None:
    listed = Listed(clock, broken())
    with pytest.raises(DeadlineExceededError) as caught:
        polled(engine_of(listed), until=clock.now + 4)
    assert clock.pauses == [1.0, 2.0, 1.0]
    assert [within for _, within in listed.limits] == [4 + GRACE, 3 + GRACE, 1 + GRACE, GRACE]
    error = caught.value
    assert error.token == "t"
    assert error.message == "no status within the caller's deadline: It broke."
    assert "the task may go on on the server: wait for `error.task` again" in (error.hint or "")
    assert (error.function, error.attempt, error.elapsed, len(error.earlier)) == ("VerifyStore", 4, 4.0, 4)
    assert error.__cause__ is error.earlier[-1]


def test_patience_without_a_deadline_has_its_bound(clock: FakeClock) -> None:
    with pytest.raises(ConnectionFailedError) as caught:
        polled(engine_of(Listed(clock, broken())))
    assert sum(clock.pauses) == 100.0
    assert caught.value.elapsed == 100.0


def test_a_status_that_failed_is_returned_without_secrets(clock: FakeClock) -> None:
    failed = {"statusCode": "failed", "error": {"message": "Not s3cret of the login."}}
    status = polled(engine_of(Listed(clock, failed)), secrets=["s3cret"])
    assert status.status_code == StatusCode.FAILED
    assert status.error is not None
    assert status.error.message == f"Not {MASK} {MASK}."


def test_a_status_that_did_not_fail_is_returned_as_it_came(clock: FakeClock) -> None:
    running = {"statusCode": "running", "token": "t", "logOutput": "s3cret"}
    assert polled(engine_of(Listed(clock, running)), secrets=["s3cret"]).log_output == "s3cret"


def test_an_unknown_token_is_told_with_the_token_and_without_secrets(clock: FakeClock) -> None:
    with pytest.raises(UnknownTokenError) as caught:
        polled(engine_of(Listed(clock, 404)), secrets=["s3cret"])
    assert (caught.value.token, caught.value.function) == ("t", "VerifyStore")
    assert caught.value.details == f"{MASK} {MASK}"


@pytest.mark.parametrize("token", [None, ""])
def test_without_a_token_nothing_is_asked(clock: FakeClock, token: str | None) -> None:
    listed = Listed(clock, DONE)
    engine = engine_of(listed)
    with pytest.raises(NoTokenError) as caught:
        engine.poll(KIND, "VerifyStore", token, 2)
    assert "nothing to be polled" in caught.value.message
    assert (caught.value.function, caught.value.server) == ("VerifyStore", "archive.example.com:8463")
    assert "the call was finished at once" in (caught.value.hint or "")
    with pytest.raises(NoTokenError, match="nothing to be cancelled") as caught:
        engine.cancel(token)
    assert caught.value.function == CancelAsync.function
    assert listed.paths == []


def test_a_cancellation_names_the_token(clock: FakeClock) -> None:
    listed = Listed(clock, {"statusCode": "running", "token": "t"})
    assert engine_of(listed).cancel("t").is_running
    assert (listed.paths, listed.forms) == (["cancel-async"], [{"token": ["t"]}])


# ------------------------------------------------------------------------------------- the others


def test_an_error_about_an_envelope_was_sent_at_least_once(clock: FakeClock) -> None:
    engine = engine_of(Listed(clock, DONE))
    status = KIND.model_validate({"statusCode": "running"})
    began = clock.now
    clock.now += 3
    error = engine.located(TaskRunningError("x", envelope=status), "VerifyStore", since=began)
    assert (error.attempt, error.elapsed, error.function) == (1, 3.0, "VerifyStore")
    bare = engine.located(TaskRunningError("x"), "VerifyStore")
    assert (bare.attempt, bare.elapsed) == (0, None)
    assert engine.located(bare, "GetUsers").function == "VerifyStore"


@pytest.mark.parametrize(("more", "pause", "rests"), [(0, True, True), (1, True, False), (0, False, False)])
def test_the_collector_rests_for_large_answers_only(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch, more: int, pause: bool, rests: bool
) -> None:
    rested: list[str] = []

    @contextmanager
    def rest() -> Generator[None]:
        rested.append("began")
        yield
        rested.append("ended")

    monkeypatch.setattr(_engine, "paused_collector", rest)
    monkeypatch.setattr(_engine, "LARGE", len(json.dumps(INFO)) + more)
    engine_of(Listed(clock, INFO), pause_collector=pause).exchange(READ)
    assert rested == (["began", "ended"] if rests else [])


# ------------------------------------------------------------------------------------------ tasks


def task_of(clock: FakeClock, *answers: Answer) -> Task[None]:
    engine = engine_of(Listed(clock, *answers))
    first = KIND.model_validate({"statusCode": "running", "statusVersion": 2, "token": "t", "logOutput": "one\r\n"})
    return Task(engine, "VerifyStore", KIND, status=first)


def test_a_last_status_is_news_even_with_the_version_of_the_one_before(clock: FakeClock) -> None:
    running: dict[str, Any] = {"statusCode": "running", "statusVersion": 2, "token": "t"}
    task = task_of(clock, running, running, {**running, "statusCode": "succeeded"})
    assert [(status.status_version, status.status_code) for status in task] == [(2, "running"), (2, "succeeded")]
    assert task.log == "one\r\n"


def test_a_task_that_fails_tells_what_failed(clock: FakeClock) -> None:
    task = task_of(clock, {"statusCode": "failed", "statusVersion": 3, "error": {"message": "It broke."}})
    with pytest.raises(FunctionFailedError) as caught:
        task.result()
    assert (caught.value.function, caught.value.server) == ("VerifyStore", "archive.example.com:8463")
    assert (caught.value.message, caught.value.attempt) == ("It broke.", 1)


@pytest.mark.parametrize("answer", [404, 503, 500])
def test_a_poll_that_fails_tells_the_function_of_the_task(clock: FakeClock, answer: int) -> None:
    with pytest.raises(MailStoreError) as caught:
        task_of(clock, answer).result()
    assert caught.value.function == "VerifyStore"
    assert caught.value.attempt >= 1
    assert caught.value.elapsed is not None


def test_a_deadline_tells_the_task_and_how_to_go_on(clock: FakeClock) -> None:
    task = task_of(clock, {"statusCode": "running", "statusVersion": 2, "token": "t"})
    cast("Listed", task._engine.transport).takes = 1.0
    with pytest.raises(DeadlineExceededError) as caught:
        task.result(timeout=3)
    assert caught.value.message == "still running after 3 s"
    assert (caught.value.task, caught.value.token, caught.value.function) == (task, "t", "VerifyStore")
    assert "wait for `error.task` again, resume it by its token, or cancel it" in (caught.value.hint or "")
