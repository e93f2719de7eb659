"""What is sent again, how often and when: one policy decides, and never at the price of doing something twice."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from urllib3.util import connection

from mailstore import MailStoreServer, RetryPolicy, _engine
from mailstore.errors import (
    AuthenticationError,
    CertificateError,
    ConfigurationError,
    ConnectionFailedError,
    DeadlineExceededError,
    MailStoreError,
    ProtocolError,
    RedirectError,
    RequestTimeoutError,
    ServerUnavailableError,
    UnknownFunctionError,
)
from mailstore.models import CreateUser, GetServerInfo
from mailstore.models.base import Request
from mailstore.sandbox import Fault, FaultKind, Pace, Sandbox
from tests.faulty import SHORT, client_of, error_of, settings_of
from tests.support import LOG, LONG, FakeClock

WRITE = CreateUser(user_name="mary.major", privileges=["login"])
READ = GetServerInfo()
THREE = RetryPolicy(attempts=3, first_pause=1.0, longest_pause=10.0)

SENT: list[Callable[[], Fault]] = [
    lambda: Fault(FaultKind.RESET_BEFORE),
    lambda: Fault(FaultKind.RESET_AFTER),
    lambda: Fault(FaultKind.RESET_INSIDE),
    lambda: Fault(FaultKind.CUT_BODY),
]
"""The connection breaks when the request may have arrived."""

UNAVAILABLE: list[Callable[[], Fault]] = [
    lambda: Fault(FaultKind.ANSWER, status=429),
    lambda: Fault(FaultKind.ANSWER, status=502),
    lambda: Fault(FaultKind.ANSWER, status=503),
]

REFUSED: list[tuple[Callable[[], Fault], type[MailStoreError]]] = [
    (lambda: Fault(FaultKind.ANSWER, status=401), AuthenticationError),
    (lambda: Fault(FaultKind.ANSWER, status=404), UnknownFunctionError),
    (lambda: Fault(FaultKind.ANSWER, status=500), ProtocolError),
    (lambda: Fault(FaultKind.ANSWER, status=302), RedirectError),
    (lambda: Fault(FaultKind.HTML), ProtocolError),
    (lambda: Fault(FaultKind.HALF_JSON), ProtocolError),
]

STALLS = [FaultKind.STALL_HEAD, FaultKind.STALL_BODY]

Refusing = Callable[[int], None]


@pytest.fixture
def refusing(monkeypatch: pytest.MonkeyPatch) -> Refusing:
    """Returns a function that lets so many connections be refused from now on."""
    connect: Any = connection.create_connection
    left = 0

    def create_connection(*args: object, **options: object) -> object:
        nonlocal left
        if left > 0:
            left -= 1
            raise ConnectionRefusedError(111, "Connection refused")
        return connect(*args, **options)

    def refuse(times: int) -> None:
        nonlocal left
        left = times

    monkeypatch.setattr(connection, "create_connection", create_connection)
    return refuse


# ------------------------------------------------------------------------------------------ calls


@pytest.mark.parametrize("request_", [WRITE, READ], ids=["writes", "reads"])
def test_what_was_never_sent_is_sent_again(
    sandbox: Sandbox, clock: FakeClock, refusing: Refusing, request_: Request[object]
) -> None:
    with client_of(sandbox, retry=THREE, clock=clock, random=lambda: 1.0) as server:
        refusing(2)
        server.run(request_)
    assert clock.pauses == [1.0, 2.0]
    assert sandbox.calls.count_of(request_.function) == 1


def test_a_handshake_that_stalls_was_nothing_sent(sandbox: Sandbox, clock: FakeClock) -> None:
    sandbox.faults.add(Fault(FaultKind.STALL_HANDSHAKE))
    with client_of(sandbox, retry=THREE, clock=clock, timeout=SHORT) as server:
        server.run(WRITE)
    assert len(clock.pauses) == 1
    assert sandbox.calls.count_of("CreateUser") == 1


@pytest.mark.parametrize("fault", [*SENT, *UNAVAILABLE], ids=lambda make: str(make()))
def test_what_may_have_been_carried_out_is_not_sent_again(
    sandbox: Sandbox, clock: FakeClock, fault: Callable[[], Fault]
) -> None:
    """CreateUser after a reset is sent once, by the server's own count."""
    sandbox.faults.add(fault())
    with client_of(sandbox, retry=THREE, clock=clock) as server:
        error = error_of(lambda: server.run(WRITE))
    assert isinstance(error, ConnectionFailedError | ServerUnavailableError)
    assert (error.attempt, error.earlier, clock.pauses) == (1, (), [])
    assert sandbox.calls.count_of("CreateUser") == 1
    if isinstance(error, ConnectionFailedError):
        assert error.sent
        assert "whether it was carried out is unknown" in (error.hint or "")


