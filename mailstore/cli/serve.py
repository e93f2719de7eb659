"""``mailstore sandbox``: the sandbox as a server of its own."""

from __future__ import annotations

import json
import os
import shlex
import signal
import threading
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import typer

from mailstore.cli.terminal import fail

if TYPE_CHECKING:
    from mailstore.sandbox import Sandbox

DEFAULT_PASSWORD = "admin"  # noqa: S105 - the password of a fresh installation


def serve(*, host: str, port: int, username: str, password: str, pace: float) -> None:
    """Run a sandbox until Ctrl+C, or until the process is asked to end.

    Args:
        host: Address to listen on.
        port: Port to listen on; 0 for a free one.
        username: Login name of the administrator.
        password: Password of the administrator.
        pace: Seconds that a long call takes for each of its steps.
    """
    from mailstore.sandbox import Pace, Sandbox

    try:
        sandbox = Sandbox(host, port, username, password, pace=Pace.every(pace)).start()
    except ImportError:
        raise missing_extra() from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise fail(f"Cannot listen on {host}, port {port}: {reason}.") from None
    # A process in the background is ended by this signal; the sandbox tidies up all the same.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        typer.echo(_introduction(sandbox))
        if password == DEFAULT_PASSWORD:
            typer.echo("As on a real server, admin/admin is accepted from this computer only.", err=True)
        typer.echo("Press Ctrl+C to stop.", err=True)
        _wait_for_the_end()
    except KeyboardInterrupt:
        typer.echo("Stopped.", err=True)
    finally:
        sandbox.stop()


def missing_extra() -> typer.Exit:
    """Say which extra the sandbox needs, and return what ends the command."""
    return fail("The sandbox needs an extra: pip install 'mailstore[cli,sandbox]'")


def _wait_for_the_end() -> None:
    never = threading.Event()
    # In portions: on Windows, a wait without an end would not notice Ctrl+C.
    while not never.wait(0.5):
        pass


def _introduction(sandbox: Sandbox) -> str:
    """Return where the sandbox is, and how to reach it. A password that somebody chose is not repeated."""
    host = urlsplit(sandbox.url).hostname or sandbox.host
    password = sandbox.password if sandbox.password == DEFAULT_PASSWORD else None
    variables = {
        "MAILSTORE_HOST": host,
        "MAILSTORE_PORT": str(sandbox.port),
        "MAILSTORE_USERNAME": sandbox.username,
        "MAILSTORE_PASSWORD": password,
        "MAILSTORE_FINGERPRINT": sandbox.fingerprint,
    }
    arguments = {
        "username": json.dumps(sandbox.username),
        "password": json.dumps(password) if password else "getpass()",
        "host": json.dumps(host),
        "port": str(sandbox.port),
        "fingerprint": json.dumps(sandbox.fingerprint),
    }
    lines = [
        f"url          {sandbox.url}",
        f"fingerprint  {sandbox.fingerprint}",
        f"certificate  {sandbox.certificate}",
        "",
        "The environment of your program:",
        "",
        *(f"    {_assignment(name, value)}" for name, value in variables.items()),
        "",
        "Python:",
        "",
        "    from mailstore import MailStoreServer",
        "",
        "    with MailStoreServer.from_env() as server:",
        "        print(server.get_server_info().version)",
        "",
        "Python with the names of MailStore's tutorial:",
        "",
        *([] if password else ["    from getpass import getpass"]),
        "    import mailstore",
        "",
        "    client = mailstore.server.Client(",
        *(f"        {name}={value}," for name, value in arguments.items()),
        "    )",
        '    print(client.GetServerInfo()["result"]["version"])',
        "",
    ]
    return "\n".join(lines)


def _assignment(name: str, value: str | None) -> str:
    """Return the command that sets an environment variable; the reader is asked for a value that is not known."""
    if os.name == "nt":
        quoted = "Read-Host" if value is None else "'{}'".format(value.replace("'", "''"))
        return f"$env:{name} = {quoted}"
    return f"read -rs {name}; export {name}" if value is None else f"export {name}={shlex.quote(value)}"
