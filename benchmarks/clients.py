"""The two sides of a comparison: the standard library by hand, and this package."""

from __future__ import annotations

import json
import socket
from http.client import HTTPSConnection
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from benchmarks.server import AUTHORIZATION, HOST, PASSWORD, USERNAME

if TYPE_CHECKING:
    from benchmarks.server import Address
    from mailstore import MailStoreServer


class ByHand:
    """What a program without this package would do at best: one connection kept open, bytes in, JSON out."""

    def __init__(self, address: Address) -> None:
        self._connection = HTTPSConnection(HOST, address.port, timeout=120, context=address.context())
        self._connection.connect()
        self._connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._headers = {"Authorization": AUTHORIZATION, "Content-Type": "application/x-www-form-urlencoded"}

    def call(self, function: str, **arguments: str) -> Any:
        """Call a function and return its result, whatever it is."""
        self._connection.request("POST", f"/api/invoke/{function}", urlencode(arguments), self._headers)
        with self._connection.getresponse() as response:
            return json.loads(response.read().decode("utf-8-sig"))["result"]

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def package(address: Address) -> MailStoreServer:
    """Return a client of this package for the server."""
    # Imported here, so that a process that measures the other side does not hold it.
    from mailstore import MailStoreServer

    return MailStoreServer(HOST, port=address.port, username=USERNAME, password=PASSWORD, verify=address.context())