def test_a_user_whose_creation_was_reset_exists_once(sandbox: Sandbox, server: MailStoreServer) -> None:
    sandbox.faults.add(Fault(FaultKind.RESET_AFTER, "CreateUser"))
    error = error_of(lambda: server.run(WRITE))
    assert isinstance(error, ConnectionFailedError)
    assert [user.user_name for user in server.get_users()].count(WRITE.user_name) == 1
    assert sandbox.calls.count_of("CreateUser") == 1


@pytest.mark.parametrize("fault", [*SENT, *UNAVAILABLE], ids=lambda make: str(make()))
def test_what_only_reads_is_sent_again(sandbox: Sandbox, clock: FakeClock, fault: Callable[[], Fault]) -> None:
    for _ in range(2):
        sandbox.faults.add(fault())
    with client_of(sandbox, retry=THREE, clock=clock, random=lambda: 0.0) as server:
        assert server.run(READ).version == sandbox.world.server_version
    assert clock.pauses == [0.5, 1.0]
    assert sandbox.calls.count_of("GetServerInfo") == 3


@pytest.mark.parametrize(("fault", "expected"), REFUSED, ids=lambda value: getattr(value, "__name__", ""))
def test_a_no_is_a_no(
    sandbox: Sandbox, clock: FakeClock, fault: Callable[[], Fault], expected: type[MailStoreError]
) -> None:
    sandbox.faults.add(fault())
    with client_of(sandbox, retry=THREE, clock=clock) as server:
        error = error_of(lambda: server.run(READ))
    assert type(error) is expected
    assert (error.attempt, clock.pauses) == (1, [])
    assert sandbox.calls.count_of("GetServerInfo") == 1


def test_who_waited_for_an_answer_in_vain_does_not_wait_again(sandbox: Sandbox, clock: FakeClock) -> None:
    """The caller said how long an answer may take, not how long three may."""
    sandbox.faults.add(Fault(FaultKind.STALL_HEAD))
    with client_of(sandbox, retry=THREE, clock=clock, timeout=SHORT) as server:
        assert type(error_of(lambda: server.run(READ))) is RequestTimeoutError
    assert sandbox.calls.count_of("GetServerInfo") == 1
    assert clock.pauses == []


def test_a_certificate_does_not_get_better_by_asking_again(sandbox: Sandbox, clock: FakeClock) -> None:
    settings = settings_of(sandbox, retry=THREE).changed(fingerprint="00" * 32)
    with MailStoreServer.from_settings(settings, clock=clock) as server:
        assert type(error_of(server.get_server_info)) is CertificateError
    assert clock.pauses == []
    assert sandbox.connections.accepted == 1


