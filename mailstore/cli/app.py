"""The commands: parse, call, show. What takes time to import is imported where it is needed."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

PASSWORD_VARIABLE = "MAILSTORE_SANDBOX_PASSWORD"  # noqa: S105 - the name of the variable

app: typer.Typer = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    # Tracebacks are for mistakes of this program; they must show no values of variables.
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_Port = typer.Option(min=1, max=65535, help="TCP port of the Administration API.")


def _version(wanted: bool) -> None:
    if wanted:
        from mailstore import __version__

        typer.echo(f"mailstore {__version__}")
        raise typer.Exit


@app.callback()
def mailstore(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Typed client for the MailStore Server Administration API: demo, sandbox and helpers."""


@app.command()
def demo(
    fast: Annotated[bool, typer.Option("--fast", help="Make no pauses for the reader.")] = False,
) -> None:
    """Show in a few seconds what the package does, on a sandbox server on this computer."""
    from mailstore.cli.demo import run

    run(paced=not fast)


@app.command()
def sandbox(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 for a free one.")] = 8463,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    username: Annotated[str, typer.Option(help="Login name of the administrator.")] = "admin",
    password_stdin: Annotated[
        bool,
        typer.Option(
            "--password-stdin",
            help=f"Read the administrator's password from stdin. Without it: {PASSWORD_VARIABLE} or 'admin'.",
        ),
    ] = False,
    pace: Annotated[float, typer.Option(min=0, help="Seconds that a long call takes for each of its steps.")] = 0.2,
) -> None:
    """Run a server to develop and test against, until Ctrl+C."""
    from mailstore.cli.serve import serve

    password = sys.stdin.readline().rstrip("\r\n") if password_stdin else os.environ.get(PASSWORD_VARIABLE, "admin")
    if not password:
        raise typer.BadParameter("the password is empty")
    serve(host=host, port=port, username=username, password=password, pace=pace)


@app.command()
def schema(
    output: Annotated[
        Path | None, typer.Option("--output", "-o", dir_okay=False, help="File to write to, instead of stdout.")
    ] = None,
) -> None:
    """Print the JSON Schema of all requests and results."""
    import json

    from mailstore.schema import api_schema

    text = json.dumps(api_schema(), indent=2) + "\n"
    if output is None:
        typer.echo(text, nl=False)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        from mailstore.cli.terminal import fail

        raise fail(f"{output} cannot be written: {error.strerror or error}") from None


@app.command()
def fingerprint(
    host: Annotated[str, typer.Argument(help="Host name or IP address of the server.", show_default=False)],
    port: Annotated[int, _Port] = 8463,
) -> None:
    """Print the SHA-256 fingerprint of a server's certificate, to be compared and pinned."""
    from mailstore import fetch_fingerprint

    typer.echo(fetch_fingerprint(host, port))
    typer.echo("Compare it with the certificate on the server itself before you pin it.", err=True)
