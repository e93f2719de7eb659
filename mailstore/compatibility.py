"""What a server offers against what this version of the package knows."""

from __future__ import annotations

from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeGuard, Union, cast, get_args, get_origin, get_type_hints

from mailstore.models.base import Request, Response, wire_names
from mailstore.models.fields import DeclaredAs, JsonObject
from mailstore.models.protocol import ArgumentType, FunctionMetadata

if TYPE_CHECKING:
    from collections.abc import Iterator


class ArgumentDifference(Response):
    """One argument that the server declares otherwise than this package."""

    function: str
    """Name of the function."""

    argument: str
    """Name of the argument on the wire."""

    kind: Literal["only on the server", "only here", "other type", "other nullability"]
    """What differs."""

    server: str | None = None
    """What the server declares, such as ``number, nullable``."""

    here: str | None = None
    """What this package declares."""


class CompatibilityReport(Response):
    """What a server offers against what this version of the package knows."""

    only_on_server: list[str]
    """Functions that the server has and this package has not; `MailStoreServer.call` reaches them."""

    only_here: list[str]
    """Functions that this package has and the server has not, usually because it is older."""

    arguments: list[ArgumentDifference]
    """Arguments that differ in the functions that both have."""

    @property
    def compatible(self) -> bool:
        """Whether both know the same functions with the same arguments."""
        return not (self.only_on_server or self.only_here or self.arguments)

    def __str__(self) -> str:
        """Return the report in words, a line for each finding."""
        lines = [f"{name}: only on the server" for name in self.only_on_server]
        lines += [f"{name}: only here" for name in self.only_here]
        for one in self.arguments:
            sides = " ".join(f"({side}: {said})" for side, said in (("server", one.server), ("here", one.here)) if said)
            lines.append(f"{one.function}.{one.argument}: {one.kind} {sides}")
        return "\n".join(lines) or "The server and this package know the same functions and arguments."


def compare(metadata: list[FunctionMetadata]) -> CompatibilityReport:
    """Compare a server's metadata with the request classes."""
    known = {request.function: declared(request) for request in request_types()}
    offered = {function.name: function for function in metadata}
    return CompatibilityReport(
        only_on_server=sorted(offered.keys() - known.keys()),
        only_here=sorted(known.keys() - offered.keys()),
        arguments=[
            difference
            for name in sorted(offered.keys() & known.keys())
            for difference in _differences(known[name], offered[name])
        ],
    )


def request_types() -> list[type[Request[Any]]]:
    """Return the request classes of all functions that the API lists, the three of the protocol left out."""
    from mailstore import models

    exported = [cast("object", getattr(models, name)) for name in models.__all__]
    return [value for value in exported if is_function(value)]


def is_function(value: object) -> TypeGuard[type[Request[Any]]]:
    """Whether something is the request class of a function that the API lists."""
    return (
        isinstance(value, type)
        and issubclass(value, Request)
        and value is not Request
        and value.endpoint.startswith("invoke/")
    )


def declared(request_type: type[Request[Any]]) -> FunctionMetadata:
    """Return a function as the server would declare it, from its request class."""
    hints = get_type_hints(request_type, include_extras=True)
    arguments = [
        {
            "name": wire,
            "type": argument_type(hints[name]),
            "nullable": _nullable(hints[name]),
        }
        for name, wire in wire_names(request_type).items()
    ]
    return FunctionMetadata.model_validate({"name": request_type.function, "args": arguments})


def argument_type(annotation: Any) -> ArgumentType:
    """Return how the server declares an argument of this type."""
    parts = list(_parts(annotation))
    for part in parts:
        if isinstance(part, DeclaredAs) and part.type is not None:
            return ArgumentType(part.type)
    if any(isinstance(part, JsonObject) for part in parts):
        return ArgumentType.JSON
    if bool in parts or True in [part for part in parts if isinstance(part, bool)]:
        return ArgumentType.BOOL
    texts = any(part is str or isinstance(part, str) for part in parts)
    numbers = any(part is int or (isinstance(part, int) and not isinstance(part, bool)) for part in parts)
    return ArgumentType.NUMBER if numbers and not texts else ArgumentType.STRING


def _parts(annotation: Any) -> Iterator[Any]:
    """Yield the types, literal values and rules that an annotation is made of."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from annotation.__metadata__
        yield from _parts(get_args(annotation)[0])
    elif origin in {Union, UnionType}:
        for part in get_args(annotation):
            yield from _parts(part)
    elif origin is Literal:
        yield from get_args(annotation)
    else:
        yield annotation


def _nullable(annotation: Any) -> bool:
    """Whether the API lets an argument be left out; a default of MailStore's own client does not make it so."""
    for part in _parts(annotation):
        if isinstance(part, DeclaredAs) and part.nullable is not None:
            return part.nullable
    return type(None) in _parts(annotation)


def _differences(here: FunctionMetadata, server: FunctionMetadata) -> Iterator[ArgumentDifference]:
    mine, theirs = ({argument.name: argument for argument in side.args} for side in (here, server))
    for name in [*mine, *(name for name in theirs if name not in mine)]:
        own, other = mine.get(name), theirs.get(name)
        words = {"here": _words(own), "server": _words(other)}
        found: list[Literal["only on the server", "only here", "other type", "other nullability"]] = []
        if own is None:
            found.append("only on the server")
        elif other is None:
            found.append("only here")
        else:
            if own.type != other.type:
                found.append("other type")
            if own.nullable != other.nullable:
                found.append("other nullability")
        for kind in found:
            yield ArgumentDifference(function=here.name, argument=name, kind=kind, **words)


def _words(argument: Any) -> str | None:
    if argument is None:
        return None
    return f"{argument.type}, {'nullable' if argument.nullable else 'mandatory'}"
