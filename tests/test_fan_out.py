"""Many calls at once: order, isolation, bounds, early stop, and other people's executors."""

from __future__ import annotations

import gc
import json
import logging
import pickle
import re
import ssl
import threading
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from typing import Any

import pytest
from distributed import Client as DaskClient
from distributed import LocalCluster

from mailstore import MailStoreServer, Outcome, outcomes
from mailstore.errors import (
    ArgumentError,
    CertificateError,
    ConfigurationError,
    DeadlineExceededError,
    FunctionFailedError,
    MailStoreError,
    NoTokenError,
    ProtocolError,
    RequestTimeoutError,
    ServerUnavailableError,
    UnknownTokenError,
)
from mailstore.models import (
    CreateUser,
    DeleteUser,
    GetServerInfo,
    GetUserInfo,
    GetUsers,
    Request,
    ServerInfo,
    SetUserPassword,
    UserInfo,
    VerifyStore,
)
from mailstore.sandbox import Fault, FaultKind, Pace, Sandbox, World
from mailstore.settings import RetryPolicy, Settings
from tests.support import LONG, QUICK, FakeClock, another_client, known_functions, settings_for

SECRET = 'p&s "ß"\\+1'
"""A password that looks different in every encoding."""


def wanted(outcomes: list[Outcome[UserInfo]]) -> list[tuple[str, bool]]:
    """Return the name that was asked for in each outcome, and whether its result is about this name."""
    names: list[tuple[str, bool]] = []
    for outcome in outcomes:
        assert isinstance(outcome.request, GetUserInfo)
        names.append((outcome.request.user_name, outcome.ok and outcome.result.user_name == outcome.request.user_name))
    return names


# ---------------------------------------------------------------------------- order and isolation


def test_outcomes_come_in_the_order_of_the_requests_each_with_its_request(server: MailStoreServer) -> None:
    names = ["admin", "nobody", "ann.lee", "", "john.doe"] * 10
    requests = [GetUserInfo(user_name=name or "nobody") for name in names]
    outcomes = list(server.run_many(requests, max_workers=8))
    assert [outcome.request for outcome in outcomes] == requests
    assert all(outcome.request is request for outcome, request in zip(outcomes, requests, strict=True))
    assert wanted(outcomes) == [(name or "nobody", name not in {"", "nobody"}) for name in names]


def test_an_error_in_one_never_loses_the_others(server: MailStoreServer, sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault(FaultKind.HTML, "GetUsers"))
    sandbox.faults.add(Fault(FaultKind.ANSWER, "GetServerInfo", status=401))
    requests: list[Request[Any]] = [
        GetUserInfo(user_name="admin"),
        GetUsers(),
        GetServerInfo(),
        GetUserInfo(user_name="nobody"),
        VerifyStore(id=13),
        GetUserInfo(user_name="admin"),
    ]
    outcomes = list(server.run_many(requests, max_workers=1))
    assert [type(outcome.error).__name__ for outcome in outcomes] == [
        "NoneType",
        "ProtocolError",
        "AuthenticationError",
        "FunctionFailedError",
        "FunctionFailedError",
        "NoneType",
    ]
    for outcome in outcomes:
        assert outcome.ok == (outcome.error is None)
        assert outcome.ok or outcome.raw_result is None
        if outcome.error is not None:
            assert outcome.error.function == outcome.request.function
            with pytest.raises(type(outcome.error)) as caught:
                _ = outcome.result
            assert caught.value is outcome.error


def test_long_calls_are_waited_for(server: MailStoreServer, sandbox: Sandbox, pace: Pace) -> None:
    with ThreadPoolExecutor(1) as threads:
        outcomes = threads.submit(lambda: list(server.run_many([LONG, QUICK, LONG], max_workers=3)))
        sandbox.calls.wait_for("get-status", 2)
        pace.finish()
        assert [outcome.ok for outcome in outcomes.result()] == [True] * 3


def test_a_mistake_in_a_callback_is_no_outcome(server: MailStoreServer, pace: Pace) -> None:
    def broken(_: object) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(server.with_options(on_progress=broken).run_many([QUICK, LONG, QUICK]))


def test_when_the_requests_break_off_the_outcomes_before_come_first(server: MailStoreServer) -> None:
    def requests() -> Iterator[GetUserInfo]:
        yield GetUserInfo(user_name="admin")
        yield GetUserInfo(user_name="nobody")
        yield GetUserInfo(user_name="")

    seen: list[bool] = []
    with pytest.raises(ArgumentError, match="user_name"):
        seen.extend(outcome.ok for outcome in _one_by_one(server.run_many(requests()), seen))
    assert seen == [True, False]


def _one_by_one(outcomes: Iterator[Outcome[UserInfo]], seen: list[bool]) -> Iterator[Outcome[UserInfo]]:
    for outcome in outcomes:
        seen.append(outcome.ok)
    return iter(())


