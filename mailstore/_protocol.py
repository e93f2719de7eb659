"""Request model to form, answer to envelope or error. No sockets here."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime, time
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, cast, get_args, get_origin
from urllib.parse import quote_plus

from pydantic import Secret, SecretStr, TypeAdapter, ValidationError

from mailstore.errors import (
    ArgumentError,
    AuthenticationError,
    MailStoreError,
    ProtocolError,
    RedirectError,
    ServerUnavailableError,
    UnknownFunctionError,
    UnknownTokenError,
)
from mailstore.models.base import _SECRET_NAME as SECRET_NAME
from mailstore.models.base import MASK, Model, Request, wire_names
from mailstore.models.envelope import StatusCode, StatusEnvelope
from mailstore.models.protocol import CancelAsync, GetStatus

if TYPE_CHECKING:
    from collections.abc import Mapping

R = TypeVar("R")

QUOTED = 300
"""Characters of an unexpected answer that an error quotes."""

_SEARCHED = 1 << 14
"""Bytes of it that are kept until secrets were looked for: cut first, half a secret could be left at the end."""

WRONG_PORT = "is this the port of the Administration API (8463; the Service Provider Edition has 8474)?"
"""A hint for answers that the server of the API would not give."""


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What came back over HTTP, before anybody looked into it."""

    status: int
    """HTTP status, such as 200."""

    headers: Mapping[str, str]
    """Header fields; names in any case."""

    body: bytes
    """The body, byte for byte, but without the byte order mark that it begins with."""

    elapsed: float
    """Seconds from sending the request to the last byte of the answer."""

    def __repr__(self) -> str:
        """Show the frame and not the body, which may hold secrets."""
        return f"HttpAnswer(status={self.status}, {len(self.body)} bytes, elapsed={self.elapsed:.3f})"


# ------------------------------------------------------------------------------ request to form


class Form(dict[str, str]):
    """The form fields of a request; shows their names only, as tools that print the variables of a traceback do."""

    def __repr__(self) -> str:
        """Show the names."""
        return f"Form({', '.join(self)})"


def form_fields(request: Request[Any]) -> Form:
    """Return the form fields of a request: wire names and texts, what is `None` left out.

    Raises:
        ArgumentError: Something inside of a JSON argument is no JSON.
    """
    members = request.__dict__
    form = Form()
    for name, wire in wire_names(type(request)).items():
        if (value := members.get(name)) is not None:
            form[wire] = _travelling(wire, value, request.function)
    return form


def loose_fields(arguments: Mapping[str, object], function: str) -> Form:
    """Return the form fields for arguments that no model describes.

    Raises:
        ArgumentError: A value cannot travel.
    """
    form = Form()
    for name, value in arguments.items():
        if isinstance(value, datetime) and value.tzinfo is not None:
            raise ArgumentError(
                f"{name}: a date travels without its zone; pass a naive datetime", function=function, argument=name
            )
        if value is not None:
            form[name] = _travelling(name, _loose(value), function)
    return form


def _loose(value: object) -> object:
    """Return a list of texts as a tuple, which travels with commas, and any other sequence as a list, which is JSON."""
    if not isinstance(value, list | tuple):
        return value
    items = cast("list[object] | tuple[object, ...]", value)
    return tuple(items) if all(isinstance(item, str) for item in items) else list(items)


def _travelling(name: str, value: object, function: str) -> str:
    try:
        return _text(value)
    except (TypeError, ValueError, RecursionError):
        failure = ArgumentError(
            f"{name}: there is something in this {type(value).__name__} that cannot travel as JSON",
            function=function,
            argument=name,
        )
    # Outside of the handler: the original error may quote a secret.
    raise failure


