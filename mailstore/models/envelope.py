"""The status envelope: the frame of every answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Generic, Literal, TypeVar, cast, overload

from pydantic import ConfigDict, Field

from mailstore.errors import (
    ApiError,
    FunctionFailedError,
    InvalidArgumentError,
    MailStoreError,
    MissingArgumentError,
    TaskCancelledError,
    TaskRunningError,
)
from mailstore.models.base import OpenEnum, Response, masked

if TYPE_CHECKING:
    from collections.abc import Callable

R = TypeVar("R")


class StatusCode(OpenEnum):
    """How far a call is. Whatever is not `RUNNING` is the end of it."""

    RUNNING = "running"
    """The call goes on in the background; the envelope has a token to poll with."""

    SUCCEEDED = "succeeded"
    """The call is finished and the envelope has its result."""

    FAILED = "failed"
    """The call is finished with an error."""

    CANCELLED = "cancelled"
    """The call was cancelled. No live answer was seen; the spelling is that of job and profile results."""


class ErrorDetails(Response):
    """Why a call failed."""

    message: str
    """The reason in one sentence, such as ``Missing API argument userName.``"""

    details: str | None = None
    """The .NET exception with its stack trace."""


class StatusEnvelope(Response, Generic[R]):
    """The answer to every call: how far it is, and its result once it has succeeded.

    Scripts written for the tutorial's client use subscripts with the names of the wire:
    ``status["result"]`` does not raise, it is `None` while the call is running. New code
    uses the attributes; `result` raises unless the call has succeeded.
    """

    # Holds for the whole answer. Looking for each text among those seen before takes longer than making
    # it: in an answer of many rows a tenth of the time. Only names are worth it.
    model_config: ClassVar[ConfigDict] = ConfigDict(cache_strings="keys")

    error: ErrorDetails | None = None
    """Why the call failed; `None` unless it did."""

    token: str | None = None
    """What a long call is polled and cancelled with, 32 hex digits; `None` for a call that was finished at once."""

    status_version: int = 0
    """Counter that grows with every change of the status."""

    status_code: StatusCode
    """How far the call is."""

    percent_progress: int | None = None
    """Progress in percent, 0 to 100; `None` where the server does not tell."""

    status_text: str | None = None
    """What the call is doing, in words."""

    raw_result: Annotated[R | None, Field(validation_alias="result", serialization_alias="result")] = None
    """The result as it came, `None` where there is none; `result` is the guarded view of it."""

    log_output: str | None = None
    """The lines logged since the status that the caller knew before; each ends with CR LF."""

    @property
    def result(self) -> R:
        """What the function returned.

        Raises:
            TaskRunningError: The call is still running.
            TaskCancelledError: The call was cancelled.
            ApiError: The call failed.
        """
        if self.status_code == StatusCode.SUCCEEDED:
            return cast("R", self.raw_result)
        raise failure_of(self)

    @property
    def is_running(self) -> bool:
        """Whether the call goes on in the background."""
        return self.status_code == StatusCode.RUNNING

    if TYPE_CHECKING:

        @overload
        def __getitem__(self, key: Literal["result"]) -> R: ...
        @overload
        def __getitem__(self, key: Literal["statusCode"]) -> StatusCode: ...
        @overload
        def __getitem__(self, key: Literal["statusVersion"]) -> int: ...
        @overload
        def __getitem__(self, key: Literal["percentProgress"]) -> int | None: ...
        @overload
        def __getitem__(self, key: Literal["token", "statusText", "logOutput"]) -> str | None: ...
        @overload
        def __getitem__(self, key: Literal["error"]) -> ErrorDetails | None: ...
        @overload
        def __getitem__(self, key: str) -> Any: ...
        def __getitem__(self, key: str) -> Any: ...

    def __str__(self) -> str:
        """Return the text of the dictionary that the tutorial's scripts print."""
        return str(masked(self.model_dump(mode="json")))

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...], Any]:
        # Pickle finds a parametrised class by its name only where it is a global; its origin always is.
        made_from = type(self).__pydantic_generic_metadata__
        return _blank, (made_from["origin"] or type(self), made_from["args"]), self.__getstate__()


def _blank(origin: Any, arguments: tuple[Any, ...]) -> Any:
    kind = origin[arguments] if arguments else origin
    return kind.__new__(kind)


def failure_of(status: StatusEnvelope[Any], function: str | None = None) -> MailStoreError:
    """Return the error that tells why a status has no result."""
    if status.status_code == StatusCode.RUNNING:
        return TaskRunningError(
            "the call is still running, there is no result yet",
            token=status.token,
            envelope=status,
            hint="wait for the task, or poll with GetStatus until statusCode is no longer running",
        )
    if status.status_code == StatusCode.CANCELLED:
        return TaskCancelledError("the call was cancelled", token=status.token, envelope=status)
    words = status.error.message if status.error is not None else ""
    message = words or f"the call ended with the status {str(status.status_code)!r} and no message"
    kind, hint = _kind_of_failure(words)
    details = status.error.details if status.error is not None else None
    return kind(message, function=function, hint=hint, details=details, envelope=status)


# The server knows one status for every failure; what it means is only in its words. First match
# wins. Each text was reported from a live server: api documentation, "Errors".
_FAILURES: tuple[tuple[str, type[ApiError], str | None], ...] = (
    ("Missing API argument", MissingArgumentError, None),
    (
        "was not recognized as a valid DateTime",
        InvalidArgumentError,
        "dates travel as 2026-01-31T23:59:59, without fraction and zone",
    ),
    (
        "out of the range of valid values",
        InvalidArgumentError,
        "identifiers start at 1; leave an optional one out instead of sending 0",
    ),
    (
        "Nullable object must have a value",
        MissingArgumentError,
        "a number that the server needs was not sent",
    ),
)


def _kind_of_failure(words: str) -> tuple[type[ApiError], str | None]:
    for text, kind, hint in _FAILURES:
        if text in words:
            return kind, hint
    return FunctionFailedError, None
