"""Form fields to request models, as strictly as the real server reads them.

A lenient sandbox would teach habits that fail in production: ``True`` with a capital,
dates with a zone and numbers with a blank are refused here, too. The request classes
know the arguments, their kinds and which of them the server misses.
"""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal, TypeVar, Union, cast, get_args, get_origin

from pydantic import JsonValue
from pydantic_core import from_json

from mailstore.compatibility import declared
from mailstore.errors import ArgumentError
from mailstore.models.base import MASK, Request, masked, wire_names
from mailstore.models.fields import JsonObject, SecretText, WireDateTime, WireTime, WireTimeZone
from mailstore.models.protocol import ArgumentType, GetStatus
from mailstore.sandbox.behaviour import Behaviour
from mailstore.sandbox.registry import Failed
from mailstore.sandbox.wire import json_bytes

Q = TypeVar("Q", bound=Request[Any])

_LARGEST = 2**63
_RULES = (WireDateTime, WireTime, WireTimeZone, SecretText)
"""Rules for texts of a special form."""


@dataclass(frozen=True)
class Argument:
    """An argument of a function, as it is read from a form."""

    name: str
    """Name on the wire."""

    field: str
    """Name of the request's field."""

    kind: ArgumentType
    """Kind of value."""

    required: bool
    """Whether a call without it fails."""

    rule: type[object] | None
    """The class of the rule for a text of a special form: a date, a time, a zone or a secret."""


@cache
def arguments_of(request_type: type[Request[Any]]) -> tuple[Argument, ...]:
    """Return the arguments of a function in their order."""
    return tuple(_arguments(request_type))


def _arguments(request_type: type[Request[Any]]) -> Iterator[Argument]:
    nullable = {argument.name for argument in declared(request_type).args if argument.nullable}
    for field, wire in wire_names(request_type).items():
        info = request_type.model_fields[field]
        parts = [*info.metadata, *_parts(info.annotation)]
        yield Argument(
            name=wire,
            field=field,
            kind=_type_of(parts),
            required=info.is_required() or wire not in nullable,
            rule=_rule_in(parts),
        )


