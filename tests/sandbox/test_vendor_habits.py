"""The sandbox is driven the way MailStore's own wrapper does it: urllib, a login after a challenge, every function.

The wrapper opens a connection for each request, sends its credentials only when it was asked for them, leaves out
whatever is falsy, and polls at ``/api//get-status`` with two slashes.
"""

from __future__ import annotations

import json
import ssl
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mailstore.sandbox import Sandbox

API = json.loads((Path(__file__).parent.parent / "data" / "api.json").read_text(encoding="utf-8"))
INVOKED = [function for function in API["functions"] if function["endpoint"].startswith("invoke/")]

ARGUMENTS: dict[str, Any] = {
    "action": "VerifyStores",
    "authentication": "integrated",
    "automatic": "true",
    "automaticPauseBetweenExecutions": 60,
    "config": json.dumps({"legalHoldEnabled": False, "logSuccessfulUserActivities": [], "type": "activeDirectory"}),
    "emailAddresses": "john@example.com,j@example.com",
    "enabled": "true",
    "folder": "john.doe",
    "fromFolder": "jane.roe",
    "fromIncluding": "2026-01-01T00:00:00",
    "includeIndexes": "true",
    "includeSize": "true",
    "interval": 60,
    "loginPrivileges": "web,imap",
    "name": "New",
    "newUserName": "john.new",
    "oldUserName": "john.doe",
    "owner": "admin",
    "path": "D:\\Backup",
    "privileges": "read",
    "properties": json.dumps({"name": "New", "type": "I", "connector": "ImapGeneric", "details": {"host": "mail"}}),
    "raw": "true",
    "reason": "Wrongly archived",
    "recipients": "admin@example.com",
    "requestedState": "normal",
    "settings": json.dumps({"server": "mail.example.com", "password": "x"}),
    "sourceId": 2,
    "thumbprint": "00" * 20,
    "timespan": "yesterday",
    "timeZoneId": "W. Europe Standard Time",
    "timeZoneID": "$Local",
    "toExcluding": "2027-01-01T00:00:00",
    "toFolder": "jane.new",
    "type": "FileSystemInternal",
    "userName": "john.doe",
}  # fmt: skip
WANTED = {"id", "name", "action", "owner", "timeZoneId", "interval", "enabled"}
"""Arguments that the wrapper always has, although the API does not want them."""

SPECIAL: dict[tuple[str, str], Any] = {
    ("CreateUser", "privileges"): "login",
    ("CreateUser", "userName"): "new.user",
    ("SetUserPrivileges", "privileges"): "login,archive",
    ("SetRetentionPolicies", "config"): "[]",
    ("DeleteMessage", "id"): "2:1",
}


class Wrapper:
    """Speaks to a server as MailStore's wrapper of 2014 does."""

    def __init__(self, sandbox: Sandbox) -> None:
        passwords = urllib.request.HTTPPasswordMgrWithDefaultRealm()
        passwords.add_password(None, sandbox.url, "admin", "admin")
        context = ssl.create_default_context(cafile=sandbox.certificate)
        self._open = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),
            urllib.request.HTTPSHandler(context=context),
            urllib.request.HTTPBasicAuthHandler(passwords),
        ).open
        self._url = sandbox.url

    def call(self, method: str, arguments: dict[str, Any], mode: str = "invoke") -> dict[str, Any]:
        data = urllib.parse.urlencode([(name, value) for name, value in arguments.items() if value]).encode()
        with self._open(f"{self._url}/api/{mode}/{method}", data=data, timeout=20) as answer:
            decoded: dict[str, Any] = json.loads(answer.read().decode("utf-8-sig"))
        if mode == "invoke":
            while decoded["statusCode"] == "running":
                poll = {key: decoded[key] for key in ("token",)}
                poll |= {"millisecondsTimeout": 1000, "lastKnownStatusVersion": str(decoded["statusVersion"])}
                decoded = self.call("get-status", poll, mode="")
        return decoded


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(answer_within=0) as sandbox:
        yield sandbox


@pytest.mark.parametrize("function", INVOKED, ids=lambda function: function["name"])
def test_the_wrapper_can_drive_every_function(function: dict[str, Any], sandbox: Sandbox) -> None:
    arguments = {
        argument["name"]: SPECIAL.get((function["name"], argument["name"]), ARGUMENTS.get(argument["name"], 1))
        for argument in function["arguments"]
        if not argument["nullable"] or argument["name"] in WANTED
    }

    status = Wrapper(sandbox).call(function["name"], arguments)

    assert list(status) == [
        "error", "token", "statusVersion", "statusCode", "percentProgress", "statusText", "result", "logOutput",
    ]  # fmt: skip
    # What a function makes of arguments that may not fit the moment is not the point here; that it was reached is.
    assert status["statusCode"] in {"succeeded", "failed"}
    message: str = status["error"]["message"] if status["error"] else ""
    assert "Missing API argument" not in message
    assert "was not recognized" not in message
    assert "out of the range" not in message
