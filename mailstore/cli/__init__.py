"""The command ``mailstore``: a demo, the sandbox as a server, the JSON Schema, and fingerprints.

Needs the extra ``cli``. Results go to stdout, everything else to stderr. The exit code is
0 when all went well, 1 when something went wrong (the server said no, or was not reached),
and 2 when the command line was wrong.
"""

from __future__ import annotations

import io
import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line of this process, and exit."""
    for stream in (sys.stdout, sys.stderr):
        # A console of another character set shows a question mark instead of ending with an error.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        from mailstore.cli.app import app
    except ModuleNotFoundError as missing:
        if missing.name != "typer":
            raise
        sys.exit("The command line needs an extra: pip install 'mailstore[cli]'")

    from mailstore.errors import MailStoreError

    try:
        app(prog_name="mailstore")
    except MailStoreError as error:
        from mailstore.cli.terminal import show_error

        show_error(error)
        sys.exit(1)
