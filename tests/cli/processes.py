"""The command line as a real process."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress

from mailstore.sandbox import Sandbox

PATIENCE = 60
"""Seconds after which a process that does not end has failed the test."""

CONTROL_CODE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")


def environment(sandbox: Sandbox | None = None, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment of this process, without colours, and with the address of a sandbox."""
    unwanted = ("MAILSTORE_", "FORCE_COLOR", "CLICOLOR", "COLUMNS", "TERM", "PYTHONWARNINGS")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
    address = {} if sandbox is None else address_of(sandbox)
    return {**kept, "NO_COLOR": "1", "PYTHONIOENCODING": "utf-8", **address, **(more or {})}


def address_of(sandbox: Sandbox) -> dict[str, str]:
    return {
        "MAILSTORE_HOST": sandbox.host,
        "MAILSTORE_PORT": str(sandbox.port),
        "MAILSTORE_USERNAME": sandbox.username,
        "MAILSTORE_PASSWORD": sandbox.password,
        "MAILSTORE_FINGERPRINT": sandbox.fingerprint,
    }


def run(*arguments: str, env: dict[str, str] | None = None, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run ``mailstore`` and return what came of it; a warning is an error."""
    return run_python("-m", "mailstore.cli", *arguments, env=env, stdin=stdin)


def run_python(*arguments: str, env: dict[str, str] | None = None, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-W", "error", *arguments],
        env=env or environment(),
        input=stdin,
        capture_output=True,
        encoding="utf-8",
        timeout=PATIENCE,
        check=False,
    )


def run_in_terminal(*arguments: str, **variables: str) -> tuple[int, str]:
    """Run ``mailstore`` in a terminal of 100 columns, and return exit code and everything that was written to it."""
    import pty
    import termios

    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (40, 100))
    with subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-W", "error", "-m", "mailstore.cli", *arguments],
        env=environment(more={"TERM": "xterm-256color", **variables}),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        written = b""
        with suppress(OSError):  # how the end of a terminal shows on Linux
            while more := os.read(ours, 65536):
                written += more
        os.close(ours)
        return process.wait(PATIENCE), written.decode()
