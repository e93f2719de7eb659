"""Long calls through `Task`: watching, waiting, deadlines, cancelling, and taking up again elsewhere."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from mailstore import MailStoreServer, Task
from mailstore._engine import POLL_MARGIN
from mailstore.errors import (
    ConnectionFailedError,
    DeadlineExceededError,
    FunctionFailedError,
    NoTokenError,
    ProtocolError,
    TaskCancelledError,
    UnknownTokenError,
)
from mailstore.models import SetUserPassword, StatusEnvelope, VerifyStore
from mailstore.sandbox import Behaviour, Failed, Fault, FaultKind, Pace, Sandbox, Step, Steps, World
from tests.support import (
    BROKEN,
    LINES,
    LOG,
    LONG,
    QUICK,
    FakeClock,
    another_client,
    collected,
    known_functions,
    log_of,
)

Statuses = list[StatusEnvelope[Any]]


# ----------------------------------------------------------------------------------- watching


def test_iterating_yields_the_first_each_later_and_the_last_status_once(server: MailStoreServer, pace: Pace) -> None:
    task = server.start(LONG)
    seen: Statuses = []
    for status in task:
        seen.append(status)
        pace.step()
    assert [status.status_version for status in seen] == sorted({status.status_version for status in seen})
    assert [status.is_running for status in seen] == [True] * (len(seen) - 1) + [False]
    assert log_of(seen) == task.log == LOG


def test_a_callback_sees_what_iterating_yields(server: MailStoreServer, pace: Pace) -> None:
    seen: Statuses = []
    last = server.start(LONG).wait(on_progress=collected(seen, pace.step))
    assert seen[0].log_output == f"{LINES[0]}\r\n"
    assert seen[-1] is last
    assert log_of(seen) == LOG


def test_a_callback_given_at_the_start_or_to_the_client_is_called_as_well(server: MailStoreServer, pace: Pace) -> None:
    of_call: Statuses = []
    server.start(LONG, on_progress=collected(of_call, pace.step)).result()
    of_client: Statuses = []
    server.with_options(on_progress=collected(of_client, pace.step)).run(LONG)
    assert log_of(of_call) == log_of(of_client) == LOG


def test_a_poll_without_news_is_no_progress(server: MailStoreServer, pace: Pace) -> None:
    task = server.start(LONG)
    first = task.status
    assert first is not None
    assert task.poll(wait=0).status_version == first.status_version
    assert task.log == f"{LINES[0]}\r\n"
    pace.step()
    assert task.poll(wait=0).status_version > first.status_version
    assert task.log == "".join(f"{line}\r\n" for line in LINES[:2])


def test_a_call_that_is_finished_at_once_is_a_task_that_is_done(server: MailStoreServer, sandbox: Sandbox) -> None:
    task = server.start(QUICK)
    assert task.done
    assert task.token is None
    assert task.result() == task.wait().result == task.poll().result == server.run(QUICK)
    assert [status.result for status in task] == [task.result()]
    task.cancel()
    assert not sandbox.calls.of("get-status")
    assert not sandbox.calls.of("cancel-async")


def test_looking_at_a_task_asks_nobody(server: MailStoreServer, sandbox: Sandbox, pace: Pace) -> None:
    task = server.start(LONG)
    resumed = server.resume(task.token or "", VerifyStore)
    arrived = len(sandbox.calls)
    assert (task.done, task.function, task.status_version) == (False, "VerifyStore", 2)
    assert repr(task) == f"Task(VerifyStore, token={task.token!r}, running)"
    assert (resumed.done, resumed.status, resumed.log, resumed.status_version) == (False, None, "", -1)
    assert repr(resumed) == f"Task(VerifyStore, token={task.token!r}, not polled yet)"
    assert len(sandbox.calls) == arrived


# ---------------------------------------------------------------------------------------- log

_BREAKS = (FaultKind.RESET_BEFORE, FaultKind.RESET_AFTER, FaultKind.RESET_INSIDE, FaultKind.CUT_BODY)


@pytest.fixture(scope="module")
def shared() -> Iterator[Sandbox]:
    """Yields a sandbox for the examples of a property, which do not get fixtures of their own."""
    with Sandbox(functions=known_functions(), pace=Pace.by_hand()) as sandbox:
        yield sandbox


@hypothesis_settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_the_log_has_every_line_once_whatever_happens_between(shared: Sandbox, data: st.DataObject) -> None:
    """Steps, polls, broken connections and resuming by other clients in any order lose and repeat nothing."""
    clients = [another_client(shared, FakeClock())]
    task: Task[None] = clients[0].start(LONG)
    read = ""
    for action in data.draw(st.lists(st.sampled_from(("step", "poll", "break", "resume")), max_size=12)):
        match action:
            case "step":
                shared.pace.step()
            case "poll":
                task.poll(wait=0)
            case "break":
                shared.faults.add(Fault(data.draw(st.sampled_from(_BREAKS)), "get-status"))
                task.poll(wait=0)
            case _:
                read += task.log
                clients.append(another_client(shared, FakeClock()))
                assert task.token is not None
                task = clients[-1].resume(task.token, VerifyStore, status_version=task.status_version)
    shared.pace.finish()
    task.wait()
    assert read + task.log == LOG
    for client in clients:
        client.close()


def test_the_log_is_whole_after_resuming_in_another_process(
    server: MailStoreServer, sandbox: Sandbox, pace: Pace
) -> None:
    task = server.start(LONG)
    pace.step()
    task.poll()
    script = (
        "import sys; from mailstore import MailStoreServer; from mailstore.models import VerifyStore\n"
        "with MailStoreServer.from_env() as server:\n"
        "    task = server.resume(sys.argv[1], VerifyStore)\n"
        "    assert task.result() is None\n"
        "    sys.stdout.buffer.write(task.log.encode())\n"
    )
    environment = os.environ | {
        "MAILSTORE_HOST": sandbox.host,
        "MAILSTORE_PORT": str(sandbox.port),
        "MAILSTORE_PASSWORD": sandbox.password,
        "MAILSTORE_FINGERPRINT": sandbox.fingerprint,
    }
    polls = sandbox.calls.count_of("get-status")
    with subprocess.Popen(  # noqa: S603 - this Python and the script above
        [sys.executable, "-W", "error", "-c", script, task.token or ""], env=environment, stdout=subprocess.PIPE
    ) as other:
        sandbox.calls.wait_for("get-status", polls + 2, timeout=60)
        pace.finish()
        output, _ = other.communicate(timeout=60)
    assert other.returncode == 0
    assert output.decode() == LOG


def test_a_status_that_is_told_again_repeats_no_line(server: MailStoreServer, sandbox: Sandbox) -> None:
    """Whatever a server does that is asked for the same version twice."""
    sandbox.behaviour = Behaviour(log_replay="everything")
    sandbox.pace = Pace.by_hand()
    task = server.start(LONG)
    for _ in range(3):
        task.poll(wait=0)
    assert task.log == f"{LINES[0]}\r\n"


# ----------------------------------------------------------------------------------- the end


def test_a_failure_is_told_and_raised_wherever_it_is_met(server: MailStoreServer, pace: Pace) -> None:
    def failing() -> Task[None]:
        task = server.start(VerifyStore(id=BROKEN))
        pace.finish()
        return task

    task = failing()
    seen: Statuses = []
    for ask in (task.poll, task.wait, task.result, task.poll, lambda: list(task)):
        with pytest.raises(FunctionFailedError, match="The file group is damaged") as caught:
            ask()
        assert caught.value.function == "VerifyStore"
        assert caught.value.server == server.settings.server
        assert caught.value.envelope is task.status
        assert not hasattr(caught.value, "__notes__"), "nothing goes on on the server"
    with pytest.raises(FunctionFailedError):
        failing().wait(on_progress=collected(seen))
    with pytest.raises(FunctionFailedError):
        seen.extend(failing())
    assert [status.status_code for status in seen] == ["running", "failed"] * 2
    with pytest.raises(FunctionFailedError):
        server.run(VerifyStore(id=BROKEN), on_progress=lambda _: pace.finish())


def test_a_failure_that_quotes_a_secret_shows_it_nowhere() -> None:
    functions = known_functions()

    @functions.answers(SetUserPassword)
    def set_user_password(world: World, request: SetUserPassword) -> Steps[None]:
        yield Step("Working...")
        raise Failed(f"{request.password.get_secret_value()} is too short.")  # type: ignore[union-attr]

    with Sandbox(functions=functions, pace=Pace.by_hand()) as sandbox, another_client(sandbox) as server:
        task = server.start(SetUserPassword(user_name="ann.lee", password="hunter2!"))
        sandbox.pace.finish()
        seen: Statuses = []
        with pytest.raises(FunctionFailedError, match="is too short") as caught:
            task.wait(on_progress=collected(seen))
    assert seen[-1].status_code == "failed"
    error = caught.value
    shown = f"{error} {error.envelope!r} {error.details} {task.status!r} {seen} {seen[-1].to_wire()}"
    assert "hunter2!" not in shown


def test_cancelling_claims_nothing_and_waiting_tells(server: MailStoreServer, sandbox: Sandbox, pace: Pace) -> None:
    task = server.start(LONG)
    claim: object = task.cancel()  # type: ignore[func-returns-value]
    assert claim is None
    assert task.status is not None
    assert task.status.is_running, "nothing is known before somebody asks"
    assert task.wait().status_code == "cancelled"
    with pytest.raises(TaskCancelledError) as caught:
        task.result()
    assert caught.value.token == task.token
    assert caught.value.task is task
    assert [status.status_code for status in task] == ["cancelled"]
    task.cancel()
    assert sandbox.calls.count_of("cancel-async") == 1, "what is over is not cancelled again"


def test_a_server_that_does_not_cancel_is_believed(server: MailStoreServer, sandbox: Sandbox, pace: Pace) -> None:
    sandbox.behaviour = replace(sandbox.behaviour, cancel_works=False)
    task = server.start(LONG)
    task.cancel()
    pace.finish()
    assert task.wait().status_code == "succeeded"
    assert task.log == LOG


def test_a_callback_may_cancel(server: MailStoreServer, pace: Pace) -> None:
    task = server.start(LONG)
    seen: Statuses = []
    task.wait(on_progress=collected(seen, task.cancel))
    assert [status.status_code for status in seen] == ["running", "cancelled"]


@pytest.mark.parametrize("status", ["aborted", "Cancelled", "succeededWithWarnings", ""])
def test_whatever_is_not_running_ends_the_wait(
    server: MailStoreServer, sandbox: Sandbox, pace: Pace, status: str
) -> None:
    sandbox.behaviour = Behaviour(cancelled_status=status)
    task = server.start(LONG)
    task.cancel()
    last = task.wait()
    assert last.status_code == status
    assert not last.status_code.is_known
    with pytest.raises(FunctionFailedError, match=f"status {status!r}"):
        task.result()


def test_an_unknown_status_of_the_first_answer_is_an_error_as_well(server: MailStoreServer, sandbox: Sandbox) -> None:
    body = b'{"error":null,"token":null,"statusVersion":2,"statusCode":"aborted","result":null}'
    sandbox.faults.add(Fault(FaultKind.ANSWER, body=body, times=2))
    with pytest.raises(FunctionFailedError, match="'aborted'") as caught:
        server.run(QUICK)
    assert caught.value.function == "GetServerInfo"
    assert caught.value.server == server.settings.server
    assert server.start(QUICK).wait().status_code == "aborted"


def test_a_token_that_the_server_does_not_know_is_told_with_the_token(server: MailStoreServer, pace: Pace) -> None:
    task = server.resume("0123456789abcdef0123456789abcdef", VerifyStore)
    for ask in (task.poll, task.wait, task.result, task.cancel):
        with pytest.raises(UnknownTokenError) as caught:
            ask()
        assert caught.value.token == task.token
        assert caught.value.task is task


def test_a_task_without_a_token_cannot_be_polled(server: MailStoreServer, sandbox: Sandbox) -> None:
    with pytest.raises(NoTokenError):
        server.resume("", VerifyStore).wait()
    assert len(sandbox.calls) == 0


# ------------------------------------------------------------------------------ the three clocks


def _polls(sandbox: Sandbox) -> list[int]:
    return [int(call.arguments["millisecondsTimeout"]) for call in sandbox.calls.of("get-status")]


def test_a_poll_never_waits_beyond_the_deadline(
    server: MailStoreServer, sandbox: Sandbox, pace: Pace, clock: FakeClock
) -> None:
    def time_passes() -> None:
        clock.now += 4.0
        pace.step()

    task = server.start(LONG)
    with pytest.raises(DeadlineExceededError, match="after 10 s"):
        task.wait(timeout=10, on_progress=collected([], time_passes))
    assert _polls(sandbox) == [5000, 2000]


def test_without_a_deadline_a_poll_waits_as_long_as_the_client_says(
    server: MailStoreServer, sandbox: Sandbox, pace: Pace
) -> None:
    server.run(LONG, on_progress=lambda _: pace.step())
    server.with_options(poll_wait=0.25).run(LONG, on_progress=lambda _: pace.step())
    task = server.start(LONG)
    pace.step()
    task.poll(wait=60)
    waits = _polls(sandbox)
    assert waits == [5000] * (len(LINES)) + [250] * len(LINES) + [60_000]


def test_the_http_timeout_of_a_poll_is_its_wait_and_a_margin(
    server: MailStoreServer, pace: Pace, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    timeouts: list[tuple[str, float, float]] = []
    transport = server._engine.transport
    post = transport.post

    def recording(path: str, body: bytes, timeout: tuple[float, float], *rest: Any) -> Any:
        timeouts.append((path, *timeout))
        return post(path, body, timeout, *rest)

    monkeypatch.setattr(transport, "post", recording)
    patient = server.with_options(timeout=(3, 7), poll_wait=20)
    task = patient.start(LONG)
    pace.step()
    task.poll()
    pace.step()
    task.poll(wait=50)
    pace.finish()
    task.wait(timeout=1000)
    assert timeouts == [
        ("invoke/VerifyStore", 3, 7),
        ("get-status", 3, 20 + POLL_MARGIN),
        ("get-status", 3, 50 + POLL_MARGIN),
        ("get-status", 3, 20 + POLL_MARGIN),
    ]
    timeouts.clear()
    patient.run(LONG, timeout=(1, 2), on_progress=lambda _: pace.finish())
    assert timeouts == [("invoke/VerifyStore", 1, 2), ("get-status", 3, 20 + POLL_MARGIN)]


def test_a_deadline_raises_with_the_task_which_goes_on(
    server: MailStoreServer, sandbox: Sandbox, pace: Pace, clock: FakeClock
) -> None:
    task = server.start(LONG)
    with pytest.raises(DeadlineExceededError) as caught:
        task.result(timeout=0)
    late = caught.value
    assert isinstance(late, TimeoutError)
    assert late.task is task
    assert late.token == task.token
    assert late.envelope is task.status
    assert _polls(sandbox) == [0], "even without any patience the server is asked once"
    pace.finish()
    assert task.wait().status_code == "succeeded"
    assert task.log == LOG
    assert sandbox.calls.count_of("VerifyStore") == 1


def _start_with_deadline(server: MailStoreServer, deadline: float) -> Callable[[], object]:
    return server.start(LONG, deadline=deadline).result


def _run_with_deadline(server: MailStoreServer, deadline: float) -> Callable[[], object]:
    return lambda: server.run(LONG, deadline=deadline)


def _iterate_with_deadline(server: MailStoreServer, deadline: float) -> Callable[[], object]:
    task = server.with_options(deadline=deadline).start(LONG)
    return lambda: list(task)


def _resume_with_deadline(server: MailStoreServer, deadline: float) -> Callable[[], object]:
    token = server.start(LONG).token
    return server.with_options(deadline=deadline).resume(token or "", VerifyStore).wait


@pytest.mark.parametrize(
    "begin", [_start_with_deadline, _run_with_deadline, _iterate_with_deadline, _resume_with_deadline]
)
def test_the_deadline_of_a_call_holds_for_all_who_wait_until_it_has_passed_once(
    sandbox: Sandbox, pace: Pace, begin: Callable[[MailStoreServer, float], Callable[[], object]]
) -> None:
    clock = FakeClock()
    with another_client(sandbox, clock) as server:
        impatient = server.with_options(on_progress=lambda _: setattr(clock, "now", clock.now + 3), poll_wait=0)
        wait = begin(impatient, 2.5)
        clock.now += 3
        with pytest.raises((DeadlineExceededError, ConnectionFailedError)) as caught:
            wait()
        assert isinstance(caught.value, DeadlineExceededError)
        task = caught.value.task
        assert task is not None
        seen: Statuses = []
        task.wait(on_progress=collected(seen, pace.step))
        assert len(seen) > 2, "who waits again has as long as it takes"


def test_a_timeout_of_ones_own_comes_before_the_deadline_of_the_call(
    server: MailStoreServer, sandbox: Sandbox, pace: Pace, clock: FakeClock
) -> None:
    task = server.start(LONG, deadline=3)
    with pytest.raises(DeadlineExceededError):
        task.wait(timeout=0)
    pace.step()
    task.poll()
    clock.now += 2
    pace.step()
    for _ in task:
        pace.finish()
    assert _polls(sandbox) == [0, 5000, 1000]


def test_numbers_that_are_no_seconds_are_refused(server: MailStoreServer, sandbox: Sandbox, pace: Pace) -> None:
    task = server.start(LONG)
    arrived = len(sandbox.calls)

    def run(deadline: float) -> None:
        server.run(LONG, deadline=deadline)

    asks: list[Callable[[float], object]] = [task.wait, task.result, task.poll, run]
    for bad in (-1, float("nan"), float("inf")):
        for ask in asks:
            with pytest.raises(ValueError, match="number of seconds"):
                ask(bad)
    assert len(sandbox.calls) == arrived


# --------------------------------------------------------------------------------- broken lines


def test_polling_goes_on_with_the_same_token_when_the_connection_breaks(
    server: MailStoreServer, sandbox: Sandbox, pace: Pace, clock: FakeClock
) -> None:
    for kind in _BREAKS:
        sandbox.faults.add(Fault(kind, "get-status", times=2))
    task = server.start(LONG)
    pace.finish()
    assert task.wait().status_code == "succeeded"
    assert task.log == LOG
    assert {call.arguments["token"] for call in sandbox.calls.of("get-status") if call.arguments} == {task.token}
    assert len(clock.pauses) == 2 * len(_BREAKS)
    assert clock.pauses == sorted(clock.pauses)


def test_a_deadline_ends_polling_that_gets_no_answer(
    server: MailStoreServer, sandbox: Sandbox, pace: Pace, clock: FakeClock
) -> None:
    sandbox.faults.add(Fault(FaultKind.RESET_BEFORE, "get-status", times=None))
    task = server.start(LONG)
    begun = clock.now
    with pytest.raises(DeadlineExceededError) as caught:
        task.wait(timeout=60)
    assert clock.now - begun <= 60
    assert caught.value.task is task
    assert caught.value.earlier
    sandbox.faults.clear()
    pace.finish()
    assert task.wait().status_code == "succeeded"


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault(FaultKind.RESET_BEFORE, "get-status", times=None), ConnectionFailedError),
        (Fault(FaultKind.HTML, "get-status"), ProtocolError),
    ],
)
def test_an_error_while_waiting_does_not_lose_the_token(
    server: MailStoreServer, sandbox: Sandbox, pace: Pace, fault: Fault, expected: type[Exception]
) -> None:
    fault = sandbox.faults.add(replace(fault))
    tokens: Statuses = []
    with pytest.raises(expected) as caught:
        server.with_options(poll_wait=0).run(LONG, on_progress=collected(tokens))
    token = tokens[0].token
    assert token is not None
    assert any(token in note and "VerifyStore" in note for note in caught.value.__notes__)
    sandbox.faults.clear()
    pace.finish()
    assert server.resume(token, VerifyStore).wait().status_code == "succeeded"


# ------------------------------------------------------------------------------------- Ctrl+C


def _interrupt(_: object) -> None:
    raise KeyboardInterrupt


def test_ctrl_c_leaves_the_task_running_and_tells_its_token(
    server: MailStoreServer, sandbox: Sandbox, pace: Pace, caplog: pytest.LogCaptureFixture
) -> None:
    task = server.start(LONG)
    with pytest.raises(KeyboardInterrupt) as caught:
        task.wait(on_progress=_interrupt)
    note = f"VerifyStore goes on on the server; its token, to resume or to cancel it, is {task.token}"
    assert caught.value.__notes__ == [note]
    assert caplog.messages == [note]
    assert not sandbox.calls.of("cancel-async")
    pace.finish()
    assert task.wait().status_code == "succeeded"
    with pytest.raises(KeyboardInterrupt) as over:
        task.wait(on_progress=_interrupt)
    assert not hasattr(over.value, "__notes__"), "nothing goes on any more"


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="this system cannot interrupt a blocked thread")
@pytest.mark.parametrize("way", ["wait", "result", "poll", "for"])
def test_ctrl_c_in_the_middle_of_a_poll_tells_the_token(
    server: MailStoreServer, sandbox: Sandbox, pace: Pace, way: str
) -> None:
    task = server.start(LONG)
    waits: dict[str, Callable[[], object]] = {
        "wait": task.wait,
        "result": task.result,
        "poll": task.poll,
        "for": lambda: list(task),
    }
    main = threading.main_thread().ident
    assert main is not None

    def press() -> None:
        sandbox.calls.wait_for("get-status")
        signal.pthread_kill(main, signal.SIGINT)

    with ThreadPoolExecutor(1) as threads:
        pressed = threads.submit(press)
        with pytest.raises(KeyboardInterrupt) as caught:
            waits[way]()
        pressed.result()
    assert any(str(task.token) in note for note in caught.value.__notes__)
    pace.finish()
    assert task.wait().status_code == "succeeded"


# ------------------------------------------------------------------------------------ threads


def test_all_threads_that_wait_for_a_task_see_its_progress_and_its_end(server: MailStoreServer, pace: Pace) -> None:
    task = server.with_options(poll_wait=600).start(LONG)
    both_saw_it = threading.Barrier(2, action=pace.step, timeout=30)

    def watch() -> list[str]:
        seen: Statuses = []
        for status in task:
            seen.append(status)
            if status.is_running:
                both_saw_it.wait()
        return [str(status.status_code) for status in seen]

    with ThreadPoolExecutor(2) as threads:
        first, second = threads.submit(watch), threads.submit(watch)
        expected = ["running"] * len(LINES) + ["succeeded"]
        assert first.result() == second.result() == expected
    assert task.log == LOG


def test_one_who_waits_for_long_does_not_hold_up_the_deadline_of_another(
    server: MailStoreServer, sandbox: Sandbox, pace: Pace
) -> None:
    task = server.with_options(poll_wait=20).start(LONG)
    with ThreadPoolExecutor(1) as threads:
        patient = threads.submit(task.wait)
        sandbox.calls.wait_for("get-status")
        with pytest.raises(DeadlineExceededError) as caught:
            task.wait(timeout=0)
        assert caught.value.task is task
        assert sandbox.calls.count_of("get-status") == 1
        pace.finish()
        assert patient.result().status_code == "succeeded"
