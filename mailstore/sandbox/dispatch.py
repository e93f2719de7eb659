"""What is answered to a request. No sockets here."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass

from mailstore.models.protocol import CancelAsync, GetMetadata, GetStatus
from mailstore.sandbox import arguments
from mailstore.sandbox.behaviour import Behaviour, Refusal
from mailstore.sandbox.pace import Pace
from mailstore.sandbox.registry import Failed, Registry
from mailstore.sandbox.state import Login, World
from mailstore.sandbox.tasks import Task, Tasks
from mailstore.sandbox.wire import Answer, envelope, failed_envelope, json_answer, page

_PATH = re.compile(r"/api/(?:(invoke)/([^/]+)|(get-metadata|get-status|cancel-async))")
_LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})


@dataclass(frozen=True)
class Received:
    """A request whose head has arrived."""

    method: str
    """HTTP method."""

    target: str
    """Path, as it came."""

    host: str = ""
    """The ``Host`` header."""

    authorization: str = ""
    """The ``Authorization`` header."""

    @property
    def function(self) -> str:
        """Name of the function, ``get-status`` and the like included; empty where the path is none of the API."""
        found = self._match()
        return (found[2] or found[3]) if found else ""

    @property
    def is_invocation(self) -> bool:
        """Whether the path is that of a function, not of the protocol."""
        found = self._match()
        return found is not None and found[1] is not None

    def _match(self) -> re.Match[str] | None:
        # The official client of 2014 sent two slashes in a row, and servers accepted it.
        return _PATH.fullmatch(re.sub(r"/{2,}", "/", self.target.partition("?")[0]))


class Dispatcher:
    """Answers requests out of the world."""

    def __init__(
        self, world: World, functions: Registry, pace: Pace, behaviour: Behaviour, answer_within: float | None
    ) -> None:
        self.world = world
        self.functions = functions
        self.pace = pace
        self.behaviour = behaviour
        self.answer_within = answer_within
        self.tasks: Tasks = Tasks()

    def shown(self, received: Received, fields: Mapping[str, str]) -> dict[str, str]:
        """Return the form fields of a request with their secrets masked."""
        function = self.functions.get(received.function, ignore_case=self.behaviour.ignore_case)
        return arguments.shown(function.request_type if function else None, fields)

    def answer(self, received: Received, fields: Mapping[str, str]) -> Answer:
        """Answer a request."""
        function = received.function
        if not function:
            return page(404, "Not Found", "The requested resource is not found.")
        if received.method != "POST" and not self._may_get(received):
            headers = {"Allow": "POST"}
            return page(405, "Method Not Allowed", "The method is not allowed for this resource.", headers=headers)
        return self._refusal(received) or self._answer(received, fields)

    def _may_get(self, received: Received) -> bool:
        is_metadata = not received.is_invocation and received.function == GetMetadata.function
        return received.method == "GET" and is_metadata and self.behaviour.metadata_by_get

    def _answer(self, received: Received, fields: Mapping[str, str]) -> Answer:
        function = received.function
        try:
            if received.is_invocation:
                return self._invoke(function, fields)
            if function == GetStatus.function:
                return self._get_status(fields)
            if function == CancelAsync.function:
                return self._cancel(fields)
        except Failed as failed:
            return json_answer(failed_envelope(failed, function), self.behaviour)
        return json_answer([arguments.described(each.request_type) for each in self.functions], self.behaviour)

    # ------------------------------------------------------------------------------- login

    def _refusal(self, received: Received) -> Answer | None:
        """Return the answer that refuses the login; `None` when it is accepted."""
        behaviour = self.behaviour
        is_metadata = not received.is_invocation and received.function == GetMetadata.function
        if is_metadata and not behaviour.metadata_needs_credentials:
            return None
        credentials = _credentials(received.authorization)
        if credentials is None:
            return self._refused("401", received)
        if credentials == ("admin", "admin") and _name_of(received.host) not in _LOCAL_NAMES:
            return self._refused(behaviour.default_login, received)
        with self.world.lock:
            login = self.world.login(*credentials)
        match login:
            case Login.ACCEPTED:
                return None
            case Login.WRONG:
                return self._refused(behaviour.wrong_login, received)
            case Login.NOT_ALLOWED:
                return self._refused(behaviour.missing_privilege, received)

    def _refused(self, refusal: Refusal, received: Received) -> Answer:
        match refusal:
            case "401":
                challenge = {"WWW-Authenticate": f'Basic realm="{self.behaviour.realm}"'}
                return page(401, "Unauthorized", "The request requires a login.", headers=challenge)
            case "403":
                return page(403, "Forbidden", "Access is denied.")
            case "failed":
                # The text of the real server is not publicly known.
                return json_answer(failed_envelope(Failed("Authentication failed."), received.function), self.behaviour)

    # ------------------------------------------------------------------------------- calls

    def _invoke(self, name: str, fields: Mapping[str, str]) -> Answer:
        behaviour = self.behaviour
        function = self.functions.get(name, ignore_case=behaviour.ignore_case)
        if function is None:
            if behaviour.unknown_function == "failed":
                raise Failed(f"Unknown API function {name}.")
            return page(404, "Not Found", "The requested resource is not found.")
        request = arguments.read(function.request_type, fields, behaviour)
        if function.is_long or behaviour.every_call_is_long:
            steps = function.steps(self.world, request)
            return self._begin(Task(request.function, steps, self.pace, behaviour))
        return json_answer(envelope(result=function.call(self.world, request)), behaviour)

    def _begin(self, task: Task) -> Answer:
        if self.answer_within == 0:
            status = task.status()
            self.tasks.start(task)
            return json_answer(status, self.behaviour)
        self.tasks.start(task)
        if self.answer_within is None:
            task.wait_until_idle()
        else:
            task.wait_until_finished(self.answer_within)
        status = task.status()
        if status["statusCode"] != "running" and not self.behaviour.token_when_finished_at_once:
            self.tasks.forget(task.token)
            status["token"] = None
        return json_answer(status, self.behaviour)

    def _get_status(self, fields: Mapping[str, str]) -> Answer:
        request = arguments.read(GetStatus, fields, self.behaviour)
        task = self._find(request.token)
        if task is None:
            return _unknown_token()
        task.wait_until_newer(request.last_known_status_version, request.milliseconds_timeout / 1000)
        status = task.status(request.last_known_status_version)
        if status["statusCode"] != "running" and not self.behaviour.final_status_repeats:
            self.tasks.forget(task.token)
        return json_answer(status, self.behaviour)

    def _cancel(self, fields: Mapping[str, str]) -> Answer:
        task = self._find(arguments.read(CancelAsync, fields, self.behaviour).token)
        if task is None:
            return _unknown_token()
        # Taken before: the answer tells nothing about what will come of it.
        status = task.status(with_log=False)
        if self.behaviour.cancel_works:
            task.cancel()
        return json_answer(envelope() if self.behaviour.cancel_answer == "succeeded" else status, self.behaviour)

    def _find(self, token: str) -> Task | None:
        return self.tasks.find(token, self.behaviour.token_lifetime)


def _unknown_token() -> Answer:
    return page(404, "Not Found", "Session expired or wrong token.")


def _credentials(authorization: str) -> tuple[str, str] | None:
    """Return name and password of a Basic header, UTF-8; `None` where there are none."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        decoded = base64.b64decode(encoded.strip(), validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        return None
    name, colon, password = decoded.partition(":")
    return (name, password) if colon else None


def _name_of(host: str) -> str:
    """Return the name in a ``Host`` header, without the port."""
    return re.sub(r":\d*$", "", host.strip()).lower()
