"""A server of the API for tests and trials: real HTTPS, state that lasts, faults on request.

Needs the extra ``sandbox``::

    from mailstore import MailStoreServer
    from mailstore.sandbox import Sandbox

    with Sandbox() as sandbox:
        with MailStoreServer(
            sandbox.host, port=sandbox.port, password=sandbox.password, fingerprint=sandbox.fingerprint
        ) as server:
            print(server.get_server_info())

`Pace` sets how fast long calls go, `Fault` lets something go wrong, `Behaviour` switches
what nobody outside knows about the real server, and `Sandbox.calls` tells what arrived.
"""

from mailstore.sandbox import functions
from mailstore.sandbox.behaviour import Behaviour
from mailstore.sandbox.connections import Connections
from mailstore.sandbox.faults import Fault, FaultKind, Faults
from mailstore.sandbox.journal import Call, Calls
from mailstore.sandbox.pace import Pace
from mailstore.sandbox.registry import Failed, Registry, Step, Steps, answers, registry
from mailstore.sandbox.server import Sandbox
from mailstore.sandbox.state import World

__all__ = [
    "Behaviour",
    "Call",
    "Calls",
    "Connections",
    "Failed",
    "Fault",
    "FaultKind",
    "Faults",
    "Pace",
    "Registry",
    "Sandbox",
    "Step",
    "Steps",
    "World",
    "answers",
    "functions",
    "registry",
]
