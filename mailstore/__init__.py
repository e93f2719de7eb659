"""Typed client for the MailStore Server Administration API.

Two vocabularies over one engine::

    import mailstore                                # the tutorial's: names as the API spells them,
    client = mailstore.server.Client()              # every call returns the status envelope
    client.GetServerInfo()["result"]["version"]

    from mailstore import MailStoreServer           # Python's: every call returns the parsed result
    with MailStoreServer("archive.example.com", password="…", fingerprint="sha256:…") as server:
        server.get_server_info().version

`mailstore.models` has every request and result by name, `mailstore.errors` everything that
can go wrong, `mailstore.sandbox` a server to develop and test against.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from mailstore._version import __version__

if TYPE_CHECKING:
    from mailstore import client as client
    from mailstore import errors as errors
    from mailstore import models as models
    from mailstore import pipelines as pipelines
    from mailstore import sandbox as sandbox
    from mailstore import schema as schema
    from mailstore import server as server
    from mailstore._engine import Exchange as Exchange
    from mailstore._transport import fetch_fingerprint as fetch_fingerprint
    from mailstore.client import MailStoreServer as MailStoreServer
    from mailstore.errors import MailStoreError as MailStoreError
    from mailstore.errors import SecurityWarning as SecurityWarning
    from mailstore.outcomes import Outcome as Outcome
    from mailstore.settings import RetryPolicy as RetryPolicy
    from mailstore.settings import Settings as Settings
    from mailstore.tasks import Task as Task

__all__ = [
    "Exchange",
    "MailStoreError",
    "MailStoreServer",
    "Outcome",
    "RetryPolicy",
    "SecurityWarning",
    "Settings",
    "Task",
    "__version__",
    "client",
    "errors",
    "fetch_fingerprint",
    "models",
    "pipelines",
    "sandbox",
    "schema",
    "server",
]

# Nothing is printed unless the application sets up logging.
logging.getLogger(__name__).addHandler(logging.NullHandler())

_NAMES = {
    "Exchange": "_engine",
    "fetch_fingerprint": "_transport",
    "MailStoreServer": "client",
    "MailStoreError": "errors",
    "SecurityWarning": "errors",
    "Outcome": "outcomes",
    "RetryPolicy": "settings",
    "Settings": "settings",
    "Task": "tasks",
}
_MODULES = frozenset({"client", "errors", "models", "pipelines", "sandbox", "schema", "server"})

if not TYPE_CHECKING:  # a visible __getattr__ would let type checkers accept any misspelt name

    def __getattr__(name):
        from importlib import import_module

        if name in _MODULES:
            return import_module(f"{__name__}.{name}")
        if name in _NAMES:
            value = globals()[name] = getattr(import_module(f"{__name__}.{_NAMES[name]}"), name)
            return value
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__():
        return sorted({*globals(), *_NAMES, *_MODULES})
