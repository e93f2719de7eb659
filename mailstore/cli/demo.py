"""``mailstore demo``: what the package does, shown on a sandbox on this computer."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from copy import copy
from typing import TYPE_CHECKING, Any

from rich import box
from rich.padding import Padding
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from rich.rule import Rule
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from mailstore.cli.serve import missing_extra
from mailstore.cli.terminal import error_text, printable, results

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from rich.console import RenderableType

    from mailstore import MailStoreError, MailStoreServer, Task
    from mailstore.errors import CertificateError
    from mailstore.models import StatusEnvelope
    from mailstore.sandbox import Sandbox

FIRST_CONTACT = """\
from mailstore import MailStoreServer

server = MailStoreServer("{host}", port={port}, password="{password}")
server.get_server_info()"""

PIN = """\
server = MailStoreServer(
    "{host}", port={port}, password="{password}", fingerprint="{fingerprint}"
)
info = server.get_server_info()
print(info.version, info.machine_name)"""

USERS = """\
for user in server.get_users():
    print(user.user_name, server.get_user_info(user.user_name).email_addresses)"""

VERIFY = """\
from mailstore.models import VerifyStore

task = server.start(VerifyStore(id=3))
for status in task:
    print(status.log_output or "", end="")"""

CANCEL = """\
task = server.start(VerifyStore(id=3))
for status in task:
    if (status.percent_progress or 0) >= 50:
        task.cancel()
task.result()"""

SLIP = """\
server.create_user("mary.major", privileges=["login", "exprot"])"""

TAKEN = """\
server.create_user("john.doe", privileges=["login", "export"])"""

TUTORIAL = """\
import mailstore

