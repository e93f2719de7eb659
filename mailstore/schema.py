"""The JSON Schema of the whole API, for editors, validators, and generators in other languages.

The schema is a bundle of definitions in the dialect of 2020-12. Each function has up to three:

* ``GetUserInfo``, the arguments as a JSON object. On the wire they travel as a form, each
  value as text; where a form field holds JSON, that JSON is what is described.
* ``GetUserInfoResult``, what the function returns.
* ``GetUserInfoEnvelope``, the whole answer.

Models and enumerations have definitions by the names that they have in `mailstore.models`.
To check a document, refer to a definition::

    schema = {"$ref": "#/$defs/GetUserInfoEnvelope", **api_schema()}
    jsonschema.Draft202012Validator(schema).validate(document)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

from pydantic import TypeAdapter
from pydantic.alias_generators import to_snake
from pydantic.json_schema import GenerateJsonSchema

from mailstore._version import __version__
from mailstore.compatibility import request_types
from mailstore.models._documentation import member_docstrings
from mailstore.models.base import Request, wire_names
from mailstore.models.envelope import StatusEnvelope
from mailstore.models.fields import ListOf, OneOf
from mailstore.models.protocol import CancelAsync, GetMetadata, GetStatus

if TYPE_CHECKING:
    from enum import Enum

    from pydantic import JsonValue
    from pydantic.fields import FieldInfo
    from pydantic.json_schema import JsonSchemaMode, JsonSchemaValue
    from pydantic_core import core_schema

    from mailstore.models.base import OpenEnum

DIALECT = "https://json-schema.org/draft/2020-12/schema"
"""The dialect of the schema."""

_DEFINITIONS = "#/$defs/"
_VALIDATION: JsonSchemaMode = "validation"


def api_schema() -> dict[str, JsonValue]:
    """Return the JSON Schema of all requests, results and answers as one bundle.

    The definition of a request has the member ``x-mailstore``: the ``function`` by its name on the wire, its
    ``endpoint``, whether a call is ``repeatable``, the server version ``since`` which it is known (null where
    nobody knows), and the places of ``result`` and ``envelope`` (null where the answer has none).

    Members and values that a newer server may add are allowed in answers and refused in requests.
    """
    requests: list[type[Request[Any]]] = [*request_types(), GetMetadata, GetStatus, CancelAsync]
    described: dict[str, Any] = {"StatusEnvelope": StatusEnvelope}
    for request in requests:
        described |= {request.__name__: request, _result(request): request.returns}
    schemas, bundle = TypeAdapter.json_schemas(
        [(name, _VALIDATION, TypeAdapter[Any](kind)) for name, kind in described.items()],
        schema_generator=_Generator,
        ref_template=_DEFINITIONS + "{model}",
    )
    definitions: dict[str, JsonSchemaValue] = bundle["$defs"]
    definitions["JsonValue"] = {"title": "JsonValue", "description": "Any JSON value."}
    for request in requests:
        definition = definitions[request.__name__]
        definition["x-mailstore"] = _facts(request)
        _name_enumerations(request, definition["properties"], definitions)
        definitions[_result(request)] = _described_result(request, schemas[_result(request), _VALIDATION])
        if request.enveloped:
            definitions[_envelope(request)] = _described_envelope(request)
    return {
        "$schema": DIALECT,
        "title": "MailStore Server Administration API",
        "description": "Requests, results and answers of all functions, by name under $defs.",
        "x-mailstore": {"version": __version__},
        "$defs": {name: definitions[name] for name in sorted(definitions)},
    }


def _result(request: type[Request[Any]]) -> str:
    return f"{request.__name__}Result"


def _envelope(request: type[Request[Any]]) -> str:
    return f"{request.__name__}Envelope"


def _facts(request: type[Request[Any]]) -> JsonSchemaValue:
    return {
        "function": request.function,
        "endpoint": f"/api/{request.endpoint}",
        "repeatable": request.repeatable,
        "since": request.since,
        "result": _DEFINITIONS + _result(request),
        "envelope": _DEFINITIONS + _envelope(request) if request.enveloped else None,
    }


def _described_result(request: type[Request[Any]], schema: JsonSchemaValue) -> JsonSchemaValue:
    words = f"What `{request.function}` returns"
    if request.returns is None:
        words += ": nothing"
    elif schema in ({}, {"$ref": _DEFINITIONS + "JsonValue"}):
        words += "; its shape is not publicly documented"
    return {"title": _result(request), **schema, "description": f"{words}."}


def _described_envelope(request: type[Request[Any]]) -> JsonSchemaValue:
    return {
        "title": _envelope(request),
        "description": f"The status envelope that answers `{request.function}`.",
        "allOf": [{"$ref": _DEFINITIONS + "StatusEnvelope"}],
        "properties": {
            "result": {
                "anyOf": [{"$ref": _DEFINITIONS + _result(request)}, {"type": "null"}],
                "description": "What the function returned; null unless it has succeeded.",
            }
        },
    }


# ------------------------------------------------------------------------------------ enumerations


def _name_enumerations(
    request: type[Request[Any]], properties: JsonSchemaValue, definitions: dict[str, JsonSchemaValue]
) -> None:
    """Replace the bare lists of values in the arguments of a request by definitions that tell what they mean."""
    wire = wire_names(request)
    for name, field in request.model_fields.items():
        enum = _enumeration_of(field)
        if enum is not None:
            known = f"Known{enum.__name__}"
            definitions[known] = _closed(enum)
            values: list[JsonValue] = [member.value for member in enum]
            properties[wire[name]] = _with_reference(properties[wire[name]], values, _DEFINITIONS + known)


def _enumeration_of(field: FieldInfo) -> type[OpenEnum] | None:
    rules: list[object] = list(field.metadata)
    pending: list[object] = [field.annotation]
    while pending:
        part = pending.pop()
        rules += getattr(part, "__metadata__", ())
        pending += get_args(part)
    return next((rule.enum for rule in rules if isinstance(rule, OneOf | ListOf)), None)


def _with_reference(schema: JsonValue, values: list[JsonValue], reference: str) -> JsonValue:
    if isinstance(schema, list):
        return [_with_reference(item, values, reference) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("enum") == values:
        return {name: member for name, member in schema.items() if name not in {"enum", "type"}} | {"$ref": reference}
    return {name: _with_reference(member, values, reference) for name, member in schema.items()}


def _closed(enum: type[OpenEnum]) -> JsonSchemaValue:
    return {
        "title": f"Known{enum.__name__}",
        "description": f"A value of `{enum.__name__}` that this version knows.",
        "type": "string",
        "oneOf": _members(enum),
    }


def _members(enum: type[Enum]) -> list[JsonSchemaValue]:
    words = member_docstrings(enum)
    return [{"const": member.value, "title": member.name, "description": words[member.name]} for member in enum]


class _Generator(GenerateJsonSchema):
    """Says in a schema what pydantic cannot know: words for people, and how this server writes dates."""

    def get_title_from_name(self, name: str) -> str:
        """Return a title in words: ``userName`` is ``User name``."""
        words = to_snake(name).replace("_", " ")
        return words[:1].upper() + words[1:]

    def datetime_schema(self, schema: core_schema.DatetimeSchema) -> JsonSchemaValue:
        """Describe a date and time of the server, which is no ``date-time`` of RFC 3339: it has no offset."""
        return {"type": "string", "examples": ["2026-01-31T23:59:59"]}

    def enum_schema(self, schema: core_schema.EnumSchema) -> JsonSchemaValue:
        """Describe the members of an enumeration one by one, and that there may be others."""
        other = {"type": "string", "description": "A value that only a newer server knows."}
        return super().enum_schema(schema) | {"anyOf": [*_members(schema["cls"]), other]}