# ---------------------------------------------------------------------------------------- bounds


def _stub(request: Request[Any], abandoned: Callable[[], bool]) -> Any:
    assert isinstance(request, GetUserInfo)
    return request.user_name


def _alive(kind: type[Request[Any]]) -> int:
    gc.collect()
    return sum(isinstance(each, kind) for each in gc.get_objects())


@pytest.mark.parametrize("own_pool", [True, False])
def test_50_000_requests_run_in_bounded_memory(own_pool: bool) -> None:
    """An iterator in, an iterator out: only some requests are alive at any time, however many there are."""
    taken = 0

    def requests() -> Iterator[Request[Any]]:
        nonlocal taken
        for number in range(50_000):
            taken += 1
            yield GetUserInfo(user_name=f"user{number}")

    settings = Settings(host="archive.example.com", password=SECRET)
    workers = 4
    bound = workers * outcomes.AHEAD
    before = _alive(GetUserInfo)
    with ThreadPoolExecutor(workers) as threads:
        executor = None if own_pool else threads
        for number, outcome in enumerate(outcomes.run_many(_stub, settings, requests(), workers, executor)):
            assert outcome.result == f"user{number}"
            assert taken - number <= bound + 1
            if number % 10_000 == 9_999:
                assert _alive(GetUserInfo) - before <= 2 * bound
    assert taken == 50_000


def test_some_thousand_calls_over_the_wire_keep_order_and_few_connections(
    server: MailStoreServer, sandbox: Sandbox
) -> None:
    names = list(sandbox.world.users)
    wanted_names = [names[number % len(names)] for number in range(3000)]
    requests = (GetUserInfo(user_name=name) for name in wanted_names)
    got = [outcome.result.user_name for outcome in server.run_many(requests, max_workers=8)]
    assert got == wanted_names
    assert sandbox.connections.accepted <= 8


def test_so_many_calls_are_under_way_at_once_and_no_more() -> None:
    workers = 5
    all_there = threading.Barrier(workers, timeout=30)

    def run(request: Request[Any], abandoned: Callable[[], bool]) -> int:
        return all_there.wait()

    settings = Settings(host="archive.example.com", password=SECRET)
    requests: list[Request[Any]] = [LONG for _ in range(workers * 4)]
    assert {each.result for each in outcomes.run_many(run, settings, requests, workers, None)} == set(range(workers))


def test_an_outcome_is_there_before_later_requests_are(server: MailStoreServer) -> None:
    """A slow source of requests does not hold back what is already done."""
    done = threading.Event()

    seen: list[Outcome[Any]] = []

    def requests() -> Iterator[Request[Any]]:
        yield GetServerInfo()
        assert done.wait(30)
        yield GetServerInfo()
        assert len(seen) == 1
        yield GetServerInfo()

    def run(request: Request[Any], abandoned: Callable[[], bool]) -> int:
        done.set()
        return 1

    for outcome in outcomes.run_many(run, server.settings, requests(), 16, None):
        seen.append(outcome)
    assert [outcome.result for outcome in seen] == [1, 1, 1]


@pytest.mark.parametrize("max_workers", [0, -1])
def test_there_is_at_least_one_worker(server: MailStoreServer, max_workers: int) -> None:
    with pytest.raises(ArgumentError, match="max_workers"):
        server.run_many([QUICK], max_workers=max_workers)


# ------------------------------------------------------------------------------------ early stop


def test_stopping_early_begins_nothing_more(server: MailStoreServer) -> None:
    begun: list[Request[Any]] = []
    others_wait, stopped = threading.Event(), threading.Event()

    def requests() -> Iterator[Request[Any]]:
        yield QUICK
        yield LONG
        yield LONG
        others_wait.set()
        yield LONG
        raise AssertionError("nobody asked for so many")

    def run(request: Request[Any], abandoned: Callable[[], bool]) -> int:
        begun.append(request)
        assert (others_wait if request is QUICK else stopped).wait(30)
        return 1

    with ThreadPoolExecutor(1) as threads:
        found = outcomes.run_many(run, server.settings, requests(), 1, threads)
        assert next(found).request is QUICK
        found.close()  # type: ignore[attr-defined]
        stopped.set()
    assert len(begun) <= 2


def test_nothing_is_sent_before_the_first_outcome_is_asked_for(server: MailStoreServer, sandbox: Sandbox) -> None:
    server.run_many([QUICK] * 10)
    assert len(sandbox.calls) == 0


