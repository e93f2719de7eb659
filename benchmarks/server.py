"""A server to measure against, in a process of its own: fast, true to the wire, and without a mind.

It answers as the Administration API does, with the same header, BOM, indentation and line ends,
but what it says is always the same. It is no part of the sandbox, so that a slow sandbox cannot
make a slow client look good.
"""

from __future__ import annotations

import argparse
import json
import ssl
import subprocess
import sys
import threading
import time
from base64 import b64encode
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import formatdate
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qs

from benchmarks.measuring import ROOT
from mailstore.sandbox.certificate import self_signed

if TYPE_CHECKING:
    import socket
    from collections.abc import Generator

HOST = "127.0.0.1"
USERNAME = "admin"
PASSWORD = "benchmark"
AUTHORIZATION = "Basic " + b64encode(f"{USERNAME}:{PASSWORD}".encode()).decode("ascii")

FINISHED = "Finished at "
"""Begins the last line that a task logs; the monotonic clock's reading follows, which is one for all processes."""


# ------------------------------------------------------------------------- for the measuring side


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens, and what its certificate is checked with."""

    port: int
    authority: str
    """The certificate of the authority, PEM."""

    def context(self) -> ssl.SSLContext:
        """Return a TLS context that trusts this server and no other."""
        return ssl.create_default_context(cadata=self.authority)

    def to_json(self) -> str:
        """Return the address as a text for another process."""
        return json.dumps({"port": self.port, "authority": self.authority})

    @classmethod
    def from_json(cls, text: str) -> Address:
        """Return the address that another process has sent."""
        return cls(**json.loads(text))


@contextmanager
def running(*, delay: float = 0.0, rows: int = 0) -> Generator[Address]:
    """Start a server in another process and stop it at the end of the block.

    Args:
        delay: Seconds that every call takes.
        rows: How many folders `GetFolderStatistics` knows.
    """
    command = [sys.executable, "-m", "benchmarks.server", "--delay", str(delay), "--rows", str(rows)]
    with subprocess.Popen(  # noqa: S603 - our own interpreter and modules
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise RuntimeError("the server did not start; its own words are above")
        try:
            yield Address.from_json(line)
        finally:
            process.terminate()


# ------------------------------------------------------------------------------------ the answers


def envelope(result: object, **members: object) -> bytes:
    """Return an answer as it travels: BOM, indented by two blanks, CRLF."""
    whole = {
        "error": None,
        "token": None,
        "statusVersion": 2,
        "statusCode": "succeeded",
        "percentProgress": None,
        "statusText": None,
        "result": result,
        "logOutput": None,
    }
    text = json.dumps(whole | members, indent=2, ensure_ascii=False)
    return b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode()


def user_info(name: str) -> dict[str, object]:
    """Return a user as there are many."""
    return {
        "userName": name,
        "fullName": f"{name.title()} Example",
        "distinguishedName": f"CN={name},OU=Users,DC=example,DC=com",
        "authentication": "directoryServices",
        "mfaStatus": "Disabled",
        "emailAddresses": [f"{name}@example.com", f"{name}@example.org"],
        "pop3UserNames": [],
        "privileges": ["login", "archive", "export"],
        "loginPrivileges": ["windows", "web", "outlook", "imap"],
        "privilegesOnFolders": [{"folder": name, "privileges": ["read", "write"]}],
    }


def folders(rows: int) -> list[dict[str, object]]:
    """Return so many folders, all different, with the three members that are known."""
    return [
        {
            "folder": f"user-{row // 40:05d}/Exchange/Inbox/{row % 40:02d}",
            "size": 1_000_003 * row + 7919,
            "count": 300 + row,
        }
        for row in range(rows)
    ]


@cache
def _user(name: str) -> bytes:
    return envelope(user_info(name))


class _Task:
    """A task that takes a while, tells its progress, and notes when it was finished."""

    def __init__(self, seconds: float) -> None:
        self._changed = threading.Condition()
        self._log = ["Verifying...\r\n"]
        self._done = False
        threading.Thread(target=self._run, args=(seconds,), daemon=True).start()

    def _run(self, seconds: float) -> None:
        for percent in (33, 66):
            time.sleep(seconds / 3)
            with self._changed:
                self._log.append(f"  {percent} % done\r\n")
                self._changed.notify_all()
        time.sleep(seconds / 3)
        with self._changed:
            self._log.append(f"{FINISHED}{time.monotonic()!r}\r\n")
            self._done = True
            self._changed.notify_all()

    def answer(self, token: str, known: int, seconds: float) -> bytes:
        """Return the status, waiting for one that the caller does not know."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._log) > known, seconds)
            return envelope(
                None,
                token=token,
                statusVersion=len(self._log),
                statusCode="succeeded" if self._done else "running",
                percentProgress=100 if self._done else 33 * (len(self._log) - 1),
                logOutput="".join(self._log[max(known, 0) :]) or None,
            )


