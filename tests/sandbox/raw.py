"""A client that knows HTTP and JSON and nothing else, so that the sandbox is not tested by its own relatives."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from mailstore.sandbox import Sandbox


def basic(username: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode("ascii")


@dataclass(frozen=True)
class RawAnswer:
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name), None)

    @property
    def json(self) -> Any:
        assert self.status == 200
        assert self.body.startswith(b"\xef\xbb\xbf")
        return json.loads(self.body.decode("utf-8-sig"))


class Raw:
    """One connection at a time to a sandbox."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        context = ssl.create_default_context(cafile=sandbox.certificate)
        # What Python 3.13 and later check without being asked.
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        self.connection = http.client.HTTPSConnection(sandbox.host, sandbox.port, context=context, timeout=20)
        self.headers = {
            "Authorization": basic(sandbox.username, sandbox.password),
            "Content-Type": "application/x-www-form-urlencoded",
        }

    def send(
        self, path: str, body: bytes | str = b"", headers: Mapping[str, str] | None = None, method: str = "POST"
    ) -> RawAnswer:
        self.connection.request(method, path, body, {**self.headers, **(headers or {})})
        answer = self.connection.getresponse()
        return RawAnswer(answer.status, answer.getheaders(), answer.read())

    def invoke(self, function: str, **fields: str) -> Any:
        return self.send(f"/api/invoke/{function}", urlencode(fields)).json

    def get_status(self, token: str, version: int = 0, wait: int = 10_000) -> Any:
        return self.get_status_answer(token, version, wait).json

    def get_status_answer(self, token: str, version: int = 0, wait: int = 10_000) -> RawAnswer:
        fields = {"token": token, "lastKnownStatusVersion": version, "millisecondsTimeout": wait}
        return self.send("/api/get-status", urlencode(fields))

    def cancel(self, token: str) -> RawAnswer:
        return self.send("/api/cancel-async", urlencode({"token": token}))

    def close(self) -> None:
        self.connection.close()