def test_every_earlier_attempt_is_kept(
    sandbox: Sandbox, clock: FakeClock, caplog: pytest.LogCaptureFixture, refusing: Refusing
) -> None:
    sandbox.faults.add(Fault(FaultKind.ANSWER, status=503))
    sandbox.faults.add(Fault(FaultKind.RESET_AFTER))
    with (
        client_of(sandbox, retry=THREE, clock=clock, random=lambda: 1.0) as server,
        caplog.at_level(logging.WARNING, "mailstore"),
    ):
        refusing(1)
        error = error_of(lambda: server.run(READ))
    assert type(error) is ConnectionFailedError
    assert "is unknown" not in (error.hint or "")  # it only reads
    assert [type(failure) for failure in error.earlier] == [ConnectionFailedError, ServerUnavailableError]
    assert [failure.attempt for failure in (*error.earlier, error)] == [1, 2, 3]
    assert [failure.elapsed for failure in (*error.earlier, error)] == [0.0, 1.0, 3.0]
    assert {failure.server for failure in error.earlier} == {error.server}
    assert {failure.function for failure in error.earlier} == {"GetServerInfo"}
    assert "(attempt 3, 3.0 s)" in str(error)
    assert [record.getMessage().endswith(("in 1.0 s", "in 2.0 s")) for record in caplog.records] == [True, True]
    travelled = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    assert [str(failure) for failure in travelled.earlier] == [str(failure) for failure in error.earlier]


def test_repeating_can_be_switched_off(sandbox: Sandbox, clock: FakeClock) -> None:
    sandbox.faults.add(Fault(FaultKind.RESET_AFTER))
    with client_of(sandbox, retry=THREE, clock=clock) as server:
        error = error_of(lambda: server.with_options(retry=RetryPolicy(attempts=1)).run(READ))
    assert error.attempt == 1
    assert sandbox.calls.count_of("GetServerInfo") == 1


def test_nothing_is_repeated_beyond_the_caller_s_deadline(sandbox: Sandbox, clock: FakeClock) -> None:
    sandbox.faults.add(Fault(FaultKind.ANSWER, times=None, status=503))
    with client_of(sandbox, retry=THREE, clock=clock, random=lambda: 1.0) as server:
        error = error_of(lambda: server.run(READ, deadline=2.5))
    assert type(error) is ServerUnavailableError
    assert clock.pauses == [1.0]
    assert error.attempt == 2


# ----------------------------------------------------------------------------------------- pauses


@given(
    attempt=st.integers(1, 10**6),
    first=st.floats(0, 100),
    longest=st.floats(0, 1000),
    random=st.floats(0, 1),
    asked=st.none() | st.floats(0, 10**6),
)
def test_a_pause_grows_is_half_random_and_has_a_bound(
    attempt: int, first: float, longest: float, random: float, asked: float | None
) -> None:
    policy = RetryPolicy(first_pause=first, longest_pause=longest)
    pause = policy.pause(attempt, lambda: random, asked)
    assert 0 <= pause <= longest
    assert pause >= min(asked or 0.0, longest)
    if asked is None:
        full = min(first * 2 ** min(attempt - 1, 1000), longest)
        assert full / 2 <= pause <= full or attempt > 31
        assert policy.pause(attempt, lambda: 0.0) <= pause <= policy.pause(attempt, lambda: 1.0)
        assert policy.pause(attempt, lambda: random) <= policy.pause(attempt + 1, lambda: random)


@pytest.mark.parametrize(
    ("said", "pause"),
    [("7", 7.0), ("0", 1.0), ("3600", 10.0), ("soon", 1.0), ("-5", 1.0), ("٣", 1.0), ("9" * 400, 1.0), ("1.5", 1.0)],
)
def test_the_server_s_own_wish_is_respected_within_bounds(
    sandbox: Sandbox, clock: FakeClock, said: str, pause: float
) -> None:
    sandbox.faults.add(Fault(FaultKind.ANSWER, status=503, headers={"Retry-After": said}))
    with client_of(sandbox, retry=THREE, clock=clock, random=lambda: 1.0) as server:
        server.run(READ)
    assert clock.pauses == [pause]