def test_stopping_early_leaves_tasks_running_and_tells_their_tokens(caplog: pytest.LogCaptureFixture) -> None:
    functions = known_functions()

    @functions.answers(GetServerInfo)
    def get_server_info(world: World, request: GetServerInfo) -> ServerInfo:
        sandbox.calls.wait_for("VerifyStore", 2)
        return ServerInfo(version="1", machine_name="MAILSTORE")

    with Sandbox(functions=functions, pace=Pace.by_hand()) as sandbox, another_client(sandbox) as server:
        found = server.with_options(poll_wait=0.05).run_many([QUICK, LONG, LONG, LONG], max_workers=3)
        assert next(found).ok
        with caplog.at_level(logging.WARNING, "mailstore"):
            found.close()  # type: ignore[attr-defined]
        tokens = [match[1] for message in caplog.messages if (match := re.search(r"goes on .* is (\w{32})$", message))]
        assert len(tokens) >= 2
        assert not sandbox.calls.of("cancel-async")
        sandbox.pace.finish()
        assert {server.resume(token, VerifyStore).wait().status_code for token in tokens} == {"succeeded"}


# ------------------------------------------------------------------------------------- executors


def _check(executor: Executor, server: MailStoreServer, sandbox: Sandbox) -> None:
    """Check that an executor does what our own threads do."""
    sandbox.faults.clear()
    sandbox.faults.add(Fault(FaultKind.RESET_BEFORE, "DeleteUser", times=None))
    requests: list[Request[Any]] = [
        DeleteUser(user_name="ann.lee"),
        GetUserInfo(user_name="admin"),
        GetUserInfo(user_name="nobody"),
        GetServerInfo(),
        VerifyStore(id=3),
        VerifyStore(id=13),
        GetServerInfo(),
    ]
    expected = list(server.run_many(requests))
    found = list(server.run_many(iter(requests), max_workers=2, executor=executor))
    assert [outcome.request for outcome in found] == requests
    assert all(outcome.request is request for outcome, request in zip(found, requests, strict=True))
    assert [outcome.raw_result for outcome in found] == [outcome.raw_result for outcome in expected]
    for ours, theirs in zip(expected, found, strict=True):
        assert type(theirs.error) is type(ours.error)
        if theirs.error is not None and ours.error is not None:
            assert theirs.error.message == ours.error.message
            assert theirs.error.envelope == ours.error.envelope
    assert executor.submit(pow, 2, 3).result() == 8, "the executor is the caller's, and as it was"


def _new_connections(executor: Executor, server: MailStoreServer, sandbox: Sandbox) -> int:
    """Return how many connections some calls need that come after others."""
    requests = [QUICK] * 8
    list(server.run_many(requests, executor=executor))
    before = sandbox.connections.accepted
    list(server.run_many(requests, executor=executor))
    return sandbox.connections.accepted - before


def test_a_thread_pool_of_ones_own_works_with_this_client(server: MailStoreServer, sandbox: Sandbox) -> None:
    with ThreadPoolExecutor(2) as threads:
        _check(threads, server, sandbox)
        assert _new_connections(threads, server, sandbox) == 0


def test_a_process_pool_works_with_clients_of_its_own(server: MailStoreServer, sandbox: Sandbox) -> None:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as processes:
        _check(processes, server.with_options(on_progress=lambda _: None), sandbox)
        assert _new_connections(processes, server, sandbox) == 0, "a client is kept from one request to the next"


@pytest.mark.parametrize("processes", [False, True])
def test_dask_works_through_requests(server: MailStoreServer, sandbox: Sandbox, processes: bool) -> None:
    with (
        LocalCluster(
            n_workers=1, threads_per_worker=2, processes=processes, dashboard_address="127.0.0.1:0"
        ) as cluster,
        DaskClient(cluster) as dask,
    ):
        _check(dask.get_executor(), server, sandbox)
        # Dask does equal work once; calls are made as often as they are asked for.
        sandbox.calls.clear()
        outcomes = list(server.run_many([GetServerInfo()] * 5, executor=dask.get_executor()))
    assert [outcome.ok for outcome in outcomes] == [True] * 5
    assert sandbox.calls.count_of("GetServerInfo") == 5


def test_settings_that_cannot_travel_are_refused_at_once(sandbox: Sandbox) -> None:
    context = ssl.create_default_context(cafile=sandbox.certificate)
    with (
        MailStoreServer(sandbox.host, port=sandbox.port, password=sandbox.password, verify=context) as server,
        ThreadPoolExecutor(1) as threads,
    ):
        with pytest.raises(ConfigurationError, match="SSLContext cannot travel"):
            server.run_many([QUICK], executor=Executor())
        assert [outcome.ok for outcome in server.run_many([QUICK], executor=threads)] == [True]


# -------------------------------------------------------------------------------------- pickling


def _travelled(thing: Any) -> Any:
    return pickle.loads(pickle.dumps(thing))  # noqa: S301 - our own


