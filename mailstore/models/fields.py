"""The kinds of values on the wire, as annotations for the fields of requests and results.

Arguments are accepted in every form that is clear and kept in one: an enumeration as
its member, a list as a tuple, a date as a naive `datetime`, a secret as a `SecretStr`.
What the API does not allow is refused here, before anything is sent.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, cast
from zoneinfo import ZoneInfo

from pydantic import JsonValue, PlainSerializer, Secret, SecretStr, SerializationInfo, WithJsonSchema, WrapValidator
from pydantic_core import core_schema

from mailstore.models.base import MASK, REVEAL, Model, OpenEnum
from mailstore.models.zones import LOCAL, windows_id

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, ValidatorFunctionWrapHandler
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import CoreSchema

_WIRE_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
_WIRE_TIME = re.compile(r"\d\d?:\d\d(:\d\d)?")


class Argument:
    """A rule for one argument: how a value given by a caller becomes the value that is kept."""

    def accept(self, value: object) -> object:
        """Return the value to keep, or raise `ValueError` saying what is allowed."""
        raise ValueError(f"{value!r} is not allowed")

    def describe(self) -> JsonSchemaValue:
        """Return the JSON Schema of the argument."""
        return {"type": "string"}

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.accept)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return self.describe()


@dataclass(frozen=True)
class DeclaredAs:
    """Says how the server's metadata declares an argument, where that is not what the field says.

    On the wire it makes no difference; a comparison with a server's metadata needs it.
    """

    type: str | None = None
    """Kind of value, where the field's own type suggests another."""

    nullable: bool | None = None
    """Whether it may be left out, where the field says otherwise."""


@dataclass(frozen=True)
class OneOf(Argument):
    """A member of an enumeration, or its text.

    A text must be known, so that a slip of the pen is noticed here. A value that only a
    newer server knows is passed as a member made on purpose: ``StoreType("Newest")``.
    """

    enum: type[OpenEnum]

    def accept(self, value: object) -> OpenEnum:
        """Return the member."""
        if isinstance(value, self.enum):
            return value
        if isinstance(value, str) and any(member.value == value for member in self.enum):
            return self.enum(value)
        raise ValueError(f"must be one of {_listed(self.enum)}")

    def describe(self) -> JsonSchemaValue:
        """Return the closed list of the values that are known."""
        return {"type": "string", "enum": [member.value for member in self.enum]}


@dataclass(frozen=True)
class ListOf(Argument):
    """Any iterable, or one comma-separated text; kept as a tuple, sent joined by commas."""

    enum: type[OpenEnum] | None = None
    """The enumeration that the items belong to; any text when there is none."""

    alone: frozenset[str] = frozenset()
    """Items that must be the only one."""

    empty: str | None = None
    """The item that stands for an empty list on the wire."""

    def accept(self, value: object) -> tuple[str, ...]:
        """Return the items."""
        if isinstance(value, str) and not isinstance(value, OpenEnum):
            parts: list[object] = [part.strip() for part in value.split(",")] if value.strip() else []
        elif isinstance(value, OpenEnum):
            parts = [value]
        elif isinstance(value, Iterable) and not isinstance(value, bytes | Mapping):
            parts = list(cast("Iterable[object]", value))
        else:
            raise ValueError("must be a list of texts, or one text with commas between the items")
        items = tuple(self._item(part) for part in parts)
        if not items and self.empty is not None:
            items = (self._item(self.empty),)
        for item in items:
            if item in self.alone and len(items) > 1:
                raise ValueError(f"{str(item)!r} must stand alone")
        return items

    def _item(self, part: object) -> str:
        if self.enum is not None:
            try:
                return OneOf(self.enum).accept(part)
            except ValueError:
                raise ValueError(f"each item must be one of {_listed(self.enum)}") from None
        if not isinstance(part, str):
            raise ValueError("each item must be a text")
        if not part.strip() or "," in part:
            raise ValueError("an item can be neither empty nor hold a comma, which separates items on the wire")
        return part

    def describe(self) -> JsonSchemaValue:
        """Return an array of the items."""
        items = OneOf(self.enum).describe() if self.enum is not None else {"type": "string"}
        return {"anyOf": [{"type": "array", "items": items}, {"type": "string"}]}


