"""What tests of the world expect of calls that fail, and of users who log on."""

from __future__ import annotations

import pytest

from mailstore import MailStoreServer
from mailstore.errors import FunctionFailedError
from mailstore.sandbox import Sandbox


def fails(message: str) -> pytest.RaisesExc[FunctionFailedError]:
    """Expect that the server says no with exactly this message."""
    return pytest.RaisesExc(FunctionFailedError, check=lambda error: error.message == message)


def logged_on(sandbox: Sandbox, username: str, password: str) -> MailStoreServer:
    """Return a client of a user of one's own choice."""
    return MailStoreServer(
        sandbox.host, port=sandbox.port, username=username, password=password, fingerprint=sandbox.fingerprint
    )
