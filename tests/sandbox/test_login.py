"""Who may use the API."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from mailstore.models.users import LoginPrivilege, UserPrivilege
from mailstore.sandbox import Behaviour, Sandbox
from mailstore.sandbox.state import User
from tests.sandbox.raw import Raw, RawAnswer, basic

Connect = Callable[[Sandbox], Raw]


def _with(raw: Raw, **headers: str) -> RawAnswer:
    return raw.send("/api/invoke/GetServerInfo", headers=headers)


def test_without_a_login_there_is_a_challenge(raw: Raw) -> None:
    del raw.headers["Authorization"]
    answer = _with(raw)
    assert answer.status == 401
    assert answer.header("WWW-Authenticate") == 'Basic realm="MailStore"'
    assert b"<h2>Unauthorized</h2>" in answer.body


@pytest.mark.parametrize(
    "authorization",
    [
        basic("admin", "wrong"),
        basic("nobody", "admin"),
        "Basic",
        "Basic ***",
        "Basic YWRtaW4=",
        "Basic /////w==",
        "Bearer abc",
        "Digest " + basic("admin", "admin")[6:],
    ],
)
def test_a_wrong_login_is_refused(raw: Raw, authorization: str) -> None:
    assert _with(raw, Authorization=authorization).status == 401


def test_a_refused_call_is_not_carried_out_and_not_looked_into(raw: Raw) -> None:
    answer = raw.send("/api/invoke/NoSuchFunction", headers={"Authorization": basic("admin", "wrong")})
    assert answer.status == 401


def test_passwords_are_utf8(connect: Connect) -> None:
    with Sandbox(username="Jürgen", password="pä$s:wörd€") as sandbox:
        assert _with(connect(sandbox)).status == 200


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8463", "127.0.0.1:1", "[::1]:8463", "[::1]"])
def test_the_default_password_works_on_localhost(raw: Raw, host: str) -> None:
    assert _with(raw, Host=host).status == 200


@pytest.mark.parametrize("host", ["archive.example.com", "192.0.2.1:8463", "localhost.example.com", ""])
def test_the_default_password_works_nowhere_else(raw: Raw, host: str) -> None:
    assert _with(raw, Host=host).status == 401


def test_another_password_works_everywhere(connect: Connect) -> None:
    with Sandbox(password="changed") as sandbox:
        assert _with(connect(sandbox), Host="archive.example.com").status == 200


def test_users_need_to_be_administrators_with_access_to_the_api(sandbox: Sandbox, raw: Raw) -> None:
    with sandbox.world.lock:
        sandbox.world.users["bob"] = User("bob", "secret")
        sandbox.world.users["ann"] = User(
            "ann", "secret", privileges=[UserPrivilege.ADMIN], login_privileges=[LoginPrivilege.WEB]
        )
        sandbox.world.set_administrator("eve", "secret")
    statuses = [_with(raw, Authorization=basic(name, "secret")).status for name in ("bob", "ann", "eve")]
    assert statuses == [401, 401, 200]


def test_refusals_can_be_switched(sandbox: Sandbox, raw: Raw) -> None:
    sandbox.behaviour = Behaviour(wrong_login="failed", default_login="403")
    answer = _with(raw, Authorization=basic("admin", "wrong"))
    assert (answer.status, answer.json["statusCode"]) == (200, "failed")
    assert _with(raw, Host="archive.example.com").status == 403
    with sandbox.world.lock:
        sandbox.world.users["bob"] = User("bob", "secret")
    sandbox.behaviour = replace(sandbox.behaviour, missing_privilege="failed")
    assert _with(raw, Authorization=basic("bob", "secret")).json["error"]["message"]


def test_metadata_can_want_a_login(sandbox: Sandbox, raw: Raw) -> None:
    sandbox.behaviour = Behaviour(metadata_needs_credentials=True, metadata_by_get=False)
    assert raw.send("/api/get-metadata").status == 200
    assert raw.send("/api/get-metadata", headers={"Authorization": "x"}).status == 401
    assert raw.send("/api/get-metadata", method="GET").status == 405
