"""How to test your own automation: a pytest file that needs no MailStore Server.

pip install 'mailstore[sandbox]' pytest
pytest examples/test_with_the_sandbox.py
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mailstore import MailStoreServer
from mailstore.errors import ConnectionFailedError, DeadlineExceededError
from mailstore.models import UserPrivilege, VerifyStore
from mailstore.sandbox import Fault, FaultKind, Pace, Sandbox

# ------------------------------------------------------------------- the automation to be tested


def lock_out(server: MailStoreServer, user_name: str) -> None:
    """Take all privileges from a user who leaves."""
    server.set_user_privileges(user_name, "none")
    server.clear_user_privileges_on_folders(user_name)


def verify_within(server: MailStoreServer, store: int, seconds: float) -> bool:
    """Verify a store, break it off when there is no time left, and return whether it came to its end."""
    try:
        server.run(VerifyStore(id=store), deadline=seconds)
    except DeadlineExceededError as late:
        if late.task is not None:
            late.task.cancel()
        return False
    return True


# ------------------------------------------------------------------------------------ the tests


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """Start a server with a few users, stores, jobs and profiles; each test has its own."""
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def server(sandbox: Sandbox) -> Iterator[MailStoreServer]:
    """Connect to it."""
    with MailStoreServer(
        sandbox.host, port=sandbox.port, password=sandbox.password, fingerprint=sandbox.fingerprint
    ) as server:
        yield server


def test_user_has_no_privileges_any_more(server: MailStoreServer) -> None:
    """What one function writes, another reads."""
    lock_out(server, "john.doe")

    user = server.get_user_info("john.doe")
    assert user.privileges == [UserPrivilege.NONE]
    assert not user.privileges_on_folders


def test_lock_out_can_be_repeated(sandbox: Sandbox, server: MailStoreServer) -> None:
    """Anything can go wrong on request: here, the connection breaks and the answer is lost."""
    sandbox.faults.add(Fault(FaultKind.RESET_AFTER, "SetUserPrivileges"))
    with pytest.raises(ConnectionFailedError):
        lock_out(server, "john.doe")

    lock_out(server, "john.doe")
    assert not server.get_user_info("john.doe").privileges_on_folders


def test_verification_is_broken_off(sandbox: Sandbox, server: MailStoreServer) -> None:
    """Long calls go as fast as the test says: here, they stand still."""
    sandbox.pace = Pace.by_hand()
    assert not verify_within(server, 3, seconds=0.1)
    assert sandbox.calls.count_of("cancel-async") == 1


def test_verification_comes_to_its_end(server: MailStoreServer) -> None:
    """Unless told otherwise, they take no time."""
    assert verify_within(server, 3, seconds=10)
