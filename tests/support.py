"""What several test modules share: a clock that is moved by hand, and a long call whose every line is known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mailstore import MailStoreServer
from mailstore.models import GetServerInfo, StatusEnvelope, VerifyStore
from mailstore.sandbox import Failed, Registry, Sandbox, Step, Steps, World, registry
from mailstore.settings import Settings

LINES = (
    "Verifying file group...",
    "Verifying...",
    "  100 messages verified...",
    "  200 messages verified...",
    "  249 messages verified.",
    "Finished. No errors have been found.",
)
"""What the long call of `known_functions` logs, a line in each step."""

LOG = "".join(f"{line}\r\n" for line in LINES)
"""The same as it arrives."""

BROKEN = 13
"""The store that the long call fails for in its third step."""

LONG = VerifyStore(id=3)
"""A call that becomes a task."""

QUICK = GetServerInfo()
"""A call that does not."""


def known_functions() -> Registry:
    """Return the sandbox's functions, with one long call in place of the real one."""
    functions = registry.copy()

    @functions.answers(VerifyStore)
    def verify_store(world: World, request: VerifyStore) -> Steps[None]:
        for number, line in enumerate(LINES):
            if request.id == BROKEN and number == 2:
                raise Failed("The file group is damaged.")
            yield Step(line, percent=100 * number // len(LINES))

    return functions


class FakeClock:
    """A clock that stands still until a test, or somebody who sleeps, moves it."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.pauses: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


def settings_for(sandbox: Sandbox) -> Settings:
    """Return the settings of a client for a sandbox."""
    return Settings(
        host=sandbox.host,
        port=sandbox.port,
        username=sandbox.username,
        password=sandbox.password,
        fingerprint=sandbox.fingerprint,
    )


def another_client(sandbox: Sandbox, clock: FakeClock | None = None) -> MailStoreServer:
    """Return a client that shares nothing with those of the fixtures."""
    return MailStoreServer.from_settings(settings_for(sandbox), clock=clock, random=lambda: 1.0)


def log_of(statuses: list[StatusEnvelope[Any]]) -> str:
    """Return the log that a script sees which prints every status."""
    return "".join(status.log_output or "" for status in statuses)


def collected(into: list[StatusEnvelope[Any]], then: Callable[[], object] | None = None) -> Callable[[Any], None]:
    """Return a callback that keeps every status, and then does something else as well."""

    def keep(status: StatusEnvelope[Any]) -> None:
        into.append(status)
        if then is not None:
            then()

    return keep