class WireDateTime(Argument):
    """A date and time: a `datetime`, or text in the one form that the server reads."""

    def accept(self, value: object) -> datetime:
        """Return the datetime, whole seconds; the request converts an aware one to its zone."""
        if isinstance(value, datetime):
            return value.replace(microsecond=0)
        if isinstance(value, str) and _WIRE_DATE.fullmatch(value):
            try:
                return datetime.fromisoformat(value)
            except ValueError as error:
                raise ValueError(f"is no date: {error}") from None
        raise ValueError("must be a datetime, or a text like 2026-01-31T23:59:59 without fraction and zone")

    def describe(self) -> JsonSchemaValue:
        """Return the form on the wire."""
        return {"type": "string", "pattern": f"^{_WIRE_DATE.pattern}$", "examples": ["2026-01-31T23:59:59"]}


class WireTime(Argument):
    """A time of day: a `time`, or text like ``03:30``."""

    def accept(self, value: object) -> time:
        """Return the time, whole seconds."""
        if isinstance(value, time):
            if value.tzinfo is not None:
                raise ValueError("must be a time without a zone; the zone is an argument of its own")
            return value.replace(microsecond=0)
        if isinstance(value, str) and _WIRE_TIME.fullmatch(value):
            try:
                return time.fromisoformat(value.zfill(5) if value.count(":") == 1 else value.zfill(8))
            except ValueError as error:
                raise ValueError(f"is no time of day: {error}") from None
        raise ValueError("must be a time, or a text like 03:30")

    def describe(self) -> JsonSchemaValue:
        """Return the form on the wire."""
        return {"type": "string", "pattern": f"^{_WIRE_TIME.pattern}$", "examples": ["03:30"]}


class WireTimeZone(Argument):
    """A time zone by its Windows name, ``$Local``, an IANA name, or a `ZoneInfo`."""

    def accept(self, value: object) -> str:
        """Return the Windows name or ``$Local``."""
        if isinstance(value, str | ZoneInfo):
            return windows_id(value)
        raise ValueError("must be '$Local', the name of a time zone, or a zoneinfo.ZoneInfo")

    def describe(self) -> JsonSchemaValue:
        """Return examples; the server has the list."""
        return {"type": "string", "examples": [LOCAL, "W. Europe Standard Time", "Europe/Berlin"]}


@dataclass(frozen=True)
class JsonObject(Argument):
    """A JSON argument: the model, or a mapping with the names of the wire or of Python."""

    model: type[Model]
    """The class of the object."""

    many: bool = False
    """Whether the argument is a list of such objects."""

    def accept(self, value: object) -> Model | list[Model]:
        """Return the model, or the list of models."""
        if not self.many:
            return self._one(value)
        if isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping | Model):
            return [self._one(item) for item in cast("Iterable[object]", value)]
        raise ValueError(f"must be a list of {self.model.__name__}, or of mappings")

    def _one(self, value: object) -> Model:
        model = self.model
        if isinstance(value, model):
            return value
        if isinstance(value, Model):
            raise ValueError(f"must be a {model.__name__}, not a {type(value).__name__}")
        if isinstance(value, Mapping):
            return model.model_validate(_plain(cast("object", value)))
        raise ValueError(f"must be a {model.__name__} or a mapping")

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        one = handler.generate_schema(self.model)
        # Only the JSON Schema looks at the schema of the model; what is accepted is said above.
        return core_schema.no_info_plain_validator_function(
            self.accept, json_schema_input_schema=core_schema.list_schema(one) if self.many else one
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return handler(schema)


def _plain(value: object) -> object:
    """Return a value with the models inside of mappings and lists turned into JSON objects."""
    if isinstance(value, Model):
        return value.to_wire()
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, Mapping):
        return {str(key): _plain(member) for key, member in cast("Mapping[object, object]", value).items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in cast("Iterable[object]", value)]
    return value


