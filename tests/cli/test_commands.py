from __future__ import annotations

import json
import socket
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from mailstore import __version__, cli
from mailstore.sandbox import Sandbox
from tests.cli.processes import environment, run, run_python

COMMANDS = ("demo", "sandbox", "schema", "fingerprint")


def test_version() -> None:
    done = run("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"mailstore {__version__}\n", "")


def test_the_command_is_installed() -> None:
    (installed,) = entry_points(group="console_scripts", name="mailstore")
    assert installed.load() is cli.main


def test_help_names_all_commands_and_no_others() -> None:
    done = run("--help")
    assert (done.returncode, done.stderr) == (0, "")
    listed = done.stdout.split("Commands")[1]
    assert [line.split()[1] for line in listed.splitlines() if line[2:3].isalpha()] == list(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help(command: str) -> None:
    done = run(command, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"mailstore {command}" in done.stdout


@pytest.mark.parametrize("arguments", [["--help"], ["demo", "--help"], ["--version"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    program = f"""\
import sys
sys.argv = ["mailstore", *{arguments!r}]
from mailstore.cli import main
try:
    main()
finally:
    heavy = {{"requests", "cryptography", "mailstore.models", "mailstore.client", "mailstore.sandbox"}}
    print("heavy:", sorted(heavy & sys.modules.keys()))
"""
    assert "heavy: []" in run_python("-c", program).stdout


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["call", "GetUsers"],
        ["fingerprint"],
        ["fingerprint", "localhost", "--port", "0"],
        ["sandbox", "--port", "65536"],
        ["sandbox", "--pace", "-1"],
        ["sandbox", "--password-stdin"],
        ["schema", "--output", "."],
        ["demo", "--nonsense"],
    ],
)
def test_wrong_usage_has_exit_code_2(arguments: list[str]) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


# --------------------------------------------------------------------------------------- schema


def test_schema_is_json() -> None:
    done = run("schema")
    assert (done.returncode, done.stderr) == (0, "")
    from mailstore.schema import api_schema

    assert json.loads(done.stdout) == api_schema()


def test_schema_goes_into_a_file(tmp_path: Path) -> None:
    file = tmp_path / "schema.json"
    done = run("schema", "--output", str(file))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert file.read_text(encoding="utf-8") == run("schema").stdout


def test_schema_tells_why_it_cannot_be_written(tmp_path: Path) -> None:
    done = run("schema", "--output", str(tmp_path / "missing" / "schema.json"))
    assert (done.returncode, done.stdout) == (1, "")
    assert "schema.json cannot be written: No such file or directory" in done.stderr
    assert len(done.stderr.splitlines()) == 1


# ---------------------------------------------------------------------------------- fingerprint


def test_fingerprint_is_all_that_goes_to_stdout() -> None:
    with Sandbox() as sandbox:
        done = run("fingerprint", sandbox.host, "--port", str(sandbox.port))
        assert (done.returncode, done.stdout) == (0, f"{sandbox.fingerprint}\n")
        assert "Compare it" in done.stderr
        assert len(sandbox.calls) == 0


def test_an_error_of_the_package_is_one_line_on_stderr() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # not listening
        port = taken.getsockname()[1]
        done = run("fingerprint", "127.0.0.1", "--port", str(port))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"ConnectionFailedError: no connection to 127.0.0.1:{port}")
    assert len(done.stderr.splitlines()) == 1


# --------------------------------------------------------------------------------------- extras


def without(module: str, *arguments: str) -> str:
    return f"""\
import sys
sys.modules[{module!r}] = None  # as if it were not installed
sys.argv = ["mailstore", *{arguments!r}]
from mailstore.cli import main
main()
"""


def test_without_its_extra_the_command_line_says_what_to_install() -> None:
    done = run_python("-c", without("typer", "demo"))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "The command line needs an extra: pip install 'mailstore[cli]'\n"


@pytest.mark.parametrize("command", ["demo", "sandbox"])
def test_without_its_extra_the_sandbox_says_what_to_install(command: str) -> None:
    done = run_python("-c", without("cryptography", command))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "The sandbox needs an extra: pip install 'mailstore[cli,sandbox]'\n"


def test_a_stream_of_another_character_set_is_no_error() -> None:
    done = run("demo", env=environment(more={"PYTHONIOENCODING": "ascii"}))
    assert (done.returncode, done.stderr) == (0, "")