@pytest.mark.parametrize(
    "values",
    [{"attempts": 0}, {"first_pause": -1}, {"longest_pause": float("nan")}, {"poll_patience": float("inf")}],
)
def test_a_policy_that_makes_no_sense_is_refused(values: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(values))):
        RetryPolicy(**values)  # type: ignore[arg-type]


# ------------------------------------------------------------------------------------------ polls


def test_polls_go_on_with_the_same_token_through_everything_that_passes(
    sandbox: Sandbox, clock: FakeClock, pace: Pace, monkeypatch: pytest.MonkeyPatch, refusing: Refusing
) -> None:
    monkeypatch.setattr(_engine, "POLL_MARGIN", SHORT)
    with client_of(sandbox, retry=THREE, clock=clock, random=lambda: 1.0) as client:
        server = client.with_options(poll_wait=0)
        task = server.start(LONG)
        pace.finish()
        bad_days = [*(fault() for fault in [*SENT, *UNAVAILABLE]), *map(Fault, STALLS)]
        for fault in bad_days:
            sandbox.faults.add(fault)
        assert task.wait().is_running is False
    assert task.log == LOG
    polls = sandbox.calls.of("get-status")
    assert len(polls) == len(bad_days) + 1
    # Of the first one, only the head was read.
    assert {(poll.arguments["token"], poll.arguments["lastKnownStatusVersion"]) for poll in polls[1:]} == {
        (task.token, "2")
    }
    assert clock.pauses == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0, 10.0, 10.0, 10.0]
    assert sandbox.calls.count_of("VerifyStore") == 1


def test_a_server_that_is_restarted_is_waited_for_until_the_deadline(
    sandbox: Sandbox, clock: FakeClock, pace: Pace
) -> None:
    with client_of(sandbox, retry=THREE, clock=clock, random=lambda: 1.0) as server:
        task = server.start(LONG)
        began = clock.now
        sandbox.faults.add(Fault(FaultKind.RESET_BEFORE, "get-status", times=None))
        error = error_of(lambda: task.result(timeout=60))
    assert type(error) is DeadlineExceededError
    assert clock.pauses == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0, 10.0, 10.0, 5.0]
    assert clock.now == began + 60
    assert error.attempt == len(error.earlier) == sandbox.calls.count_of("get-status") == 10
    assert [failure.attempt for failure in error.earlier] == list(range(1, 11))
    assert all(failure.earlier == () for failure in error.earlier)
    assert (error.task, error.token) == (task, task.token)
    assert error.__cause__ is error.earlier[-1]
    assert "broke before the answer was complete" in error.message


def test_without_a_deadline_patience_with_a_silent_server_ends_all_the_same(
    sandbox: Sandbox, clock: FakeClock, pace: Pace
) -> None:
    patient = RetryPolicy(attempts=1, first_pause=10.0, longest_pause=40.0, poll_patience=100.0)
    with client_of(sandbox, retry=patient, clock=clock, random=lambda: 1.0) as server:
        task = server.start(LONG)
        sandbox.faults.add(Fault(FaultKind.ANSWER, "get-status", times=None, status=502))
        error = error_of(task.result)
        assert type(error) is ServerUnavailableError
        assert clock.pauses == [10.0, 20.0, 40.0, 30.0]
        assert (error.attempt, len(error.earlier)) == (5, 4)
        sandbox.faults.clear()
        pace.finish()
        assert task.wait().is_running is False  # the handle still works


def test_a_poll_waits_no_longer_than_the_deadline(sandbox: Sandbox, clock: FakeClock, pace: Pace) -> None:
    with client_of(sandbox, clock=clock) as server:
        task = server.start(LONG)
        sandbox.faults.add(Fault(FaultKind.ANSWER, "get-status", body=b'{"statusCode": "succeeded", "token": "x"}'))
        task.wait(timeout=2.25)
    assert [poll.arguments["millisecondsTimeout"] for poll in sandbox.calls.of("get-status")] == ["2250"]
