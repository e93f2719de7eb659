"""One client, many threads: no answer goes astray, no connection is lost, nobody waits for ever."""

from __future__ import annotations

import gc
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from mailstore import MailStoreServer, RetryPolicy
from mailstore._collector import paused_collector
from mailstore.errors import ClientClosedError
from mailstore.models import GetServerInfo, GetUserInfo, UserInfo
from mailstore.sandbox import Fault, FaultKind, Pace, Registry, Sandbox, World
from tests.faulty import client_of, ended, settings_of
from tests.support import LOG, LONG, FakeClock, known_functions

THREADS = 32


class Echo:
    """A server that answers each question with the question, and counts them."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.functions = Registry()
        self.functions.add(GetUserInfo, self._answer)

    def _answer(self, world: World, request: GetUserInfo) -> UserInfo:
        # The world's lock is held, so that there is no need for another.
        self.asked[request.user_name] += 1
        return UserInfo.model_validate(
            {
                "userName": request.user_name,
                "authentication": "integrated",
                "emailAddresses": [f"{request.user_name}@example.com"] * (len(request.user_name) % 5),
                "pop3UserNames": [],
                "privileges": [],
            }
        )


def ask(server: MailStoreServer, thread: int, calls: int) -> None:
    """Ask questions nobody else asks, and check the answers."""
    for number in range(calls):
        name = f"user-{thread}-{number}-{'x' * (number % 7)}"
        answer = server.get_user_info(name)
        assert answer.user_name == name
        assert answer.email_addresses == [f"{name}@example.com"] * (len(name) % 5)


def in_threads(work: Callable[[int], object], threads: int = THREADS) -> None:
    """Do something in many threads at once; raise what any of them raised."""
    with ThreadPoolExecutor(threads) as executor:
        for done in [executor.submit(work, thread) for thread in range(threads)]:
            done.result()


def hammer(calls: int) -> None:
    """Share one client among many threads for so many calls, and count at the server."""
    echo = Echo()
    with Sandbox(functions=echo.functions) as sandbox:
        with client_of(sandbox) as server:
            assert ended(lambda: in_threads(lambda thread: ask(server, thread, calls // THREADS)), 300) is None
            assert sandbox.connections.open <= THREADS
        assert sandbox.connections.accepted <= THREADS
        assert echo.asked.total() == len(echo.asked) == calls // THREADS * THREADS
        sandbox.connections.wait_until_closed()


def test_no_answer_goes_astray() -> None:
    hammer(2000)


def test_no_answer_goes_astray_and_no_connection_is_lost_while_connections_break() -> None:
    echo = Echo()
    kinds = [FaultKind.RESET_AFTER, FaultKind.RESET_INSIDE, FaultKind.CUT_BODY]
    faults = [Fault(kind, skip=10 * number) for number, kind in enumerate(kinds * 10)]
    patient = RetryPolicy(attempts=50)
    with Sandbox(functions=echo.functions, faults=faults) as sandbox:
        with client_of(sandbox, retry=patient, clock=FakeClock()) as server:
            assert ended(lambda: in_threads(lambda thread: ask(server, thread, 30), 16), 120) is None
            assert sandbox.connections.open <= 16
        assert sum(fault.fired for fault in faults) == len(faults)
        assert sandbox.connections.accepted <= 16 + len(faults)
        assert len(echo.asked) == 16 * 30
        assert echo.asked.total() == 16 * 30 + len(faults)
        sandbox.connections.wait_until_closed()


def test_connections_are_used_again() -> None:
    echo = Echo()
    with Sandbox(functions=echo.functions) as sandbox, client_of(sandbox) as server:
        for thread in range(4):
            ask(server, thread, 5)
        assert sandbox.connections.accepted == 1


def test_a_password_is_fetched_once_however_many_ask_first(sandbox: Sandbox) -> None:
    fetched = 0
    together = threading.Barrier(16)

    def password() -> str:
        nonlocal fetched
        fetched += 1
        return sandbox.password

    def call(thread: int) -> object:
        together.wait(10)
        return server.get_server_info()

    with MailStoreServer.from_settings(settings_of(sandbox).changed(password=password)) as server:
        in_threads(call, 16)
    assert fetched == 1


def test_closing_waits_for_nobody_and_lets_calls_under_way_finish(sandbox: Sandbox) -> None:
    sandbox.faults.add(Fault(FaultKind.STALL_HEAD, times=None))
    server = MailStoreServer.from_settings(settings_of(sandbox))
    with ThreadPoolExecutor(8) as executor:
        under_way = [executor.submit(server.get_server_info) for _ in range(8)]
        sandbox.faults.wait_until_stalled(8)
        assert ended(server.close) is None
        assert not any(call.done() for call in under_way)
        with pytest.raises(ClientClosedError):
            server.get_server_info()
        sandbox.faults.clear()
        assert {call.result(20).version for call in under_way} == {sandbox.world.server_version}
    sandbox.connections.wait_until_closed()
    assert ended(server.close) is None  # twice does no harm


@pytest.mark.parametrize("time", range(5))
def test_closing_while_everybody_calls_ends_every_call(sandbox: Sandbox, time: int) -> None:
    server = MailStoreServer.from_settings(settings_of(sandbox))
    answered = threading.Semaphore(0)

    def call_until_closed(thread: int) -> None:
        try:
            while True:
                server.get_server_info()
                answered.release()
        except ClientClosedError:
            pass

    def work() -> None:
        with ThreadPoolExecutor(8) as executor:
            callers = [executor.submit(call_until_closed, thread) for thread in range(8)]
            for _ in range(20 + time):
                answered.acquire(timeout=10)
            server.close()
            for caller in callers:
                caller.result()

    assert ended(work) is None
    sandbox.connections.wait_until_closed()


def test_a_task_may_be_watched_by_many(sandbox: Sandbox) -> None:
    with Sandbox(functions=known_functions(), pace=Pace.every(0.001)) as paced, client_of(paced) as server:
        task = server.start(LONG)
        in_threads(lambda thread: task.wait(30), 8)
        assert task.log == LOG


def test_clients_with_other_options_share_the_connections(sandbox: Sandbox) -> None:
    with client_of(sandbox) as server:
        for timeout in range(1, 6):
            server.with_options(timeout=timeout).run(GetServerInfo())
    assert sandbox.connections.accepted == 1


def grown(server: MailStoreServer, sandbox: Sandbox, calls: int) -> int:
    """Return how many more objects there are after so many calls."""

    def objects() -> int:
        sandbox.calls.clear()
        gc.collect()
        return len(gc.get_objects())

    before = objects()
    for _ in range(calls):
        server.get_server_info()
    return objects() - before


def test_calls_leave_nothing_behind(sandbox: Sandbox) -> None:
    with client_of(sandbox) as server:
        grown(server, sandbox, 50)  # what is made once
        assert grown(server, sandbox, 500) < 100


def test_failures_leave_nothing_behind(sandbox: Sandbox) -> None:
    def fail(times: int) -> int:
        gc.collect()
        before = len(gc.get_objects())
        for _ in range(times):
            fault = Fault(FaultKind.RESET_AFTER)
            sandbox.faults.add(fault)
            assert ended(server.get_server_info) is not None
        sandbox.faults.clear()
        sandbox.calls.clear()
        gc.collect()
        return len(gc.get_objects()) - before

    with client_of(sandbox) as server:
        fail(10)
        assert fail(100) < 100


# ------------------------------------------------------------------------- the garbage collector


def test_the_collector_rests_for_the_last_of_many_and_comes_back() -> None:
    assert gc.isenabled()
    together = threading.Barrier(8)

    def rest(thread: int) -> None:
        for _ in range(20):
            with paused_collector():
                assert not gc.isenabled()
                together.wait(10)
                assert not gc.isenabled()

    in_threads(rest, 8)
    assert gc.isenabled()


def test_a_collector_that_was_off_stays_off() -> None:
    gc.disable()
    try:
        with paused_collector():
            assert not gc.isenabled()
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_the_collector_comes_back_after_an_error() -> None:
    with pytest.raises(RuntimeError), paused_collector():
        raise RuntimeError
    assert gc.isenabled()
