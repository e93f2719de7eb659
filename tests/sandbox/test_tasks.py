"""Long calls: pace, log, polling, cancelling."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from mailstore.models.stores import CompactStore, VerifyStore
from mailstore.sandbox import Behaviour, Failed, Pace, Registry, Sandbox, Step, Steps, World
from tests.sandbox.raw import Raw

Connect = Callable[[Sandbox], Raw]
VERIFY = {"id": "1", "includeIndexes": "true"}


@pytest.fixture
def by_hand(functions: Registry, connect: Connect) -> Iterator[Raw]:
    """Yields a client of a sandbox whose tasks wait after each step."""
    with Sandbox(functions=functions, pace=Pace.by_hand()) as sandbox:
        yield connect(sandbox)


def test_at_once_the_first_answer_is_the_last(functions: Registry, connect: Connect) -> None:
    with Sandbox(functions=functions) as sandbox:
        status = connect(sandbox).invoke("VerifyStore", **VERIFY)
    assert status == {
        "error": None,
        "token": None,
        "statusVersion": 5,
        "statusCode": "succeeded",
        "percentProgress": 100,
        "statusText": "working",
        "result": None,
        "logOutput": "one\r\ntwo\r\n  and a half\r\nthree\r\n",
    }


def test_by_hand_each_step_waits(by_hand: Raw) -> None:
    pace = by_hand.sandbox.pace
    first = by_hand.invoke("VerifyStore", **VERIFY)
    token = first["token"]
    assert (first["statusCode"], first["logOutput"], first["percentProgress"]) == ("running", "one\r\n", 10)
    assert len(token) == 32
    assert token == token.lower()
    int(token, 16)
    pace.step()
    second = by_hand.get_status(token, first["statusVersion"], 0)
    assert second["statusVersion"] > first["statusVersion"]
    assert (second["logOutput"], second["percentProgress"]) == ("two\r\n  and a half\r\n", 50)
    again = by_hand.get_status(token, second["statusVersion"], 0)
    assert again == {**second, "logOutput": None}
    pace.step(2)
    last = by_hand.get_status(token, second["statusVersion"], 0)
    assert (last["statusCode"], last["token"], last["percentProgress"]) == ("succeeded", token, 100)
    assert last["logOutput"] == "three\r\n"


def test_finish_lets_everything_run_to_its_end(by_hand: Raw, connect: Connect) -> None:
    other = connect(by_hand.sandbox)
    tokens = [raw.invoke("VerifyStore", **VERIFY)["token"] for raw in (by_hand, other)]
    by_hand.sandbox.pace.finish()
    assert {by_hand.get_status(token)["statusCode"] for token in tokens} == {"succeeded"}
    # What is started afterwards waits again.
    assert by_hand.invoke("VerifyStore", **VERIFY)["statusCode"] == "running"


def test_a_poll_is_held_until_something_happens(by_hand: Raw) -> None:
    sandbox = by_hand.sandbox
    first = by_hand.invoke("VerifyStore", **VERIFY)
    with ThreadPoolExecutor(1) as pool:
        poll = pool.submit(by_hand.get_status, first["token"], first["statusVersion"], 60_000)
        sandbox.calls.wait_for("get-status")
        assert not poll.done()
        sandbox.pace.step()
        assert poll.result(10)["logOutput"].startswith("two")


def test_a_poll_without_a_wait_is_answered_at_once(by_hand: Raw) -> None:
    first = by_hand.invoke("VerifyStore", **VERIFY)
    assert by_hand.get_status(first["token"], 10**18, 0)["statusVersion"] == first["statusVersion"]
    assert by_hand.get_status(first["token"], -1, 2**62)["logOutput"] == "one\r\n"


@pytest.mark.parametrize("missing", ["lastKnownStatusVersion", "millisecondsTimeout"])
def test_a_poll_without_a_number_fails(by_hand: Raw, missing: str) -> None:
    fields = {"token": "x", "lastKnownStatusVersion": "1", "millisecondsTimeout": "1"}
    body = "&".join(f"{name}={value}" for name, value in fields.items() if name != missing)
    status = by_hand.send("/api//get-status", body).json
    assert (status["statusCode"], status["error"]["message"]) == ("failed", "Nullable object must have a value.")
    assert status["error"]["details"].startswith("System.InvalidOperationException: Nullable object")


def test_unknown_tokens_are_404(raw: Raw) -> None:
    assert raw.get_status_answer("0" * 32).status == 404
    assert raw.cancel("0" * 32).status == 404


def test_a_cancelled_task_ends(by_hand: Raw) -> None:
    first = by_hand.invoke("VerifyStore", **VERIFY)
    answer = by_hand.cancel(first["token"]).json
    assert answer == {**first, "logOutput": None}
    last = by_hand.get_status(first["token"], first["statusVersion"])
    assert (last["statusCode"], last["error"], last["percentProgress"]) == ("cancelled", None, 10)
    assert by_hand.cancel(first["token"]).json["statusCode"] == "cancelled"


def test_what_a_cancelled_task_is_called_can_be_switched(by_hand: Raw) -> None:
    sandbox = by_hand.sandbox
    sandbox.behaviour = Behaviour(cancelled_status="failed", cancel_answer="succeeded")
    first = by_hand.invoke("VerifyStore", **VERIFY)
    assert by_hand.cancel(first["token"]).json["statusVersion"] == 2
    last = by_hand.get_status(first["token"], first["statusVersion"])
    assert (last["statusCode"], last["error"]["message"]) == ("failed", "The operation was canceled.")


def test_a_server_may_ignore_a_cancellation(by_hand: Raw) -> None:
    by_hand.sandbox.behaviour = Behaviour(cancel_works=False)
    token = by_hand.invoke("VerifyStore", **VERIFY)["token"]
    assert by_hand.cancel(token).status == 200
    by_hand.sandbox.pace.finish()
    assert by_hand.get_status(token)["statusCode"] == "succeeded"


def test_a_cancelled_behaviour_may_clean_up(by_hand: Raw, functions: Registry) -> None:
    cleaned = threading.Event()

    @functions.answers(CompactStore)
    def compact_store(world: World, request: CompactStore) -> Steps[None]:
        try:
            yield Step("Compacting...")
        finally:
            cleaned.set()

    first = by_hand.invoke("CompactStore", id="1")
    by_hand.cancel(first["token"])
    assert by_hand.get_status(first["token"], first["statusVersion"])["statusCode"] == "cancelled"
    assert cleaned.is_set()


@pytest.mark.parametrize(
    ("replay", "logs"),
    [
        ("since_version", ["one\r\n", None, "one\r\n", "one\r\n"]),
        ("since_last_answer", [None, None, None, None]),
        ("everything", ["one\r\n"] * 4),
    ],
)
def test_what_old_versions_bring_can_be_switched(by_hand: Raw, replay: str, logs: list[str | None]) -> None:
    by_hand.sandbox.behaviour = Behaviour(log_replay=replay)  # type: ignore[arg-type]
    first = by_hand.invoke("VerifyStore", **VERIFY)
    assert first["logOutput"] == "one\r\n"
    versions = [0, first["statusVersion"], -1, 1]
    assert [by_hand.get_status(first["token"], version, 0)["logOutput"] for version in versions] == logs


def test_finished_tokens_may_expire(by_hand: Raw) -> None:
    sandbox = by_hand.sandbox
    sandbox.behaviour = Behaviour(final_status_repeats=False)
    token = by_hand.invoke("VerifyStore", **VERIFY)["token"]
    sandbox.pace.finish()
    assert by_hand.get_status(token)["statusCode"] == "succeeded"
    assert by_hand.get_status_answer(token).status == 404
    sandbox.behaviour = Behaviour(token_lifetime=0)
    token = by_hand.invoke("VerifyStore", **VERIFY)["token"]
    assert by_hand.get_status(token)["statusCode"] == "running"
    sandbox.pace.finish()
    assert by_hand.get_status_answer(token).status == 404


def test_a_call_that_ends_at_once_may_have_a_token(functions: Registry, connect: Connect) -> None:
    behaviour = Behaviour(token_when_finished_at_once=True)
    with Sandbox(functions=functions, behaviour=behaviour) as sandbox:
        raw = connect(sandbox)
        status = raw.invoke("VerifyStore", **VERIFY)
        assert status["statusCode"] == "succeeded"
        assert raw.get_status(status["token"], 0) == status


def test_the_first_answer_may_come_before_everything(functions: Registry, connect: Connect) -> None:
    with Sandbox(functions=functions, answer_within=0) as sandbox:
        raw = connect(sandbox)
        status = raw.invoke("VerifyStore", **VERIFY)
        assert (status["statusCode"], status["statusVersion"], status["logOutput"]) == ("running", 1, None)
        log = ""
        while status["statusCode"] == "running":
            status = raw.get_status(status["token"], status["statusVersion"])
            log += status["logOutput"] or ""
        assert log == "one\r\ntwo\r\n  and a half\r\nthree\r\n"


def test_the_first_answer_may_wait_for_the_end(functions: Registry, connect: Connect) -> None:
    with Sandbox(functions=functions, pace=Pace.every(0.001), answer_within=60) as sandbox:
        assert connect(sandbox).invoke("VerifyStore", **VERIFY)["statusCode"] == "succeeded"


def test_by_the_clock_the_first_answer_comes_at_the_first_pause(functions: Registry, connect: Connect) -> None:
    with Sandbox(functions=functions, pace=Pace.every(3600)) as sandbox:
        raw = connect(sandbox)
        status = raw.invoke("VerifyStore", **VERIFY)
        assert (status["statusCode"], status["logOutput"]) == ("running", "one\r\n")
        sandbox.pace.step()
        assert raw.get_status(status["token"], status["statusVersion"])["logOutput"].startswith("two")
        raw.cancel(status["token"])
        assert raw.get_status(status["token"], 3)["statusCode"] == "cancelled"


def test_every_call_may_be_long(functions: Registry, connect: Connect) -> None:
    with Sandbox(functions=functions, pace=Pace.by_hand(), behaviour=Behaviour(every_call_is_long=True)) as sandbox:
        raw = connect(sandbox)
        status = raw.invoke("GetServerInfo")
        assert (status["statusCode"], status["result"]) == ("running", None)
        sandbox.pace.finish()
        status = raw.get_status(status["token"])
        assert status["result"]["machineName"] == sandbox.world.machine_name


def test_a_task_that_fails_says_why(functions: Registry, connect: Connect) -> None:
    @functions.answers(VerifyStore)
    def verify_store(world: World, request: VerifyStore) -> Steps[None]:
        yield Step("Verifying...", percent=30)
        raise Failed("Disk full.", kind="System.IO.IOException")

    with Sandbox(functions=functions) as sandbox:
        status = connect(sandbox).invoke("VerifyStore", **VERIFY)
    assert (status["statusCode"], status["percentProgress"], status["logOutput"]) == ("failed", 30, "Verifying...\r\n")
    assert status["error"]["message"] == "Disk full."
    assert status["error"]["details"].startswith("System.IO.IOException: Disk full.\r\n   at ")


def test_the_world_is_free_between_two_steps(by_hand: Raw) -> None:
    by_hand.invoke("VerifyStore", **VERIFY)
    assert by_hand.sandbox.world.lock.acquire(timeout=10)
    by_hand.sandbox.world.lock.release()


def test_only_the_last_finished_tasks_are_remembered(by_hand: Raw, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mailstore.sandbox.tasks._KEPT", 2)
    tokens = [by_hand.invoke("VerifyStore", **VERIFY)["token"] for _ in range(3)]
    by_hand.sandbox.pace.finish()
    tokens.append(by_hand.invoke("VerifyStore", **VERIFY)["token"])
    assert [by_hand.get_status_answer(token, 0, 0).status for token in tokens] == [404, 404, 200, 200]


def test_whoever_holds_the_world_cannot_make_steps(by_hand: Raw, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mailstore.sandbox.pace._SETTLE", 0.01)
    by_hand.invoke("VerifyStore", **VERIFY)
    with by_hand.sandbox.world.lock, pytest.raises(TimeoutError, match="world's lock"):
        by_hand.sandbox.pace.step()


def test_a_pace_goes_forward() -> None:
    with pytest.raises(ValueError, match="negative"):
        Pace.every(-1)


def test_many_tasks_keep_their_logs_apart(functions: Registry, connect: Connect) -> None:
    @functions.answers(VerifyStore)
    def verify_store(world: World, request: VerifyStore) -> Steps[None]:
        for number in range(20):
            yield Step(f"{request.id}: {number}")

    with Sandbox(functions=functions, answer_within=0) as sandbox:

        def run(store: int) -> str:
            raw = connect(sandbox)
            status = raw.invoke("VerifyStore", id=str(store), includeIndexes="true")
            log = ""
            while status["statusCode"] == "running":
                status = raw.get_status(status["token"], status["statusVersion"])
                log += status["logOutput"] or ""
            return log

        with ThreadPoolExecutor(8) as pool:
            for store, log in enumerate(pool.map(run, range(24))):
                assert log == "".join(f"{store}: {number}\r\n" for number in range(20))
