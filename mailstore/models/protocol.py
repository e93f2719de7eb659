"""The three calls of the protocol itself: list the functions, poll a task, cancel a task."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field, JsonValue

from mailstore.models.base import OpenEnum, Request, Response


class ArgumentType(OpenEnum):
    """How the server declares an argument in its metadata."""

    STRING = "string"
    """Text; dates, lists and enumerations, too."""

    NUMBER = "number"
    """A whole number, written in decimal."""

    BOOL = "bool"
    """``true`` or ``false``, lower case only."""

    JSON = "json"
    """JSON text inside of the form field."""


class ArgumentMetadata(Response):
    """One argument of a function, as the server declares it."""

    name: str
    """Name on the wire."""

    type: ArgumentType
    """Kind of value."""

    nullable: bool
    """Whether the argument may be left out."""


class FunctionMetadata(Response):
    """One function, as the server declares it."""

    name: str
    """Name on the wire."""

    args: list[ArgumentMetadata]
    """Arguments; an empty list where there are none."""


class GetMetadata(Request[list[FunctionMetadata]]):
    """List every function that the server offers, with the names, types and nullability of its arguments.

    The three calls of the protocol are not in the list. MailStore Server answers this call
    without credentials, so its success proves nothing about the login.
    """

    function: ClassVar[str] = "get-metadata"
    endpoint: ClassVar[str] = "get-metadata"
    repeatable: ClassVar[bool] = True
    enveloped: ClassVar[bool] = False


class GetStatus(Request[Any]):
    """Ask how far a task is, waiting until there is something new.

    The server answers at once when it has a newer status than the one named, otherwise as
    soon as it has one, or when the time is over. All three arguments are always sent: the
    server fails with ``Nullable object must have a value.`` when a number is missing.
    """

    function: ClassVar[str] = "get-status"
    endpoint: ClassVar[str] = "get-status"
    repeatable: ClassVar[bool] = True

    token: Annotated[str, Field(min_length=1)]
    """Token from the first or any later status of the task."""

    last_known_status_version: int
    """``statusVersion`` of the last status that the caller has seen; the log is told from there on. -1 for none."""

    milliseconds_timeout: Annotated[int, Field(ge=0)]
    """Longest time in ms that the server may hold the request when nothing new has happened."""


class CancelAsync(Request[JsonValue]):
    """Ask the server to cancel a task.

    The server does not say whether it will: go on polling until the status is no longer
    ``running``. The shape of the answer is not publicly documented.
    """

    function: ClassVar[str] = "cancel-async"
    endpoint: ClassVar[str] = "cancel-async"
    # Asking twice for the same thing changes nothing.
    repeatable: ClassVar[bool] = True
    enveloped: ClassVar[bool] = False

    token: Annotated[str, Field(min_length=1)]
    """Token of the running task."""
