from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

import pytest

from mailstore.cli import demo
from mailstore.errors import ArgumentError, CertificateError, FunctionFailedError, TaskCancelledError
from mailstore.sandbox import Pace, Sandbox
from tests.cli.processes import CONTROL_CODE, environment, run, run_in_terminal, run_python

IN_A_TERMINAL = pytest.mark.skipif(os.name == "nt", reason="there are no pseudo-terminals")

SHOWN = (
    "CertificateError",
    "its fingerprint is",
    "sha256:",
    "25.3.1.23021 MAILSTORE",
    "john.doe@example.com",
    "1249 messages verified.",
    "Finished. No errors have been found.",
    "TaskCancelledError",
    "the call was cancelled",
    "ArgumentError",
    "exprot",
    "FunctionFailedError",
    "mailstore sandbox",
)

CODE = (
    demo.FIRST_CONTACT,
    demo.PIN,
    demo.USERS,
    demo.VERIFY,
    demo.CANCEL,
    demo.SLIP,
    demo.TAKEN,
    demo.TUTORIAL,
)


def test_demo_ends_with_0_and_shows_the_job() -> None:
    done = run("demo")
    assert (done.returncode, done.stderr) == (0, "")
    for expected in SHOWN:
        assert expected in done.stdout
    for code in CODE:
        first = code.splitlines()[0].split("{")[0]
        assert f"\n     {first}" in done.stdout


def test_demo_is_plain_and_short_where_there_is_no_terminal() -> None:
    done = run("demo", env=environment(more={"COLUMNS": "100"}))
    lines = done.stdout.split("\n")
    assert [line for line in lines if not line.isprintable() or line != line.rstrip() or len(line) > 100] == []
    assert len(lines) < 150


def test_demo_makes_no_pauses_where_there_is_no_terminal() -> None:
    done = run_python("-c", "import sys, time; del time.sleep; from mailstore.cli import demo; demo.run(paced=True)")
    assert (done.returncode, done.stderr) == (0, "")


@IN_A_TERMINAL
def test_demo_in_a_terminal() -> None:
    exit_code, written = run_in_terminal("demo", "--fast", NO_COLOR="")
    assert exit_code == 0
    assert "\x1b[1;36m1. \x1b[0m\x1b[1mFirst contact" in written
    assert "━━━━" in written
    text = CONTROL_CODE.sub("", written)
    for expected in SHOWN:
        assert expected in text
    assert max(len(line) for line in text.replace("\r", "\n").split("\n")) <= 100


@IN_A_TERMINAL
def test_demo_in_a_terminal_without_colours() -> None:
    exit_code, written = run_in_terminal("demo", "--fast", NO_COLOR="1")
    assert exit_code == 0
    colours = {part for code in CONTROL_CODE.findall(written) if code[-1] == "m" for part in code[2:-1].split(";")}
    assert colours <= {"0", "1", "2", "3", "4"}


@IN_A_TERMINAL
def test_demo_in_a_terminal_that_can_nothing() -> None:
    exit_code, written = run_in_terminal("demo", NO_COLOR="", TERM="dumb")
    assert exit_code == 0
    assert "\x1b" not in written


@IN_A_TERMINAL
def test_an_error_in_a_terminal_is_a_paragraph() -> None:
    exit_code, written = run_in_terminal("fingerprint", "no.such.host.invalid", NO_COLOR="1")
    assert exit_code == 1
    assert CONTROL_CODE.sub("", written).startswith("│ ConnectionFailedError")


# --------------------------------------------------------------- what is shown is what happens


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(pace=Pace.every(0.001)) as sandbox:
        yield sandbox


@pytest.fixture
def execute(sandbox: Sandbox) -> Iterator[Callable[[str], None]]:
    """Yields a function that executes lines of Python which the demo shows, one piece after the other."""
    names: dict[str, Any] = {}

    def execute(code: str) -> None:
        filled_in = code.format(
            host=sandbox.host, port=sandbox.port, password=sandbox.password, fingerprint=sandbox.fingerprint
        )
        exec(filled_in, names)  # noqa: S102 - the lines are the subject of the test

    yield execute
    for name in ("server", "client"):
        if name in names:
            names[name].close()


def test_first_contact_is_refused(sandbox: Sandbox, execute: Callable[[str], None]) -> None:
    with pytest.raises(CertificateError) as refused:
        execute(demo.FIRST_CONTACT)
    assert refused.value.fingerprint == sandbox.fingerprint
    assert len(sandbox.calls) == 0


def test_the_lines_shown_do_what_is_shown(execute: Callable[[str], None], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CertificateError):
        execute(demo.FIRST_CONTACT)
    execute(demo.PIN)
    assert capsys.readouterr().out == "25.3.1.23021 MAILSTORE\n"
    execute(demo.USERS)
    assert "john.doe ['john.doe@example.com'" in capsys.readouterr().out
    execute(demo.VERIFY)
    assert capsys.readouterr().out.endswith("Finished. No errors have been found.\r\n")
    with pytest.raises(ArgumentError):
        execute(demo.SLIP)
    with pytest.raises(FunctionFailedError):
        execute(demo.TAKEN)
    execute(demo.TUTORIAL)
    assert capsys.readouterr().out.startswith("['john.doe@example.com'")


def test_the_lines_that_cancel_do_so(sandbox: Sandbox, execute: Callable[[str], None]) -> None:
    with pytest.raises(CertificateError):
        execute(demo.FIRST_CONTACT)
    execute(demo.PIN)
    execute("from mailstore.models import VerifyStore")
    sandbox.pace = Pace.by_hand()
    with ThreadPoolExecutor(1) as other:
        cancelled = other.submit(execute, demo.CANCEL)
        for poll in count(1):
            sandbox.calls.wait_for("get-status", poll)
            if sandbox.calls.of("cancel-async"):
                break
            sandbox.pace.step()
        with pytest.raises(TaskCancelledError):
            cancelled.result()