class SecretText(Argument):
    """A secret: a `SecretStr`, or plain text that becomes one at once."""

    def accept(self, value: object) -> SecretStr:
        """Return the secret."""
        if isinstance(value, SecretStr):
            return value
        if isinstance(value, str):
            return SecretStr(value)
        raise ValueError("must be a text or a SecretStr")

    def describe(self) -> JsonSchemaValue:
        """Return a text that is written but never read."""
        return {"type": "string", "format": "password", "writeOnly": True}


def _listed(enum: type[OpenEnum]) -> str:
    return ", ".join(repr(member.value) for member in enum)


def _revealed(value: object, info: SerializationInfo[Any]) -> object:
    if not isinstance(value, SecretStr | Secret):
        # `None`, or plain text that model_copy(update=…) put in unchecked.
        return value if value is None or info.context == REVEAL else MASK
    secret = cast("SecretStr | Secret[object]", value)
    if info.context == REVEAL:
        return secret.get_secret_value()
    return str(secret) if info.mode == "json" else secret


_hidden = PlainSerializer(_revealed)

SecretLike: TypeAlias = Annotated[SecretStr | str, SecretText(), _hidden]
"""A secret argument. It is in no repr, log or error; only the request itself carries it."""

HiddenStr: TypeAlias = Annotated[SecretStr, _hidden]
"""A secret inside a result or a configuration."""

HiddenJson: TypeAlias = Annotated[Secret[JsonValue], _hidden]
"""A result of unknown shape that may hold a secret."""

DateTimeLike: TypeAlias = Annotated[datetime | str, WireDateTime()]
"""A date and time; kept naive, in the zone that the request names."""

TimeLike: TypeAlias = Annotated[time | str, WireTime()]
"""A time of day, in the zone that the request names."""

TimeZoneLike: TypeAlias = Annotated[str | ZoneInfo, WireTimeZone()]
"""A time zone; kept and sent as its Windows name or ``$Local``."""

TextsLike: TypeAlias = Annotated[Iterable[str] | str, ListOf()]
"""A list of texts, or one text with commas between the items."""


class _SourceDateTime(datetime):
    """A datetime that remembers a spelling which its value alone would not give back."""

    source: str | None = None

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        plain = datetime.combine(self.date(), self.timetz())
        return _with_source, (plain, self.source)


def _with_source(value: datetime, source: str | None) -> datetime:
    remembering = _SourceDateTime.combine(value.date(), value.timetz())
    remembering.source = source
    return remembering


def _parse(value: object, handler: ValidatorFunctionWrapHandler, *, utc: bool) -> datetime:
    if not isinstance(value, str | datetime):
        raise ValueError("must be a text with a date and time")
    parsed = cast("datetime", handler(value))
    if utc:
        parsed = parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
    if isinstance(value, str) and _wire_text(parsed) != value:
        return _with_source(parsed, value)
    return parsed


def _wire_text(value: datetime) -> str:
    # A datetime made from a remembering one (by +, replace, astimezone) has lost the spelling.
    source = getattr(value, "source", None)
    return source if source is not None else value.replace(tzinfo=None).isoformat()


_as_wire_text = PlainSerializer(_wire_text, return_type=str, when_used="json-unless-none")

# Not the "date-time" of JSON Schema, which wants an offset.
_wire_schema = WithJsonSchema({"type": "string", "examples": ["2026-01-31T23:59:59"]})

LocalDateTime: TypeAlias = Annotated[datetime, WrapValidator(partial(_parse, utc=False)), _as_wire_text, _wire_schema]
"""A naive datetime, in the zone that was asked for; dumped as the text that it came from."""

UtcDateTime: TypeAlias = Annotated[datetime, WrapValidator(partial(_parse, utc=True)), _as_wire_text, _wire_schema]
"""An aware datetime in UTC; dumped as the text that it came from, which has no zone."""
