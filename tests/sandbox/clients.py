"""Clients of this package for a sandbox."""

from __future__ import annotations

import mailstore.server
from mailstore import MailStoreServer
from mailstore.sandbox import Sandbox


def connected(sandbox: Sandbox) -> MailStoreServer:
    return MailStoreServer(
        sandbox.host, port=sandbox.port, password=sandbox.password, fingerprint=sandbox.fingerprint, timeout=20
    )


def scripted(sandbox: Sandbox, *, raiseOnError: bool = True) -> mailstore.server.Client:
    return mailstore.server.Client(
        host=sandbox.host,
        port=sandbox.port,
        password=sandbox.password,
        fingerprint=sandbox.fingerprint,
        timeout=20,
        raiseOnError=raiseOnError,
    )
