from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mailstore import MailStoreServer
from mailstore.errors import AuthenticationError
from mailstore.models import VerifyStore
from tests.cli.processes import PATIENCE, environment, run, run_python

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals and `export` are different there")

ENVIRONMENT = "The environment of your program:"
PYTHON = "Python:"
TUTORIAL = "Python with the names of MailStore's tutorial:"


class Served:
    """``mailstore sandbox`` in a process of its own, and what it said."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.stdout = self._read(process.stdout, 'print(client.GetServerInfo()["result"]["version"])')
        self.stderr = self._read(process.stderr, "Press Ctrl+C to stop.")

    @staticmethod
    def _read(stream: Iterator[str] | None, last: str) -> str:
        lines: list[str] = []
        for line in stream or ():
            lines.append(line)
            if line.strip() == last:
                break
        return "".join(lines)

    def block(self, heading: str) -> str:
        """Return the indented lines below a heading."""
        lines = self.stdout.split(f"{heading}\n\n")[1].splitlines()
        end = next((number for number, line in enumerate(lines) if line[:1].strip()), len(lines))
        return textwrap.dedent("\n".join(lines[:end]))

    @property
    def variables(self) -> dict[str, str]:
        """The environment that it proposes."""
        lines = [line for line in self.block(ENVIRONMENT).splitlines() if line.startswith("export ")]
        return dict(line.removeprefix("export ").split("=", 1) for line in lines)

    def connect(self, password: str = "admin") -> MailStoreServer:
        return MailStoreServer.from_env({"MAILSTORE_PASSWORD": password, **self.variables})

    def end(self, how: signal.Signals) -> int:
        self._process.send_signal(how)
        more, complaints = self._process.communicate(timeout=PATIENCE)
        self.stdout += more
        self.stderr += complaints
        return self._process.returncode


@contextmanager
def served(*arguments: str, stdin: str = "", **variables: str) -> Generator[Served]:
    command = [sys.executable, "-W", "error", "-m", "mailstore.cli", "sandbox", "--port", "0", *arguments]
    pipe = subprocess.PIPE
    with subprocess.Popen(  # noqa: S603 - our own command
        command, env=environment(more=variables), stdin=pipe, stdout=pipe, stderr=pipe, encoding="utf-8"
    ) as process:
        try:
            assert process.stdin is not None
            process.stdin.write(stdin)
            process.stdin.close()
            process.stdin = None
            yield Served(process)
        finally:
            process.kill()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_it_is_told_to_end(how: signal.Signals) -> None:
    with served() as sandbox:
        certificate = Path(sandbox.stdout.split("certificate  ")[1].splitlines()[0])
        assert certificate.read_text().startswith("-----BEGIN CERTIFICATE-----")
        with sandbox.connect() as server:
            assert server.get_server_info().machine_name == "MAILSTORE"
            assert f"url          https://{server.settings.server}\n" in sandbox.stdout
        assert sandbox.end(how) == 0
        assert sandbox.stderr.endswith("Press Ctrl+C to stop.\nStopped.\n")
        assert not certificate.parent.exists()


def test_its_snippets_run_as_they_are() -> None:
    with served() as sandbox:
        shell = subprocess.run(  # noqa: S603 - our own command
            [
                "/bin/sh",
                "-c",
                f'{sandbox.block(ENVIRONMENT)}\nexec "$0" -W error -c "$1"',
                sys.executable,
                sandbox.block(PYTHON),
            ],
            env=environment(),
            capture_output=True,
            encoding="utf-8",
            timeout=PATIENCE,
            check=False,
        )
        tutorial = run_python("-c", sandbox.block(TUTORIAL))
    assert (shell.stdout, shell.stderr) == ("25.3.1.23021\n", "")
    assert (tutorial.stdout, tutorial.stderr) == ("25.3.1.23021\n", "")


@pytest.mark.parametrize(
    ("arguments", "stdin", "variables"),
    [
        (["--password-stdin"], "hunter2 'quoted'\n", {}),
        (["--password-stdin"], "hunter2 'quoted'\r\n", {"MAILSTORE_SANDBOX_PASSWORD": "another"}),
        ([], "", {"MAILSTORE_SANDBOX_PASSWORD": "hunter2 'quoted'"}),
    ],
)
def test_a_chosen_password_is_not_repeated(arguments: list[str], stdin: str, variables: dict[str, str]) -> None:
    with served(*arguments, stdin=stdin, **variables) as sandbox:
        with sandbox.connect("hunter2 'quoted'") as server:
            assert server.get_server_info().version
        with sandbox.connect("admin") as server, pytest.raises(AuthenticationError):
            server.get_server_info()
        sandbox.end(signal.SIGTERM)
        assert "hunter2" not in sandbox.stdout + sandbox.stderr
        assert "read -rs MAILSTORE_PASSWORD; export MAILSTORE_PASSWORD\n" in sandbox.block(ENVIRONMENT)
        assert "admin/admin" not in sandbox.stderr


def test_the_administrator_may_have_another_name() -> None:
    with served("--username", "root") as sandbox, sandbox.connect() as server:
        assert server.settings.username == "root"
        assert "root" in {user.user_name for user in server.get_users()}


def test_long_calls_take_their_time() -> None:
    with served("--pace", "3600") as sandbox, sandbox.connect() as server:
        assert server.invoke(VerifyStore(id=3)).is_running


def test_without_a_pace_they_take_none() -> None:
    with served("--pace", "0") as sandbox, sandbox.connect() as server:
        assert not server.invoke(VerifyStore(id=3)).is_running


def test_a_port_that_is_taken_is_told() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run("sandbox", "--port", str(port))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"Cannot listen on 127.0.0.1, port {port}: Address already in use.\n"


@pytest.mark.parametrize("host", ["203.0.113.1", "nö such host", "no.such.host.invalid"])
def test_a_host_that_is_not_here_is_told(host: str) -> None:
    done = run("sandbox", "--port", "0", "--host", host)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"Cannot listen on {host}, port 0: ")
    assert len(done.stderr.splitlines()) == 1
