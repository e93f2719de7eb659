"""One call from request to envelope: the exchange, its repetition, and what is told when it fails."""

from __future__ import annotations

import logging
import random as system_random
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydantic import SecretStr

from mailstore._clock import Clock, SystemClock
from mailstore._collector import LARGE, paused_collector
from mailstore._protocol import HttpAnswer, form_body, form_fields, parse, parse_envelope, refusal_of
from mailstore._redact import Redactor
from mailstore._transport import Transport
from mailstore.errors import (
    DeadlineExceededError,
    MailStoreError,
    NoTokenError,
    RequestTimeoutError,
    ServerUnavailableError,
    TaskError,
    TransportError,
)
from mailstore.models.base import secrets_of
from mailstore.models.envelope import StatusCode, failure_of
from mailstore.models.protocol import CancelAsync, GetStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from contextlib import AbstractContextManager

    from mailstore.models.base import Request
    from mailstore.models.envelope import StatusEnvelope
    from mailstore.settings import Settings

R = TypeVar("R")
E = TypeVar("E", bound=MailStoreError)

POLL_MARGIN = 30.0
"""Seconds that a poll may take beyond the wait that the server was allowed."""

GRACE = 1.0
"""Seconds beyond the caller's deadline that the answer to the last poll may take to arrive."""


@dataclass(frozen=True, slots=True)
class Exchange(Generic[R]):
    """One exchange with the server: the answer as it came, and the envelope that was in it."""

    envelope: StatusEnvelope[R]
    """The parsed answer."""

    http: HttpAnswer
    """HTTP status, headers, body and duration."""


@dataclass(slots=True)
class _Attempts:
    """The history of one call, for the error that may come of it."""

    function: str
    started: float
    holder: object = field(repr=False)
    """What is searched for secrets when something fails."""
    number: int = 0
    failed: tuple[MailStoreError, ...] = ()

    def remember(self, failure: MailStoreError) -> None:
        """Keep a failure that is not the end of the call."""
        failure.earlier = ()  # told once, by the error that the call ends with
        self.failed += (failure,)