def test_settings_requests_and_outcomes_pickle(server: MailStoreServer) -> None:
    settings = Settings(
        host="archive.example.com", password=SECRET, retry=RetryPolicy(attempts=1), fingerprint="ab" * 32, timeout=3
    )
    assert _travelled(settings) == settings
    assert _travelled(settings).reveal_password() == SECRET
    requests: list[Request[Any]] = [
        CreateUser(user_name="ann", privileges=["login", "archive"], password=SECRET),
        SetUserPassword(user_name="ann", password=SECRET),
        GetUserInfo(user_name="nobody"),
        QUICK,
    ]
    assert [_travelled(request) for request in requests] == requests
    for outcome in server.run_many(requests):
        copy = _travelled(outcome)
        assert (copy.request, copy.raw_result, copy.ok) == (outcome.request, outcome.raw_result, outcome.ok)
        assert str(copy.error) == str(outcome.error)


def test_secrets_travel_in_settings_and_requests_and_show_in_no_repr(sandbox: Sandbox) -> None:
    settings = replace(settings_for(sandbox), password=SECRET)
    request = CreateUser(user_name="ann", privileges="login", password=SECRET)
    outcome: Outcome[None] = Outcome(request)
    for thing in (settings, request, outcome):
        shown = f"{thing!r} {thing} {_travelled(thing)!r}"
        assert "ß" not in shown
        assert SECRET not in shown


def _errors(server: MailStoreServer, sandbox: Sandbox, pace: Pace) -> Iterator[MailStoreError]:
    """Yield an error of each kind, the request that it is about having a secret."""
    quote = json.dumps({"error": {"message": SECRET, "details": SECRET}, "statusCode": "failed"}).encode()
    request = SetUserPassword(user_name="ann", password=SECRET)
    faults: list[Fault] = [
        Fault(FaultKind.ANSWER, body=quote),
        Fault(FaultKind.ANSWER, body=f"<p>{SECRET}</p>".encode()),
        Fault(FaultKind.ANSWER, status=401),
        Fault(FaultKind.ANSWER, status=503, headers={"Retry-After": "1"}, times=3),
        Fault(FaultKind.RESET_AFTER),
        Fault(FaultKind.STALL_HEAD),
    ]
    for fault in faults:
        sandbox.faults.clear()
        sandbox.faults.add(fault)
        yield _raised(lambda: server.run(request, timeout=0.05))
    sandbox.faults.clear()
    yield _raised(lambda: server.start(LONG).wait(timeout=0))
    yield _raised(lambda: server.resume("0" * 32).poll())
    yield _raised(lambda: server.resume("").poll())
    yield _raised(lambda: GetUserInfo(user_name=""))
    yield _raised(lambda: Settings(host="https://admin:" + SECRET + "@example.com", password=SECRET))
    with MailStoreServer(sandbox.host, port=sandbox.port, password=SECRET) as distrustful:
        yield _raised(distrustful.get_users)


def _raised(call: Callable[[], object]) -> MailStoreError:
    with pytest.raises(MailStoreError) as caught:
        call()
    return caught.value


def test_errors_pickle_with_all_that_they_tell_and_without_secrets(
    server: MailStoreServer, sandbox: Sandbox, pace: Pace
) -> None:
    kinds: set[type[MailStoreError]] = set()
    for error in _errors(server, sandbox, pace):
        packed = pickle.dumps(error)
        assert "ß".encode() not in packed
        assert b"%C3%9F" not in packed
        copy = pickle.loads(packed)  # noqa: S301 - our own
        assert type(copy) is type(error)
        assert str(copy) == str(error)
        attributes = dict(vars(error))
        attributes.pop("task", None)
        attributes.pop("earlier")
        assert {name: getattr(copy, name) for name in attributes} == attributes
        assert [str(each) for each in copy.earlier] == [str(each) for each in error.earlier]
        assert "ß" not in f"{error!r} {error} {vars(copy)} {''.join(traceback.format_exception(error))}"
        kinds.add(type(error))
    assert kinds >= {
        FunctionFailedError,
        ProtocolError,
        ServerUnavailableError,
        RequestTimeoutError,
        DeadlineExceededError,
        UnknownTokenError,
        NoTokenError,
        ArgumentError,
        ConfigurationError,
        CertificateError,
    }


def test_a_late_task_travels_as_its_token(
    server: MailStoreServer, sandbox: Sandbox, pace: Pace, clock: FakeClock
) -> None:
    late = _raised(lambda: server.run(LONG, deadline=60, on_progress=lambda _: clock.sleep(60)))
    assert isinstance(late, DeadlineExceededError)
    copy = _travelled(late)
    assert copy.task is None
    assert late.task is not None
    assert copy.token == late.task.token
    pace.finish()
    with another_client(sandbox) as other:
        assert other.resume(copy.token, VerifyStore).wait().status_code == "succeeded"
