"""Requests from JSON lines, results to JSON lines and to CSV.

A line is one JSON object: the name of a function, and its arguments beside it, spelled as
the API or as Python spells them::

    {"function": "CreateUser", "userName": "jane.doe", "privileges": ["login"], "fullName": "Jane Doe"}
    {"function": "VerifyStore", "id": 3}

A whole file is checked before anything is sent, and each outcome becomes a line again::

    with open("requests.jsonl", encoding="utf-8") as lines:
        requests = load_requests(lines, source="requests.jsonl")
    with open("outcomes.jsonl", "w", encoding="utf-8") as stream:
        failed = write_json_lines(server.run_many(requests), stream)

List-shaped results become a table::

    with open("users.csv", "w", encoding="utf-8-sig", newline="") as stream:
        write_csv(server.get_users(), stream)
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, TypeVar, Union, cast

from pydantic import ConfigDict, Discriminator, JsonValue, Secret, SecretStr, Tag, TypeAdapter, ValidationError
from pydantic_core import core_schema

from mailstore import models
from mailstore.errors import ArgumentError
from mailstore.models.base import MASK, REVEAL, Model, Request, Response, masked, secrets_of, wire_names

if TYPE_CHECKING:
    from typing import TextIO

    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, SerializerFunctionWrapHandler
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import CoreSchema

    from mailstore.errors import MailStoreError
    from mailstore.outcomes import Outcome

R = TypeVar("R")

_JsonObject: TypeAlias = dict[str, JsonValue]
"""A decoded JSON object."""

_FUNCTION = "function"
"""The member of a line that names the function."""

_TOLD = 20
"""Problems that the text of an error tells; all of them are in its `problems`."""

_PROTOCOL = {"get-metadata": "GetMetadata", "get-status": "GetStatus", "cancel-async": "CancelAsync"}
"""Classes of the functions that no class can be named after."""


# -------------------------------------------------------------------------------- lines to requests


@dataclass(frozen=True, slots=True)
class LineProblem:
    """One thing that is wrong with a line."""

    line: int
    """Number of the line, from 1; blank lines count."""

    function: str | None
    """Name of the function; `None` where the line does not tell."""

    field: str | None
    """The member that is wrong, spelled as in the line; `None` where it is the line as a whole."""

    reason: str
    """What is wrong with it. Holds no value of an argument that is a secret."""

    def __str__(self) -> str:
        """Return line, function, member and reason."""
        where = ".".join(part for part in (self.function, self.field) if part)
        return f"line {self.line}: {where}: {self.reason}" if where else f"line {self.line}: {self.reason}"


class LinesError(ArgumentError):
    """Lines that are no valid requests; nothing was sent."""

    problems: tuple[LineProblem, ...]
    """Everything that is wrong, in the order of the lines."""

    source: str | None
    """Where the lines came from, such as the name of a file."""

    def __init__(self, problems: Sequence[LineProblem], *, source: str | None = None) -> None:
        words = [str(problem) for problem in problems[:_TOLD]]
        if len(problems) > _TOLD:
            words.append(f"and {len(problems) - _TOLD} more")
        text = "; ".join(words)
        super().__init__(f"{source}: {text}" if source else text)
        self.problems = tuple(problems)
        self.source = source


def load_requests(lines: Iterable[str], *, source: str | None = None) -> list[Request[object]]:
    """Read all requests from lines of JSON, so that nothing is sent unless every line is right.

    Args:
        lines: The lines, such as an open file, or one text with all of them. Blank lines are skipped.
        source: Where they come from, for the error.

    Returns:
        The requests in the order of the lines, ready for ``run_many``.

    Raises:
        LinesError: At least one line is no valid request; names everything that is wrong.
    """
    requests: list[Request[object]] = []
    problems: list[LineProblem] = []
    for number, text in _numbered(lines):
        found = _request_of(number, text)
        if isinstance(found, Request):
            requests.append(found)
        else:
            problems += found
    if problems:
        raise LinesError(problems, source=source)
    return requests


def read_requests(lines: Iterable[str], *, source: str | None = None) -> Iterator[Request[object]]:
    """Yield the requests in lines of JSON as they come, for a stream that has no end or is very long.

    What was yielded before a wrong line may have been sent; `load_requests` looks at all lines first.

    Args:
        lines: The lines, such as an open file or ``sys.stdin``. Blank lines are skipped.
        source: Where they come from, for the error.

    Raises:
        LinesError: The line that was reached is no valid request.
    """
    for number, text in _numbered(lines):
        found = _request_of(number, text)
        if not isinstance(found, Request):
            raise LinesError(found, source=source)
        yield found


def _numbered(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    # One text is a list of lines, not of characters. Only \n ends a line: JSON texts may hold U+2028.
    for number, line in enumerate(io.StringIO(lines) if isinstance(lines, str) else lines, start=1):
        text = line.removeprefix("\ufeff").strip()
        if text:
            yield number, text


def _request_of(number: int, text: str) -> Request[object] | list[LineProblem]:
    """Return the request in a line, or what is wrong with it; values stay out of the words."""
    try:
        members = _members(text)
    except json.JSONDecodeError as error:
        return [LineProblem(number, None, None, f"is no JSON: {error.msg} (column {error.colno})")]
    except ValueError as error:
        return [LineProblem(number, None, None, str(error))]
    except RecursionError:
        return [LineProblem(number, None, None, "is nested too deeply")]
    name = members.pop(_FUNCTION, None)
    request_type = _request_type(name)
    if request_type is None:
        return [LineProblem(number, None, _FUNCTION, _no_function(name))]
    try:
        request = _validated(request_type, members)
    except ValidationError as error:
        return [
            LineProblem(number, request_type.function, *problem) for problem in _problems(request_type, error, members)
        ]
    # A line written without its secrets must not set a password of ten asterisks.
    hidden = [field for field, value in members.items() if MASK in secrets_of({field: value})]
    return [
        LineProblem(number, request_type.function, field, "is masked; fill in the secret") for field in hidden
    ] or request


def _members(text: str) -> _JsonObject:
    members: JsonValue = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    if not isinstance(members, dict):
        raise ValueError("is no JSON object")
    return members


def _unique(pairs: list[tuple[str, JsonValue]]) -> _JsonObject:
    members = dict(pairs)
    if len(members) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"has the member {twice!r} twice")
    return members


def _no_constant(name: str) -> JsonValue:
    raise ValueError(f"is no JSON: {name} is no number there")


def _request_type(name: object) -> type[Request[object]] | None:
    """Return the request class of a function by its name on the wire; loads the module of that class only."""
    if not isinstance(name, str) or name in _PROTOCOL.values():
        return None
    index = _PROTOCOL.get(name, name)
    found: object = getattr(models, index) if index in models.__all__ else None
    if isinstance(found, type) and issubclass(found, Request) and found is not Request:
        return cast("type[Request[object]]", found)
    return None


def _no_function(name: object) -> str:
    if name is None:
        return "is required: the name of a function"
    if not isinstance(name, str):
        return "must be a text: the name of a function"
    from difflib import get_close_matches

    similar = get_close_matches(name, [kind.function for kind in _request_types()], n=1)
    return f"is not the name of a function{f'; did you mean {similar[0]}?' if similar else ''}"


def _request_types() -> list[type[Request[object]]]:
    from mailstore.compatibility import request_types
    from mailstore.models.protocol import CancelAsync, GetMetadata, GetStatus

    return [*request_types(), GetMetadata, GetStatus, CancelAsync]


def _validated(request_type: type[Request[R]], members: Mapping[str, JsonValue]) -> Request[R]:
    # Not by the methods of `Request`: pydantic's own error has each problem by itself.
    request: Request[R] = request_type.__pydantic_validator__.validate_python(members)
    return request


def _problems(
    request_type: type[Request[Any]], error: ValidationError, given: Mapping[str, JsonValue]
) -> Iterator[tuple[str | None, str]]:
    """Yield member and reason for each complaint of pydantic."""
    wire = wire_names(request_type)
    for problem in error.errors(include_url=False, include_input=False, include_context=False):
        head, *rest = [str(part) for part in problem["loc"]] or [""]
        name = wire.get(head, head)
        spelled = head if head in given else name
        words = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "missing":
            words = "is required"
        elif problem["type"] == "extra_forbidden":
            words = f"is not an argument of this function; known: {', '.join(wire.values()) or 'none'}"
        yield ".".join([spelled, *rest]) or None, words


# -------------------------------------------------------------------------------- requests to lines


def request_line(request: Request[object], *, reveal: bool = False) -> str:
    """Return the line of JSON for a request, from which it can be read again.

    Args:
        request: The request.
        reveal: Whether secrets are written in the clear. They are masked otherwise, and a line with a
            masked secret is refused when it is read.
    """
    return json.dumps(_line(request, reveal=reveal))


def write_json_lines(outcomes: Iterable[Outcome[object]], stream: TextIO, *, reveal: bool = False) -> int:
    """Write each outcome as one line of JSON, as soon as it is there.

    Members of a line: ``function``; ``request``, the line of the request itself; ``ok``; and ``result``, or
    ``error`` with ``kind``, ``message`` and what else is known of it, such as ``hint`` and ``details``.

    Args:
        outcomes: What ``run_many`` yields.
        stream: Where to write; any encoding will do.
        reveal: Whether secrets in requests and results are written in the clear instead of masked.

    Returns:
        How many of the calls failed.
    """
    failed = 0
    for outcome in outcomes:
        members: _JsonObject = {
            _FUNCTION: outcome.request.function,
            "request": _line(outcome.request, reveal=reveal),
            "ok": outcome.ok,
        }
        if outcome.error is None:
            members["result"] = _json(outcome.result, reveal=reveal)
        else:
            failed += 1
            members["error"] = _error(outcome.error)
        stream.write(json.dumps(members) + "\n")
    return failed


def _line(request: Request[object], *, reveal: bool) -> _JsonObject:
    members = _json(request, reveal=reveal)
    given = members.items() if isinstance(members, dict) else ()
    # Null means left out; within a JSON argument it means what it says.
    return {_FUNCTION: request.function, **{name: value for name, value in given if value is not None}}


_ERROR_MEMBERS = (
    "message", "hint", "details", "argument", "http_status", "retry_after", "fingerprint", "token",
    "server", "attempt", "elapsed",
)  # fmt: skip


def _error(error: MailStoreError) -> _JsonObject:
    told: _JsonObject = {"kind": type(error).__name__}
    for name in _ERROR_MEMBERS:
        value: object = getattr(error, name, None)
        if isinstance(value, str | int | float):
            told[name] = value
    return told


def _json(value: object, *, reveal: bool = False) -> JsonValue:
    """Return a value as JSON: models by the names of the wire, secrets masked unless they are to be shown."""
    if isinstance(value, Model):
        dumped: object = value.model_dump(mode="json", context=REVEAL if reveal else None)
        return cast("JsonValue", dumped if reveal else masked(dumped))
    if isinstance(value, list | tuple):
        return [_json(item, reveal=reveal) for item in cast("Iterable[object]", value)]
    if isinstance(value, Secret | SecretStr):
        return cast("JsonValue", value.get_secret_value()) if reveal else MASK
    return cast("JsonValue", value if reveal else masked(value))


# ----------------------------------------------------------------------------------- results to CSV


def rows(results: Iterable[Response], *, guard_formulas: bool = False) -> Iterator[dict[str, str]]:
    """Yield results as flat rows of texts, the columns named as on the wire.

    A row has the columns of all members that the model knows, then those of members that it does not
    know but the server sent. What is absent or null is an empty text; a list of plain values is joined by
    ``;``, or is JSON text where an item has a ``;`` itself; everything nested is JSON text. Secrets are masked.

    Args:
        results: Results of one function, such as `get_users` returns.
        guard_formulas: Whether a text that a spreadsheet would take for a formula, as it begins with ``=``,
            ``+``, ``-`` or ``@``, gets an apostrophe in front.
    """
    for result in results:
        members = _json(result)
        given = members if isinstance(members, dict) else {}
        names = dict.fromkeys([*wire_names(type(result)).values(), *given])
        yield {name: _cell(given.get(name), guard=guard_formulas) for name in names}


def write_csv(
    results: Iterable[Response],
    stream: TextIO,
    *,
    columns: Iterable[str] | None = None,
    delimiter: str = ",",
    guard_formulas: bool = True,
) -> int:
    r"""Write results as CSV with a line of headings; for the cells see `rows`.

    Lines end with ``\n``, which a stream opened without ``newline=""`` turns into what is usual on the
    system. For Excel, open the stream with ``encoding="utf-8-sig"``.

    Args:
        results: Results of one function, such as `get_users` returns.
        stream: Where to write.
        columns: The columns to write, in this order. All if left out, which keeps all rows in memory
            until the last one has told its columns.
        delimiter: What separates the cells.
        guard_formulas: Whether a text that a spreadsheet would take for a formula gets an apostrophe in
            front. Names and subjects in an archive may come from strangers; switch it off for programs that
            must read the texts as they are.

    Returns:
        The number of rows, the headings not counted.
    """
    table: Iterable[dict[str, str]] = rows(results, guard_formulas=guard_formulas)
    if columns is None:
        table = list(table)
        columns = dict.fromkeys(name for row in table for name in row)
    names = list(columns)
    writer = csv.DictWriter(stream, names, extrasaction="ignore", delimiter=delimiter, lineterminator="\n")
    if names:
        writer.writerow({name: _guarded(name) if guard_formulas else name for name in names})
    count = 0
    for row in table:
        writer.writerow(row)
        count += 1
    return count


def _cell(value: JsonValue, *, guard: bool) -> str:
    match value:
        case None:
            return ""
        case str():
            return _guarded(value) if guard else value
        case list() if not any(
            isinstance(item, dict | list) or (isinstance(item, str) and ";" in item) for item in value
        ):
            return ";".join(_cell(item, guard=guard) for item in value)
        case _:
            return json.dumps(value, ensure_ascii=False)


def _guarded(text: str) -> str:
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) else text


# ------------------------------------------------------------------------ all requests as one union


@cache
def request_adapter() -> TypeAdapter[Request[object]]:
    """Return pydantic's validator for any request, to be embedded where pydantic is spoken.

    It is a union of all request classes, told apart by the member ``function``: it validates what
    `request_line` writes, dumps requests with that member, and has the JSON Schema of a line.
    Loads all models; `load_requests` loads only what the lines name. What it refuses, it refuses with pydantic's
    own error: its text has no values, but its `errors` hold the input, secrets included.

    Example:
        >>> request_adapter().validate_json('{"function": "VerifyStore", "id": 3}')
        VerifyStore(id=3)
    """
    # As the members of the union are known only now, this is beyond type checkers.
    annotated: Any = Annotated
    union: Any = Union
    members = [annotated[kind, _WithFunction(), Tag(kind.function)] for kind in _request_types()]
    by_function = Discriminator(
        _function_of,
        custom_error_type="unknown_function",
        custom_error_message="Input should have a member 'function' with the name of a function",
    )
    return TypeAdapter(
        annotated[union[tuple(members)], by_function], config=ConfigDict(title="Request", hide_input_in_errors=True)
    )


def _function_of(value: object) -> str | None:
    if isinstance(value, Request):
        return value.function
    name = cast("Mapping[str, object]", value).get(_FUNCTION) if isinstance(value, Mapping) else None
    return name if isinstance(name, str) else None


class _WithFunction:
    """Gives a request the member ``function`` in the union: taken off before, put on after."""

    def __get_pydantic_core_schema__(self, source: type[Request[object]], handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(
            _without_function,
            handler(source),
            serialization=core_schema.wrap_serializer_function_ser_schema(_with_function),
            metadata={"function": source.function},
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        described = handler.resolve_ref_schema(handler(schema))
        name = {"const": schema.get("metadata", {}).get("function"), "description": "Name of the function."}
        return described | {
            "properties": {_FUNCTION: name, **described.get("properties", {})},
            "required": [_FUNCTION, *described.get("required", ())],
        }


def _without_function(value: object) -> object:
    if not isinstance(value, Mapping):
        return value
    return {name: member for name, member in cast("Mapping[str, object]", value).items() if name != _FUNCTION}


def _with_function(request: Request[object], dump: SerializerFunctionWrapHandler) -> _JsonObject:
    return {_FUNCTION: request.function, **dump(request)}