def _parts(annotation: object) -> Iterator[object]:
    """Yield the plain types in an annotation, and the rules attached to it."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        yield from arguments[1:]
        yield from _parts(arguments[0])
    elif origin in {Union, types.UnionType}:
        for argument in arguments:
            yield from _parts(argument)
    elif origin is Literal:
        yield from {type(value) for value in arguments}
    else:
        yield annotation


def _type_of(parts: list[object]) -> ArgumentType:
    # Not what the server declares, which is a text for some numbers, but what the text must look like.
    if any(isinstance(part, JsonObject) for part in parts):
        return ArgumentType.JSON
    if str in parts:
        return ArgumentType.STRING
    if bool in parts:
        return ArgumentType.BOOL
    return ArgumentType.NUMBER if int in parts else ArgumentType.STRING


def _rule_in(parts: list[object]) -> type[object] | None:
    return next((rule for rule in _RULES if any(isinstance(part, rule) for part in parts)), None)


@cache
def described(request_type: type[Request[Any]]) -> dict[str, JsonValue]:
    """Return the entry of a function in the answer of ``get-metadata``."""
    return declared(request_type).to_wire()


def read(request_type: type[Q], fields: Mapping[str, str], behaviour: Behaviour | None = None) -> Q:
    """Return the request that form fields stand for.

    Args:
        request_type: The class of the function.
        fields: The decoded form fields.
        behaviour: The switches for unknown arguments and the case of names.

    Raises:
        Failed: An argument is missing or is not what the server accepts.
    """
    behaviour = behaviour or Behaviour()
    arguments = arguments_of(request_type)
    given = _by_known_names(arguments, fields) if behaviour.ignore_case else dict(fields)
    values: dict[str, object] = {}
    for argument in arguments:
        if argument.name in given:
            values[argument.name] = _value(argument, given.pop(argument.name))
        elif argument.required:
            raise _missing(request_type, argument)
    if given and behaviour.unknown_arguments == "refused":
        raise Failed(f"Unknown API argument {next(iter(given))}.")
    try:
        request = request_type.from_wire(values)
    except ArgumentError as error:
        failed = _refused(request_type, error)
    else:
        _check_time_zones(request, arguments, values)
        return request
    # Outside of the handler, so that the failure does not drag the values along.
    raise failed


def _by_known_names(arguments: tuple[Argument, ...], fields: Mapping[str, str]) -> dict[str, str]:
    names = {argument.name.lower(): argument.name for argument in arguments}
    return {names.get(name.lower(), name): text for name, text in fields.items()}


def _missing(request_type: type[Request[Any]], argument: Argument) -> Failed:
    if request_type is GetStatus and argument.kind is ArgumentType.NUMBER:
        return Failed("Nullable object must have a value.", kind="System.InvalidOperationException")
    return Failed(f"Missing API argument {argument.name}.")


def _value(argument: Argument, text: str) -> object:
    if argument.rule in {WireDateTime, WireTime}:
        return _date(argument, text)
    match argument.kind:
        case ArgumentType.BOOL:
            return _bool(text)
        case ArgumentType.NUMBER:
            return _number(text)
        case ArgumentType.JSON:
            return _json(argument, text)
        case _:
            return text


def _bool(text: str) -> bool:
    if text not in {"true", "false"}:
        raise Failed("String was not recognized as a valid Boolean.", kind="System.FormatException")
    return text == "true"


def _number(text: str) -> int:
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()):
        raise Failed("Input string was not in a correct format.", kind="System.FormatException")
    if len(digits) > 19 or not -_LARGEST <= int(text) < _LARGEST:
        raise Failed("Value was either too large or too small for an Int64.", kind="System.OverflowException")
    return int(text)


def _date(argument: Argument, text: str) -> object:
    rule = WireDateTime() if argument.rule is WireDateTime else WireTime()
    try:
        return rule.accept(text)
    except ValueError as error:
        said = f"{argument.name} {error}"
    raise Failed("String was not recognized as a valid DateTime.", kind="System.FormatException", note=said)


def _json(argument: Argument, text: str) -> object:
    try:
        return cast("object", from_json(text, allow_inf_nan=False))
    except ValueError as error:
        said = str(error)
    # The text of the real server is not publicly known.
    raise Failed(f"API argument {argument.name} is no valid JSON.", kind="System.FormatException", note=said)


def _check_time_zones(request: Request[Any], arguments: tuple[Argument, ...], values: Mapping[str, object]) -> None:
    """Refuse the names that the client translates and Windows does not know, such as ``Europe/Berlin``."""
    for argument in arguments:
        text = values.get(argument.name)
        if argument.rule is WireTimeZone and text is not None and getattr(request, argument.field) != text:
            raise Failed(
                f"The time zone ID '{text}' was not found on the local computer.",
                kind="System.TimeZoneNotFoundException",
            )


def _refused(request_type: type[Request[Any]], error: ArgumentError) -> Failed:
    name = error.argument
    if name not in wire_names(request_type).values():
        # A rule about several arguments, in our words: those of the real server are not publicly known.
        return Failed(error.message, kind="System.ArgumentException")
    return Failed(
        f"Specified argument was out of the range of valid values.\r\nParameter name: {name}",
        kind="System.ArgumentOutOfRangeException",
        note=error.message,
    )


# ------------------------------------------------------------------------------ for the journal


def shown(request_type: type[Request[Any]] | None, fields: Mapping[str, str]) -> dict[str, str]:
    """Return form fields fit for a journal: secrets are masked, whether declared or by their names."""
    declared = {argument.name: argument for argument in arguments_of(request_type)} if request_type else {}
    return {name: _shown(declared.get(name), name, text) for name, text in fields.items()}


def _shown(argument: Argument | None, name: str, text: str) -> str:
    if argument is not None and argument.rule is SecretText:
        return MASK
    if not text.lstrip().startswith(("{", "[")):
        return str(masked(text, name))
    try:
        return json_bytes(masked(from_json(text))).decode("utf-8-sig")
    except ValueError:
        return MASK
