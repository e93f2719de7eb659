from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from mailstore.models.stores import VerifyStore
from mailstore.models.system import GetServerInfo, ServerInfo
from mailstore.models.users import GetUsers, UserListEntry
from mailstore.sandbox import Registry, Sandbox, Step, Steps, World
from tests.sandbox.raw import Raw


@pytest.fixture
def functions() -> Registry:
    """Returns a handful of functions whose answers the tests know, whatever the sandbox's own do."""
    functions = Registry()

    @functions.answers(GetServerInfo)
    def get_server_info(world: World, request: GetServerInfo) -> ServerInfo:
        return ServerInfo(version=world.server_version, machine_name=world.machine_name)

    @functions.answers(GetUsers)
    def get_users(world: World, request: GetUsers) -> list[UserListEntry]:
        return [UserListEntry(user_name=name) for name in world.users]

    @functions.answers(VerifyStore)
    def verify_store(world: World, request: VerifyStore) -> Steps[None]:
        yield Step("one", percent=10, text="working")
        yield Step("two\n  and a half", percent=50)
        yield Step("three")

    return functions


@pytest.fixture
def sandbox(functions: Registry) -> Iterator[Sandbox]:
    with Sandbox(functions=functions) as sandbox:
        yield sandbox


@pytest.fixture
def connect() -> Iterator[Callable[[Sandbox], Raw]]:
    """Yields a function that makes a client; all of them are closed at the end."""
    clients: list[Raw] = []

    def make(sandbox: Sandbox) -> Raw:
        clients.append(Raw(sandbox))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def raw(sandbox: Sandbox, connect: Callable[[Sandbox], Raw]) -> Raw:
    return connect(sandbox)