def form_body(fields: Mapping[str, str]) -> bytes:
    """Encode form fields as ``application/x-www-form-urlencoded``, UTF-8.

    Raises:
        ArgumentError: A text holds half of a character, which UTF-8 has no form for.
    """
    try:
        return "&".join([f"{quote_plus(name)}={quote_plus(text)}" for name, text in fields.items()]).encode("ascii")
    except UnicodeEncodeError:
        failure = ArgumentError("an argument holds half of a character (a lone surrogate), which cannot be sent")
    raise failure


def _text(value: object) -> str:
    match value:
        case str():  # an enumeration's member is its text
            return str(value)
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case tuple():
            return ",".join(_text(item) for item in cast("tuple[object, ...]", value))
        case SecretStr():
            return value.get_secret_value()
        case datetime():
            return value.isoformat(timespec="seconds")
        case time():
            return value.isoformat("seconds" if value.second else "minutes")
        case _:
            return json.dumps(_json(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _json(value: object) -> object:
    if isinstance(value, Model):
        return value.to_wire()
    if isinstance(value, list | tuple):
        return [_json(item) for item in cast("list[object]", value)]
    if isinstance(value, dict):
        return {name: _json(member) for name, member in cast("dict[str, object]", value).items()}
    return value


# --------------------------------------------------------------------------- answer to envelope


def envelope_type(request_type: type[Request[R]]) -> type[StatusEnvelope[R]]:
    """Return the class of the envelopes that answer a request, made when it is first needed."""
    return cast("type[StatusEnvelope[R]]", _envelope_type(request_type))


@cache
def _envelope_type(request_type: type[Request[Any]]) -> type[StatusEnvelope[Any]]:
    generic: Any = StatusEnvelope
    parametrised: type[StatusEnvelope[Any]] = generic[request_type.returns]
    return parametrised


@cache
def _result_adapter(request_type: type[Request[Any]]) -> TypeAdapter[Any]:
    return TypeAdapter(request_type.returns)


def parse(request_type: type[Request[R]], answer: HttpAnswer) -> StatusEnvelope[R]:
    """Return the envelope in the answer to a request, with its result as the function's result type.

    Raises:
        ProtocolError: The body is no status envelope, or the result is not what the function returns.
    """
    if not request_type.enveloped and not _looks_enveloped(answer.body):
        return _wrapped(request_type, answer)
    return parse_envelope(envelope_type(request_type), answer)


def parse_envelope(kind: type[StatusEnvelope[R]], answer: HttpAnswer) -> StatusEnvelope[R]:
    """Return the envelope in an answer with the HTTP status 200.

    Raises:
        ProtocolError: The body is no status envelope, or the result is not of the type that it should be.
    """
    try:
        return kind.model_validate_json(answer.body)
    except ValidationError as error:
        failure = _misfit(error, answer, quoted=not _hides_all(kind))
    raise failure


def _looks_enveloped(body: bytes) -> bool:
    # The bare answers known are an array; an object counts as bare unless it has the envelope's mark.
    return body.lstrip().startswith(b"{") and b'"statusCode"' in body


def _wrapped(request_type: type[Request[R]], answer: HttpAnswer) -> StatusEnvelope[R]:
    body = answer.body
    if request_type.function == CancelAsync.function and not body.strip():
        body = b"null"  # nobody has seen this answer, it may well be empty
    try:
        result = _result_adapter(request_type).validate_json(body)
    except ValidationError as error:
        failure = _misfit(error, answer, inside="result")
    else:
        kind = envelope_type(request_type)
        return kind(status_code=StatusCode.SUCCEEDED, raw_result=result)
    raise failure


def _misfit(
    error: ValidationError, answer: HttpAnswer, *, quoted: bool = True, inside: str | None = None
) -> ProtocolError:
    """Tell in words why a body is not what was expected; the input stays out of it.

    Args:
        error: What pydantic said.
        answer: The answer.
        quoted: Whether the error may quote the answer.
        inside: The member of an envelope that the whole body stands for.
    """
    problem = error.errors(include_url=False, include_input=False, include_context=False)[0]
    where = ".".join(str(part) for part in (inside, *problem["loc"]) if part is not None)
    said = beginning(answer.body) if quoted else None
    hint: str | None = WRONG_PORT
    if problem["type"] == "json_invalid" or not where:
        message = f"the answer is no status envelope: {problem['msg']}"
        if encoding := answer.headers.get("Content-Encoding"):
            hint = f"something between here and the server encodes answers ({encoding}), which was not asked for"
    elif where.partition(".")[0] == "result":
        message = f"the result is not what this function returns: {where}: {problem['msg']}"
        hint = "the server may be of another version; `call` returns its answer without a model"
    else:
        message = f"the answer is no status envelope: {where}: {problem['msg']}"
        hint = "the server may be of a version that this package does not know"
    return ProtocolError(message, http_status=answer.status, body=said, hint=hint)


def beginning(body: bytes) -> str:
    """Return the beginning of a body as text for an error to quote, no further than to a secret that it tells."""
    text = body[:_SEARCHED].decode("utf-8-sig", errors="replace")
    named = _NAMED_SECRET.search(text)
    return text if named is None else f"{text[: named.end()]} {MASK}"


_NAMED_SECRET = re.compile(rf"(?:{SECRET_NAME.pattern})\w*[\"']?\s*[:=]", re.IGNORECASE)
"""What a secret follows after, in JSON or in a form."""


def _hides_all(kind: type[StatusEnvelope[Any]]) -> bool:
    """Whether the whole result of a function is a secret."""
    for result in kind.__pydantic_generic_metadata__["args"]:
        plain = get_args(result)[0] if get_origin(result) is Annotated else result
        plain = get_origin(plain) or plain
        if isinstance(plain, type) and issubclass(plain, Secret | SecretStr):
            return True
    return False


# ------------------------------------------------------------------------- refusals over HTTP


def refusal_of(request_type: type[Request[Any]], answer: HttpAnswer) -> MailStoreError | None:
    """Return the error that the HTTP status of an answer means; `None` for 200."""
    status, said = answer.status, beginning(answer.body)
    if status == 200:
        return None
    if status in {401, 403}:
        return AuthenticationError(
            f"the server refused the login (HTTP {status})",
            http_status=status,
            details=said or None,
            hint=(
                "check user name and password; admin/admin works from the server itself only; with multi-factor "
                "authentication an app or API password is needed; the account must be an administrator "
                "that may use the API"
            ),
        )
    if status == 404 and request_type in {GetStatus, CancelAsync}:
        unknown = UnknownTokenError(
            "the server does not know this token (HTTP 404)",
            hint="it was misspelt, has expired, or the server was restarted since",
        )
        unknown.details = said or None
        return unknown
    if status == 404:
        return UnknownFunctionError(
            f"the server does not know the function {request_type.function} (HTTP 404)",
            http_status=status,
            details=said or None,
            hint="`get_metadata` lists what it offers; the Service Provider Edition listens on port 8474",
        )
    if status in {429, 502, 503}:
        return ServerUnavailableError(
            f"the server cannot answer now (HTTP {status})",
            http_status=status,
            details=said or None,
            retry_after=_seconds(answer.headers.get("Retry-After")),
            hint="the service may be starting, stopping or overloaded",
        )
    if 300 <= status < 400:
        return RedirectError(
            f"the server answered with a redirect (HTTP {status}), which is not followed",
            http_status=status,
            body=said,
            hint="is there a proxy or another web server at this address?",
        )
    return ProtocolError(
        f"the server answered HTTP {status} instead of a status envelope",
        http_status=status,
        body=said,
        hint=_hint(status),
    )


def _hint(status: int) -> str:
    if status == 411:
        return "something between here and the server drops the length of the request"
    if status >= 500:
        return "the server's event log may tell more"
    return WRONG_PORT


def _seconds(text: str | None) -> float | None:
    """Return the seconds that a ``Retry-After`` names; the form with a date counts as none."""
    return float(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 7 else None