client = mailstore.server.Client(port={port}, fingerprint="{fingerprint}")
print(client.GetUserInfo("john.doe")["result"]["emailAddresses"])"""


def run(*, paced: bool) -> None:
    """Show the demo.

    Args:
        paced: Whether to give a reader time; there are no pauses unless stdout is a terminal.
    """
    from mailstore.sandbox import Sandbox

    try:
        sandbox = Sandbox()
    except ImportError:
        raise missing_extra() from None
    with sandbox:
        _Demo(sandbox, _Stage(paced=paced)).run()


def shortened(fingerprint: str) -> str:
    """Return the beginning of a fingerprint, for places where nobody will compare it."""
    return f"{fingerprint[:18]}:…"


def _brief(error: CertificateError) -> CertificateError:
    """Return the same error with a fingerprint that fits into a line."""
    seen = error.fingerprint or ""
    brief = copy(error)
    brief.message = error.message.replace(seen, shortened(seen))
    brief.hint = (error.hint or "").replace(seen, shortened(seen))
    return brief


class _Demo:
    """The steps of the demo, in their order."""

    def __init__(self, sandbox: Sandbox, stage: _Stage) -> None:
        self._sandbox = sandbox
        self._stage = stage

    def run(self) -> None:
        """Show all steps."""
        from mailstore import MailStoreServer, __version__

        sandbox, stage = self._sandbox, self._stage
        stage.title(f"mailstore {__version__}")
        stage.say(
            f"A sandbox listens on {sandbox.url}. It speaks MailStore's Administration API over real HTTPS, "
            "on this computer and until this demo ends. No MailStore Server is needed, and none is touched."
        )
        self._first_contact()
        with MailStoreServer(
            sandbox.host, port=sandbox.port, password=sandbox.password, fingerprint=sandbox.fingerprint
        ) as server:
            self._pin(server)
            self._users(server)
            self._verify(server)
            self._cancel(server)
            self._mistakes(server)
        self._tutorial()
        self._farewell()

    # ------------------------------------------------------------------------------ the steps

    def _first_contact(self) -> None:
        from mailstore import MailStoreServer
        from mailstore.errors import CertificateError

        sandbox, stage = self._sandbox, self._stage
        stage.step(
            "First contact",
            "A MailStore Server signs its own certificate, which proves nothing. So nothing is sent, least of all "
            "the password.",
            self._filled_in(FIRST_CONTACT),
        )
        try:
            with MailStoreServer(sandbox.host, port=sandbox.port, password=sandbox.password) as server:
                server.get_server_info()
        except CertificateError as error:
            stage.error(_brief(error))

    def _pin(self, server: MailStoreServer) -> None:
        self._stage.step(
            "Trust this certificate and no other",
            "Compare the fingerprint with the one on the server. Pinned, it stands for that server alone.",
            self._filled_in(PIN),
        )
        info = server.get_server_info()
        self._stage.output(f"{info.version} {info.machine_name}")

    def _users(self, server: MailStoreServer) -> None:
        self._stage.step(
            "Users and their e-mail addresses",
            "Results are typed: editors complete their fields, type checkers know them.",
            USERS,
        )
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
        for heading in ("User", "Full name", "E-mail addresses"):
            table.add_column(heading)
        for user in server.get_users():
            addresses = server.get_user_info(user.user_name).email_addresses
            cells = (user.user_name, user.full_name or "", ", ".join(addresses))
            table.add_row(*(Text(printable(cell)) for cell in cells))
        self._stage.output(table)

    def _verify(self, server: MailStoreServer) -> None:
        from mailstore.models import VerifyStore

        self._stage.step(
            "Watch a long call",
            "It runs on the server. Each line of its log arrives once, as soon as it is written.",
            VERIFY,
        )
        with self._by_hand():
            self._watch(server.start(VerifyStore(id=3)), with_log=True)

    def _cancel(self, server: MailStoreServer) -> None:
        from mailstore.errors import TaskCancelledError
        from mailstore.models import VerifyStore

        stage = self._stage
        stage.step("Cancel it half-way", "Whoever waits for the result is told by a typed error.", CANCEL)
        with self._by_hand():
            task = server.start(VerifyStore(id=3))

            def cancel_half_way(status: StatusEnvelope[None]) -> None:
                if (status.percent_progress or 0) >= 50:
                    task.cancel()

            self._watch(task, cancel_half_way)
        stage.blank()
        try:
            task.result()
        except TaskCancelledError as error:
            stage.error(error)

    def _mistakes(self, server: MailStoreServer) -> None:
        from mailstore.errors import ApiError, ArgumentError

        stage = self._stage
        stage.step("Mistakes", "A slip is found before anything is sent. Your editor underlines it, too.", SLIP)
        privileges: Any = ["login", "exprot"]  # written into the call, no type checker would accept it
        try:
            server.create_user("mary.major", privileges=privileges)
        except ArgumentError as error:
            stage.error(error)
        stage.pause()
        stage.blank()
        stage.say("What only the server can know, it says in its own words.")
        stage.code(TAKEN)
        try:
            server.create_user("john.doe", privileges=["login", "export"])
        except ApiError as error:
            stage.error(error)

    def _tutorial(self) -> None:
        from mailstore.server import Client

        sandbox, stage = self._sandbox, self._stage
        stage.step(
            "Scripts that exist already",
            "The client of MailStore's Python tutorial is here, too, with the names that the API has.",
            self._filled_in(TUTORIAL),
        )
        with Client(port=sandbox.port, fingerprint=sandbox.fingerprint) as client:
            stage.output(str(client.GetUserInfo("john.doe")["result"]["emailAddresses"]))

    def _farewell(self) -> None:
        stage = self._stage
        stage.pause()
        stage.title("Go on")
        table = Table.grid(padding=(0, 2))
        table.add_row("mailstore sandbox", "a server like this one, for your own trials and tests")
        table.add_row("mailstore fingerprint HOST", "the fingerprint of your own server")
        table.add_row("python -m pydoc mailstore.client", "every function, its arguments and its result")
        stage.output(table)
        stage.blank()

    # --------------------------------------------------------------------------------- helpers

    def _filled_in(self, code: str) -> str:
        sandbox = self._sandbox
        return code.format(
            host=sandbox.host,
            port=sandbox.port,
            password=sandbox.password,
            fingerprint=shortened(sandbox.fingerprint),
        )

    @contextmanager
    def _by_hand(self) -> Generator[None]:
        """Let long calls wait for the demo, so that half-way is half-way on any computer."""
        from mailstore.sandbox import Pace

        before, self._sandbox.pace = self._sandbox.pace, Pace.by_hand()
        try:
            yield
        finally:
            self._sandbox.pace.finish()
            self._sandbox.pace = before

    def _watch(
        self,
        task: Task[None],
        react: Callable[[StatusEnvelope[None]], None] | None = None,
        *,
        with_log: bool = False,
    ) -> None:
        with self._stage.progress(with_log=with_log) as show:
            for status in task:
                show(status)
                if react is not None:
                    react(status)
                self._stage.pause(0.07)
                self._sandbox.pace.step()


class _Stage:
    """Where the demo is shown: a terminal, with colours and pauses, or anything else, with neither."""

    def __init__(self, *, paced: bool) -> None:
        self._console = results()
        # Not what the console says: it may be told to colour a file.
        self._live = sys.stdout.isatty() and not self._console.is_dumb_terminal
        self._paced = paced and self._live
        self._steps = 0

    def title(self, title: str) -> None:
        """Print a heading."""
        self._console.print()
        if self._live:
            self._console.print(Rule(Text(title, style="bold"), align="left", style="cyan"))
        else:
            self._console.print(Text(f"== {title} =="))
        self._console.print()

    def step(self, title: str, text: str, code: str) -> None:
        """Begin a step with its title, a sentence or two, and the lines of Python that do it."""
        self._steps += 1
        self.pause()
        self._console.print()
        self._console.print(Text.assemble((f"{self._steps}. ", "bold cyan"), (title, "bold")))
        self.say(text)
        self.code(code)

    def say(self, text: str) -> None:
        """Print a sentence or two."""
        self._indented(Text(text))

    def code(self, code: str) -> None:
        """Print lines of Python."""
        self._console.print()
        if self._live:
            self._indented(Syntax(code, "python", theme="ansi_dark", background_color="default"), 5)
        else:
            for line in code.splitlines():
                self._console.print(Text(f"     {line}" if line else ""), soft_wrap=True)
        self._console.print()
        self.pause(0.3)

    def output(self, output: RenderableType) -> None:
        """Print what the lines of Python bring; a text is printed as it is."""
        self._indented(Text(printable(output)) if isinstance(output, str) else output)

    def error(self, error: MailStoreError) -> None:
        """Print an error as the command line shows it."""
        self._indented(error_text(error, self._console.width - 2))

    @contextmanager
    def progress(self, *, with_log: bool) -> Generator[Callable[[StatusEnvelope[None]], None]]:
        """Return what shows each status of a task: a bar on a terminal, the numbers in one line elsewhere."""
        columns = (TextColumn(" "), BarColumn(60), TaskProgressColumn(), TextColumn("{task.description}"))
        percents: list[int] = []
        with Progress(*columns, console=self._console, disable=not self._live) as progress:
            bar = progress.add_task("", total=100)

            def show(status: StatusEnvelope[None]) -> None:
                if with_log and status.log_output:
                    lines = [printable(line) for line in status.log_output.splitlines()]
                    self._indented(Text("\n".join(lines), style="dim"))
                percents.append(status.percent_progress or 0)
                state = str(status.status_code)
                progress.update(bar, completed=percents[-1], description=state)
                if not self._live and not status.is_running:
                    told = percents[-1:] if with_log else dict.fromkeys(percents)
                    self.output(" ".join(f"{percent} %" for percent in told) + f" {state}")

            yield show

    def blank(self) -> None:
        """Print an empty line."""
        self._console.print()

    def pause(self, seconds: float = 0.4) -> None:
        """Give the reader some time."""
        if self._paced:
            time.sleep(seconds)

    def _indented(self, output: RenderableType, columns: int = 2) -> None:
        indented = Padding(output, (0, 0, 0, columns))
        if self._live:
            self._console.print(indented)
            return
        with self._console.capture() as captured:
            self._console.print(indented)
        for line in captured.get().splitlines():
            self._console.out(line.rstrip(), highlight=False)