class Engine:
    """Carries out calls over one transport. Safe to share between threads."""

    def __init__(
        self,
        settings: Settings,
        *,
        transport: Transport | None = None,
        clock: Clock | None = None,
        random: Callable[[], float] | None = None,
        logger: logging.Logger | None = None,
    ) -> None:
        self.settings = settings
        self.transport: Transport = transport or Transport(settings)
        self.clock: Clock = clock or SystemClock()
        self.random: Callable[[], float] = random or system_random.random
        self.logger: logging.Logger = logger or logging.getLogger("mailstore")

    def with_settings(self, settings: Settings) -> Engine:
        """Return an engine with other settings over the same connections."""
        return Engine(settings, transport=self.transport, clock=self.clock, random=self.random, logger=self.logger)

    def exchange(
        self,
        request: Request[R],
        *,
        timeouts: tuple[float, float] | None = None,
        until: float | None = None,
    ) -> Exchange[R]:
        """Carry out one exchange for a request, repeated where that is safe.

        Args:
            request: What to call.
            timeouts: Seconds to connect and to wait for the answer; the client's if left out.
            until: When the caller's patience ends, by the clock.
        """
        return self.send(type(request), form_fields(request), request, timeouts, until)

    def send(
        self,
        request_type: type[Request[R]],
        fields: dict[str, str],
        holder: object,
        timeouts: tuple[float, float] | None = None,
        until: float | None = None,
    ) -> Exchange[R]:
        """Carry out one exchange for form fields; `holder` is searched for secrets when it fails."""
        attempts = _Attempts(request_type.function, self.clock.monotonic(), holder)
        del holder  # it would be seen by tools that print the variables of a traceback
        try:
            return self._carried_out(request_type, fields, attempts, timeouts or self.settings.timeouts, until)
        except MailStoreError as error:
            failure = self._told(error, attempts)
        if isinstance(failure, TransportError) and failure.sent and not request_type.repeatable:
            failure.hint = f"{failure.hint}; whether it was carried out is unknown: look before you repeat it"
        raise failure

    def poll(
        self,
        kind: type[StatusEnvelope[R]],
        function: str,
        token: str | None,
        version: int,
        *,
        wait: float | None = None,
        until: float | None = None,
        secrets: Iterable[str] = (),
    ) -> StatusEnvelope[R]:
        """Ask once how far a task is, and go on asking while there is no answer.

        Args:
            kind: The class of the task's envelopes.
            function: Name of the task's function.
            token: The task's token.
            version: Version of the last status known.
            wait: Seconds that the server may hold the request.
            until: When the caller's patience ends, by the clock.
            secrets: What must not be told when it fails.

        Raises:
            DeadlineExceededError: The patience ended without an answer.
        """
        if not token:
            raise self.located(_no_token("polled"), function)
        attempts = _Attempts(function, self.clock.monotonic(), [SecretStr(secret) for secret in secrets])
        del secrets  # as in `send`
        patience = attempts.started + self.settings.retry.poll_patience if until is None else until
        while True:
            held = self.settings.poll_wait if wait is None else wait
            connect, read, within = self.settings.timeouts[0], held + POLL_MARGIN, None
            if until is not None:
                left = max(until - self.clock.monotonic(), 0.0)
                held, within = min(held, left), left + GRACE
            fields = form_fields(
                GetStatus(token=token, last_known_status_version=version, milliseconds_timeout=int(held * 1000))
            )
            try:
                answer = self._attempt(GetStatus, fields, attempts, (connect, read), within)
                with self._unhurried(answer):
                    status = parse_envelope(kind, answer)
            except MailStoreError as error:
                failure = self._told(error, attempts)
            else:
                failed = status.status_code == StatusCode.FAILED
                return self._redactor(secrets_of(attempts.holder)).envelope(status) if failed else status
            if isinstance(failure, TaskError):
                failure.token = token
            if not _passes(failure):
                raise failure
            left = patience - self.clock.monotonic()
            if left <= 0:
                if until is None:
                    raise failure
                raise self._gave_up(failure, attempts, token) from failure
            pause = min(self._pause(failure, attempts), left)
            self._note(failure, attempts, pause)
            self.clock.sleep(pause)

    def cancel(self, token: str | None) -> StatusEnvelope[Any]:
        """Ask the server to cancel a task."""
        if not token:
            raise self.located(_no_token("cancelled"), CancelAsync.function)
        return self.exchange(CancelAsync(token=token)).envelope

    def located(self, error: E, function: str, secrets: Iterable[str] = (), since: float | None = None) -> E:
        """Complete an error with what it is about, and take every secret out of it.

        Args:
            error: What went wrong.
            function: Name of the function that was called.
            secrets: Those of the call.
            since: When the call began, by the clock; unknown if left out.
        """
        error.function = error.function or function
        error.server = self.settings.server
        if error.envelope is not None and error.attempt == 0:
            error.attempt = 1  # it was sent, or there would be no envelope
        if since is not None:
            error.elapsed = self.clock.monotonic() - since
        self._redactor(secrets).error(error)
        return error

    def _redactor(self, secrets: Iterable[str]) -> Redactor:
        return Redactor([*secrets, *self.transport.secrets], self.settings.username)

    def _carried_out(
        self,
        request_type: type[Request[R]],
        fields: dict[str, str],
        attempts: _Attempts,
        timeouts: tuple[float, float],
        until: float | None,
    ) -> Exchange[R]:
        answer = self._answer(request_type, fields, attempts, timeouts, until)
        with self._unhurried(answer):
            envelope = parse(request_type, answer)
        if envelope.status_code == StatusCode.FAILED:
            raise failure_of(envelope)
        return Exchange(envelope, answer)

    def _answer(
        self,
        request_type: type[Request[Any]],
        fields: dict[str, str],
        attempts: _Attempts,
        timeouts: tuple[float, float],
        until: float | None,
    ) -> HttpAnswer:
        """Return the answer with HTTP status 200, after as many attempts as are safe."""
        retry = self.settings.retry
        while True:
            within = None if until is None else max(until - self.clock.monotonic(), 0.001)
            try:
                return self._attempt(request_type, fields, attempts, timeouts, within)
            except MailStoreError as error:
                failure = error
            pause = self._pause(failure, attempts)
            in_time = until is None or self.clock.monotonic() + pause < until
            if not (in_time and attempts.number < retry.attempts and self._may_repeat(request_type, failure)):
                raise failure
            self._note(self._told(failure, attempts), attempts, pause)
            self.clock.sleep(pause)

    def _attempt(
        self,
        request_type: type[Request[Any]],
        fields: dict[str, str],
        attempts: _Attempts,
        timeouts: tuple[float, float],
        within: float | None,
    ) -> HttpAnswer:
        attempts.number += 1
        answer = self.transport.post(request_type.endpoint, form_body(fields), timeouts, within)
        if self.logger.isEnabledFor(logging.DEBUG):
            self.logger.debug(
                "%s (%s), attempt %d: HTTP %d, %d bytes, %.0f ms",
                request_type.function, ", ".join(fields) or "no arguments", attempts.number,
                answer.status, len(answer.body), answer.elapsed * 1000,
            )  # fmt: skip
        if answer.status != 200 and (failure := refusal_of(request_type, answer)) is not None:
            raise failure
        return answer

    def _unhurried(self, answer: HttpAnswer) -> AbstractContextManager[None]:
        """Return the context in which to read an answer: the collector rests for a very large one."""
        large = len(answer.body) >= LARGE and self.settings.pause_collector
        return paused_collector() if large else nullcontext()

    @staticmethod
    def _may_repeat(request_type: type[Request[Any]], failure: MailStoreError) -> bool:
        if isinstance(failure, TransportError) and not failure.sent:
            return not failure.hopeless
        if isinstance(failure, RequestTimeoutError):
            return False  # the caller said how long to wait; to wait as long again was not meant
        return request_type.repeatable and _passes(failure)

    def _pause(self, failure: MailStoreError, attempts: _Attempts) -> float:
        asked = failure.retry_after if isinstance(failure, ServerUnavailableError) else None
        return self.settings.retry.pause(attempts.number, self.random, asked)

    def _note(self, failure: MailStoreError, attempts: _Attempts, pause: float) -> None:
        self.logger.warning("%s; trying again in %.1f s", failure, pause)
        attempts.remember(failure)

    def _told(self, error: E, attempts: _Attempts) -> E:
        """Complete an error with the history of its call, and take every secret out of it.

        Its traceback begins anew where it is raised: the frames below hold the request in the clear,
        and some tools print the variables of all frames.
        """
        error.attempt = attempts.number
        error.earlier = attempts.failed
        told = self.located(error, attempts.function, secrets_of(attempts.holder), attempts.started)
        return told.with_traceback(None)

    def _gave_up(self, failure: MailStoreError, attempts: _Attempts, token: str) -> DeadlineExceededError:
        error = DeadlineExceededError(
            f"no status within the caller's deadline: {failure.message}",
            token=token,
            hint="the task may go on on the server: wait for `error.task` again, or resume it by its token",
        )
        attempts.remember(failure)
        return self._told(error, attempts)


def _passes(failure: MailStoreError) -> bool:
    """Whether a failure may be over by the next attempt, whatever the call does."""
    if isinstance(failure, TransportError):
        return not failure.hopeless
    return isinstance(failure, ServerUnavailableError)


def _no_token(what: str) -> NoTokenError:
    return NoTokenError(
        f"this status has no token, so there is nothing to be {what}",
        hint="the call was finished at once; look at its status code and result",
    )