class Server(ThreadingHTTPServer):
    """The standard library's server, tuned: no call waits for the one before it, or for an acknowledgement."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, context: ssl.SSLContext, delay: float, rows: int) -> None:
        super().__init__((HOST, 0), _Handler)
        self._context = context
        self._delay = delay
        self._tasks: dict[str, _Task] = {}
        self._info = envelope({"version": "22.3.0.21002", "machineName": "MAILSTORE"})
        self._rows = envelope(folders(rows))

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection; the TLS handshake is left to the thread that will serve it."""
        plain, peer = super().get_request()
        return self._context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False), peer

    def handle_error(self, request: object, client_address: object) -> None:
        """Keep quiet about connections that the other side has closed."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(cast("Any", request), client_address)

    def answer(self, path: str, form: dict[str, list[str]]) -> bytes:
        """Return the body that answers a call."""
        if self._delay:
            time.sleep(self._delay)
        match path:
            case "/api/invoke/GetServerInfo":
                return self._info
            case "/api/invoke/GetUserInfo":
                return _user(form["userName"][0])
            case "/api/invoke/GetFolderStatistics":
                return self._rows
            case "/api/invoke/VerifyStore":
                token = f"{len(self._tasks) + 1:032x}"
                self._tasks[token] = _Task(int(form["id"][0]) / 1000)
                return self._tasks[token].answer(token, 0, 0)
            case "/api/get-status":
                token = form["token"][0]
                known, wait = int(form["lastKnownStatusVersion"][0]), int(form["millisecondsTimeout"][0])
                return self._tasks[token].answer(token, known, wait / 1000)
            case _:
                return envelope(None, statusCode="failed", error={"message": "Unknown function.", "details": None})


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # header and body leave in one piece

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        form = parse_qs(self.rfile.read(length).decode(), keep_blank_values=True)
        if self.headers["Authorization"] != AUTHORIZATION:
            self.wfile.write(_head("401 Unauthorized", 0))
            return
        body = cast("Server", self.server).answer(self.path, form)
        self.wfile.write(_head("200 OK", len(body)) + body)


def _head(status: str, length: int) -> bytes:
    expires, date = _dates(int(time.time()))
    return (
        f"HTTP/1.1 {status}\r\n"
        "Cache-Control: no-cache,private,no-store,must-revalidate,max-stale=0,post-check=0,pre-check=0\r\n"
        "Pragma: no-cache\r\n"
        f"Content-Length: {length}\r\n"
        "Content-Type: application/json\r\n"
        f"Expires: {expires}\r\n"
        "Server: Microsoft-HTTPAPI/2.0\r\n"
        f"Date: {date}\r\n"
        "\r\n"
    ).encode("ascii")


@cache
def _dates(second: int) -> tuple[str, str]:
    return formatdate(second - 86400, usegmt=True), formatdate(second, usegmt=True)


def main() -> None:
    """Serve until the process that started this one is gone; its address is the first line of output."""
    options = argparse.ArgumentParser(prog="python -m benchmarks.server")
    options.add_argument("--delay", type=float, default=0.0, metavar="SECONDS", help="time that every call takes")
    options.add_argument("--rows", type=int, default=0, help="folders that GetFolderStatistics knows")
    chosen = options.parse_args()

    certificate = self_signed(HOST)
    server = Server(certificate.context(), chosen.delay, chosen.rows)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    address = Address(server.server_address[1], certificate.certificate.decode("ascii"))
    print(address.to_json(), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
