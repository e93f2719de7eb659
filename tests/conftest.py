"""Fixtures: a sandbox of its own for each test, and both clients of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import mailstore
from mailstore import MailStoreServer
from mailstore.sandbox import Pace, Sandbox
from tests.support import FakeClock, another_client, known_functions


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """Yields a running sandbox; its long calls are those of `known_functions` and end at once."""
    with Sandbox(functions=known_functions()) as sandbox:
        yield sandbox


@pytest.fixture
def pace(sandbox: Sandbox) -> Iterator[Pace]:
    """Yields the pace of the sandbox's long calls, which from now on make a step only when told to."""
    sandbox.pace = Pace.by_hand()
    yield sandbox.pace
    sandbox.pace.finish()


@pytest.fixture
def clock() -> FakeClock:
    """Returns the clock of `server`, which stands still."""
    return FakeClock()


@pytest.fixture
def server(sandbox: Sandbox, clock: FakeClock) -> Iterator[MailStoreServer]:
    """Yields a client of the sandbox that waits by `clock` and never sleeps."""
    with another_client(sandbox, clock) as server:
        yield server


@pytest.fixture
def client(sandbox: Sandbox) -> Iterator[mailstore.server.Client]:
    """Yields the tutorial's client of the sandbox."""
    with mailstore.server.Client(
        password=sandbox.password, host=sandbox.host, port=sandbox.port, fingerprint=sandbox.fingerprint
    ) as client:
        yield client
