"""What the commands share: the two consoles, and how an error of this package is shown."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from mailstore.errors import MailStoreError

WIDTH = 100
"""Columns that are used at most; longer lines are hard to read."""


def results() -> Console:
    """Return the console for results: stdout."""
    return _limited(Console(highlight=False))


def messages() -> Console:
    """Return the console for everything else: stderr."""
    return _limited(Console(stderr=True, highlight=False))


def _limited(console: Console) -> Console:
    console.width = min(console.width, WIDTH)
    return console


def show_error(error: MailStoreError) -> None:
    """Print an error to stderr: as a short paragraph on a terminal, as one line elsewhere."""
    console = messages()
    if console.is_terminal:
        console.print(error_text(error, console.width), soft_wrap=True)
    else:
        typer.echo(f"{type(error).__name__}: {printable(str(error))}", err=True)


def error_text(error: MailStoreError, width: int) -> Text:
    """Return an error in lines: its kind and where it happened, what happened, and what to do.

    A word is never broken, so that a fingerprint can be copied.
    """
    where = " on ".join(part for part in (error.function, error.server) if part)
    heading = Text.assemble((type(error).__name__, "bold red"), (f"  {where}" if where else "", "dim"))
    lines = [heading, *(Text(line) for line in _lines(error.message, width - 2))]
    if error.hint:
        lines += [Text(line, style="yellow") for line in _lines(f"Hint: {error.hint}", width - 2)]
    return Text("\n").join(Text.assemble(("│ ", "red"), line) for line in lines)


def _lines(text: str, width: int) -> list[str]:
    return textwrap.wrap(printable(" ".join(text.split())), width, break_long_words=False, break_on_hyphens=False)


def fail(message: str) -> typer.Exit:
    """Print a message to stderr and return what ends the command with exit code 1."""
    typer.echo(message, err=True)
    return typer.Exit(1)


def printable(text: str) -> str:
    """Return a text from elsewhere with its control characters shown instead of obeyed."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
